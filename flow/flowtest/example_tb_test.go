package flowtest_test

import (
	"fmt"
	"os"
	"testing"
)

// inTest gives an example, which has no testing.T, what it needs of one.
func inTest(test func(testing.TB)) {
	t := &exampleTB{}
	defer t.end()
	test(t)
}

type exampleTB struct {
	testing.TB // the methods that no example calls
	cleanups   []func()
}

func (t *exampleTB) Helper()          {}
func (t *exampleTB) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }
func (t *exampleTB) Fatal(args ...any) {
	panic(fmt.Sprint(args...))
}

func (t *exampleTB) Fatalf(format string, args ...any) { t.Fatal(fmt.Sprintf(format, args...)) }

func (t *exampleTB) TempDir() string {
	dir, err := os.MkdirTemp("", "flowtest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (t *exampleTB) end() {
	for len(t.cleanups) > 0 {
		last := len(t.cleanups) - 1
		t.cleanups[last]()
		t.cleanups = t.cleanups[:last]
	}
}
