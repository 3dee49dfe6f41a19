package thalweg;

import java.io.Serializable;

/**
 * What decides the events.
 *
 * @param rate events per second of event time, of all splits together
 * @param events of all splits together, or {@link GeneratedSource#ENDLESS}
 * @param kinds those that are made, a sum of {@link #PERSON}, {@link #AUCTION} and {@link #BID}
 */
record NexmarkConfig(long seed, long rate, long events, int kinds) implements Serializable {
    static final int PERSON = 1;
    static final int AUCTION = 2;
    static final int BID = 4;
    static final int ALL = PERSON + AUCTION + BID;

    /** The configuration of a job: only the kinds that its query reads. */
    static NexmarkConfig of(Options options) {
        return new NexmarkConfig(options.seed(), options.rate(), options.bound(), kinds(options.query()));
    }

    /** What is read by a query, or by the source alone of one: {@code source/q5}. */
    private static int kinds(String query) {
        return switch (query.substring(query.indexOf('/') + 1)) {
            case "source", "source-events" -> ALL;
            case "q3", "q8" -> PERSON + AUCTION;
            case "q4", "q9", "q20" -> AUCTION + BID;
            default -> BID;
        };
    }
}
