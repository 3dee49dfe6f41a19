package stream

// A broadcast gathers its records once, in an outlet that has no channel of its own, and encodes them once: what goes to each receiver in another
// process is a copy of the same frame under the number of its channel. Receivers in this process take a batch each, which they may keep.

// allFit: every outlet has room for a batch, whatever its size.
func (r *router[T]) allFit() bool {
	for i := range r.outlets {
		if !r.outlets[i].c.fits() {
			return false
		}
	}
	return true
}

// broadcast gives a run to all outlets.
func (r *router[T]) broadcast(b *Batch[T]) error {
	o := &r.common
	for from := 0; from < len(b.Values); {
		k, weight := r.fit(o, from, len(b.Values)-from, nil)
		if o.part == nil && (k >= worthAFrame || k == r.most) {
			r.part.slice(b, from, from+k)
			if err := r.cast(&r.part, weight, true); err != nil {
				return err
			}
			from += k
			continue
		}
		p := r.filling(o)
		p.Values = append(p.Values, b.Values[from:from+k]...)
		p.Times = append(p.Times, b.Times[from:from+k]...)
		if len(b.Hashes) > 0 {
			p.Hashes = append(p.Hashes, b.Hashes[from:from+k]...)
		}
		from += k
		o.weight += weight
		if from < len(b.Values) || len(p.Values) >= r.most || o.weight >= fullFrame {
			if err := r.castHeld(true); err != nil {
				return err
			}
		}
	}
	return nil
}

// castHeld sends what was gathered.
func (r *router[T]) castHeld(wait bool) error {
	o := &r.common
	p, weight := o.part, o.weight
	o.part, o.weight = nil, 0
	err := r.cast(p, weight, wait)
	p.Reset()
	r.pool.Put(p)
	return err
}

// cast sends a batch, which it borrows, to every outlet; wait: to each not before there is room.
func (r *router[T]) cast(b *Batch[T], weight int, wait bool) error {
	far := 0
	for i := range r.outlets {
		o := &r.outlets[i]
		if o.c.remote != nil {
			far++
			continue
		}
		if wait {
			if err := r.waitFor(o); err != nil {
				return err
			}
		}
		p := r.pool.Get().(*Batch[T])
		p.Values, p.Times, p.Hashes, p.Split = append(p.Values, b.Values...), append(p.Times, b.Times...), append(p.Hashes, b.Hashes...), -1
		o.c.sends(weight)
		o.c.local.put(element{kind: records, batch: p, home: &r.pool, weight: weight})
	}
	if far > 0 {
		if err := r.castFrames(b, far, wait); err != nil {
			return err
		}
	}
	for i := range r.outlets {
		r.sendMark(&r.outlets[i])
	}
	return nil
}

// castFrames encodes a batch, mostly into one frame, and sends each frame to all outlets in other processes. As with frames, records that cannot be
// encoded are lost.
func (r *router[T]) castFrames(b *Batch[T], far int, wait bool) error {
	if r.failed != nil {
		return r.failed
	}
	for from := 0; from < len(b.Values); {
		k := min(len(b.Values)-from, r.most)
		r.framed.slice(b, from, from+k)
		f, weight, err := r.encode(&r.framed, 0, r.by.ShipHashes)
		if err != nil {
			r.failed = err
			return err
		}
		if f == nil {
			continue // with fewer records
		}
		if err := r.castFrame(f, weight, far, wait); err != nil {
			return err
		}
		from += k
	}
	return nil
}

// castFrame sends a frame, which it owns, to all outlets in other processes.
func (r *router[T]) castFrame(f *buffer, weight, far int, wait bool) error {
	for i := range r.outlets {
		o := &r.outlets[i]
		if o.c.remote == nil {
			continue
		}
		if wait {
			if err := r.waitFor(o); err != nil {
				f.free()
				return err
			}
		}
		g := f
		if far--; far > 0 { // the last one takes the frame itself
			g = newBuffer(len(f.b))
			g.b = append(g.b, f.b...)
		}
		setChannel(g.b, o.c.remote.number)
		o.c.sends(weight)
		o.c.remote.records(g)
	}
	return nil
}
