package thalweg;

import java.lang.reflect.Array;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.function.Function;
import org.apache.flink.core.memory.MemorySegment;
import org.apache.flink.core.memory.MemorySegmentFactory;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.binary.BinaryStringData;

/** The shared strings in the form that a kind of event has them, made once. Pieces of the two texts are made as they are drawn. */
abstract class Texts<S> {
    final S[][] names;
    final S[] cities;
    final S[] states;
    final S[] cards;
    final S[] emails;
    final S[] channels;
    final S[] urls;

    private Texts(Class<S> type, Function<String, S> convert) {
        Function<String[], S[]> all = texts -> Arrays.stream(texts).map(convert).toArray(n -> array(type, n));
        @SuppressWarnings("unchecked")
        S[][] names = (S[][]) Array.newInstance(type, SharedText.FIRST.length, 0);
        for (int i = 0; i < names.length; i++) {
            String first = SharedText.FIRST[i];
            names[i] = all.apply(Arrays.stream(SharedText.LAST).map(last -> first + " " + last).toArray(String[]::new));
        }
        this.names = names;
        cities = all.apply(SharedText.CITIES);
        states = all.apply(SharedText.STATES);
        cards = all.apply(SharedText.CARDS);
        emails = all.apply(SharedText.EMAILS);
        channels = all.apply(SharedText.CHANNELS);
        urls = all.apply(SharedText.URLS);
    }

    @SuppressWarnings("unchecked")
    private static <S> S[] array(Class<S> type, int length) {
        return (S[]) Array.newInstance(type, length);
    }

    abstract S letters(int offset, int length);

    abstract S words(int offset, int length);

    abstract int length(S text);

    /** Java's own strings: a piece is a copy. */
    static final class Strings extends Texts<String> {
        static final Strings SHARED = new Strings();

        private Strings() {
            super(String.class, text -> text);
        }

        @Override
        String letters(int offset, int length) {
            return SharedText.LETTERS.substring(offset, offset + length);
        }

        @Override
        String words(int offset, int length) {
            return SharedText.WORDS.substring(offset, offset + length);
        }

        @Override
        int length(String text) {
            return text.length();
        }
    }

    /** The strings of Flink's tables: a piece points into the text. */
    static final class Binary extends Texts<StringData> {
        static final Binary SHARED = new Binary();

        private final MemorySegment[] letters = segments(SharedText.LETTERS);
        private final MemorySegment[] words = segments(SharedText.WORDS);

        private Binary() {
            super(StringData.class, text -> StringData.fromBytes(text.getBytes(StandardCharsets.UTF_8)));
        }

        private static MemorySegment[] segments(String text) {
            return new MemorySegment[] {MemorySegmentFactory.wrap(text.getBytes(StandardCharsets.UTF_8))};
        }

        @Override
        StringData letters(int offset, int length) {
            return BinaryStringData.fromAddress(letters, offset, length);
        }

        @Override
        StringData words(int offset, int length) {
            return BinaryStringData.fromAddress(words, offset, length);
        }

        @Override
        int length(StringData text) {
            return ((BinaryStringData) text).getSizeInBytes();
        }
    }
}
