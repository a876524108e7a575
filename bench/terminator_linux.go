package main

import (
	"context"
	"crypto/tls"
	"net"

	"pergola/snapshot"
)

// terminator ends TLS.
type terminator struct{ config *tls.Config }

func newTerminator(s setup) (*terminator, error) {
	if !s.TLS {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(s.Pair.Certificate, s.Pair.Key)
	return &terminator{&tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}}, err
}

// Handshake ends TLS.
func (t *terminator) Handshake(ctx context.Context, conn net.Conn, _ *snapshot.Snapshot, _ *snapshot.Service, _ string) (*tls.Conn, error) {
	secure := tls.Server(conn, t.config)
	return secure, secure.HandshakeContext(ctx)
}
