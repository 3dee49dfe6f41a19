package thalweg;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/**
 * The Nexmark queries in SQL: {@code tables.sql} and {@code qN.sql} on the class path, statements with a semicolon at the end of a line.
 * {@code ${name}} stands for a value of the job.
 */
final class Sql {
    private Sql() {}

    static JobClient submit(StreamTableEnvironment tables, Options options) throws Exception {
        List<String> statements = new ArrayList<>(statements("tables", options));
        statements.addAll(statements(options.query(), options));
        TableResult last = null;
        for (String statement : statements) {
            last = tables.executeSql(statement);
        }
        return last.getJobClient().orElseThrow(() -> new IllegalStateException(options.query() + ".sql does not end with an INSERT"));
    }

    private static List<String> statements(String name, Options options) throws IOException {
        String text;
        try (InputStream file = Sql.class.getResourceAsStream("/" + name + ".sql")) {
            if (file == null) {
                throw new IllegalArgumentException("there is no query " + name + " in SQL");
            }
            text = new String(file.readAllBytes(), StandardCharsets.UTF_8);
        }
        text = text.replace("${events}", Long.toString(options.bound()))
                .replace("${seed}", Long.toString(options.seed()))
                .replace("${rate}", Long.toString(options.rate()))
                .replace("${kinds}", Integer.toString(NexmarkConfig.of(options).kinds()))
                .replace("${counts}", options.counts())
                .replace("${linger}", Long.toString(options.lingerMillis()))
                .replace("${sink}", options.keepsResults() ? "'connector' = 'changes', 'folder' = '" + options.results() + "'" : "'connector' = 'blackhole'");
        List<String> statements = new ArrayList<>();
        for (String statement : text.replaceAll("(?m)^--.*\n", "").split(";\\s*(\n|$)")) {
            if (!statement.isBlank()) {
                statements.add(statement);
            }
        }
        return statements;
    }
}
