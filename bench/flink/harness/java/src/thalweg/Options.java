package thalweg;

import java.util.HashMap;
import java.util.Map;

/** What a job is to be: words of the form {@code name=value}. An option that is not known, or not a number where one is needed, is an error. */
record Options(
        String query,
        String api,
        long events,
        long seed,
        long rate,
        long keys,
        int parallelism,
        boolean exchange,
        boolean miniBatch,
        long checkpointMillis,
        String counts,
        String results) {

    static Options parse(Iterable<String> words) {
        Map<String, String> given = new HashMap<>();
        for (String word : words) {
            int equals = word.indexOf('=');
            if (equals < 0) {
                throw new IllegalArgumentException("option " + word + " has no value; write name=value");
            }
            given.put(word.substring(0, equals), word.substring(equals + 1));
        }
        Options options = new Options(
                take(given, "query"),
                take(given, "api"),
                Long.parseLong(take(given, "events")),
                Long.parseLong(take(given, "seed")),
                Long.parseLong(take(given, "rate")),
                Long.parseLong(take(given, "keys")),
                Integer.parseInt(take(given, "parallelism")),
                Boolean.parseBoolean(take(given, "exchange")),
                Boolean.parseBoolean(take(given, "minibatch")),
                Long.parseLong(take(given, "checkpoint")),
                take(given, "counts"),
                take(given, "results"));
        if (!given.isEmpty()) {
            throw new IllegalArgumentException("unknown options " + given.keySet());
        }
        return options;
    }

    private static String take(Map<String, String> given, String name) {
        String value = given.remove(name);
        if (value == null) {
            throw new IllegalArgumentException("option " + name + " is missing");
        }
        return value;
    }

    /** How many records the source gives in all; 0 in the options means that it never ends. */
    long bound() {
        return events == 0 ? GeneratedSource.ENDLESS : events;
    }

    /** Whether the rows of the result are written down, to the folder {@link #results}, rather than dropped. */
    boolean keepsResults() {
        return !results.isEmpty();
    }

    /** Windows of 10 s in processing time are left to close before the source of a result ends. */
    long lingerMillis() {
        return keepsResults() && query.equals("q12") ? 12_000 : 0;
    }
}
