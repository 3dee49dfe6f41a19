package thalweg;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.types.RowKind;

/**
 * The connector {@code changes}: every change of a result as a line, {@code +} or {@code -} and the row as {@link Line} writes it, in one
 * file per subtask of a folder. What is left when each {@code -} has taken away its {@code +} is the result.
 */
public final class Changes implements DynamicTableSinkFactory {
    private static final ConfigOption<String> FOLDER = ConfigOptions.key("folder").stringType().noDefaultValue();

    @Override
    public String factoryIdentifier() {
        return "changes";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(FOLDER);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of();
    }

    @Override
    public DynamicTableSink createDynamicTableSink(Context context) {
        FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
        helper.validate();
        return new TableSink(new Folder(helper.getOptions().get(FOLDER), context.getPhysicalRowDataType().getLogicalType().getChildren()));
    }

    private record TableSink(Folder folder) implements DynamicTableSink {
        @Override
        public ChangelogMode getChangelogMode(ChangelogMode requested) {
            return ChangelogMode.all();
        }

        @Override
        public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
            return SinkV2Provider.of(folder);
        }

        @Override
        public DynamicTableSink copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "changes";
        }
    }

    private record Folder(String path, List<LogicalType> columns) implements Sink<RowData> {
        @Override
        public SinkWriter<RowData> createWriter(WriterInitContext context) throws IOException {
            return new Writer(Path.of(path, Integer.toString(context.getTaskInfo().getIndexOfThisSubtask())), new Line(columns));
        }
    }

    private static final class Writer implements SinkWriter<RowData> {
        private final BufferedWriter file;
        private final Line line;

        Writer(Path path, Line line) throws IOException {
            file = Files.newBufferedWriter(path);
            this.line = line;
        }

        @Override
        public void write(RowData row, Context context) throws IOException {
            boolean adds = row.getRowKind() == RowKind.INSERT || row.getRowKind() == RowKind.UPDATE_AFTER;
            file.append(adds ? '+' : '-').append(line.of(row)).append('\n');
        }

        @Override
        public void flush(boolean endOfInput) throws IOException {
            file.flush();
        }

        @Override
        public void close() throws IOException {
            file.close();
        }
    }
}
