package thalweg;

import org.apache.flink.api.common.typeinfo.TypeInformation;

/** The events as classes. */
record NexmarkEvents(NexmarkConfig config) implements Records<Model.Event> {
    @Override
    public TypeInformation<Model.Event> type() {
        return TypeInformation.of(Model.Event.class);
    }

    @Override
    public Sequence<Model.Event> between(int split, int splits, long position, long end) {
        return new Generator(config, split, splits, position, end);
    }

    private static final class Generator extends NexmarkGenerator<String, Model.Event> {
        Generator(NexmarkConfig config, int split, int splits, long position, long end) {
            super(Texts.Strings.SHARED, config, split, splits, position, end);
        }

        @Override
        Model.Event person(long id, String name, String emailAddress, String creditCard, String city, String state, long dateTime, String extra) {
            Model.Event event = new Model.Event();
            event.dateTime = dateTime;
            event.person = new Model.Person();
            event.person.id = id;
            event.person.name = name;
            event.person.emailAddress = emailAddress;
            event.person.creditCard = creditCard;
            event.person.city = city;
            event.person.state = state;
            event.person.dateTime = dateTime;
            event.person.extra = extra;
            return event;
        }

        @Override
        Model.Event auction(
                long id,
                String itemName,
                String description,
                long initialBid,
                long reserve,
                long dateTime,
                long expires,
                long seller,
                long category,
                String extra) {
            Model.Event event = new Model.Event();
            event.dateTime = dateTime;
            event.auction = new Model.Auction();
            event.auction.id = id;
            event.auction.itemName = itemName;
            event.auction.description = description;
            event.auction.initialBid = initialBid;
            event.auction.reserve = reserve;
            event.auction.dateTime = dateTime;
            event.auction.expires = expires;
            event.auction.seller = seller;
            event.auction.category = category;
            event.auction.extra = extra;
            return event;
        }

        @Override
        Model.Event bid(long auction, long bidder, long price, String channel, String url, long dateTime, String extra) {
            Model.Event event = new Model.Event();
            event.dateTime = dateTime;
            event.bid = new Model.Bid();
            event.bid.auction = auction;
            event.bid.bidder = bidder;
            event.bid.price = price;
            event.bid.channel = channel;
            event.bid.url = url;
            event.bid.dateTime = dateTime;
            event.bid.extra = extra;
            return event;
        }
    }
}
