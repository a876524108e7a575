package deployment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"pergola/api"
	"pergola/node"
)

// insideSocket is the name, in the data directory, of the socket on which the API answers those in VPCs. Nodes say
// there who calls, and are believed: it has mode 0600.
const insideSocket = "inside.sock"

// listenInside opens the socket. One that an earlier process left behind is replaced: the operator's socket tells
// whether a control plane lives.
func (c *Control) listenInside() (net.Listener, error) {
	path := c.cfg.path(insideSocket)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("data directory %s: %w", c.cfg.Dir, err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", c.cfg.Dir, err)
	}
	c.opened(func() error { return ignoreClosed(listener.Close()) })
	return inside{listener}, os.Chmod(path, 0o600)
}

// inside is a listener whose connections begin with a line that says where in a VPC they come from.
type inside struct{ net.Listener }

// Accept returns the next connection.
func (l inside) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &insideConn{Conn: conn}, nil
}

// insideConn is a connection of a node. The line is read with the first of what follows it.
type insideConn struct {
	net.Conn
	once   sync.Once
	source node.Origin
	err    error
}

// Read reads what follows the line.
func (c *insideConn) Read(b []byte) (int, error) {
	c.once.Do(func() { c.source, c.err = node.ReadOrigin(c.Conn) })
	if c.err != nil {
		return 0, c.err
	}
	return c.Conn.Read(b)
}

// insideKey is where the context of a request has its connection.
type insideKey struct{}

// serveInside answers those in VPCs as the API answers all others, but for where they come from.
func serveInside(door *http.Server) *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			source := r.Context().Value(insideKey{}).(*insideConn).source // a request has been read, and so has the line
			ctx := api.WithSource(r.Context(), api.Source{VPC: source.VPC, Address: source.Address.Addr()})
			door.Handler.ServeHTTP(w, r.WithContext(ctx))
		}),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, insideKey{}, conn)
		},
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: time.Minute, ErrorLog: door.ErrorLog,
	}
}

// calling is the environment of a program that finds the API from within its VPC, and the region, as far as its caller
// has not chosen otherwise. The endpoint that this host has is no choice: it cannot be reached from there.
func (n *Node) calling(env []string) []string {
	set := func(name, value, replaced string) {
		if now := valueIn(env, name); now == "" || now == replaced {
			env = slices.DeleteFunc(env, func(set string) bool { return strings.HasPrefix(set, name+"=") })
			env = append(env, name+"="+value)
		}
	}
	env = slices.Clone(env)
	set("AWS_ENDPOINT_URL", "http://"+node.APIAddress.Addr().String(), n.cfg.Endpoint)
	set("AWS_REGION", n.cfg.Region, "")
	set("AWS_DEFAULT_REGION", n.cfg.Region, "")
	return env
}

// valueIn is the value of a variable in an environment, in which the last one counts.
func valueIn(env []string, name string) string {
	for _, set := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(set, name+"="); ok {
			return value
		}
	}
	return ""
}
