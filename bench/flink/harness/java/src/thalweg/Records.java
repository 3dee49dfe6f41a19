package thalweg;

import java.io.Serializable;
import org.apache.flink.api.common.typeinfo.TypeInformation;

/** What a {@link GeneratedSource} emits: the records of each of its splits, known by their position. */
interface Records<T> extends Serializable {
    /** The records of one split, from a position on. The sequence belongs to one thread. */
    Sequence<T> from(int split, int splits, long position);

    TypeInformation<T> type();

    interface Sequence<T> {
        T next();
    }
}
