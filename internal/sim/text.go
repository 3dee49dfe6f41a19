package sim

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
)

// lazy formats only when a trace is written.
type lazy func() string

func (l lazy) String() string { return l() }

// short is a request or message as a trace shows it.
func short(m any) fmt.Stringer {
	return lazy(func() string {
		var text string
		switch m := m.(type) {
		case zookeeper.Request:
			text = m.String()
		case proto.Message:
			text = fmt.Sprint(m)
		}
		if len(text) > 300 {
			text = text[:300] + "..."
		}
		return text
	})
}
