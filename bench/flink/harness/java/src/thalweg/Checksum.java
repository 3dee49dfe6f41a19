package thalweg;

import java.nio.charset.StandardCharsets;

/** Prints the checksum of the events, as bench/nexmark/gen/cmd/gensum does; arguments are seed, rate, splits, and events in all. */
public final class Checksum {
    private long hash = 0xcbf29ce484222325L;

    private Checksum() {}

    public static void main(String[] args) {
        int splits = Integer.parseInt(args[2]);
        NexmarkConfig config = new NexmarkConfig(Long.parseLong(args[0]), Long.parseLong(args[1]), Long.parseLong(args[3]), NexmarkConfig.ALL);
        Checksum checksum = new Checksum();
        for (int i = 0; i < splits; i++) {
            long share = new GeneratedSource.Split(i, splits, 0).share(config.events());
            Records.Sequence<Model.Event> events = new NexmarkEvents(config).between(i, splits, 0, share);
            for (Model.Event event = events.next(); event != null; event = events.next()) {
                checksum.add(line(event));
            }
        }
        System.out.printf("%016x%n", checksum.hash);
    }

    private void add(String line) {
        for (byte b : line.getBytes(StandardCharsets.US_ASCII)) {
            hash = (hash ^ b) * 0x100000001b3L;
        }
    }

    private static String line(Model.Event event) {
        if (event.person != null) {
            Model.Person p = event.person;
            return join("P", p.id, p.name, p.emailAddress, p.creditCard, p.city, p.state, p.dateTime, p.extra);
        }
        if (event.auction != null) {
            Model.Auction a = event.auction;
            return join("A", a.id, a.itemName, a.description, a.initialBid, a.reserve, a.dateTime, a.expires, a.seller, a.category, a.extra);
        }
        Model.Bid b = event.bid;
        return join("B", b.auction, b.bidder, b.price, b.channel, b.url, b.dateTime, b.extra);
    }

    private static String join(Object... fields) {
        StringBuilder line = new StringBuilder();
        for (Object field : fields) {
            line.append(line.length() == 0 ? "" : "|").append(field);
        }
        return line.append('\n').toString();
    }
}
