package thalweg;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.core.io.InputStatus;

/** Emits the records of one split and says how far it is. All calls come from the source's task. */
final class GeneratedReader<T> implements SourceReader<T, GeneratedSource.Split> {
    /** Records per call: enough that the call costs nothing, few enough that the task looks at its mail often. */
    private static final int BATCH = 128;

    private final SourceReaderContext context;
    private final Records<T> records;
    private final long events;
    private final String countsFile;
    private final long lingerMillis;

    private CompletableFuture<Void> available = new CompletableFuture<>();
    private boolean noMoreSplits;
    private boolean lingered;
    private GeneratedSource.Split split; // null until assigned, and for ever if there are more readers than splits
    private Records.Sequence<T> sequence;
    private Counts counts;

    GeneratedReader(SourceReaderContext context, Records<T> records, long events, String countsFile, long lingerMillis) {
        this.context = context;
        this.records = records;
        this.events = events;
        this.countsFile = countsFile;
        this.lingerMillis = lingerMillis;
    }

    @Override
    public void start() {
        if (split == null) {
            context.sendSplitRequest();
        }
    }

    @Override
    public void addSplits(List<GeneratedSource.Split> splits) {
        if (split != null || splits.size() != 1) {
            throw new IllegalStateException("a reader takes one split, and got " + splits + " with " + split + " assigned");
        }
        split = splits.get(0);
        sequence = records.between(split.index(), split.splits(), split.position(), split.share(events));
        try {
            counts = new Counts(countsFile, split.index());
        } catch (IOException e) {
            throw new IllegalStateException("map the file of counts " + countsFile, e);
        }
        available.complete(null);
    }

    @Override
    public void notifyNoMoreSplits() {
        noMoreSplits = true;
        available.complete(null);
    }

    @Override
    public InputStatus pollNext(ReaderOutput<T> output) {
        if (split == null) {
            return noMoreSplits ? InputStatus.END_OF_INPUT : InputStatus.NOTHING_AVAILABLE;
        }
        for (int i = 0; i < BATCH; i++) {
            T record = sequence.next();
            if (record == null) {
                counts.set(sequence.position());
                return through();
            }
            output.collect(record);
        }
        counts.set(sequence.position());
        return InputStatus.MORE_AVAILABLE;
    }

    private InputStatus through() {
        if (lingered || lingerMillis == 0) {
            return InputStatus.END_OF_INPUT;
        }
        lingered = true;
        available = new CompletableFuture<Void>().completeOnTimeout(null, lingerMillis, TimeUnit.MILLISECONDS);
        return InputStatus.NOTHING_AVAILABLE;
    }

    @Override
    public CompletableFuture<Void> isAvailable() {
        return available;
    }

    @Override
    public List<GeneratedSource.Split> snapshotState(long checkpoint) {
        return split == null ? List.of() : List.of(new GeneratedSource.Split(split.index(), split.splits(), sequence.position()));
    }

    @Override
    public void close() {}
}
