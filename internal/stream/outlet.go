package stream

import "fmt"

// outlet is what a router holds for one of its channels.
type outlet[T any] struct {
	c      *outChannel
	part   *Batch[T] // records that are not sent yet; nil: none
	weight int       // of them
	mark   int64     // watermark that is to follow them, the newest but for MaxWatermark; NoTime: none
	last   bool      // MaxWatermark is to follow that: it takes its place nowhere, as the receiver may have to go by what this channel had seen
	hashes bool      // they go along
}

// worthAFrame is from how many records on a run is encoded where it lies, without being gathered with others first.
const worthAFrame = BatchSize / 2

// slice makes b a part of another batch, which it borrows.
func (b *Batch[T]) slice(of *Batch[T], from, upto int) {
	b.Values, b.Times, b.Hashes, b.Split = of.Values[from:upto], of.Times[from:upto], nil, of.Split
	if len(of.Hashes) > 0 { // what comes from the pool may have memory for hashes, and none
		b.Hashes = of.Hashes[from:upto]
	}
}

// all gives a run to one outlet.
func (r *router[T]) all(o *outlet[T], b *Batch[T]) error {
	for from := 0; from < len(b.Values); {
		k, weight := r.fit(o, from, len(b.Values)-from, nil)
		if o.part == nil && o.c.remote != nil && (k >= worthAFrame || k == r.most) {
			r.part.slice(b, from, from+k)
			if err := r.frames(o, &r.part, true); err != nil {
				return err
			}
			r.sendMark(o)
			from += k
			continue
		}
		p := r.filling(o)
		p.Values = append(p.Values, b.Values[from:from+k]...)
		p.Times = append(p.Times, b.Times[from:from+k]...)
		if o.hashes && len(b.Hashes) > 0 {
			p.Hashes = append(p.Hashes, b.Hashes[from:from+k]...)
		}
		from += k
		o.weight += weight
		if err := r.filled(o, from < len(b.Values)); err != nil {
			return err
		}
	}
	return nil
}

// some gives records of a run to one outlet, by their indexes.
func (r *router[T]) some(o *outlet[T], b *Batch[T], which []int32) error {
	for len(which) > 0 {
		k, weight := r.fit(o, 0, len(which), which)
		p := r.filling(o)
		p.Values = gather(p.Values, b.Values, which[:k])
		p.Times = gather(p.Times, b.Times, which[:k])
		if o.hashes && len(b.Hashes) > 0 {
			p.Hashes = gather(p.Hashes, b.Hashes, which[:k])
		}
		which = which[k:]
		o.weight += weight
		if err := r.filled(o, len(which) > 0); err != nil {
			return err
		}
	}
	return nil
}

// gather appends some elements of a column.
func gather[E any](dst, column []E, which []int32) []E {
	at := len(dst)
	if cap(dst)-at < len(which) {
		longer := make([]E, at, max(2*cap(dst), at+len(which), BatchSize/8))
		copy(longer, dst)
		dst = longer
	}
	dst = dst[:at+len(which)]
	out := dst[at:]
	for i, w := range which {
		out[i] = column[w]
	}
	return dst
}

// fit is how many of n records, and of what weight, fit into a frame behind those that an outlet has; at least one if it has none. They are
// those from the given one on, or which.
func (r *router[T]) fit(o *outlet[T], from, n int, which []int32) (k, weight int) {
	held := 0
	if o.part != nil {
		held = len(o.part.Values)
	}
	n = max(min(n, r.most-held), 0)
	if r.weight == nil {
		each, _ := r.weights.Each()
		return n, n * (each + perRecord)
	}
	left := fullFrame - recordsHeader - o.weight
	for ; k < n; k++ {
		i := from + k
		if which != nil {
			i = int(which[k])
		}
		w := r.weight[i] + perRecord
		if weight+w > left && held+k > 0 {
			break
		}
		weight += w
	}
	return k, weight
}

// filling is the batch that an outlet's records gather in.
func (r *router[T]) filling(o *outlet[T]) *Batch[T] {
	if o.part == nil {
		o.part = r.pool.Get().(*Batch[T])
	}
	return o.part
}

// filled sends a full batch, waiting for room: an operator that makes much out of one record blocks here. more: there are records that no longer fit.
func (r *router[T]) filled(o *outlet[T], more bool) error {
	if !more && len(o.part.Values) < r.most && o.weight < fullFrame {
		return nil
	}
	return r.send(o, true)
}

func (r *router[T]) waitFor(o *outlet[T]) error {
	for !o.c.fits() {
		if o.c.remote != nil {
			o.c.remote.conn.flush() // nothing that is waited for may itself wait for more
		}
		if err := r.t.waitForRoom(); err != nil {
			return err
		}
	}
	return nil
}

// send sends what an outlet holds; wait: not before there is room.
func (r *router[T]) send(o *outlet[T], wait bool) (err error) {
	if wait {
		if err := r.waitFor(o); err != nil {
			return err
		}
	}
	if p := o.part; p != nil {
		weight := o.weight
		o.part, o.weight = nil, 0
		if o.c.local != nil {
			o.c.sends(weight)
			o.c.local.put(element{kind: records, batch: p, home: &r.pool, weight: weight})
		} else {
			err = r.frames(o, p, wait)
			p.Reset()
			r.pool.Put(p)
		}
	}
	r.sendMark(o)
	return err
}

func (r *router[T]) sendMark(o *outlet[T]) {
	if o.mark != NoTime {
		o.c.control(element{kind: watermark, at: o.mark})
		o.mark = NoTime
	}
	if o.last {
		o.c.control(element{kind: watermark, at: MaxWatermark})
		o.last = false
	}
}

// frames encodes records and sends them, mostly in one frame; wait: each not before there is room. A frame that became too large, as what marshals itself says its size too late, is divided; the next ones
// have fewer records then. Records that cannot be encoded are lost: the router fails, and with it its task.
func (r *router[T]) frames(o *outlet[T], b *Batch[T], wait bool) error {
	if r.failed != nil {
		return r.failed
	}
	for from := 0; from < len(b.Values); {
		if wait {
			if err := r.waitFor(o); err != nil {
				return err
			}
		}
		k := min(len(b.Values)-from, r.most)
		r.framed.slice(b, from, from+k)
		sent, err := r.frame(o, &r.framed)
		if err != nil {
			r.failed = err
			return err
		}
		if sent {
			from += k
		}
	}
	return nil
}

// frame sends one frame, or makes most smaller and does not.
func (r *router[T]) frame(o *outlet[T], b *Batch[T]) (sent bool, err error) {
	f, weight, err := r.encode(b, o.c.remote.number, o.hashes)
	if f == nil {
		return false, err
	}
	o.c.sends(weight)
	o.c.remote.records(f)
	return true, nil
}

// encode begins a frame and fills it. It is nil, and most smaller, if there are too many records for one. Its weight is that of its records, which may
// have become less by compression.
func (r *router[T]) encode(b *Batch[T], channel uint32, hashes bool) (f *buffer, weight int, err error) {
	n := len(b.Values)
	if !hashes {
		b.Hashes = nil
	}
	f = newBuffer(frameHeader + recordsHeader + min(n*r.took, fullFrame))
	f.b = beginFrame(f.b, channel, frameRecords)
	if f.b, err = appendBatch(f.b, r.codec, b); err != nil {
		f.free()
		return nil, 0, err
	}
	size := len(f.b) - frameHeader
	if size > fullFrame && n > 1 {
		f.free()
		r.most = max(1, min(n-1, n*fullFrame/size))
		return nil, 0, nil
	}
	if len(f.b)-8 > maxFrame {
		f.free()
		return nil, 0, fmt.Errorf("a record of %d bytes: at most %d can be sent to another task", size, maxFrame-(frameHeader-8))
	}
	r.took = size/n + size/n/8 + 1
	if r.most < r.limit && size < fullFrame/4 {
		r.most = min(r.limit, 2*r.most)
	}
	if r.packs {
		pack(f)
	}
	return f, size, nil
}
