package thalweg;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * How far a split's reader is, where another process can read it at any moment: a file of one cache line per split, the
 * position in its first eight bytes, little endian. The file exists and has its full size before the job starts.
 */
final class Counts {
    private static final int LINE = 64;
    private static final VarHandle LONG = MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private final MappedByteBuffer line;

    Counts(String file, int split) throws IOException {
        try (FileChannel channel = FileChannel.open(Path.of(file), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            line = channel.map(FileChannel.MapMode.READ_WRITE, (long) split * LINE, LINE);
        }
    }

    void set(long position) {
        LONG.setOpaque(line, 0, position);
    }
}
