// Package deployment puts the packages together: a store, the control plane with its front door, a node with its
// fabric, and the operator's door, all in one process. It is the one place where packages meet; everything it makes,
// it takes down.
package deployment

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"pergola/api"
	"pergola/control"
	"pergola/control/acm"
	"pergola/control/ec2"
	"pergola/control/elbv2"
	"pergola/control/iam"
	"pergola/control/lambda"
	"pergola/control/organizations"
	"pergola/control/sts"
	"pergola/fabric"
	"pergola/functions"
	"pergola/lattice"
	"pergola/node"
	"pergola/operator"
	"pergola/sealing"
	"pergola/store"
)

// Config is what a deployment is made of. The zero value of each field but Dir is a good one.
type Config struct {
	// Dir holds everything that must survive: the store, unless Etcd is set, and the sealing key. It is made with mode
	// 0700. What programs in instances trust is there too.
	Dir string
	// Listen is the address of the API; "" means 127.0.0.1:4747.
	Listen string
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
	// NoSync lets the embedded store acknowledge writes before they are on disk. For tests only.
	NoSync bool
	// Logger hears what goes wrong; nil is silent.
	Logger *slog.Logger
}

// The defaults of Config.
const (
	DefaultListen     = "127.0.0.1:4747"
	DefaultRegion     = "us-west-2"
	defaultResolvConf = "/etc/resolv.conf"
)

// Deployment is a running deployment.
type Deployment struct {
	cfg          Config
	endpoint     string
	store        *store.Store
	box          *sealing.Box
	keys         *iam.Control
	accounts     *organizations.Control
	certificates *acm.Control
	authority    string // its certificate, PEM
	bundle       string // the file of what programs trust
	fabric       *fabric.Fabric
	lambda       *lambda.Control
	node         *node.Node
	api          *http.Server
	closers      []func() error // in the order in which they were opened

	cancel  context.CancelFunc
	running sync.WaitGroup
	failed  chan error
}

// Start starts a deployment and returns once it serves. Close stops it, also after Start has failed.
func Start(ctx context.Context, cfg Config) (*Deployment, error) {
	d := &Deployment{cfg: withDefaults(cfg), failed: make(chan error, 8)}
	background, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	if err := d.start(ctx, background); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

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

func (d *Deployment) start(ctx, background context.Context) error {
	if err := os.MkdirAll(d.cfg.Dir, 0o700); err != nil {
		return err
	}
	door, err := operator.Listen(d.cfg.Dir)
	if err != nil {
		return err
	}
	d.closers = append(d.closers, door.Close)
	if err := d.openStore(ctx); err != nil {
		return err
	}
	if err := d.openFabric(); err != nil {
		return err
	}
	listener, err := d.listen()
	if err != nil {
		return err
	}
	if err := d.openFunctions(ctx); err != nil {
		return err
	}
	d.node = node.New(node.Config{
		ID: "node-" + lattice.NewSuffix(rand.Reader), Region: d.cfg.Region, Store: d.store, Fabric: d.fabric,
		Box: d.box, Functions: d.lambda, ResolvConf: d.cfg.ResolvConf, RequestsPerSecond: d.cfg.RequestsPerSecond, Logger: d.cfg.Logger,
	})
	d.run("node", func() error { return d.node.Run(background) })
	d.openAPI(background)
	if err := d.waitForNode(ctx); err != nil {
		return err
	}
	d.run("API", func() error { return ignoreClosed(d.api.Serve(listener)) })
	d.run("operator socket", func() error { return operator.Serve(background, door, d) })
	return nil
}

func (d *Deployment) openStore(ctx context.Context) (err error) {
	d.store, err = store.Open(ctx, store.Config{
		Dir: filepath.Join(d.cfg.Dir, "etcd"), Endpoints: d.cfg.Etcd, NoSync: d.cfg.NoSync, Logger: d.cfg.Logger,
	})
	if err != nil {
		return err
	}
	d.closers = append(d.closers, d.store.Close)
	d.accounts = organizations.New(organizations.Config{Store: d.store, FirstAccount: iam.ManagementAccount})
	d.box, err = sealing.Open(filepath.Join(d.cfg.Dir, "sealing.key"))
	if err != nil {
		return err
	}
	d.keys = iam.New(iam.Config{Store: d.store, Box: d.box})
	d.certificates = acm.New(acm.Config{Store: d.store, Region: d.cfg.Region, Quotas: d.cfg.Quotas, Box: d.box, Logger: d.cfg.Logger})
	return d.writeTrust(ctx)
}

func (d *Deployment) openFabric() (err error) {
	d.fabric, err = fabric.Open(fabric.Config{
		Kind: d.cfg.Network, StateDir: filepath.Join(d.cfg.Dir, "fabric"), Logger: d.cfg.Logger,
		Resolve: func(ctx context.Context, vpcID, name string) ([]netip.Addr, error) {
			return d.node.Resolve(ctx, vpcID, name)
		},
	})
	if err != nil {
		return err
	}
	d.closers = append(d.closers, d.fabric.Close)
	return nil
}

// openFunctions makes what runs functions, and what keeps them.
func (d *Deployment) openFunctions(ctx context.Context) error {
	codes, err := functions.OpenCodes(filepath.Join(d.cfg.Dir, "functions", "code"))
	if err != nil {
		return err
	}
	runner, err := functions.New(functions.Config{
		Fabric: d.fabric, Codes: codes, Dir: filepath.Join(d.cfg.Dir, "functions", "tmp"),
		Region: d.cfg.Region, Endpoint: d.endpoint, Logger: d.cfg.Logger,
	})
	if err != nil {
		return err
	}
	d.closers = append(d.closers, runner.Close)
	config := lambda.Config{
		Store: d.store, Region: d.cfg.Region, Box: d.box, Codes: codes, Runner: runner, Quotas: d.cfg.Quotas, Logger: d.cfg.Logger,
	}
	if d.cfg.LambdaEndpoint != "" {
		elsewhere, err := functions.NewElsewhere(d.cfg.LambdaEndpoint, d.cfg.LambdaCredentials)
		if err != nil {
			return err
		}
		d.closers = append(d.closers, elsewhere.Close)
		config.Elsewhere = elsewhere
	}
	d.lambda = lambda.New(config)
	return d.lambda.Collect(ctx)
}

// listen opens the address on which the API will answer.
func (d *Deployment) listen() (net.Listener, error) {
	listener, err := net.Listen("tcp", d.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("API: %w; choose another address with --listen", err)
	}
	d.closers = append(d.closers, func() error { return ignoreClosed(listener.Close()) })
	d.endpoint = "http://" + listener.Addr().String()
	return listener, nil
}

// openAPI makes the control plane and its front door.
func (d *Deployment) openAPI(background context.Context) {
	networks := control.New(control.Config{
		Store: d.store, Region: d.cfg.Region, ForeignFunctions: d.cfg.LambdaEndpoint != "", Quotas: d.cfg.Quotas, Logger: d.cfg.Logger,
	})
	vpcs := ec2.New(ec2.Config{Store: d.store, Region: d.cfg.Region, Quotas: d.cfg.Quotas, Logger: d.cfg.Logger})
	d.run("control plane", func() error { return networks.Settle(background) })
	d.run("instances", func() error { return vpcs.Settle(background) })
	d.run("certificates", func() error { return d.certificates.Renew(background) })
	d.api = &http.Server{
		Handler: api.New(api.Config{
			Lattice: networks, EC2: vpcs, ELBv2: elbv2.New(elbv2.Config{Store: d.store, Region: d.cfg.Region, Quotas: d.cfg.Quotas}),
			IAM: d.keys, STS: sts.New(sts.Config{Store: d.store, Region: d.cfg.Region, Box: d.box}),
			Organizations: d.accounts, ACM: d.certificates, Lambda: d.lambda,
			Keys: d.keys, Box: d.box, Region: d.cfg.Region, Logger: d.cfg.Logger,
		}),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(d.cfg.Logger.Handler(), slog.LevelWarn),
	}
}

func (d *Deployment) waitForNode(ctx context.Context) error {
	select {
	case <-d.node.Ready():
		return nil
	case err := <-d.failed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the node did not get ready: %w", ctx.Err())
	}
}

// run runs a part of the deployment until it ends. A part that ends with an error fails the deployment.
func (d *Deployment) run(part string, f func() error) {
	d.running.Go(func() {
		if err := f(); err != nil && !errors.Is(err, context.Canceled) {
			d.failed <- fmt.Errorf("%s: %w", part, err)
		}
	})
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Endpoint is the URL of the API.
func (d *Deployment) Endpoint() string { return d.endpoint }

// Fabric is the deployment's fabric.
func (d *Deployment) Fabric() *fabric.Fabric { return d.fabric }

// Failed delivers the error of a part that has failed. The deployment is then of no use but to be closed.
func (d *Deployment) Failed() <-chan error { return d.failed }

// Close stops everything: first what takes requests in, last what others stand on.
func (d *Deployment) Close() error {
	var errs []error
	if d.api != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := d.api.Shutdown(ctx); err != nil {
			errs = append(errs, d.api.Close())
		}
	}
	d.cancel()
	d.running.Wait()
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, ignoreClosed(d.closers[i]()))
	}
	return errors.Join(errs...)
}
