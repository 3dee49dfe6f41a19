package hdfs

import (
	"bytes"
	"errors"
	"testing"
)

// What the library sends for Rename("/a", "/b"), from its RequestHeader on.
var renameRequest = []byte("\x00\x00\x00\x54\x10header of the call\x3f\x0a\x07rename2\x12\x2eorg.apache.hadoop.hdfs.protocol.ClientProtocol\x18\x01\x0a\x0a\x02/a\x12\x02/b\x18\x01")

func TestGuardRename(t *testing.T) {
	t.Parallel()
	c := &client{}
	sent := bytes.Clone(renameRequest)

	got, err := c.guardRename(sent)
	if err != nil || !bytes.Equal(got, renameRequest) || c.guarded.Load() {
		t.Errorf("outside of a rename the request was touched: %q, %v", got, err)
	}

	c.renaming.Store(true)
	got, err = c.guardRename(sent)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sent, renameRequest) {
		t.Error("the caller's bytes were changed")
	}
	if n := len(got) - 1; got[n] != 0 || !bytes.Equal(got[:n], renameRequest[:n]) || !c.guarded.Load() {
		t.Errorf("guarded request is %q", got)
	}

	other := []byte("\x0a\x0brenewLease...\x18\x01") // of the renewal beside it
	if got, err := c.guardRename(other); err != nil || !bytes.Equal(got, other) {
		t.Errorf("another request: %q, %v", got, err)
	}
	if _, err := c.guardRename(append(bytes.Clone(renameRequest), 0x20, 0x01)); !errors.Is(err, errPermanent) {
		t.Errorf("a rename of another form: %v", err)
	}
}
