package combined

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	at := time.Date(2015, 5, 17, 10, 5, 3, 0, time.UTC)
	for _, tc := range []struct {
		line string
		want Request
		err  bool
	}{
		{`1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 203023 "-" "x"`, Request{"1.2.3.4", at, "GET", "/", 200, 203023}, false},
		{`1.2.3.4 - - [17/May/2015:12:05:03 +0200] "GET / HTTP/1.1" 304 - "-" "x"`, Request{"1.2.3.4", at, "GET", "/", 304, 0}, false},
		{`a.example - me [17/May/2015:10:05:03 +0000] "GET /\"a\" HTTP/1.1" 404 7`, Request{"a.example", at, "GET", `/\"a\"`, 404, 7}, false},
		{`1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /?a=b" 404 7 "-" "cut of`, Request{"1.2.3.4", at, "GET", "/?a=b", 404, 7}, false},
		{`1.2.3.4 - - [17/May/2015:10:05:03 +0000] "-" 408 0`, Request{"1.2.3.4", at, "", "", 408, 0}, false},
		{``, Request{}, true},
		{`1.2.3.4 - - [17/Mai/2015:10:05:03 +0000] "GET /" 200 1`, Request{}, true},
		{`1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /`, Request{}, true},
		{`1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /" 2000 1`, Request{}, true},
		{`1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /" 200 -1`, Request{}, true},
		{`1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /" 200`, Request{}, true},
	} {
		got, err := Parse(tc.line)
		got.Time = got.Time.UTC()
		if (err != nil) != tc.err || !tc.err && got != tc.want {
			t.Errorf("%q: %+v, %v", tc.line, got, err)
		}
	}
}
