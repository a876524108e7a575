package deployment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"pergola/api"
	"pergola/containment"
	"pergola/control"
	"pergola/control/acm"
	"pergola/control/ec2"
	"pergola/control/elbv2"
	"pergola/control/iam"
	"pergola/control/lambda"
	"pergola/control/operation"
	"pergola/control/organizations"
	"pergola/control/route53"
	"pergola/control/settling"
	"pergola/control/sts"
	"pergola/functions"
	"pergola/operator"
	"pergola/sealing"
	"pergola/store"
)

// Control is the store, the control plane and the API.
type Control struct {
	part
	endpoint     string
	store        *store.Store
	box          *sealing.Box
	keys         *iam.Control
	accounts     *organizations.Control
	common       operation.Config // of every service
	certificates *acm.Control
	authority    string // its certificate, PEM
	bundle       string // the file of what programs trust
	lambda       *lambda.Control
	api          *http.Server
	inside       *http.Server // for those in VPCs
}

// StartControl starts the control plane, and returns once the API answers. Close stops it.
func StartControl(ctx context.Context, cfg Config) (*Control, error) {
	c := &Control{}
	if err := c.start(ctx, c.begin(cfg)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Control) start(ctx, background context.Context) error {
	if err := prepare(c.cfg.Dir); err != nil {
		return err
	}
	door, err := operator.Listen(c.cfg.Dir, operator.Control)
	if err != nil {
		return err
	}
	c.opened(door.Close)
	listener, err := c.listen()
	if err != nil {
		return err
	}
	inside, err := c.listenInside()
	if err != nil {
		return err
	}
	if err := c.openStore(ctx); err != nil {
		return err
	}
	if err := c.openFunctions(ctx); err != nil {
		return err
	}
	c.openAPI(background)
	c.run("API", func() error { return ignoreClosed(c.api.Serve(listener)) })
	c.run("API of VPCs", func() error { return ignoreClosed(c.inside.Serve(inside)) })
	c.run("operator socket", func() error {
		return operator.Serve(background, door, operator.Answers{Control: c, Logger: c.cfg.Logger})
	})
	return nil
}

func (c *Control) openStore(ctx context.Context) (err error) {
	c.store, err = store.Open(ctx, store.Config{
		Dir: StoreDir(c.cfg.Dir), Socket: c.cfg.path(etcdSocket), Failed: c.cfg.Failed,
		Endpoints: c.cfg.Etcd, NoSync: c.cfg.NoSync, Logger: c.cfg.Logger,
	})
	if err != nil {
		return err
	}
	c.opened(c.store.Close)
	if c.box, err = makeBox(ctx, c.store, c.cfg.Dir); err != nil {
		return err
	}
	c.common = operation.Config{Store: c.store, Region: c.cfg.Region, Quotas: c.cfg.Quotas, Logger: c.cfg.Logger}
	c.accounts = organizations.New(organizations.Config{Config: c.common, FirstAccount: iam.ManagementAccount})
	c.keys = iam.New(iam.Config{Config: c.common, Box: c.box, AllowLocalIssuers: c.cfg.AllowLocalIssuers})
	c.certificates = acm.New(acm.Config{Config: c.common, Box: c.box})
	return c.writeTrust(ctx)
}

// StoreDir is where the embedded store is in a data directory.
func StoreDir(dir string) string { return filepath.Join(dir, "etcd") }

// openFunctions makes what keeps functions. What runs them is another part.
func (c *Control) openFunctions(ctx context.Context) error {
	codes, err := functions.OpenCodes(c.cfg.path("functions", "code"))
	if err != nil {
		return err
	}
	runner := functions.NewClient(c.cfg.path(functionsSocket))
	c.opened(runner.Close)
	c.lambda = lambda.New(lambda.Config{Config: c.common, Box: c.box, Codes: codes, Runner: runner})
	return c.lambda.Collect(ctx)
}

// listen opens the address on which the API will answer.
func (c *Control) listen() (net.Listener, error) {
	listener := c.cfg.Listener
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", c.cfg.Listen); err != nil {
			return nil, fmt.Errorf("API: %w; choose another address with --listen", err)
		}
	}
	c.opened(func() error { return ignoreClosed(listener.Close()) })
	c.endpoint = EndpointOf(listener)
	return listener, nil
}

// EndpointOf is the URL of the API that answers at a listener.
func EndpointOf(listener net.Listener) string { return "http://" + listener.Addr().String() }

// openAPI makes the control plane and its front door.
func (c *Control) openAPI(background context.Context) {
	networks := control.New(control.Config{Config: c.common, ForeignFunctions: c.cfg.LambdaEndpoint != "",
		Names: route53.Names{Store: c.store, Further: net.DefaultResolver}})
	tokens := sts.New(sts.Config{Config: c.common, Box: c.box, AllowLocalIssuers: c.cfg.AllowLocalIssuers})
	vpcs := ec2.New(c.common)
	balancers := elbv2.New(c.common)
	settler := settling.New(settling.Config{
		Store: c.store, Rows: slices.Concat(control.Rows(), vpcs.Rows(), elbv2.Rows(), route53.Rows()), Logger: c.cfg.Logger,
	})
	// What was begun is completed, on a full disk too.
	c.run("control plane", func() error {
		ctx := store.MakingRoom(background)
		c.prepare(ctx, networks, vpcs, balancers)
		return settler.Run(ctx)
	})
	c.run("domain verifications", func() error { return networks.Verify(background) })
	c.run("certificates", func() error { return c.certificates.Renew(background) })
	c.api = &http.Server{
		Handler: api.New(api.Config{
			Lattice: networks, EC2: vpcs,
			ELBv2: balancers,
			IAM:   c.keys, STS: tokens,
			Organizations: c.accounts, ACM: c.certificates, Lambda: c.lambda, Route53: route53.New(c.common),
			Keys: c.keys, Box: c.box, Region: c.cfg.Region, InForce: settler, Logger: c.cfg.Logger,
		}),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(c.cfg.Logger.Handler(), slog.LevelWarn), ConnState: crowded(apiConnections()),
	}
	c.inside = serveInside(c.api)
	c.opened(c.closeAPI)
}

// prepare brings a store up to date that an older version has written. What fails is tried again by the first
// operation.
func (c *Control) prepare(ctx context.Context, services ...interface{ Prepare(context.Context) error }) {
	for _, service := range services {
		if err := service.Prepare(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Logger.Warn("the store of an older version could not be brought up to date yet", "error", err)
		}
	}
}

// closeAPI lets the requests under way end, and cuts those that take longer.
func (c *Control) closeAPI() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var errs []error
	for _, server := range []*http.Server{c.api, c.inside} {
		if server.Shutdown(ctx) != nil {
			errs = append(errs, server.Close())
		}
	}
	return errors.Join(errs...)
}

// Close stops the API, then what settles, then the store.
func (c *Control) Close() error {
	if c.api != nil {
		_ = c.closeAPI() // before what it calls ends
	}
	return c.part.Close()
}

// apiConnections is how many connections the API has at most.
func apiConnections() int { return containment.ForClients(containment.Descriptors()) }

// crowded bounds the connections of a server. Those that have been quiet for longest give way.
func crowded(most int) func(net.Conn, http.ConnState) {
	crowd := containment.NewCrowd(most)
	return func(conn net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew, http.StateIdle:
			crowd.Quiet(conn)
		case http.StateActive:
			crowd.Busy(conn)
		default:
			crowd.Gone(conn)
		}
	}
}

// Endpoint is the URL of the API.
func (c *Control) Endpoint() string { return c.endpoint }
