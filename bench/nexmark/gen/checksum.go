package gen

import "hash/fnv"

// Checksum hashes all events of the configuration as the package comment says, which is how it is shown that two implementations make the
// same.
func Checksum(c Config) (uint64, error) {
	sum := fnv.New64a()
	err := Lines(c, func(line []byte) error {
		_, err := sum.Write(line)
		return err
	})
	return sum.Sum64(), err
}

// Lines gives all events as lines, ended by "\n", split by split. A line is the caller's only until yield returns.
func Lines(c Config, yield func(line []byte) error) error {
	if err := c.Check(); err != nil {
		return err
	}
	var e Event
	var line []byte
	for split := range c.Splits {
		g, err := New(c, split, 0)
		if err != nil {
			return err
		}
		for g.Next(&e) {
			line = append(e.AppendLine(line[:0]), '\n')
			if err := yield(line); err != nil {
				return err
			}
		}
	}
	return nil
}
