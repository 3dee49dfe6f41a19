package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// WaitReady waits until the file system takes writes with all the DataNodes that are running: the NameNode is out of safe mode and knows as
// many live ones, and each is registered. It asks the servers. It fails at once if the NameNode or all DataNodes are not running. A paused
// server keeps it waiting.
func (h *HDFS) WaitReady(ctx context.Context) error {
	last := errors.New("not asked yet")
	err := poll(ctx, readyPoll, func() (bool, error) {
		if err := h.nameNode.endedEarly(); err != nil {
			return false, err
		}
		var ended error
		running := 0
		for _, p := range h.dataNodes {
			if err := p.endedEarly(); err != nil {
				ended = errors.Join(ended, err)
			} else {
				running++
			}
		}
		if running == 0 {
			return false, ended
		}
		last = h.serving(ctx, running)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("services: hdfs not ready: %w (last answer: %w)", err, last)
	}
	return nil
}

// serving is nil if the NameNode takes writes and every running DataNode serves it.
func (h *HDFS) serving(ctx context.Context, running int) error {
	var state struct {
		FSState          string
		NumLiveDataNodes int
	}
	if err := jmx(ctx, h.ports.Addr(1), "Hadoop:service=NameNode,name=FSNamesystemState", &state); err != nil {
		return err
	}
	if state.FSState != "Operational" || state.NumLiveDataNodes < running {
		return fmt.Errorf("the name node is in state %q with %d of %d data nodes", state.FSState, state.NumLiveDataNodes, running)
	}
	for i, p := range h.dataNodes {
		if !p.Running() {
			continue
		}
		if err := h.registered(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// registered asks a DataNode whether it serves the NameNode: the NameNode itself counts one that was restarted as alive all along.
func (h *HDFS) registered(ctx context.Context, i int) error {
	var info struct{ BPServiceActorInfo string }
	if err := jmx(ctx, h.ports.Addr(nameNodePorts+dataNodePorts*i+2), "Hadoop:service=DataNode,name=DataNodeInfo", &info); err != nil {
		return err
	}
	var actors []struct{ ActorState, BlockPoolID string }
	if err := json.Unmarshal([]byte(info.BPServiceActorInfo), &actors); err != nil {
		return fmt.Errorf("%s: BPServiceActorInfo %q: %w", dataNodeName(i), info.BPServiceActorInfo, err)
	}
	if len(actors) != 1 || actors[0].ActorState != "RUNNING" || actors[0].BlockPoolID == "" {
		return fmt.Errorf("%s is not registered: %s", dataNodeName(i), info.BPServiceActorInfo)
	}
	return nil
}

// jmx reads the one bean of a name from a Hadoop server.
func jmx(ctx context.Context, addr, name string, bean any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/jmx?qry="+url.QueryEscape(name), nil)
	if err != nil {
		return err
	}
	request.Close = true // no connection, and no goroutine of it, outlives the question
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s of %s: %s", name, addr, response.Status)
	}
	var answer struct{ Beans []json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s of %s: %w", name, addr, err)
	}
	if len(answer.Beans) != 1 {
		return fmt.Errorf("%s of %s: %d beans", name, addr, len(answer.Beans))
	}
	return json.Unmarshal(answer.Beans[0], bean)
}
