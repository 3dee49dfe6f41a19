package thalweg;

import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.factories.FactoryUtil;
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
        Line line = new Line(context.getPhysicalRowDataType().getLogicalType().getChildren());
        return new TableSink(new Lines<>(helper.getOptions().get(FOLDER), row -> sign(row.getRowKind()) + line.of(row)));
    }

    private static String sign(RowKind kind) {
        return kind == RowKind.INSERT || kind == RowKind.UPDATE_AFTER ? "+" : "-";
    }

    private record TableSink(Lines<RowData> lines) implements DynamicTableSink {
        @Override
        public ChangelogMode getChangelogMode(ChangelogMode requested) {
            return ChangelogMode.all();
        }

        @Override
        public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
            return SinkV2Provider.of(lines);
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
}
