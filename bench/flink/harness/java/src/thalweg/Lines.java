package thalweg;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;

/** A sink that writes each value as a line, to one file per subtask of a folder. It is for results of jobs that end: it commits nothing. */
record Lines<T>(String folder, Text<T> text) implements Sink<T> {
    interface Text<T> extends Serializable {
        String of(T value);
    }

    @Override
    public SinkWriter<T> createWriter(WriterInitContext context) throws IOException {
        Path path = Path.of(folder, Integer.toString(context.getTaskInfo().getIndexOfThisSubtask()));
        return new Writer<>(Files.newBufferedWriter(path), text);
    }

    private record Writer<T>(BufferedWriter file, Text<T> text) implements SinkWriter<T> {
        @Override
        public void write(T value, Context context) throws IOException {
            file.append(text.of(value)).append('\n');
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
