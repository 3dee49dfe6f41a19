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
    public Sequence<Long> from(int split, int splits, long position) {
        Xorshift sequence = new Xorshift(keys);
        for (long i = 0; i < position; i++) {
            sequence.step();
        }
        return sequence;
    }

    private static final class Xorshift implements Sequence<Long> {
        private final long keys;
        private long x = START;

        Xorshift(long keys) {
            this.keys = keys;
        }

        private long step() {
            x ^= x << 13;
            x ^= x >>> 7;
            x ^= x << 17;
            return x;
        }

        @Override
        public Long next() {
            long s = step();
            // The high word of the unsigned product; multiplyHigh is signed in its first factor.
            return Math.multiplyHigh(s, keys) + ((s >> 63) & keys) + 1;
        }
    }
}
