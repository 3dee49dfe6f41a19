package config

import "fmt"

// Check reports values that are wrong only together. Load has done so; it is for a Config made by Over.
func (c *Config) Check() error {
	var p problems
	checkRules(c, &p)
	return p.err()
}

func checkRules(c *Config, p *problems) {
	ordered(c, p, HeartbeatInterval.entry, HeartbeatTimeout.entry, HeartbeatInterval.Get(c) < HeartbeatTimeout.Get(c))
	ordered(c, p, ZooKeeperConnectionTimeout.entry, ZooKeeperSessionTimeout.entry, ZooKeeperConnectionTimeout.Get(c) < ZooKeeperSessionTimeout.Get(c))
	ordered(c, p, AlignedCheckpointTimeout.entry, CheckpointTimeout.entry, AlignedCheckpointTimeout.Get(c) <= CheckpointTimeout.Get(c))
	ordered(c, p, InitialBackoff.entry, MaxBackoff.entry, InitialBackoff.Get(c) <= MaxBackoff.Get(c))
	if HighAvailability.Get(c) == "zookeeper" && len(ZooKeeperQuorum.Get(c)) == 0 {
		s, _ := c.get(HighAvailability.Key())
		p.add(s.origin, HighAvailability.Key(), s.text, "needs "+ZooKeeperQuorum.Key()+", which is not set")
	}
}

// ordered reports that small should be below large. The one that is set is to blame; the small one if both are.
func ordered(c *Config, p *problems, small, large *entry, ok bool) {
	if ok {
		return
	}
	blame, other, relation := small, large, "less than"
	if _, set := c.get(small.key); !set {
		blame, other, relation = large, small, "more than"
	}
	s, _ := c.get(blame.key)
	value := other.format(other.fallback)
	where := "by default"
	if o, set := c.get(other.key); set {
		value, where = o.text, "at "+o.origin.String()
	}
	p.add(s.origin, blame.key, s.text, fmt.Sprintf("must be %s %s, which is %q %s", relation, other.key, value, where))
}
