package thalweg;

/**
 * The events of one split, in order; those of kinds that nobody wants keep their numbers but are not made. It is the twin of package bench/nexmark/gen, whose comment defines every draw and formula; the names
 * are those of that comment.
 *
 * @param <S> what strings are
 * @param <T> what an event is made into
 */
abstract class NexmarkGenerator<S, T> implements Records.Sequence<T> {
    private static final long BASE_TIME = 1704067200000L;

    /** Events after which the kinds repeat: a person, three auctions, and bids. */
    private static final int ROUND = 50;

    private final Texts<S> texts;
    private final long rate;
    private final long splits;
    private final long first;
    private final long base;

    private final int kinds;
    private final long end;

    private long epoch; // of the event
    private int offset; // of the event
    private long n; // number of the event in its split, from 1
    private long draws; // the state behind the event's first draw
    private long lastPerson;
    private long lastAuction;

    NexmarkGenerator(Texts<S> texts, NexmarkConfig config, int split, int splits, long position, long end) {
        this.texts = texts;
        this.rate = config.rate();
        this.splits = splits;
        first = 1 + split * (config.events() / splits);
        base = SplitMix.out(config.seed(), split);
        kinds = config.kinds();
        this.end = end;
        n = position;
        epoch = (first + n) / ROUND;
        offset = (int) ((first + n) % ROUND);
    }

    abstract T person(long id, S name, S emailAddress, S creditCard, S city, S state, long dateTime, S extra);

    abstract T auction(
            long id, S itemName, S description, long initialBid, long reserve, long dateTime, long expires, long seller, long category, S extra);

    abstract T bid(long auction, long bidder, long price, S channel, S url, long dateTime, S extra);

    @Override
    public final T next() {
        int kind;
        do {
            if (n == end) {
                return null;
            }
            n++;
            if (++offset == ROUND) {
                offset = 0;
                epoch++;
            }
            kind = offset == 0 ? NexmarkConfig.PERSON : offset <= 3 ? NexmarkConfig.AUCTION : NexmarkConfig.BID;
        } while ((kind & kinds) == 0);
        draws = base + (8 * n + 1) * SplitMix.GAMMA;
        lastPerson = epoch;
        if (kind == NexmarkConfig.PERSON) {
            return nextPerson();
        }
        lastAuction = epoch * 3 + Math.min(offset - 1, 2);
        return kind == NexmarkConfig.AUCTION ? nextAuction() : nextBid();
    }

    @Override
    public final long position() {
        return n;
    }

    private T nextPerson() {
        long d0 = draw(0);
        long d1 = draw(1);
        long d2 = draw(2);
        S name = texts.names[(int) SplitMix.hi(d0, SharedText.FIRST.length)][(int) SplitMix.lo(d0, SharedText.LAST.length)];
        S email = texts.emails[(int) SplitMix.hi(d1, texts.emails.length)];
        S card = texts.cards[(int) SplitMix.lo(d1, texts.cards.length)];
        S city = texts.cities[(int) SplitMix.hi(d2, texts.cities.length)];
        S state = texts.states[(int) SplitMix.lo(d2, texts.states.length)];
        long current = 8 + texts.length(name) + texts.length(email) + texts.length(card) + texts.length(city) + texts.length(state);
        return person(lastPerson + 1000, name, email, card, city, state, time(n), extra(draw(3), current, 200));
    }

    private T nextAuction() {
        long d2 = draw(2);
        long d3 = draw(3);
        long d4 = draw(4);
        S itemName = words(draw(0), 20);
        S description = words(draw(1), 100);
        long initialBid = Price.of(d2 >>> 32);
        long dateTime = time(n);
        long horizon = time(n + 1666) - dateTime;
        long seller = SplitMix.lo(d4, 4) > 0 ? lastPerson / 100 * 100 : somePerson(d4);
        return auction(
                lastAuction + 1000,
                itemName,
                description,
                initialBid,
                initialBid + Price.of(d3 >>> 32),
                dateTime,
                dateTime + 1 + SplitMix.lo(d3, Math.max(2 * horizon, 1)),
                1000 + seller,
                10 + SplitMix.lo(d2, 5),
                extra(draw(5), 8 + texts.length(itemName) + texts.length(description) + 40, 500));
    }

    private T nextBid() {
        long d0 = draw(0);
        long d1 = draw(1);
        long d3 = draw(3);
        long auction = SplitMix.lo(d0, 2) > 0 ? lastAuction / 100 * 100 : someAuction(d0);
        long bidder = SplitMix.lo(d1, 4) > 0 ? lastPerson / 100 * 100 + 1 : somePerson(d1);
        int channel = (int) (SplitMix.lo(d3, 2) > 0
                ? SplitMix.hi(d3, SharedText.HOT_CHANNELS)
                : SharedText.HOT_CHANNELS + SplitMix.hi(d3, SharedText.COLD_CHANNELS));
        return bid(
                1000 + auction,
                2000 + bidder,
                Price.of(draw(2) >>> 32),
                texts.channels[channel],
                texts.urls[channel],
                time(n),
                extra(draw(4), 32, 100));
    }

    private long draw(int k) {
        return SplitMix.mix(draws + k * SplitMix.GAMMA);
    }

    private long time(long n) {
        return BASE_TIME + n * 1000 * splits / rate;
    }

    private long somePerson(long draw) {
        long active = Math.min(lastPerson + 1, 1000);
        return lastPerson + 1 - active + SplitMix.hi(draw, active + 10);
    }

    private long someAuction(long draw) {
        long low = Math.max(lastAuction - 100, 0);
        return low + SplitMix.hi(draw, lastAuction - low + 11);
    }

    private S words(long draw, int max) {
        int length = 3 + (int) SplitMix.lo(draw, max - 3);
        int start = (int) SplitMix.hi(draw, SharedText.LENGTH - length);
        int end = start + length;
        while (start < end && SharedText.WORDS.charAt(start) == ' ') {
            start++;
        }
        while (start < end && SharedText.WORDS.charAt(end - 1) == ' ') {
            end--;
        }
        return texts.words(start, end - start);
    }

    private S extra(long draw, long current, long average) {
        if (current >= average) {
            return texts.letters(0, 0);
        }
        long want = average - current;
        long delta = (2 * want + 5) / 10;
        int length = (int) (want - delta + SplitMix.lo(draw, 2 * delta));
        return texts.letters((int) SplitMix.hi(draw, SharedText.LENGTH - length), length);
    }
}
