package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"pergola/store"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDir); dir != "" {
		writeSequence(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for something that must happen; never how long it takes.
const patience = 20 * time.Second

func background(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(background(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func openEmbedded(t testing.TB) *store.Store {
	return open(t, store.Config{Dir: filepath.Join(t.TempDir(), "store"), NoSync: true, Logger: testLog(t)})
}

// testLog keeps what is logged until the test has failed.
func testLog(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// startExternal runs three etcd members on loopback, as an operator would, and returns their client URLs.
func startExternal(t testing.TB) []string {
	t.Helper()
	const members = 3
	addrs := freeAddrs(t, 2*members)
	var all, clients []string
	for i := range members {
		all = append(all, fmt.Sprintf("m%d=http://%s", i, addrs[i]))
		clients = append(clients, "http://"+addrs[members+i])
	}
	var started []*embed.Etcd
	for i := range members {
		cfg := memberConfig(fmt.Sprintf("m%d", i), addrs[i], addrs[members+i])
		cfg.Dir = filepath.Join(t.TempDir(), cfg.Name)
		cfg.InitialCluster = strings.Join(all, ",")
		started = append(started, start(t, cfg))
	}
	for _, e := range started {
		t.Cleanup(e.Close)
		ready(t, e)
	}
	return clients
}

// startLone runs one etcd member on two addresses, for its peers and its clients.
func startLone(t testing.TB, dir string, addrs []string) *embed.Etcd {
	t.Helper()
	cfg := memberConfig("lone", addrs[0], addrs[1])
	cfg.Dir = dir
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	e := start(t, cfg)
	ready(t, e)
	return e
}

func memberConfig(name, peer, client string) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = name
	cfg.TickMs, cfg.ElectionMs = 20, 200
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = urls(peer), urls(peer)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = urls(client), urls(client)
	cfg.UnsafeNoFsync = true
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	return cfg
}

func start(t testing.TB, cfg *embed.Config) *embed.Etcd {
	t.Helper()
	e, err := embed.StartEtcd(cfg)
	must(t, err)
	return e
}

func ready(t testing.TB, e *embed.Etcd) {
	t.Helper()
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(patience):
		t.Fatal("external etcd did not become ready")
	}
}

func freeAddrs(t testing.TB, n int) (addrs []string) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

func urls(addr string) []url.URL { return []url.URL{{Scheme: "http", Host: addr}} }
