package store_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pergola/store"
)

func TestOpenErrors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	open(t, store.Config{Dir: dir, NoSync: true})
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		cfg  store.Config
		want string
	}{
		{"nothing", background(t), store.Config{}, "set one of them"},
		{"locked", background(t), store.Config{Dir: dir}, "is in use"},
		{"a file", background(t), store.Config{Dir: file}, "prepare the data directory"},
		{"no time", gone, store.Config{Dir: filepath.Join(t.TempDir(), "x"), NoSync: true}, "context canceled"},
		{"no time, external", gone, store.Config{Endpoints: []string{"http://" + freeAddrs(t, 1)[0]}}, "context canceled"},
		{"not a URL", background(t), store.Config{Endpoints: []string{"http://%zz"}}, "connect to etcd"},
	} {
		s, err := store.Open(c.ctx, c.cfg)
		if s != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

// TestReopen checks that a closed store leaves its directory private, whole, and free for the next.
func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	must(t, os.Mkdir(dir, 0o755))
	cfg := store.Config{Dir: dir, NoSync: true}
	s := open(t, cfg)
	revision := update(t, s, func(tx *store.Tx) error { return names.Put(tx, "kept", "yes") })
	must(t, s.Close())
	s = open(t, cfg)
	got, err := s.Revision(background(t))
	if err != nil || got != revision {
		t.Errorf("revision %d, %v, want %d", got, err, revision)
	}
	must(t, s.View(background(t), func(tx *store.Tx) error {
		if got := name(tx, "kept"); got != "yes" {
			t.Errorf("got %q", got)
		}
		return nil
	}))
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v", info.Mode())
	}
}

// TestQuiet checks that a sound start and stop log nothing.
func TestQuiet(t *testing.T) {
	var log bytes.Buffer
	cfg := store.Config{Dir: filepath.Join(t.TempDir(), "store"), NoSync: true, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	for range 2 {
		must(t, open(t, cfg).Close())
	}
	if log.Len() > 0 {
		t.Errorf("logged %s", log.String())
	}
}

// TestDamaged checks that a damaged directory is an error of Open, where etcd by itself would end the process.
func TestDamaged(t *testing.T) {
	cfg := store.Config{Dir: filepath.Join(t.TempDir(), "store"), NoSync: true}
	s := open(t, cfg)
	update(t, s, func(tx *store.Tx) error { return names.Put(tx, "a", "1") })
	must(t, s.Close())
	logs, err := filepath.Glob(filepath.Join(cfg.Dir, "member", "wal", "*.wal"))
	must(t, err)
	for _, log := range logs {
		data, err := os.ReadFile(log)
		must(t, err)
		must(t, os.WriteFile(log, bytes.Repeat([]byte{0xff}, len(data)), 0o600))
	}
	// In a process of its own, since etcd leaves what it had opened.
	opener := exec.CommandContext(background(t), os.Args[0])
	opener.Env = append(os.Environ(), writerDir+"="+cfg.Dir)
	said, err := opener.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "the data is damaged") || strings.Contains(string(said), "panic") {
		t.Errorf("got %v: %s", err, said)
	}
}
