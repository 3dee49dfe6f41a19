package thalweg;

import java.math.BigDecimal;
import java.util.StringJoiner;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.table.data.RowData;
import org.apache.flink.util.Collector;

/** The jobs that are written in the DataStream API. */
final class DataStreamQueries {
    private DataStreamQueries() {}

    static void build(StreamExecutionEnvironment environment, Options options) {
        switch (options.query().split("/")[0]) {
            case "source-keys" -> keys(options, environment).sinkTo(new DiscardingSink<>());
            case "keyedcount" -> keyedCount(environment, options);
            case "source" -> environment
                    .fromSource(Jobs.source(new NexmarkRows(NexmarkConfig.of(options), TypeInformation.of(RowData.class)), options), WatermarkStrategy.noWatermarks(), "events")
                    .sinkTo(new DiscardingSink<>());
            case "source-events" -> events(environment, options).sinkTo(new DiscardingSink<>());
            case "q1" -> end(
                    NexmarkStreams.q1(events(environment, options)),
                    options,
                    bid -> bid.auction + "|" + bid.bidder + "|" + BigDecimal.valueOf(bid.price, 3) + "|" + bid.dateTime + "|" + bid.extra);
            case "q2" -> end(NexmarkStreams.q2(events(environment, options)), options, new Columns<>());
            case "q5" -> end(NexmarkStreams.q5(events(environment, options)), options, new Columns<>());
            case "q8" -> end(NexmarkStreams.q8(events(environment, options)), options, new Columns<>());
            default -> throw new IllegalArgumentException("there is no query " + options.query() + " in the DataStream API");
        }
    }

    private static DataStream<Model.Event> events(StreamExecutionEnvironment environment, Options options) {
        return environment.fromSource(Jobs.source(new NexmarkEvents(NexmarkConfig.of(options)), options), NexmarkStreams.watermarks(), "events");
    }

    private static <T> void end(DataStream<T> result, Options options, Lines.Text<T> text) {
        result.sinkTo(options.keepsResults() ? new Lines<>(options.results(), value -> "+" + text.of(value)) : new DiscardingSink<>());
    }

    /** The text of a tuple. (A class, as javac confuses references to one method that are serialised for several types.) */
    private record Columns<T extends Tuple>() implements Lines.Text<T> {
        @Override
        public String of(T row) {
            StringJoiner line = new StringJoiner("|");
            for (int i = 0; i < row.getArity(); i++) {
                line.add(row.getField(i).toString());
            }
            return line.toString();
        }
    }

    private static DataStream<Long> keys(Options options, StreamExecutionEnvironment environment) {
        return environment.fromSource(Jobs.source(new Keys(options.keys()), options), WatermarkStrategy.noWatermarks(), "keys");
    }

    /**
     * Generator, map, count by key, discard; every record gives its key and the count so far. In one chain the keyed stream is a
     * reinterpretation, which is right as long as there is one subtask; else source and count are in slots, and so TaskManagers, of their own.
     */
    private static void keyedCount(StreamExecutionEnvironment environment, Options options) {
        if (options.parallelism() != 1) {
            throw new IllegalArgumentException("keyedcount has one subtask per operator, not " + options.parallelism());
        }
        DataStream<Long> keys = keys(options, environment).map(key -> key).returns(Types.LONG);
        KeyedStream<Long, Long> keyed = options.exchange()
                ? keys.keyBy(key -> key, Types.LONG)
                : DataStreamUtils.reinterpretAsKeyedStream(keys, key -> key, Types.LONG);
        var counts = keyed.process(new Count());
        if (options.exchange()) {
            counts.slotSharingGroup("count");
        }
        counts.sinkTo(new DiscardingSink<>());
    }

    private static final class Count extends KeyedProcessFunction<Long, Long, Tuple2<Long, Long>> {
        private transient ValueState<Long> count;
        private transient Tuple2<Long, Long> counted; // object reuse: the sink is done with it on return

        @Override
        public void open(OpenContext context) {
            count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
            counted = new Tuple2<>();
        }

        @Override
        public void processElement(Long key, Context context, Collector<Tuple2<Long, Long>> out) throws Exception {
            Long before = count.value();
            long now = before == null ? 1 : before + 1;
            count.update(now);
            counted.f0 = key;
            counted.f1 = now;
            out.collect(counted);
        }
    }
}
