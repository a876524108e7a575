// Package termination ends TLS for HTTPS listeners: which certificate a service shows for which of its names, and what is
// negotiated, which is the security policy and the ALPN policy of the user guide, "HTTPS listeners".
//
// A generated name is certified by the built-in authority, with keys of the node's own: one on the curve P-256 for
// clients that speak TLS 1.3 and accept it, since such a handshake costs a third of the processor time, and an RSA one
// for all others, since the suites of TLS 1.2 ask for it. A custom domain name is certified by the certificate of its
// service, or not at all. The certificates of a name are made when a client first asks for it, and forgotten when the
// snapshot has no use for it any more.
//
// crypto/tls has an order of cipher suites of its own. Therefore the suite is chosen here, from what the client offers,
// and crypto/tls is handed a configuration that has only this one.
package termination

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"pergola/certificate"
	"pergola/dataplane/security"
	"pergola/sealing"
	"pergola/snapshot"
)

// Config is what a Terminator needs. Box is required.
type Config struct {
	// Box opens the private keys of certificates.
	Box *sealing.Box
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Logger hears of certificates that cannot be used. Nil is silent.
	Logger *slog.Logger
}

// Terminator makes handshakes with the clients of a node. It is safe for concurrent use.
type Terminator struct {
	box  *sealing.Box
	now  func() time.Time
	log  *slog.Logger
	keys func() ([]crypto.Signer, error) // of the node, for generated names: by keyKind
	fail failures

	mu    sync.Mutex // guards faces
	faces map[faceKey]*face
}

// New makes a Terminator. It starts nothing and need not be closed.
func New(cfg Config) *Terminator {
	t := &Terminator{box: cfg.Box, now: cfg.Now, log: cfg.Logger, faces: map[faceKey]*face{}}
	if t.now == nil {
		t.now = time.Now
	}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	t.keys = sync.OnceValues(newKeys)
	return t
}

// keyKind is the kind of a key, by its place among the certificates of a face.
type keyKind int

const (
	rsaKey keyKind = iota // or the only one there is
	p256Key

	keyKinds = iota
)

// newKeys makes a key of each kind.
func newKeys() ([]crypto.Signer, error) {
	first, err := rsa.GenerateKey(rand.Reader, certificate.ServiceKeyBits)
	if err != nil {
		return nil, err
	}
	second, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return []crypto.Signer{rsaKey: first, p256Key: second}, err
}

// Handshake ends TLS on a connection that replays its ClientHello, in which the client has named a service: name is a
// name of service in the snapshot s. It returns once the handshake is done, or has failed, or the context ends, which
// closes the connection. After a failure the client has been sent an alert, and the connection is the caller's to close;
// the error is a *Failure.
//
// What was negotiated is in the connection's state: "h2", "http/1.1" or nothing, which means HTTP/1.1.
func (t *Terminator) Handshake(ctx context.Context, conn net.Conn, s *snapshot.Snapshot, service *snapshot.Service, name string) (*security.Conn, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	a := &attempt{Conn: conn}
	server := security.Server(a, t.configFor(s, service, name, a))
	// Cryptography needs a deep stack, which the connection's own goroutine would keep: 5 KB for each idle connection.
	done := make(chan error, 1)
	go func() {
		defer func() {
			if problem := recover(); problem != nil {
				t.log.Error("a TLS handshake panicked", "name", name, "panic", problem, "stack", string(debug.Stack()))
				done <- errors.New("the handshake panicked")
			}
		}()
		done <- server.HandshakeContext(ctx)
	}()
	if err := <-done; err != nil {
		return nil, t.failed(ctx, a, name, err)
	}
	return server, nil
}

// configFor is the configuration that begins a handshake. Without a certificate for the name it is one that ends it.
func (t *Terminator) configFor(s *snapshot.Snapshot, service *snapshot.Service, name string, a *attempt) *tls.Config {
	key, ok := keyOf(s, service, name)
	if !ok {
		a.cause = NoCertificate
		return refusing
	}
	f := t.face(s, key)
	if f.err != nil {
		a.cause, a.err = BadCertificate, f.err
		return refusing
	}
	return f.original
}

// refusing is a configuration without a certificate, which crypto/tls answers with the alert unrecognized_name.
var refusing = &tls.Config{MinVersion: security.MinVersion}

// attempt is a connection during its handshake, with what has been found out about it.
type attempt struct {
	net.Conn
	cause Cause // zero if nothing has
	err   error // what is behind the cause, or nil
}

// NetConn is the connection below.
func (a *attempt) NetConn() net.Conn { return a.Conn }
