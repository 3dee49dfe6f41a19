package zookeeper_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/ha/hatest"
	"github.com/thalweg-io/thalweg/internal/ha/zkmodel"
	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(shared.Main(m)) }

// TestModel runs the suite over the in-memory ZooKeeper.
func TestModel(t *testing.T) {
	hatest.Run(t, hatest.Kind{Name: "zookeeper over zkmodel", New: modelCluster})
}

var logLevel = slog.LevelInfo

const modelSession = 600 * time.Millisecond

func modelCluster(t *testing.T) hatest.Cluster {
	ensemble := zkmodel.NewEnsemble(3)
	t.Cleanup(ensemble.Close)
	root := "/thalweg/default"
	var processes atomic.Int64
	return hatest.Cluster{
		Lease: modelSession,
		Open: func(t *testing.T, o hatest.Options) *hatest.Process {
			var client *zkmodel.Client
			id := processes.Add(1)
			services, err := zookeeper.OpenWith(zookeeper.Config{SessionTimeout: modelSession, EndOnSuspended: o.EndOnSuspended, Logger: logger(t, id)},
				func(listener func(zookeeper.Event)) (zookeeper.Client, error) {
					client = ensemble.NewClient(modelSession, listener)
					return client, nil
				})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { services.Close() })
			return &hatest.Process{
				Services:    services,
				Abandon:     client.Abandon,
				Expire:      func(*testing.T) { client.Expire() },
				Cut:         client.Cut,
				LoseReply:   func(kind ha.OpKind) { client.LoseReply(func(r zookeeper.Request) bool { return contains(r, kind) }) },
				LoseRequest: func(kind ha.OpKind) { client.LoseRequest(func(r zookeeper.Request) bool { return contains(r, kind) }) },
			}
		},
		Usurp:       func(t *testing.T) { usurp(t, admin(t, ensemble), root) },
		DeleteLatch: func(t *testing.T) { deleteLatch(t, admin(t, ensemble), root) },
		KillServer:  func(*testing.T) { ensemble.Down(0) },
		Wipe:        func(*testing.T) { ensemble.Remove("/thalweg") },
		Lag:         func(_ *testing.T, lags bool) { ensemble.Lag(1, lags) },
	}
}

// admin is a client of nobody's process.
func admin(t *testing.T, e *zkmodel.Ensemble) zookeeper.Client {
	c := e.NewClient(modelSession, func(zookeeper.Event) {})
	t.Cleanup(func() { c.Close() })
	return c
}

// answer repeats a request until the servers answer it. One whose answer was lost is asked again, so it must not matter if it is
// done twice.
func answer(t *testing.T, c zookeeper.Client, r zookeeper.Request) (zookeeper.Response, error) {
	for {
		resp, err := c.Do(t.Context(), r)
		if t.Context().Err() != nil || !errors.Is(err, zookeeper.ErrNotSent) && !errors.Is(err, zookeeper.ErrLost) {
			return resp, err
		}
		time.Sleep(5 * time.Millisecond) // not for order: to poll
	}
}

// ask is answer for what must not be refused.
func ask(t *testing.T, c zookeeper.Client, r zookeeper.Request) zookeeper.Response {
	t.Helper()
	resp, err := answer(t, c, r)
	if err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	return resp
}

// remove deletes a node and all below it, whoever else adds to it or deletes from it meanwhile.
func remove(t *testing.T, c zookeeper.Client, path string) {
	t.Helper()
	for {
		_, err := answer(t, c, zookeeper.Request{Kind: zookeeper.Delete, Path: path, Version: -1})
		if err == nil || errors.Is(err, zookeeper.ErrNoNode) {
			return
		}
		if !errors.Is(err, zookeeper.ErrNotEmpty) {
			t.Fatalf("delete %s: %v", path, err)
		}
		r, err := answer(t, c, zookeeper.Request{Kind: zookeeper.Children, Path: path})
		if err != nil && !errors.Is(err, zookeeper.ErrNoNode) {
			t.Fatalf("children of %s: %v", path, err)
		}
		for _, child := range r.Children {
			remove(t, c, path+"/"+child)
		}
	}
}

// usurp grants the next epoch to nobody.
func usurp(t *testing.T, c zookeeper.Client, root string) {
	r := ask(t, c, zookeeper.Request{Kind: zookeeper.Get, Path: root + "/leader/epoch"})
	var node map[string]any
	if err := json.Unmarshal(r.Data, &node); err != nil {
		t.Fatal(err)
	}
	node["epoch"] = node["epoch"].(float64) + 1
	node["incarnation"], node["latch"] = "nobody", "none"
	data, _ := json.Marshal(node)
	ask(t, c, zookeeper.Request{Kind: zookeeper.Set, Path: root + "/leader/epoch", Data: data, Version: -1})
}

func deleteLatch(t *testing.T, c zookeeper.Client, root string) {
	names := ask(t, c, zookeeper.Request{Kind: zookeeper.Children, Path: root + "/leader/latch"}).Children
	sort.Slice(names, func(i, j int) bool { return names[i][len(names[i])-10:] < names[j][len(names[j])-10:] })
	remove(t, c, root+"/leader/latch/"+names[0])
}

// contains tells whether a write contains an operation of that kind.
func contains(r zookeeper.Request, kind ha.OpKind) bool {
	want := map[ha.OpKind]zookeeper.OpKind{ha.OpCreate: zookeeper.Create, ha.OpPut: zookeeper.Set, ha.OpDelete: zookeeper.Delete}[kind]
	for _, op := range append([]zookeeper.Request{r}, r.Ops...) {
		if op.Kind == want {
			return true
		}
	}
	return false
}

// logger writes to the test's log while the test runs.
func logger(t *testing.T, process int64) *slog.Logger {
	ctx, w := t.Context(), testWriter{t}
	return slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		if ctx.Err() == nil {
			return w.Write(b)
		}
		return len(b), nil
	}), &slog.HandlerOptions{Level: logLevel})).With("process", process)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func init() {
	if os.Getenv("HA_TEST_DEBUG") != "" {
		logLevel = slog.LevelDebug
	}
}
