package services

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

var shared Shared

// parentVariable makes the test program a parent to be killed: it starts a server in the folder that the variable names.
const parentVariable = "THALWEG_TEST_SERVICES_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentVariable); dir != "" {
		if err := parent(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(shared.Main(m))
}

// parent starts a server, prints who it is, and waits to be killed.
func parent(dir string) error {
	zk, err := StartZooKeeper(context.Background(), ZooKeeperOptions{Nodes: 1, Dir: dir})
	if err != nil {
		return err
	}
	id, err := Identify(zk.Node(0).PID())
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(id); err != nil {
		return err
	}
	// Standard input is the test's: it ends if the test dies before it kills.
	_, err = os.Stdin.Read(make([]byte, 1))
	return err
}
