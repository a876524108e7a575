package termination

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"

	"pergola/dataplane/security"
)

// protocolList is what the server is ready to speak in one handshake.
type protocolList int

const (
	// noProtocol uses no ALPN: the client has not asked, or for nothing that is spoken here.
	noProtocol protocolList = iota
	oneHTTP
	bothHTTP

	protocolLists = iota
)

// The names of the protocols (RFC 7301 §6, RFC 9113 §3.1).
const (
	http11 = "http/1.1"
	http2  = "h2"
)

// protocols is the list in order of preference (user guide, "ALPN policy").
func (p protocolList) protocols() []string {
	return [...][]string{noProtocol: nil, oneHTTP: {http11}, bothHTTP: {http2, http11}}[p]
}

// choose picks the configuration for a client. One without the suite or the version that it takes to go on makes
// crypto/tls refuse the client with the right alert.
func (f *face) choose(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	a, _ := hello.Conn.(interface{ NetConn() net.Conn }).NetConn().(*attempt)
	if !strings.EqualFold(hello.ServerName, f.name) {
		a.cause = NoName
		if hello.ServerName != "" {
			a.cause = WrongName
		}
		return refusing, nil
	}
	if slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
		return f.config(f.keyFor(hello), 0, protocolsFor(hello, true)), nil
	}
	if !slices.Contains(hello.SupportedVersions, tls.VersionTLS12) {
		a.cause = NoVersion
		return nil, nil
	}
	chosen := chooseSuite(hello)
	if chosen < 0 {
		a.cause = NoSuite
		return f.config(rsaKey, 0, noProtocol), nil
	}
	return f.config(rsaKey, chosen, protocolsFor(hello, security.Suites[chosen].HTTP2)), nil
}

// keyFor is the key for a client of TLS 1.3: that on P-256 if the name has one and the client verifies its signatures
// (RFC 8446 §4.2.3).
func (f *face) keyFor(hello *tls.ClientHelloInfo) keyKind {
	if len(f.certificates) > int(p256Key) && slices.Contains(hello.SignatureSchemes, tls.ECDSAWithP256AndSHA256) {
		return p256Key
	}
	return rsaKey
}

// chooseSuite is the first suite of ours that the client offers and can use, or -1.
func chooseSuite(hello *tls.ClientHelloInfo) int {
	curve := sharesCurve(hello)
	return slices.IndexFunc(security.Suites[:], func(s security.Suite) bool {
		return slices.Contains(hello.CipherSuites, s.ID) && (curve || !s.Ephemeral)
	})
}

// uncompressed is the one form of points on curves (RFC 8422 §5.1.2). A client that says nothing of forms has it.
const uncompressed = 0

// sharesCurve reports whether the client has a curve that crypto/tls has in TLS 1.2.
func sharesCurve(hello *tls.ClientHelloInfo) bool {
	if len(hello.SupportedPoints) > 0 && !slices.Contains(hello.SupportedPoints, uncompressed) {
		return false
	}
	return slices.ContainsFunc(hello.SupportedCurves, func(c tls.CurveID) bool {
		return c == tls.X25519 || c == tls.CurveP256 || c == tls.CurveP384 || c == tls.CurveP521
	})
}

// protocolsFor is what the client is offered. A client that names none of ours gets no ALPN rather than the alert with
// which crypto/tls would refuse it.
func protocolsFor(hello *tls.ClientHelloInfo, allowed bool) protocolList {
	switch {
	case allowed && slices.Contains(hello.SupportedProtos, http2):
		return bothHTTP
	case slices.Contains(hello.SupportedProtos, http11):
		return oneHTTP
	}
	return noProtocol
}
