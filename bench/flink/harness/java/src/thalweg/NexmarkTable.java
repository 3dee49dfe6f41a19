package thalweg;

import java.util.Set;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.SourceProvider;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.types.DataType;

/** The connector {@code nexmark}: the events as the table that tables.sql declares. */
public final class NexmarkTable implements DynamicTableSourceFactory {
    private static final ConfigOption<Long> EVENTS = ConfigOptions.key("events").longType().noDefaultValue();
    private static final ConfigOption<Long> SEED = ConfigOptions.key("seed").longType().noDefaultValue();
    private static final ConfigOption<Long> RATE = ConfigOptions.key("rate").longType().noDefaultValue();
    private static final ConfigOption<Integer> KINDS = ConfigOptions.key("kinds").intType().noDefaultValue();
    private static final ConfigOption<String> COUNTS = ConfigOptions.key("counts").stringType().noDefaultValue();
    private static final ConfigOption<Long> LINGER = ConfigOptions.key("linger").longType().noDefaultValue();

    @Override
    public String factoryIdentifier() {
        return "nexmark";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(EVENTS, SEED, RATE, KINDS, COUNTS, LINGER);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of();
    }

    @Override
    public DynamicTableSource createDynamicTableSource(Context context) {
        FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
        helper.validate();
        ReadableConfig options = helper.getOptions();
        return new Scan(
                new NexmarkConfig(options.get(SEED), options.get(RATE), options.get(EVENTS), options.get(KINDS)),
                options.get(COUNTS),
                options.get(LINGER),
                context.getPhysicalRowDataType());
    }

    private record Scan(NexmarkConfig config, String counts, long lingerMillis, DataType type) implements ScanTableSource {
        @Override
        public ChangelogMode getChangelogMode() {
            return ChangelogMode.insertOnly();
        }

        @Override
        public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
            TypeInformation<RowData> rows = context.createTypeInformation(type);
            return SourceProvider.of(new GeneratedSource<>(new NexmarkRows(config, rows), config.events(), counts, lingerMillis));
        }

        @Override
        public DynamicTableSource copy() {
            return this;
        }

        @Override
        public String asSummaryString() {
            return "nexmark";
        }
    }
}
