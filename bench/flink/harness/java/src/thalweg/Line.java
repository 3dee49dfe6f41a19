package thalweg;

import java.io.Serializable;
import java.util.List;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;

/** A row as text: its columns with {@code |} between them, times as milliseconds since 1970, a column without a value as nothing. */
final class Line implements Serializable {
    private final List<LogicalType> columns;

    Line(List<LogicalType> columns) {
        this.columns = columns;
    }

    String of(RowData row) {
        StringBuilder line = new StringBuilder();
        for (int i = 0; i < columns.size(); i++) {
            if (i > 0) {
                line.append('|');
            }
            if (!row.isNullAt(i)) {
                append(line, row, i);
            }
        }
        return line.toString();
    }

    private void append(StringBuilder line, RowData row, int i) {
        LogicalType type = columns.get(i);
        LogicalTypeRoot root = type.getTypeRoot();
        switch (root) {
            case BIGINT -> line.append(row.getLong(i));
            case INTEGER -> line.append(row.getInt(i));
            case VARCHAR -> line.append(row.getString(i));
            case DECIMAL -> {
                DecimalType decimal = (DecimalType) type;
                line.append(row.getDecimal(i, decimal.getPrecision(), decimal.getScale()).toBigDecimal().toPlainString());
            }
            case TIMESTAMP_WITHOUT_TIME_ZONE, TIMESTAMP_WITH_LOCAL_TIME_ZONE -> line.append(row.getTimestamp(i, 3).getMillisecond());
            default -> throw new IllegalStateException("a result has a column of type " + type + ", for which no text is defined");
        }
    }
}
