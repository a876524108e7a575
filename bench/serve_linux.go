package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"pergola/dataplane"
	"pergola/dataplane/access"
	"pergola/dataplane/entrance"
	"pergola/dataplane/passthrough"
	"pergola/dataplane/proxy"
	"pergola/dataplane/target"
	"pergola/dataplane/termination"
	"pergola/sealing"
	"pergola/snapshot"
)

// subjectMain is the body of a process that is a subject: its name and its setup are its arguments. It tells its place and
// serves until it is told to end.
func subjectMain(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("a subject needs its name and its setup")
	}
	var s setup
	if err := json.Unmarshal([]byte(args[1]), &s); err != nil {
		return err
	}
	if s.Profile != "" {
		profiled, finish, err := profile(ctx, s.Profile)
		if err != nil {
			return err
		}
		defer finish()
		ctx = profiled
	}
	switch args[0] {
	case subjectPergola:
		return servePergola(ctx, plan{setup: s})
	case subjectSigned:
		return servePergola(ctx, plan{setup: s, signed: true})
	case subjectDeployment:
		return serveDeployment(ctx)
	case subjectReverseProxy:
		return serveReverseProxy(ctx, s)
	}
	if count, ok := strings.CutPrefix(args[0], subjectRules); ok {
		rules, err := strconv.Atoi(count)
		if err != nil || rules < 1 {
			return fmt.Errorf("a subject %q needs a number of rules at the end of its name", args[0])
		}
		return servePergola(ctx, plan{setup: s, rules: rules})
	}
	return fmt.Errorf("there is no subject %q", args[0])
}

// profile writes a CPU profile to a file, from now until finish is called, and, beside it, a profile of the memory that
// is in use when the context ends. The new context ends after that.
func profile(ctx context.Context, name string) (profiled context.Context, finish func(), err error) {
	cpu, err := os.Create(name)
	if err != nil {
		return nil, nil, err
	}
	heap, err := os.Create(name + heapSuffix)
	if err != nil {
		return nil, nil, err
	}
	profiled, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		runtime.GC() // only what is held
		_ = pprof.WriteHeapProfile(heap)
		cancel()
	})
	finish = func() {
		pprof.StopCPUProfile()
		cpu.Close()
		heap.Close()
	}
	return profiled, finish, pprof.StartCPUProfile(cpu)
}

// heapSuffix is what the file for the profile of memory has after its name.
const heapSuffix = ".heap"

// closeTime is how long requests in flight may take when a subject ends.
const closeTime = time.Second

// servePergola serves with the data plane alone, as a node does, but on sockets of this host.
func servePergola(ctx context.Context, p plan) error {
	box, err := sealing.New(make([]byte, sealing.KeySize)) // what it seals is of no worth
	if err != nil {
		return err
	}
	compiled, err := p.compile(box)
	if err != nil {
		return err
	}
	sockets := &localNetwork{target: p.Target, opened: make(chan netip.AddrPort, 1)}
	targets := target.New(target.Config{Dial: sockets.dial})
	defer targets.Close()
	var plane *dataplane.Plane
	current := func() *snapshot.Snapshot { return plane.Snapshot() }
	requests := proxy.New(proxy.Config{
		Snapshot: current, Guard: access.New(access.Config{Region: region, Box: box, Snapshot: current}),
		Picker: picker{targets}, Dial: sockets.dial, Log: slog.New(slog.DiscardHandler),
		RequestsPerSecond: -1,
	})
	defer requests.Close()
	doors := entrance.New(entrance.Config{
		Snapshot: current, Terminator: termination.New(termination.Config{Box: box}), Requests: requests, Relay: nobody{},
	})
	plane = dataplane.New(dataplane.Config{Network: sockets, Serve: doors.Serve})
	targets.Apply(compiled)
	if err := plane.Apply(ctx, compiled); err != nil {
		return err
	}
	where := place{Front: <-sockets.opened, From: localhost, Host: hostName, Target: p.Target}
	if p.TLS {
		where.Host = generatedName
	}
	if p.signed {
		where.Signing = signing{userKey, userSecret}
	}
	if err := tell(os.Stdout, where); err != nil {
		return err
	}
	<-ctx.Done()
	closing, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return plane.Close(closing)
}

// nobody passes no TLS through: no listener asks for it.
type nobody struct{}

// Serve closes the connection.
func (nobody) Serve(_ context.Context, conn net.Conn, _ passthrough.Arrival) { _ = conn.Close() }

// picker lets the proxy choose among the targets of a set.
type picker struct{ targets *target.Set }

// Pick returns the next target of a group.
func (p picker) Pick(group *snapshot.TargetGroup, tried ...netip.AddrPort) (proxy.Target, bool) {
	return p.targets.Pick(group, tried...)
}

// localNetwork is the network of a data plane without VPCs.
type localNetwork struct {
	target netip.AddrPort
	opened chan netip.AddrPort
}

// Listen listens on any free port of this host instead of the one in the VPC.
func (n *localNetwork) Listen(ctx context.Context, _ string, at snapshot.Entry, _ uint16) (net.Listener, error) {
	if at.Address.Is6() {
		return nil, syscall.EADDRNOTAVAIL
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", netip.AddrPortFrom(localhost, 0).String())
	if err != nil {
		return nil, err
	}
	n.opened <- listener.Addr().(*net.TCPAddr).AddrPort()
	return listener, nil
}

func (n *localNetwork) dial(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp4", n.target.String())
}

// serveReverseProxy serves with the standard library's proxy, configured as its documentation advises for load.
func serveReverseProxy(ctx context.Context, s setup) error {
	listener, err := net.Listen("tcp", netip.AddrPortFrom(localhost, 0).String())
	if err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	if s.GRPC {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	server := &http.Server{Handler: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: s.Target.String()})
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport:  transport,
		BufferPool: &buffers{},
	}}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	where := place{Front: listener.Addr().(*net.TCPAddr).AddrPort(), From: localhost, Host: hostName, Target: s.Target}
	if err := tell(os.Stdout, where); err != nil {
		return err
	}
	if s.TLS {
		err = serveTLS(server, listener, s.Pairs)
	} else {
		err = server.Serve(listener)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// serveTLS serves with both certificates; crypto/tls shows the first that a client accepts.
func serveTLS(server *http.Server, listener net.Listener, pairs pairs) error {
	server.TLSConfig = &tls.Config{}
	for _, p := range []pair{pairs.P256, pairs.RSA} {
		certificate, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
		if err != nil {
			return err
		}
		server.TLSConfig.Certificates = append(server.TLSConfig.Certificates, certificate)
	}
	return server.ServeTLS(listener, "", "")
}

// buffers keeps the copy buffers of a ReverseProxy.
type buffers struct{ pool sync.Pool }

// Get returns a buffer.
func (b *buffers) Get() []byte {
	if kept, ok := b.pool.Get().(*[]byte); ok {
		return *kept
	}
	return make([]byte, 32<<10)
}

// Put keeps a buffer.
func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }
