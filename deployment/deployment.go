// Package deployment puts the packages together. It is the one place where they meet; everything it makes, it takes
// down.
//
// A deployment has three parts. Each may run in a process of its own, so that what can end is not in the
// process that carries traffic:
//
//   - Control is the store with its embedded etcd, the control plane and the API.
//   - Node is the data plane, with the fabric.
//   - Functions is what runs Lambda functions.
//
// They meet by Unix sockets in the data directory, also where all three run in one process, as in tests and in the
// demo.
package deployment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"pergola/functions"
	"pergola/operator"
	"pergola/store"
)

// Config is what a deployment is made of. The zero value of each field but Dir is a good one.
type Config struct {
	// Dir holds everything that must survive: the store, unless Etcd is set, and the sealing key. It is made with mode
	// 0700. What programs in instances trust is there too.
	Dir string
	// Listen is the address of the API; "" means 127.0.0.1:4747. Listener is there instead, if it is already open.
	Listen   string
	Listener net.Listener `json:"-"`
	// Endpoint is the URL of the API, for the functions that this deployment runs. Start knows it by itself.
	Endpoint string
	// Region is the region in ARNs and names; "" means us-west-2.
	Region string
	// Network is the kind of fabric: "auto", "netns" or "loopback"; "" means auto.
	Network string
	// Etcd are the URLs of an etcd of one's own; none means the embedded one.
	Etcd []string
	// ResolvConf names the file whose nameservers answer for names that are not services; "" means
	// /etc/resolv.conf.
	ResolvConf string
	// RequestsPerSecond is how many requests each service takes in a second; 0 means 10,000, a negative number no limit
	// (user guide, "Quotas").
	RequestsPerSecond int
	// Quotas replaces the defaults of the quotas of every service by their codes, such as "L-F678F1CE".
	Quotas map[string]int
	// LambdaEndpoint is the URL of the Lambda API by which target groups reach functions that are not of this deployment;
	// "" means that there are none. LambdaCredentials sign these invocations; without a key they are not signed.
	LambdaEndpoint    string
	LambdaCredentials functions.Credentials
	// AllowLocalIssuers lets the keys of issuers of web identities be fetched from this host and from private networks.
	AllowLocalIssuers bool
	// AllowUnconfined lets functions run where this host has nothing that keeps them from the data directory.
	AllowUnconfined bool
	// NoSync lets the embedded store acknowledge writes before they are on disk. For tests only.
	NoSync bool
	// Failed is called when the embedded store cannot go on; see store.Config.
	Failed func(error) `json:"-"`
	// Logger hears what goes wrong; nil is silent.
	Logger *slog.Logger `json:"-"`
}

// The defaults of Config.
const (
	DefaultListen     = "127.0.0.1:4747"
	DefaultRegion     = "us-west-2"
	defaultResolvConf = "/etc/resolv.conf"
)

// The names in the data directory by which the parts meet. That of the embedded etcd is there for Node.
const (
	etcdSocket      = "etcd.sock"
	functionsSocket = "functions.sock"
)

func withDefaults(cfg Config) Config {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&cfg.Listen, DefaultListen)
	set(&cfg.Region, DefaultRegion)
	set(&cfg.Network, "auto")
	set(&cfg.ResolvConf, defaultResolvConf)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// path is a name in the data directory.
func (cfg *Config) path(names ...string) string {
	return filepath.Join(append([]string{cfg.Dir}, names...)...)
}

// openStore opens the store of a part that does not have the embedded member itself.
func (cfg *Config) openStore(ctx context.Context) (*store.Store, error) {
	endpoints := cfg.Etcd
	if len(endpoints) == 0 {
		socket, err := filepath.Abs(cfg.path(etcdSocket))
		if err != nil {
			return nil, err
		}
		endpoints = []string{store.SocketEndpoint(socket)}
	}
	return store.Open(ctx, store.Config{Endpoints: endpoints, Logger: cfg.Logger})
}

// part is what the parts have in common: what they have opened, and what runs.
type part struct {
	cfg     Config
	closers []func() error // in the order in which they were opened
	cancel  context.CancelFunc
	running sync.WaitGroup
	failed  chan error
}

// begin begins a part, and returns the context in which it runs.
func (p *part) begin(cfg Config) (background context.Context) {
	p.cfg, p.failed = withDefaults(cfg), make(chan error, 8)
	background, p.cancel = context.WithCancel(context.Background())
	return background
}

// opened remembers what is to be closed.
func (p *part) opened(closers ...func() error) { p.closers = append(p.closers, closers...) }

// run runs something until it ends. What ends with an error fails the part.
func (p *part) run(what string, f func() error) {
	p.running.Go(func() {
		if err := f(); err != nil && !errors.Is(err, context.Canceled) {
			p.failed <- fmt.Errorf("%s: %w", what, err)
		}
	})
}

// Failed delivers the error of something that has failed. The part is then of no use but to be closed.
func (p *part) Failed() <-chan error { return p.failed }

// Close stops everything: first what runs, then what it stands on, last what was opened first.
func (p *part) Close() error {
	p.cancel()
	p.running.Wait()
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, ignoreClosed(p.closers[i]()))
	}
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// prepare makes the data directory.
func prepare(dir string) error {
	if err := operator.CheckPath(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o700)
}

// Passing reports whether the reason why a part does not start may go by itself: a store that is away, or a lack of
// what others may give back. Anything else stays as it is until somebody mends it.
func Passing(err error) bool {
	for _, passing := range []error{
		store.ErrUnavailable, store.ErrDiskFull, store.ErrClosed, context.Canceled, context.DeadlineExceeded,
		syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN, syscall.EIO,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// Deployment is a running deployment whose three parts are in this process.
type Deployment struct {
	*Control
	*Node
	functions *Functions
	lock      *Lock
	failed    chan error
	watching  sync.WaitGroup
	closed    chan struct{}
	close     func() error // once; later calls return the same
}

// Start starts a deployment and returns once it serves. Close stops it.
func Start(ctx context.Context, cfg Config) (*Deployment, error) {
	d := &Deployment{failed: make(chan error, 8), closed: make(chan struct{})}
	d.close = sync.OnceValue(d.stop)
	if err := d.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Deployment) start(ctx context.Context, cfg Config) (err error) {
	if d.lock, err = LockDir(ctx, cfg.Dir); err != nil {
		return err
	}
	if d.Control, err = StartControl(ctx, cfg); err != nil {
		return err
	}
	d.watch(d.Control.Failed())
	cfg.Endpoint = d.Endpoint()
	if d.functions, err = StartFunctions(cfg); err != nil {
		return err
	}
	d.watch(d.functions.Failed())
	if d.Node, err = StartNode(ctx, cfg); err != nil {
		return err
	}
	d.watch(d.Node.Failed())
	return d.Node.Await(ctx)
}

func (d *Deployment) watch(failed <-chan error) {
	d.watching.Go(func() {
		for {
			select {
			case err := <-failed:
				d.failed <- err
			case <-d.closed:
				return
			}
		}
	})
}

// Failed delivers the error of a part that has failed. The deployment is then of no use but to be closed.
func (d *Deployment) Failed() <-chan error { return d.failed }

// Close stops everything: first what takes requests in, last what others stand on.
func (d *Deployment) Close() error { return d.close() }

func (d *Deployment) stop() error {
	close(d.closed)
	d.watching.Wait()
	var errs []error
	if d.Node != nil {
		errs = append(errs, d.Node.Close())
	}
	if d.functions != nil {
		errs = append(errs, d.functions.Close())
	}
	if d.Control != nil {
		errs = append(errs, d.Control.Close())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}

// Encode and Decode carry a Config to a process that runs a part. Listener, Failed and Logger stay behind.
func (cfg Config) Encode() ([]byte, error) { return json.Marshal(cfg) }

// Decode is the other half of Encode.
func Decode(encoded []byte) (cfg Config, err error) {
	err = json.Unmarshal(encoded, &cfg)
	return cfg, err
}
