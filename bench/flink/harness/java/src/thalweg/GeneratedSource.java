package thalweg;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** A source of generated records with one split per subtask. It ends after a number of positions in all, or never. */
final class GeneratedSource<T> implements Source<T, GeneratedSource.Split, List<GeneratedSource.Split>>, ResultTypeQueryable<T> {
    /** The number of positions of a source that never ends: more than any does in its life, and small enough to reckon with. */
    static final long ENDLESS = 1L << 44;

    private final Records<T> records;
    private final long events;
    private final String counts;
    private final long lingerMillis;

    /**
     * @param events how many positions all splits have together, or {@link #ENDLESS}
     * @param counts the file of {@link Counts}
     * @param lingerMillis how long a reader that is through waits before it says so: windows in processing time are not closed by the end
     */
    GeneratedSource(Records<T> records, long events, String counts, long lingerMillis) {
        this.records = records;
        this.events = events;
        this.counts = counts;
        this.lingerMillis = lingerMillis;
    }

    /** One of {@code splits} equal parts, read up to a position; what does not divide belongs to the last. */
    record Split(int index, int splits, long position) implements SourceSplit {
        @Override
        public String splitId() {
            return Integer.toString(index);
        }

        long share(long events) {
            return events / splits + (index == splits - 1 ? events % splits : 0);
        }
    }

    @Override
    public Boundedness getBoundedness() {
        return Boundedness.CONTINUOUS_UNBOUNDED;
    }

    @Override
    public TypeInformation<T> getProducedType() {
        return records.type();
    }

    @Override
    public SourceReader<T, Split> createReader(SourceReaderContext context) {
        return new GeneratedReader<>(context, records, events, counts, lingerMillis);
    }

    @Override
    public SplitEnumerator<Split, List<Split>> createEnumerator(SplitEnumeratorContext<Split> context) {
        List<Split> splits = new ArrayList<>();
        for (int i = 0; i < context.currentParallelism(); i++) {
            splits.add(new Split(i, context.currentParallelism(), 0));
        }
        return restoreEnumerator(context, splits);
    }

    @Override
    public SplitEnumerator<Split, List<Split>> restoreEnumerator(SplitEnumeratorContext<Split> context, List<Split> splits) {
        return new Enumerator(context, new ArrayList<>(splits));
    }

    private static final class Enumerator implements SplitEnumerator<Split, List<Split>> {
        private final SplitEnumeratorContext<Split> context;
        private final List<Split> unassigned;

        Enumerator(SplitEnumeratorContext<Split> context, List<Split> unassigned) {
            this.context = context;
            this.unassigned = unassigned;
        }

        @Override
        public void handleSplitRequest(int subtask, String hostname) {
            if (!unassigned.isEmpty()) {
                context.assignSplit(unassigned.remove(0), subtask);
            }
            context.signalNoMoreSplits(subtask);
        }

        @Override
        public void addSplitsBack(List<Split> splits, int subtask) {
            unassigned.addAll(splits);
        }

        @Override
        public List<Split> snapshotState(long checkpoint) {
            return new ArrayList<>(unassigned);
        }

        @Override
        public void start() {}

        @Override
        public void addReader(int subtask) {}

        @Override
        public void close() {}
    }

    @Override
    public SimpleVersionedSerializer<Split> getSplitSerializer() {
        return new SimpleVersionedSerializer<>() {
            @Override
            public int getVersion() {
                return 1;
            }

            @Override
            public byte[] serialize(Split split) {
                return encode(List.of(split));
            }

            @Override
            public Split deserialize(int version, byte[] bytes) {
                return decode(bytes).get(0);
            }
        };
    }

    @Override
    public SimpleVersionedSerializer<List<Split>> getEnumeratorCheckpointSerializer() {
        return new SimpleVersionedSerializer<>() {
            @Override
            public int getVersion() {
                return 1;
            }

            @Override
            public byte[] serialize(List<Split> splits) {
                return encode(splits);
            }

            @Override
            public List<Split> deserialize(int version, byte[] bytes) {
                return decode(bytes);
            }
        };
    }

    private static final int ENCODED = 16; // index, splits, position

    private static byte[] encode(List<Split> splits) {
        ByteBuffer bytes = ByteBuffer.allocate(ENCODED * splits.size());
        splits.forEach(s -> bytes.putInt(s.index).putInt(s.splits).putLong(s.position));
        return bytes.array();
    }

    private static List<Split> decode(byte[] encoded) {
        List<Split> splits = new ArrayList<>();
        for (ByteBuffer bytes = ByteBuffer.wrap(encoded); bytes.hasRemaining(); ) {
            splits.add(new Split(bytes.getInt(), bytes.getInt(), bytes.getLong()));
        }
        return splits;
    }
}
