package thalweg;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.GlobalConfiguration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint;

/**
 * A JobManager, and the client of its jobs, in one process. It is told by lines on the standard input, and answers each with one line:
 *
 * <pre>
 * start name=value ...   started                 a job; one at a time
 * look                   runs                    if it has not ended
 * wait                   finished                when the job has ended by itself
 * cancel                 cancelled               when the job has ended
 *                        failed WHAT             instead of any of these; the whole error is in the log
 * </pre>
 *
 * The first line is {@code ready}, when jobs are accepted. The process ends with its standard input.
 */
public final class Driver {
    private final Configuration cluster;
    private JobClient job;

    private Driver(Configuration cluster) {
        this.cluster = cluster;
    }

    public static void main(String[] args) throws Exception {
        // The answers have the standard output to themselves.
        var answers = System.out;
        System.setOut(System.err);
        Configuration configuration = GlobalConfiguration.loadConfiguration(args[0]);
        new StandaloneSessionClusterEntrypoint(configuration).startCluster();
        Driver driver = new Driver(configuration);
        answers.println("ready");
        var commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String answer;
            try {
                answer = driver.answer(Arrays.asList(line.split(" ")));
            } catch (Exception e) {
                e.printStackTrace();
                answer = "failed " + cause(e);
            }
            answers.println(answer);
        }
        System.exit(0);
    }

    private static String cause(Throwable e) {
        while (e.getCause() != null) {
            e = e.getCause();
        }
        return e.toString().replace('\n', ' ');
    }

    private String answer(List<String> words) throws Exception {
        switch (words.get(0)) {
            case "start" -> {
                job = Jobs.submit(cluster, Options.parse(words.subList(1, words.size())));
                return "started";
            }
            case "look" -> {
                if (job.getJobStatus().get().isGloballyTerminalState()) {
                    job.getJobExecutionResult().get(); // throws why it ended
                    throw new IllegalStateException("the job has ended by itself");
                }
                return "runs";
            }
            case "wait" -> {
                job.getJobExecutionResult().get();
                return "finished";
            }
            case "cancel" -> {
                job.cancel().get();
                try {
                    job.getJobExecutionResult().get();
                } catch (ExecutionException cancelled) {
                    // A job that is cancelled has no result.
                }
                return "cancelled";
            }
            default -> throw new IllegalArgumentException("unknown command " + words.get(0));
        }
    }
}
