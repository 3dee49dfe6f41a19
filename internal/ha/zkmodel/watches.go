package zkmodel

import (
	"cmp"
	"slices"

	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
)

// fire tells the sessions at one server about one change that it has applied.
func (m *Model) fire(server int, c change) {
	for _, s := range m.ordered() {
		if s.server != server {
			continue
		}
		switch c.kind {
		case zookeeper.Create:
			m.trigger(s, watch{c.path, watchMissing}, zookeeper.NodeCreated)
			m.trigger(s, watch{parent(c.path), watchChildren}, zookeeper.ChildrenChanged)
		case zookeeper.Set:
			m.trigger(s, watch{c.path, watchData}, zookeeper.NodeChanged)
		case zookeeper.Delete:
			m.trigger(s, watch{c.path, watchData}, zookeeper.NodeDeleted)
			m.trigger(s, watch{c.path, watchChildren}, zookeeper.NodeDeleted)
			m.trigger(s, watch{parent(c.path), watchChildren}, zookeeper.ChildrenChanged)
		}
	}
}

func (m *Model) trigger(s *session, w watch, kind zookeeper.EventKind) {
	if s.watches[w] {
		delete(s.watches, w)
		s.seen = max(s.seen, m.servers[s.server].applied)
		m.emit(Fired{s.id, zookeeper.Event{Kind: kind, Path: w.path}})
	}
}

// rearm is what a resumed session's watches have missed.
func (m *Model) rearm(s *session, srv *server) {
	var all []watch
	for w := range s.watches {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b watch) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.kind, b.kind)) })
	for _, w := range all {
		n := srv.tree[w.path]
		switch {
		case w.kind == watchMissing && n != nil:
			m.trigger(s, w, zookeeper.NodeCreated)
		case w.kind != watchMissing && n == nil:
			m.trigger(s, w, zookeeper.NodeDeleted)
		case w.kind == watchData && n.modified > s.seen:
			m.trigger(s, w, zookeeper.NodeChanged)
		case w.kind == watchChildren && n.family > s.seen:
			m.trigger(s, w, zookeeper.ChildrenChanged)
		}
	}
	s.seen = max(s.seen, srv.applied)
}
