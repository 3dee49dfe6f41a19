package thalweg;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;

/** The events as rows of the table that tables.sql declares: the type of the event and one of person, auction and bid. */
record NexmarkRows(NexmarkConfig config, TypeInformation<RowData> type) implements Records<RowData> {
    @Override
    public Sequence<RowData> between(int split, int splits, long position, long end) {
        return new Generator(config, split, splits, position, end);
    }

    private static final class Generator extends NexmarkGenerator<StringData, RowData> {
        private static final int PERSON = 0;
        private static final int AUCTION = 1;
        private static final int BID = 2;

        Generator(NexmarkConfig config, int split, int splits, long position, long end) {
            super(Texts.Binary.SHARED, config, split, splits, position, end);
        }

        private static RowData event(int type, Object... fields) {
            GenericRowData event = new GenericRowData(4);
            event.setField(0, type);
            event.setField(1 + type, GenericRowData.of(fields));
            return event;
        }

        private static TimestampData at(long millis) {
            return TimestampData.fromEpochMillis(millis);
        }

        @Override
        RowData person(
                long id, StringData name, StringData emailAddress, StringData creditCard, StringData city, StringData state, long dateTime, StringData extra) {
            return event(PERSON, id, name, emailAddress, creditCard, city, state, at(dateTime), extra);
        }

        @Override
        RowData auction(
                long id,
                StringData itemName,
                StringData description,
                long initialBid,
                long reserve,
                long dateTime,
                long expires,
                long seller,
                long category,
                StringData extra) {
            return event(AUCTION, id, itemName, description, initialBid, reserve, at(dateTime), at(expires), seller, category, extra);
        }

        @Override
        RowData bid(long auction, long bidder, long price, StringData channel, StringData url, long dateTime, StringData extra) {
            return event(BID, auction, bidder, price, channel, url, at(dateTime), extra);
        }
    }
}
