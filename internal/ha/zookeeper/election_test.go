package zookeeper_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/golden"
	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/ha/zkmodel"
	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
)

// TestElection runs the scripts in testdata: elections over the model of ZooKeeper, one step at a time. What each command gave is below it: the review.
func TestElection(t *testing.T) {
	golden.Scripts(t, "testdata/*.txt", func(t *testing.T, text string) string {
		s := &script{t: t, zk: zkmodel.New(3), nodes: map[string]*contender{}}
		return golden.Lines(text, func(line string) string {
			s.out.Reset()
			s.command(strings.Fields(line))
			return s.out.String()
		})
	})
}

// script is a world of contenders.
type script struct {
	t       *testing.T
	now     time.Duration
	zk      *zkmodel.Model
	names   []string
	nodes   map[string]*contender
	out     strings.Builder
	session int64
}

type contender struct {
	name     string
	election *zookeeper.Election
	session  int64
	up       bool // connected
	server   int
	contact  time.Duration
	pending  *zookeeper.Request
	id       uint64
	wake     time.Duration
	epoch    ha.Epoch
}

const scriptTimeout = 10 * time.Second

func (s *script) say(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func (s *script) command(f []string) {
	var c *contender
	if len(f) > 1 {
		c = s.nodes[f[1]]
	}
	switch f[0] {
	case "new": // new NAME [suspended] [blind] [cluster=ID]: a process, connected
		s.create(f[1], f[2:])
	case "step": // the request in flight is performed and answered
		s.perform(c, nil, true)
	case "lose-reply": // it is performed, but the connection breaks before the answer
		s.perform(c, zookeeper.ErrLost, true)
	case "lose-request":
		s.perform(c, zookeeper.ErrLost, false)
	case "run": // everybody's requests, until nobody asks; time stands still
		for again := true; again; {
			again = false
			for _, name := range s.names {
				if c := s.nodes[name]; c.pending != nil && c.up {
					again = true
					s.perform(c, nil, true)
				}
			}
		}
	case "disconnect":
		s.drop(c)
	case "reconnect":
		s.open(c)
	case "expire": // at the servers; the client hears of it when it is connected
		s.model(zkmodel.Expire{Session: c.session})
	case "advance": // time passes, with ticks when they are asked for
		d, err := time.ParseDuration(f[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.advance(s.now + d)
	case "served":
		s.feed(c, zookeeper.Served{})
	case "fenced":
		s.feed(c, zookeeper.Fenced{Epoch: c.epoch})
	case "resign":
		s.feed(c, zookeeper.Resign{Epoch: c.epoch})
	case "stop":
		s.feed(c, zookeeper.Stop{})
	case "delete": // somebody deletes a node
		s.admin(zookeeper.Request{Kind: zookeeper.Delete, Path: "/t/c/" + f[1], Version: -1})
	case "set": // somebody changes a node
		s.admin(zookeeper.Request{Kind: zookeeper.Set, Path: "/t/c/" + f[1], Data: []byte(strings.Join(f[2:], " ")), Version: -1})
	case "twin": // a second latch of a process appears under its session
		s.zk.Step(s.now, zkmodel.Ask{Session: c.session, Request: zookeeper.Request{Kind: zookeeper.Create,
			Path: "/t/c/leader/latch/_c_" + f[1] + "-latch-", Ephemeral: true, Sequential: true}})
	case "delete-latch": // of a process
		for _, name := range s.children() {
			if strings.HasPrefix(name, "_c_"+f[1]+"-") {
				s.admin(zookeeper.Request{Kind: zookeeper.Delete, Path: "/t/c/leader/latch/" + name, Version: -1})
			}
		}
	case "show": // the latches and the epoch
		for _, name := range s.children() {
			s.say("%s", name)
		}
		r, err := s.ask(zookeeper.Request{Kind: zookeeper.Get, Path: "/t/c/leader/epoch"})
		s.say("epoch %s at %d %v", r.Data, r.Stat.Version, errors.Join(err))
	default:
		s.t.Fatalf("no command %q", f[0])
	}
}

func (s *script) create(name string, options []string) {
	cfg := zookeeper.ElectionConfig{Base: "/t/c", Contender: ha.Contender{Incarnation: ha.Incarnation(name), RPCAddress: name + ":1"},
		NewCluster: "cluster-of-" + name, TolerateSuspended: true}
	for _, o := range options {
		switch {
		case o == "suspended":
			cfg.TolerateSuspended = false
		case o == "blind":
			cfg.Blind = true
		case strings.HasPrefix(o, "cluster="):
			cfg.Contender.Cluster = strings.TrimPrefix(o, "cluster=")
		}
	}
	c := &contender{name: name, election: zookeeper.NewElection(cfg), server: len(s.names)}
	s.names = append(s.names, name)
	s.nodes[name] = c
	s.open(c)
}

// open connects or reconnects; a session that has expired is replaced by a new one.
func (s *script) open(c *contender) {
	for _, e := range s.model(zkmodel.Open{Client: 1, Server: c.server % 3, Session: c.session, Timeout: scriptTimeout}) {
		switch e := e.(type) {
		case zkmodel.Opened:
			c.session, c.up, c.contact = e.Session, true, s.now
			s.feed(c, zookeeper.Observed{Event: zookeeper.Event{Kind: zookeeper.Connected, Session: e.Session, Timeout: e.Timeout}})
		case zkmodel.Refused:
			if e.Expired {
				c.session = 0
				s.feed(c, zookeeper.Observed{Event: zookeeper.Event{Kind: zookeeper.Expired}})
				s.open(c)
				return
			}
		}
	}
}

func (s *script) drop(c *contender) {
	if !c.up {
		return
	}
	s.model(zkmodel.Drop{Session: c.session})
	c.up = false
	s.feed(c, zookeeper.Observed{Event: zookeeper.Event{Kind: zookeeper.Disconnected}})
	if c.pending != nil {
		s.answer(c, zookeeper.Response{}, zookeeper.ErrLost)
	}
}

// model steps the servers and hands out what they say beyond the answer.
func (s *script) model(in zkmodel.Input) []zkmodel.Effect {
	out := s.zk.Step(s.now, in)
	for _, e := range out {
		for _, name := range s.names {
			c := s.nodes[name]
			switch e := e.(type) {
			case zkmodel.Fired:
				if e.Session == c.session {
					s.say("%s: %s %s", name, e.Event.Kind, short(e.Event.Path))
					s.feed(c, zookeeper.Observed{Event: e.Event})
				}
			case zkmodel.Dropped:
				if e.Session == c.session && c.up {
					c.up = false
					s.feed(c, zookeeper.Observed{Event: zookeeper.Event{Kind: zookeeper.Disconnected}})
					if c.pending != nil {
						s.answer(c, zookeeper.Response{}, zookeeper.ErrLost)
					}
				}
			}
		}
	}
	return out
}

// perform lets the servers do what is in flight and answers it; with a loss it breaks the connection instead.
func (s *script) perform(c *contender, loss error, reaches bool) {
	if c.pending == nil {
		s.say("%s asks nothing", c.name)
		return
	}
	r, id, sent := *c.pending, c.id, s.now
	var resp zookeeper.Response
	err := loss
	if reaches {
		for _, e := range s.model(zkmodel.Ask{Session: c.session, ID: id, Request: r}) {
			if reply, ok := e.(zkmodel.Reply); ok && loss == nil {
				resp, err, c.contact = reply.Response, reply.Err, sent
			}
		}
	}
	if loss != nil {
		s.say("%s: %s: lost", c.name, short(r.String()))
		s.drop(c)
		return
	}
	s.say("%s: %s: %s", c.name, short(r.String()), describe(r, resp, err))
	s.answer(c, resp, err)
}

func (s *script) answer(c *contender, resp zookeeper.Response, err error) {
	id := c.id
	c.pending = nil
	s.feed(c, zookeeper.Answer{ID: id, Response: resp, Err: err})
}

// feed steps one election and notes the effects, in their order.
func (s *script) feed(c *contender, in zookeeper.Input) {
	out := c.election.Step(s.now, c.contact, in)
	if out.End != nil {
		s.say("%s: END %s", c.name, short(out.End.Error()))
	}
	if out.Send != nil {
		c.pending, c.id = out.Send, out.ID
	}
	if out.Lead != nil {
		s.say("%s: LEAD epoch %d, latch %s, session %d", c.name, out.Lead.Epoch, out.Lead.Latch, out.Lead.Session)
		c.epoch = out.Lead.Epoch
	}
	if out.Done {
		s.say("%s: DONE %v", c.name, out.Err)
	}
	c.wake = out.Wake
}

// advance lets time pass: connected sessions are kept, others expire, and ticks come when they were asked for.
func (s *script) advance(to time.Duration) {
	for s.now < to {
		next := to
		for _, name := range s.names {
			if w := s.nodes[name].wake; w > s.now && w < next {
				next = w
			}
		}
		s.now = min(next, s.now+scriptTimeout/4)
		for _, name := range s.names {
			if c := s.nodes[name]; c.up {
				s.model(zkmodel.Ping{Session: c.session})
				c.contact = s.now
			}
		}
		s.model(zkmodel.Tick{})
		for _, name := range s.names {
			if c := s.nodes[name]; c.wake != 0 && c.wake <= s.now {
				s.feed(c, zookeeper.Tick{})
			}
		}
	}
}

// ask is a request of somebody who is no contender, on a session of its own.
func (s *script) ask(r zookeeper.Request) (zookeeper.Response, error) {
	if s.session == 0 {
		for _, e := range s.zk.Step(s.now, zkmodel.Open{Client: 2, Timeout: time.Hour}) {
			if e, ok := e.(zkmodel.Opened); ok {
				s.session = e.Session
			}
		}
	}
	for _, e := range s.model(zkmodel.Ask{Session: s.session, Request: r}) {
		if reply, ok := e.(zkmodel.Reply); ok {
			return reply.Response, reply.Err
		}
	}
	return zookeeper.Response{}, zookeeper.ErrLost
}

func (s *script) admin(r zookeeper.Request) {
	if _, err := s.ask(r); err != nil {
		s.say("%v", err)
	}
}

func (s *script) children() []string {
	r, _ := s.ask(zookeeper.Request{Kind: zookeeper.Children, Path: "/t/c/leader/latch"})
	slices.SortFunc(r.Children, func(a, b string) int { return strings.Compare(a[len(a)-10:], b[len(b)-10:]) })
	return r.Children
}

func short(s string) string { return strings.ReplaceAll(s, "/t/c/leader/", "") }

func describe(r zookeeper.Request, resp zookeeper.Response, err error) string {
	switch {
	case err != nil:
		return short(err.Error())
	case r.Kind == zookeeper.Get:
		return fmt.Sprintf("%s at %d", resp.Data, resp.Stat.Version)
	case r.Kind == zookeeper.Exists && resp.Exists:
		return fmt.Sprintf("owned by %d", resp.Stat.EphemeralOwner)
	case r.Kind == zookeeper.Exists:
		return "missing"
	case r.Kind == zookeeper.Children:
		return strings.Join(resp.Children, " ")
	case r.Kind == zookeeper.Create:
		return short(resp.Path)
	}
	return "ok"
}
