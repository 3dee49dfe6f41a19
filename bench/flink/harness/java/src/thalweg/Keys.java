package thalweg;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;

/** Pseudo-random keys 1 to {@code keys}, the very sequence of the bare loop that the engine is measured beside. */
record Keys(long keys) implements Records<Long> {
    private static final long START = 0x2545f4914f6cdd1dL;

    @Override
    public TypeInformation<Long> type() {
        return Types.LONG;
    }

    /** A xorshift generator cannot seek, so a position is reached by stepping; each split runs through the same sequence. */
    @Override
    public Sequence<Long> between(int split, int splits, long position, long end) {
        Xorshift sequence = new Xorshift(keys, end);
        while (sequence.position < position) {
            sequence.step();
        }
        return sequence;
    }

    private static final class Xorshift implements Sequence<Long> {
        private final long keys;
        private final long end;
        private long x = START;
        private long position;

        Xorshift(long keys, long end) {
            this.keys = keys;
            this.end = end;
        }

        private long step() {
            position++;
            x ^= x << 13;
            x ^= x >>> 7;
            x ^= x << 17;
            return x;
        }

        @Override
        public Long next() {
            if (position == end) {
                return null;
            }
            long s = step();
            // The high word of the unsigned product; multiplyHigh is signed in its first factor.
            return Math.multiplyHigh(s, keys) + ((s >> 63) & keys) + 1;
        }

        @Override
        public long position() {
            return position;
        }
    }
}
