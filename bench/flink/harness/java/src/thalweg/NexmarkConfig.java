package thalweg;

import java.io.Serializable;

/**
 * What decides the events.
 *
 * @param rate events per second of event time, of all splits together
 * @param events of all splits together, or {@link GeneratedSource#ENDLESS}
 */
record NexmarkConfig(long seed, long rate, long events) implements Serializable {
    static NexmarkConfig of(Options options) {
        return new NexmarkConfig(options.seed(), options.rate(), options.bound());
    }
}
