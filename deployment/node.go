package deployment

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"pergola/containment"
	"pergola/control/lambda"
	"pergola/control/operation"
	"pergola/dataplane"
	"pergola/fabric"
	"pergola/functions"
	"pergola/lattice"
	"pergola/node"
	"pergola/operator"
	"pergola/sealing"
	"pergola/store"
)

// Node is the data plane, with the fabric.
type Node struct {
	part
	store  *store.Store
	fabric *fabric.Fabric
	mirror *store.Mirror // of objects that the node looks up
	lambda *lambda.Control
	node   *node.Node
	bundle string // the file of what programs trust
}

// StartNode starts a node beside a control plane, which it waits for. It may serve nothing yet when it returns; see
// Await. Close stops it.
func StartNode(ctx context.Context, cfg Config) (*Node, error) {
	n := &Node{}
	if err := n.start(ctx, n.begin(cfg)); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) start(ctx, background context.Context) error {
	if err := prepare(n.cfg.Dir); err != nil {
		return err
	}
	dir, err := filepath.Abs(n.cfg.Dir)
	if err != nil {
		return err
	}
	n.bundle = filepath.Join(dir, trustFile)
	door, err := operator.Listen(n.cfg.Dir, operator.Node)
	if err != nil {
		return err
	}
	n.opened(door.Close)
	if err := n.openFabric(); err != nil {
		return err
	}
	if n.store, err = n.cfg.openStore(ctx); err != nil {
		return err
	}
	n.opened(n.store.Close)
	box, err := openBox(ctx, n.store, n.cfg.Dir)
	if err != nil {
		return err
	}
	n.mirror = store.NewMirror(append(node.Mirrored(), lambda.Mirrored()...)...)
	if err := n.openFunctions(box); err != nil {
		return err
	}
	n.node = node.New(node.Config{
		ID: nodeID(n.cfg.path("node-id"), n.cfg.Logger), Region: n.cfg.Region, Source: node.FromStore(n.store),
		Mirror: n.mirror,
		Fabric: n.fabric, Box: box,
		Functions: n.lambda,
		API:       n.cfg.path(insideSocket), ResolvConf: n.cfg.ResolvConf, RequestsPerSecond: n.cfg.RequestsPerSecond,
		MaxConnections: nodeConnections(), Logger: n.cfg.Logger,
	})
	n.run("node", func() error { return n.node.Run(background) })
	n.run("operator socket", func() error {
		return operator.Serve(background, door, operator.Answers{Node: n, Logger: n.cfg.Logger})
	})
	return nil
}

func (n *Node) openFabric() (err error) {
	n.fabric, err = fabric.Open(fabric.Config{
		Kind: n.cfg.Network, StateDir: n.cfg.path("fabric"), Logger: n.cfg.Logger,
		Private: fabric.Private{Dir: n.cfg.Dir, Shown: []string{n.bundle}},
		Resolve: func(ctx context.Context, vpcID, name string) ([]netip.Addr, error) {
			return n.node.Resolve(ctx, vpcID, name)
		},
	})
	if err != nil {
		return err
	}
	n.opened(n.fabric.Close)
	return nil
}

// nodeID is the id of the node with a data directory, from a file there, which is made the first time. It is the same
// after a restart, so that nobody waits for the reports of the process that there was. Without a file, as on a full
// disk, it is one for this time.
func nodeID(path string, log *slog.Logger) string {
	kept, err := os.ReadFile(path)
	if err == nil && nodeIDPattern.Match(kept) {
		return strings.TrimSpace(string(kept))
	}
	id := "node-" + lattice.NewSuffix(rand.Reader)
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		log.Warn("the id of the node could not be kept, and is another one after a restart", "error", err)
	}
	return id
}

var nodeIDPattern = regexp.MustCompile(`^node-[0-9a-f]{17}\n?$`)

// openFunctions makes what invokes functions for target groups.
func (n *Node) openFunctions(box *sealing.Box) error {
	runner := functions.NewClient(n.cfg.path(functionsSocket))
	n.opened(runner.Close)
	config := lambda.Config{Config: operation.Config{Region: n.cfg.Region, Logger: n.cfg.Logger}, Box: box,
		Mirror: n.mirror,
		Runner: runner}
	if n.cfg.LambdaEndpoint != "" {
		elsewhere, err := functions.NewElsewhere(n.cfg.LambdaEndpoint, n.cfg.LambdaCredentials)
		if err != nil {
			return err
		}
		n.opened(elsewhere.Close)
		config.Elsewhere = elsewhere
	}
	n.lambda = lambda.New(config)
	return nil
}

// nodeConnections is how many connections of clients to services the data plane has at most. Each may take a second
// descriptor, for the connection to its target.
func nodeConnections() int { return containment.Portion(dataplane.DefaultMaxConnections, 6) }

// Await returns once the node serves what the store held when it started.
func (n *Node) Await(ctx context.Context) error {
	select {
	case <-n.node.Ready():
		return nil
	case err := <-n.failed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the node did not get ready: %w", ctx.Err())
	}
}

// Fabric is the deployment's fabric.
func (n *Node) Fabric() *fabric.Fabric { return n.fabric }
