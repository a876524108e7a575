package target

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"pergola/dataplane/http1"
	"pergola/lattice"
	"pergola/snapshot"
)

// userAgent is what health checks call themselves. What the real service says is not published.
const userAgent = "Pergola-HealthChecker/1.0"

// check does one health check over a connection of its own. Its time runs from the dial to the end of the response's
// head. This is the place that knows which protocols checks can speak; one that they cannot fails the check, so that
// nobody takes a target for healthy that was never asked.
func (s *Set) check(ctx context.Context, t *Target, h *snapshot.HealthCheck) error {
	if h.Protocol != lattice.TargetHTTP || h.ProtocolVersion != lattice.HTTP1 {
		return fmt.Errorf("health checks by %s with version %s are not supported: set the health check to HTTP with version HTTP1, or disable it",
			h.Protocol, h.ProtocolVersion)
	}
	address := t.address
	if h.Port != 0 {
		address = netip.AddrPortFrom(address.Addr(), h.Port)
	}
	late := fmt.Errorf("%v did not respond within %v", address, h.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, h.Timeout, late)
	defer cancel()
	status, err := s.ask(ctx, t.vpc, address, h)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case !isHealthy(status, h.Codes):
		return fmt.Errorf("GET %s at %v was answered with %d, which is none of the group's success codes", h.Path, address, status)
	}
	return nil
}

func isHealthy(status int, codes []snapshot.CodeRange) bool {
	return slices.ContainsFunc(codes, func(r snapshot.CodeRange) bool { return r.From <= status && status <= r.To })
}

// ask sends a GET and returns the status of the response. The engine that carries requests also judges this response, so
// a target whose messages it would refuse does not pass for healthy.
func (s *Set) ask(ctx context.Context, vpc string, address netip.AddrPort, h *snapshot.HealthCheck) (status int, err error) {
	raw, err := s.dial(ctx, vpc, address)
	if err != nil {
		return 0, err
	}
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	conn := http1.NewConn(raw, http1.Config{IdleTimeout: h.Timeout, Memory: &s.memory})
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
