package store_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"pergola/store"
)

// passage is a way to an etcd that can be shut, so that nothing passes any more, and nobody is told.
type passage struct {
	net.Listener
	mu   sync.Mutex
	open sync.WaitGroup
}

// openPassage makes a passage to an address.
func openPassage(t *testing.T, to string) *passage {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &passage{Listener: listener}
	p.open.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			p.open.Go(func() { p.carry(near, far) })
			p.open.Go(func() { p.carry(far, near) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.open.Wait()
	})
	return p
}

func (p *passage) carry(to, from net.Conn) {
	defer to.Close()
	block := make([]byte, 32<<10)
	for {
		n, err := from.Read(block)
		if err != nil {
			return
		}
		p.mu.Lock()
		_, err = to.Write(block[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// TestFault_D3_ASilentEtcdIsAnOutage asks an etcd that keeps its connection and says nothing.
func TestFault_D3_ASilentEtcdIsAnOutage(t *testing.T) {
	addrs := freeAddrs(t, 2)
	etcd := startLone(t, filepath.Join(t.TempDir(), "etcd"), addrs)
	defer etcd.Close()
	way := openPassage(t, addrs[1])
	s := open(t, store.Config{Endpoints: []string{"http://" + way.Addr().String()}})
	way.mu.Lock()
	err := s.View(context.Background(), func(tx *store.Tx) error {
		_, err := names.Get(tx, "a")
		return err
	})
	if !errors.Is(err, store.ErrUnavailable) || s.Away().IsZero() {
		t.Errorf("a read ends with %v", err)
	}
	_, err = s.Update(context.Background(), func(tx *store.Tx) error { return names.Put(tx, "a", "1") })
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, store.ErrUncertain) {
		t.Errorf("a write ends with %v", err)
	}
	way.mu.Unlock()
	update(t, s, func(tx *store.Tx) error { return names.Put(tx, "b", "1") })
	if !s.Away().IsZero() {
		t.Error("etcd answers and still counts as away")
	}
}

// TestAMemberServesOtherProcesses reaches the embedded member by its socket, before and after it was started again.
func TestAMemberServesOtherProcesses(t *testing.T) {
	dir := t.TempDir()
	cfg := store.Config{Dir: filepath.Join(dir, "store"), Socket: filepath.Join(dir, "s"), NoSync: true}
	member := open(t, cfg)
	other := open(t, store.Config{Endpoints: []string{store.SocketEndpoint(cfg.Socket)}})
	update(t, member, func(tx *store.Tx) error { return names.Put(tx, "a", "1") })
	followed := make(chan string)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- other.Follow(ctx, "index/", func(batch store.Batch) error {
			for _, change := range batch.Changes {
				followed <- string(change.Value)
			}
			return nil
		})
	}()
	for _, want := range []string{"1", "2"} {
		if got := <-followed; got != want {
			t.Errorf("followed %q, want %q", got, want)
		}
		if want == "1" {
			must(t, member.Close())
			member = open(t, cfg)
			update(t, member, func(tx *store.Tx) error { return names.Put(tx, "a", "2") })
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if other.MaxOperations() != 4096 || member.MaxOperations() != 4096 {
		t.Errorf("a transaction may have %d operations, and %d", other.MaxOperations(), member.MaxOperations())
	}
}

// TestFault_D1_TheLimitOfTransactionsIsKnown opens stores on etcds that take more and less.
func TestFault_D1_TheLimitOfTransactionsIsKnown(t *testing.T) {
	for _, limit := range []uint{1, 100, 128, 4095, 4096, 10_000} {
		addrs := freeAddrs(t, 2)
		cfg := memberConfig("limited", addrs[0], addrs[1])
		cfg.Dir, cfg.MaxTxnOps = filepath.Join(t.TempDir(), "etcd"), limit
		cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
		etcd := start(t, cfg)
		ready(t, etcd)
		s := open(t, store.Config{Endpoints: []string{"http://" + addrs[1]}})
		if got, want := s.MaxOperations(), min(int(limit), 4096); got != want {
			t.Errorf("etcd takes %d operations, and the store says %d", limit, got)
		}
		must(t, s.Close())
		etcd.Close()
	}
}
