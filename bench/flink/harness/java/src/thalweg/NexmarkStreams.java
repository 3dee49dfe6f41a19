package thalweg;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** Nexmark queries in the DataStream API, as someone would write them who wants them fast: narrow records before the exchange, no window join where a co-group does. */
final class NexmarkStreams {
    private NexmarkStreams() {}

    /** Of q8, in milliseconds. */
    private static final long WINDOW = 10_000;

    private static final TypeInformation<Tuple2<Long, Long>> PAIR = Types.TUPLE(Types.LONG, Types.LONG);

    /** As the table has it: events may be 4 s late. */
    static WatermarkStrategy<Model.Event> watermarks() {
        return WatermarkStrategy.<Model.Event>forBoundedOutOfOrderness(Duration.ofSeconds(4)).withTimestampAssigner((event, before) -> event.dateTime);
    }

    static DataStream<Model.Bid> bids(DataStream<Model.Event> events) {
        return events.filter(event -> event.bid != null).map(event -> event.bid).returns(Model.Bid.class);
    }

    /** Prices in another currency, in thousandths. */
    static DataStream<Model.Bid> q1(DataStream<Model.Event> events) {
        return bids(events).map(bid -> {
            bid.price = bid.price * 908;
            return bid;
        }).returns(Model.Bid.class);
    }

    static DataStream<Tuple2<Long, Long>> q2(DataStream<Model.Event> events) {
        return bids(events).filter(bid -> bid.auction % 123 == 0).map(bid -> Tuple2.of(bid.auction, bid.price)).returns(PAIR);
    }

    /** The auctions with the most bids of 10 s, every 2 s. */
    static DataStream<Tuple2<Long, Long>> q5(DataStream<Model.Event> events) {
        return bids(events)
                .map(bid -> bid.auction).returns(Types.LONG)
                .keyBy(auction -> auction, Types.LONG)
                .window(SlidingEventTimeWindows.of(Duration.ofSeconds(10), Duration.ofSeconds(2)))
                .aggregate(new CountOne(), new WithEnd())
                .keyBy(counted -> counted.f0, Types.LONG)
                .process(new Hottest());
    }

    /** Counts what it is given. */
    private static final class CountOne implements AggregateFunction<Long, Long, Long> {
        @Override
        public Long createAccumulator() {
            return 0L;
        }

        @Override
        public Long add(Long auction, Long count) {
            return count + 1;
        }

        @Override
        public Long getResult(Long count) {
            return count;
        }

        @Override
        public Long merge(Long a, Long b) {
            return a + b;
        }
    }

    /** Gives the end of the window, the auction and its count. */
    private static final class WithEnd extends ProcessWindowFunction<Long, Tuple3<Long, Long, Long>, Long, TimeWindow> {
        @Override
        public void process(Long auction, Context context, Iterable<Long> counts, Collector<Tuple3<Long, Long, Long>> out) {
            out.collect(Tuple3.of(context.window().getEnd(), auction, counts.iterator().next()));
        }
    }

    /** Of the counts of one window, those that none exceeds. When the watermark has passed the window's end, all counts are there. */
    private static final class Hottest extends KeyedProcessFunction<Long, Tuple3<Long, Long, Long>, Tuple2<Long, Long>> {
        private transient ListState<Tuple2<Long, Long>> counts;

        @Override
        public void open(OpenContext context) {
            counts = getRuntimeContext().getListState(new ListStateDescriptor<>("counts", PAIR));
        }

        @Override
        public void processElement(Tuple3<Long, Long, Long> counted, Context context, Collector<Tuple2<Long, Long>> out) throws Exception {
            counts.add(Tuple2.of(counted.f1, counted.f2));
            context.timerService().registerEventTimeTimer(counted.f0);
        }

        @Override
        public void onTimer(long time, OnTimerContext context, Collector<Tuple2<Long, Long>> out) throws Exception {
            long most = 0;
            List<Tuple2<Long, Long>> hottest = new ArrayList<>();
            for (Tuple2<Long, Long> counted : counts.get()) {
                if (counted.f1 > most) {
                    most = counted.f1;
                    hottest.clear();
                }
                if (counted.f1 == most) {
                    hottest.add(counted);
                }
            }
            counts.clear();
            hottest.forEach(out::collect);
        }
    }

    /** People who came and opened an auction in the same 10 s: id, name and start of the window. */
    static DataStream<Tuple3<Long, String, Long>> q8(DataStream<Model.Event> events) {
        TypeInformation<Tuple3<Long, String, Long>> named = Types.TUPLE(Types.LONG, Types.STRING, Types.LONG);
        DataStream<Tuple3<Long, String, Long>> people = events
                .filter(event -> event.person != null)
                .map(event -> Tuple3.of(event.person.id, event.person.name, event.person.dateTime - event.person.dateTime % WINDOW))
                .returns(named);
        DataStream<Long> sellers = events.filter(event -> event.auction != null).map(event -> event.auction.seller).returns(Types.LONG);
        return people.coGroup(sellers)
                .where(person -> person.f0, Types.LONG)
                .equalTo(seller -> seller, Types.LONG)
                .window(TumblingEventTimeWindows.of(Duration.ofMillis(WINDOW)))
                .apply((Iterable<Tuple3<Long, String, Long>> came, Iterable<Long> opened, Collector<Tuple3<Long, String, Long>> out) -> {
                    if (opened.iterator().hasNext()) {
                        came.forEach(out::collect);
                    }
                }, named);
    }
}
