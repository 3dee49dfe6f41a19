package thalweg;

/** SplitMix64: its outputs by number, and the two halves of an output as uniform numbers. */
final class SplitMix {
    static final long GAMMA = 0x9E3779B97F4A7C15L;

    private long state;

    SplitMix(long state) {
        this.state = state;
    }

    /** The next output of the generator started with the state. */
    long next() {
        state += GAMMA;
        return mix(state);
    }

    static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    /** The i-th output, from 0, of the generator started with the state. */
    static long out(long state, long i) {
        return mix(state + (i + 1) * GAMMA);
    }

    /** Uniform in [0, m), from the upper half of a draw; m is at most 2^31. */
    static long hi(long draw, long m) {
        return ((draw >>> 32) * m) >>> 32;
    }

    /** Uniform in [0, m), from the lower half of a draw; m is at most 2^31. */
    static long lo(long draw, long m) {
        return ((draw & 0xFFFFFFFFL) * m) >>> 32;
    }
}
