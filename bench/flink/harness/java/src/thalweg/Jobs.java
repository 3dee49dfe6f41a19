package thalweg;

import java.time.Duration;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.CoreOptions;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/** Makes jobs of {@link Options} and submits them. */
final class Jobs {
    private Jobs() {}

    static JobClient submit(Configuration cluster, Options options) throws Exception {
        StreamExecutionEnvironment environment = new StreamExecutionEnvironment(configured(cluster, options));
        return switch (options.api()) {
            case "sql" -> Sql.submit(StreamTableEnvironment.create(environment), options);
            case "datastream" -> {
                DataStreamQueries.build(environment, options);
                yield environment.executeAsync(options.query());
            }
            default -> throw new IllegalArgumentException("unknown api " + options.api() + "; there are sql and datastream");
        };
    }

    /** What Nexmark's own configuration sets, in today's names, but for the intervals, which are the caller's. */
    private static Configuration configured(Configuration cluster, Options options) {
        Configuration c = new Configuration(cluster);
        c.setString("execution.target", "remote");
        c.set(CoreOptions.DEFAULT_PARALLELISM, options.parallelism());
        c.set(PipelineOptions.OBJECT_REUSE, true);
        // A failure ends the job: it is to be seen.
        c.set(RestartStrategyOptions.RESTART_STRATEGY, "none");
        c.set(CheckpointingOptions.ENABLE_CHECKPOINTS_AFTER_TASKS_FINISH, false);
        if (options.checkpointMillis() > 0) {
            c.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofMillis(options.checkpointMillis()));
        }
        if (options.miniBatch()) {
            c.setString("table.exec.mini-batch.enabled", "true");
            c.setString("table.exec.mini-batch.allow-latency", "2s");
            c.setString("table.exec.mini-batch.size", "50000");
            c.setString("table.optimizer.distinct-agg.split.enabled", "true");
        }
        return c;
    }

    /** A source for a job of the options; watermarks are given by whoever reads event time. */
    static <T> GeneratedSource<T> source(Records<T> records, Options options) {
        return new GeneratedSource<>(records, options.bound(), options.counts(), options.lingerMillis());
    }
}
