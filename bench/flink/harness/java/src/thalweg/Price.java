package thalweg;

/** Prices from 100 to 10^8 cents, log-uniform, in integers only. */
final class Price {
    private Price() {}

    /** 2^(i/256) * 2^31. */
    private static final long[] POWERS = powers();

    private static long[] powers() {
        long[] powers = new long[257];
        long w = 1L << 61;
        for (int i = 0; i < powers.length; i++) {
            powers[i] = w >>> 30;
            w = Math.multiplyHigh(w, 4624189567668517720L) << 2;
        }
        return powers;
    }

    /** The price of 32 random bits. */
    static long of(long v) {
        long z = (v * 334396231) >>> 24;
        int i = (int) (z >>> 24) & 255;
        long t = z & 0xFFFFFF;
        long m = POWERS[i] + (((POWERS[i + 1] - POWERS[i]) * t) >>> 24);
        return (((100 * m) << (z >>> 32)) + (1L << 30)) >>> 31;
    }
}
