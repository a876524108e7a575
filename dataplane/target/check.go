package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"pergola/dataplane/http1"
	"pergola/dataplane/security"
	"pergola/fabric/packetfilter"
	"pergola/lattice"
	"pergola/snapshot"
)

// userAgent is what health checks call themselves. What the real service says is not published.
const userAgent = "Pergola-HealthChecker/1.0"

// check does one health check over a connection of its own. Its time runs from the dial to the end of the response's
// head. TCP asks for no more than a connection.
func (s *Set) check(ctx context.Context, t *Target, h *snapshot.HealthCheck) error {
	if !canAsk(h) {
		return fmt.Errorf("health checks by %s with version %s are not supported: set the health check to HTTP or HTTPS with version HTTP1 or HTTP2, or disable it",
			h.Protocol, h.ProtocolVersion)
	}
	address := t.addresses[0]
	if h.Port != 0 {
		address = netip.AddrPortFrom(address.Addr(), h.Port)
	}
	late := fmt.Errorf("%v did not respond within %v", address, h.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, h.Timeout, late)
	defer cancel()
	status, err := s.ask(ctx, t.vpc, address, h)
	switch {
	case ctx.Err() != nil:
		if dropped, ok := errors.AsType[*packetfilter.DroppedError](err); ok {
			return &packetfilter.DroppedError{Step: dropped.Step, Err: context.Cause(ctx)}
		}
		return context.Cause(ctx)
	case err != nil:
		return err
	case h.Protocol != lattice.TargetTCP && !isHealthy(status, h.Codes):
		return fmt.Errorf("GET %s at %v was answered with %d, which is none of the group's success codes", h.Path, address, status)
	}
	return nil
}

func isHealthy(status int, codes []lattice.CodeRange) bool {
	return slices.ContainsFunc(codes, func(r lattice.CodeRange) bool { return r.From <= status && status <= r.To })
}

// canAsk reports whether checks can speak what is asked for. One that cannot fails, so that nobody takes a target for
// healthy that was never asked.
func canAsk(h *snapshot.HealthCheck) bool {
	switch h.Protocol {
	case lattice.TargetTCP:
		return true
	case lattice.TargetHTTP, lattice.TargetHTTPS:
		return h.ProtocolVersion == lattice.HTTP1 || h.ProtocolVersion == lattice.HTTP2
	}
	return false
}

// ask sends a GET and returns the status of the response; 0 over TCP, where there is nothing to ask.
func (s *Set) ask(ctx context.Context, vpc string, address netip.AddrPort, h *snapshot.HealthCheck) (status int, err error) {
	conn, err := s.dial(ctx, vpc, address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if h.Protocol == lattice.TargetTCP {
		return 0, nil
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	over := conn
	if h.Protocol == lattice.TargetHTTPS {
		if over, err = security.Connect(ctx, conn, "", protocols[h.ProtocolVersion]...); err != nil {
			return 0, err
		}
	}
	if h.ProtocolVersion == lattice.HTTP2 {
		return askHTTP2(ctx, over, address, h)
	}
	return s.askHTTP1(over, address, h)
}

// protocols are those that TLS must agree on for a version of HTTP, which is what it is for requests.
var protocols = map[lattice.ProtocolVersion][]string{lattice.HTTP2: {"h2"}}

// askHTTP1 asks by HTTP/1.1. The engine that carries requests also judges this response, so a target whose messages it
// would refuse does not pass for healthy.
func (s *Set) askHTTP1(over net.Conn, address netip.AddrPort, h *snapshot.HealthCheck) (status int, err error) {
	conn := http1.NewConn(over, http1.Config{IdleTimeout: h.Timeout, Memory: &s.memory})
	defer conn.Close()
	conn.Out.StartRequest([]byte("GET"), []byte(h.Path))
	conn.Out.Field("host", address.String())
	conn.Out.Field("user-agent", userAgent)
	conn.Out.Field("connection", "close")
	conn.Out.EndHead(http1.Bodiless)
	if err := conn.Out.End(); err != nil {
		return 0, err
	}
	return finalStatus(conn)
}

// finalStatus reads responses up to the one that is not informational (RFC 9110 §15.2).
func finalStatus(conn *http1.Conn) (int, error) {
	var response http1.Response
	for {
		if err := conn.In.ReadResponse(&response, false); err != nil {
			return 0, fmt.Errorf("no valid response: %w", err)
		}
		if !response.Informational() {
			return response.Status, nil
		}
	}
}

// askHTTP2 asks by HTTP/2: over TLS that has agreed on it, or at once (RFC 9113 §3.3).
func askHTTP2(ctx context.Context, over net.Conn, address netip.AddrPort, h *snapshot.HealthCheck) (status int, err error) {
	dial := func(context.Context, string, string) (net.Conn, error) { return over, nil }
	transport := &http.Transport{
		DialContext: dial, DialTLSContext: dial,
		Protocols: new(http.Protocols), DisableCompression: true,
		MaxResponseHeaderBytes: http1.DefaultMaxHeadBytes,
	}
	transport.Protocols.SetHTTP2(true)
	transport.Protocols.SetUnencryptedHTTP2(true)
	// The path is opaque so that it goes out as it was written.
	to := &url.URL{Scheme: "http", Host: address.String(), Opaque: h.Path}
	if secure, ok := over.(*security.Conn); ok {
		to.Scheme, over = "https", secure.Conn // net/http knows TLS by this type alone
	}
	conn, err := transport.NewClientConn(ctx, to.Scheme, to.Host)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	request := &http.Request{Method: http.MethodGet, URL: to, Header: http.Header{"User-Agent": {userAgent}}}
	response, err := conn.RoundTrip(request.WithContext(ctx))
	if err != nil {
		return 0, fmt.Errorf("no valid response: %w", err)
	}
	response.Body.Close()
	return response.StatusCode, nil
}
