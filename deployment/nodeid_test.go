package deployment

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// TestNodeID keeps the id of a node in its directory, and does without where it cannot.
func TestNodeID(t *testing.T) {
	var log bytes.Buffer
	id := func(path string) string { return nodeID(path, slog.New(slog.NewTextHandler(&log, nil))) }
	path := filepath.Join(t.TempDir(), "node-id")
	first := id(path)
	if again := id(path); again != first {
		t.Errorf("after a restart it is %s, it was %s", again, first)
	}
	if other := id(filepath.Join(t.TempDir(), "node-id")); other == first {
		t.Error("two directories have one id")
	}
	if err := os.WriteFile(path, []byte("node-1/../2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if mended := id(path); !nodeIDPattern.MatchString(mended) || id(path) != mended || log.Len() > 0 {
		t.Errorf("instead of a damaged one it is %s, log %s", mended, &log)
	}
	nowhere := filepath.Join(t.TempDir(), "none", "node-id")
	if a, b := id(nowhere), id(nowhere); a == b || !nodeIDPattern.MatchString(a) || log.Len() == 0 {
		t.Errorf("without a directory it is %s and %s, log %s", a, b, &log)
	}
}
