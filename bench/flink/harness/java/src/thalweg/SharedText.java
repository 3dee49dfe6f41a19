package thalweg;

import java.util.function.LongUnaryOperator;

/** The strings that events share: pieces of two long texts, and tables. They depend on no seed, and are made once per process. */
final class SharedText {
    private SharedText() {}

    /** One character in so many is a special one. */
    private static final int SPECIAL_ONE_IN = 13;

    /** The length of the two texts. */
    static final int LENGTH = 1 << 20;

    static final String LETTERS = text(1, draw -> 'a' + SplitMix.hi(draw, 26));
    static final String WORDS = text(2, draw -> letterOr(' ', SplitMix.hi(draw, SPECIAL_ONE_IN * 26)));

    static final String[] FIRST = {"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"};
    static final String[] LAST = {"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"};
    static final String[] CITIES = {"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"};
    static final String[] STATES = {"AZ", "CA", "ID", "OR", "WA", "WY"};
    static final String[] CARDS = cards();
    static final String[] EMAILS = emails();

    /** How many channels, the first ones, take half of the bids. */
    static final int HOT_CHANNELS = 4;

    static final int COLD_CHANNELS = 10_000;
    static final String[] CHANNELS = channels();
    static final String[] URLS = urls();

    private static long letterOr(char special, long x) {
        return x < 26 ? special : 'a' + x % 26;
    }

    private static String text(long state, LongUnaryOperator character) {
        SplitMix random = new SplitMix(state);
        StringBuilder text = new StringBuilder(LENGTH);
        for (int i = 0; i < LENGTH; i++) {
            text.append((char) character.applyAsLong(random.next()));
        }
        return text.toString();
    }

    /** Three to {@code max - 1} characters, blanks at the ends cut off. */
    private static String word(SplitMix random, int max, char special) {
        long length = 3 + SplitMix.hi(random.next(), max - 3);
        StringBuilder word = new StringBuilder();
        for (long i = 0; i < length; i++) {
            word.append((char) letterOr(special, SplitMix.hi(random.next(), SPECIAL_ONE_IN * 26)));
        }
        return word.toString().strip();
    }

    private static String[] cards() {
        SplitMix random = new SplitMix(3);
        String[] cards = new String[1 << 16];
        for (int i = 0; i < cards.length; i++) {
            String digits = String.format("%08d%08d", SplitMix.hi(random.next(), 100_000_000), SplitMix.hi(random.next(), 100_000_000));
            cards[i] = String.join(" ", digits.substring(0, 4), digits.substring(4, 8), digits.substring(8, 12), digits.substring(12));
        }
        return cards;
    }

    private static String[] emails() {
        SplitMix random = new SplitMix(4);
        String[] emails = new String[1 << 14];
        for (int i = 0; i < emails.length; i++) {
            emails[i] = word(random, 7, ' ') + "@" + word(random, 5, ' ') + ".com";
        }
        return emails;
    }

    private static String[] channels() {
        String[] channels = new String[HOT_CHANNELS + COLD_CHANNELS];
        System.arraycopy(new String[] {"Google", "Facebook", "Baidu", "Apple"}, 0, channels, 0, HOT_CHANNELS);
        for (int i = 0; i < COLD_CHANNELS; i++) {
            channels[HOT_CHANNELS + i] = "channel-" + i;
        }
        return channels;
    }

    private static String[] urls() {
        SplitMix random = new SplitMix(5);
        String[] urls = new String[HOT_CHANNELS + COLD_CHANNELS];
        for (int i = 0; i < urls.length; i++) {
            urls[i] = "https://www.nexmark.com/" + word(random, 5, '_') + "/" + word(random, 5, '_') + "/" + word(random, 5, '_') + "/item.htm?query=1";
            if (i >= HOT_CHANNELS && SplitMix.hi(random.next(), 10) > 0) {
                urls[i] += "&channel_id=" + Math.abs(Integer.reverse(i - HOT_CHANNELS));
            }
        }
        return urls;
    }
}
