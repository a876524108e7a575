package fabric

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// proxy is a VPC's way in for programs of a loopback fabric: HTTP (RFC 9110 §7.6, absolute form and CONNECT) and SOCKS5
// (RFC 1928) on one port. A client names its instance and that one's password; the connection then starts at the instance's
// address. After the request's head it carries bytes and looks at none of them, so what reaches a service is what was sent.
type proxy struct {
	listener net.Listener
	router   *loopbackRouter
	resolve  func(ctx context.Context, name string) ([]netip.Addr, error)
	log      *slog.Logger
	ctx      context.Context // ends with the proxy
	cancel   context.CancelFunc
	serving  sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
}

// handshakeTime is how long a client may take to say what it wants, and a refused one to hear it.
const handshakeTime = 30 * time.Second

func startProxy(l net.Listener, r *loopbackRouter, resolve func(context.Context, string) ([]netip.Addr, error), log *slog.Logger) *proxy {
	ctx, cancel := context.WithCancel(context.Background())
	p := &proxy{listener: l, router: r, resolve: resolve, log: log, ctx: ctx, cancel: cancel, conns: map[net.Conn]bool{}}
	p.serving.Go(p.accept)
	return p
}

func (p *proxy) close() error {
	p.cancel()
	err := p.listener.Close()
	p.closeConns()
	p.serving.Wait()
	return err
}

func (p *proxy) closeConns() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			p.log.Error("the VPC's proxy cannot accept", "vpc", p.router.vpc.ID, "err", err)
			select {
			case <-time.After(time.Second): // out of descriptors, most likely: leave others the time to close theirs
			case <-p.ctx.Done():
			}
			continue
		}
		if p.hold(c) {
			p.serving.Go(func() { p.serve(c) })
		}
	}
}

// hold keeps a connection for close to end; it refuses one that came too late for that.
func (p *proxy) hold(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	c.Close()
}

func (p *proxy) serve(c net.Conn) {
	defer p.drop(c)
	c.SetDeadline(time.Now().Add(handshakeTime))
	r := bufio.NewReader(c)
	first, err := r.Peek(1)
	if err != nil {
		return
	}
	if first[0] == socksVersion {
		p.serveSOCKS(c, r)
	} else {
		p.serveHTTP(c, r)
	}
}

func (p *proxy) serveHTTP(c net.Conn, r *bufio.Reader) {
	request, err := readProxyRequest(r)
	if err != nil {
		refuse(c, "400 Bad Request", "", err.Error())
		return
	}
	from := p.router.authenticate(request.user, request.password)
	if from == nil {
		refuse(c, "407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=\"pergola\"\r\n",
			"this proxy serves programs started in an instance; give the user name and password of its environment")
		return
	}
	target, err := p.connect(from, request.host, request.port)
	if errors.Is(err, errDropped) {
		hush(c, r)
		return
	}
	if err != nil {
		refuse(c, "502 Bad Gateway", "", err.Error())
		return
	}
	defer p.drop(target)
	if request.head == nil {
		_, err = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	} else {
		_, err = target.Write(request.head)
	}
	if err == nil {
		relay(c, r, target)
	}
}

// refuse answers in HTTP, and then reads a little of what the client still sends, so that the answer is not lost to a reset.
func refuse(c net.Conn, status, header, text string) {
	_, err := fmt.Fprintf(c, "HTTP/1.1 %s\r\n%sContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\npergola: %s\n",
		status, header, len("pergola: ")+len(text)+1, text)
	if err != nil {
		return
	}
	c.(*net.TCPConn).CloseWrite()
	io.CopyN(io.Discard, c, 1<<20)
}

// connect finds a host as the VPC's resolver does and connects from the instance.
func (p *proxy) connect(from *loopbackInstance, host string, port uint16) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(p.ctx, handshakeTime)
	defer cancel()
	addresses, err := p.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, a := range addresses {
		remote := netip.AddrPortFrom(a, port)
		if from.filter.drops(from.seenFrom(a, from.address), remote) {
			return nil, errDropped
		}
		c, err := from.dial(ctx, netip.Addr{}, remote)
		if err == nil {
			if p.hold(c) {
				return c, nil
			}
			err = net.ErrClosed
		}
		errs = append(errs, fmt.Errorf("%s port %d from %s in %s: %w", host, port, from.id, p.router.vpc.ID, err))
	}
	return nil, errors.Join(errs...)
}

// errUnknownName is wrapped when the VPC's resolver has no address for a name.
var errUnknownName = errors.New("the VPC's resolver does not know this name")

func (p *proxy) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap().WithZone("")}, nil
	}
	addresses, err := p.resolve(ctx, host)
	if err == nil && len(addresses) == 0 {
		err = errUnknownName
	}
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w", host, p.router.vpc.ID, err)
	}
	return addresses, nil
}

// relay carries bytes both ways until both sides have ended; each one's end is passed on by itself.
func relay(client net.Conn, fromClient io.Reader, target net.Conn) {
	client.SetDeadline(time.Time{})
	var sending sync.WaitGroup
	sending.Go(func() { carry(target, fromClient) })
	carry(client, target)
	sending.Wait()
}

func carry(to net.Conn, from io.Reader) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		half.CloseWrite()
		return
	}
	to.Close()
}
