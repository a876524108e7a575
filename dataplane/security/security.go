// Package security is the security policy of the data plane's TLS: what is offered to clients of HTTPS listeners (user
// guide, "Security policy"), and to targets, which the same policy holds for (user guide, "Routing configuration").
package security

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
)

// MinVersion is the oldest version of TLS.
const MinVersion = tls.VersionTLS12

// Suites are the cipher suites of TLS 1.2 in the order of preference. Those of TLS 1.3 are the three that crypto/tls has,
// in its own order.
var Suites = [...]Suite{
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, true, true},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, true, false},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, true, true},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, true, false},
	{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, false, false},
	{tls.TLS_RSA_WITH_AES_128_CBC_SHA, false, false},
	{tls.TLS_RSA_WITH_AES_256_GCM_SHA384, false, false},
	{tls.TLS_RSA_WITH_AES_256_CBC_SHA, false, false},
}

// Suite is a cipher suite.
type Suite struct {
	ID uint16
	// Ephemeral suites need a curve that both sides have.
	Ephemeral bool
	// HTTP2 is false for what HTTP/2 prohibits (RFC 9113, appendix A): suites without ephemeral keys or without AEAD.
	HTTP2 bool
}

// ids are those of Suites.
var ids = func() (all []uint16) {
	for _, suite := range Suites {
		all = append(all, suite.ID)
	}
	return all
}()

// Connect makes TLS of a connection to a target. Any certificate that the target shows is good: it is the VPC that says
// who has an address (user guide, "Routing configuration"). An empty serverName names nobody. The target must agree on one
// of the protocols, such as "h2"; none leaves TLS alone about it. After an error the connection is the caller's to close.
func Connect(ctx context.Context, conn net.Conn, serverName string, protocols ...string) (*Conn, error) {
	secure := Client(conn, &tls.Config{
		ServerName: serverName, InsecureSkipVerify: true, MinVersion: MinVersion, CipherSuites: ids, NextProtos: protocols,
	})
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("no TLS with the target: %w", err)
	}
	if len(protocols) > 0 && secure.ConnectionState().NegotiatedProtocol == "" {
		return nil, fmt.Errorf("the target speaks TLS and agrees on none of %q", protocols)
	}
	return secure, nil
}
