package thalweg;

import java.io.Serializable;
import org.apache.flink.api.common.typeinfo.TypeInformation;

/** What a {@link GeneratedSource} emits: the records of each of its splits, known by their position. */
interface Records<T> extends Serializable {
    /** The records of one split from a position on, up to but without another. The sequence belongs to one thread. */
    Sequence<T> between(int split, int splits, long position, long end);

    TypeInformation<T> type();

    interface Sequence<T> {
        /** The next record, or null if there is none. */
        T next();

        /** Where another sequence goes on from here. */
        long position();
    }
}
