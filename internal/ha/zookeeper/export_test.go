package zookeeper

import "reflect"

// SessionSecret is what a client would need to take over the session of s: tests close sessions behind a client's back with it.
func SessionSecret(s *Services) (session int64, password []byte) {
	c := s.client.(*conn)
	session = c.Status().Session
	return session, reflect.ValueOf(c.zk).Elem().FieldByName("passwd").Bytes()
}

// Dial makes a client of nobody's process.
func Dial(c Config, listener func(Event)) (Client, error) {
	full, _, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	servers, err := full.servers()
	if err != nil {
		return nil, err
	}
	return dial(full, servers, listener)
}
