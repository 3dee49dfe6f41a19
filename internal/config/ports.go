package config

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// Ports is where a server may listen: the first free one of some ports and ranges of ports, in the order given. {0, 0} is any free port.
type Ports []PortRange

// PortRange has both its ends in it.
type PortRange struct{ From, To int }

var ports = kind[Ports]{name: "port(s)", list: true, parse: parsePorts, format: Ports.String}

// All yields the ports to try.
func (p Ports) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, r := range p {
			for port := r.From; port <= r.To; port++ {
				if !yield(port) {
					return
				}
			}
		}
	}
}

func (p Ports) String() string {
	var parts []string
	for _, r := range p {
		if r.From == r.To {
			parts = append(parts, strconv.Itoa(r.From))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", r.From, r.To))
		}
	}
	return strings.Join(parts, ",")
}

func parsePorts(s string) (Ports, error) {
	list, err := parseList(s)
	if err != nil {
		return nil, err
	}
	var p Ports
	for _, part := range list {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := parsePort(first)
		to, err2 := parsePort(last)
		if err1 != nil || err2 != nil || from > to || (isRange && from == 0) {
			return nil, fmt.Errorf("is not a port (0 to 65535, 0: any free one), a list of ports, or a range as 50000-50025")
		}
		p = append(p, PortRange{from, to})
	}
	return p, nil
}

func parsePort(s string) (int, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	return int(n), err
}
