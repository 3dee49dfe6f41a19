package thalweg;

/** The events as classes, for the DataStream API; in the form that Flink serialises field by field. Times are milliseconds since 1970. */
public final class Model {
    private Model() {}

    /** One of the three; the other two are null. */
    public static final class Event {
        public long dateTime;
        public Person person;
        public Auction auction;
        public Bid bid;
    }

    public static final class Person {
        public long id;
        public String name;
        public String emailAddress;
        public String creditCard;
        public String city;
        public String state;
        public long dateTime;
        public String extra;
    }

    public static final class Auction {
        public long id;
        public String itemName;
        public String description;
        public long initialBid;
        public long reserve;
        public long dateTime;
        public long expires;
        public long seller;
        public long category;
        public String extra;
    }

    public static final class Bid {
        public long auction;
        public long bidder;
        public long price;
        public String channel;
        public String url;
        public long dateTime;
        public String extra;
    }
}
