package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"iter"
	"net"
	"time"
)

// cipherSuite is what every subject must choose.
const cipherSuite = tls.TLS_AES_128_GCM_SHA256

// clientTLS is how clients speak TLS. With resume, they keep sessions and go on with them.
func clientTLS(host, protocol string, resume bool) *tls.Config {
	config := &tls.Config{
		ServerName: host, NextProtos: []string{protocol}, MinVersion: tls.VersionTLS13,
		InsecureSkipVerify: true, // the certificate was made for this run; its signature is verified all the same
		// The only group that every subject knows. Those in Go would choose a hybrid one, and pay for it.
		CurvePreferences: []tls.CurveID{tls.X25519},
	}
	if resume {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return config
}

// secure is a client's side of TLS on a socket. crypto/tls waits for what it reads, which an event loop cannot, so it
// runs as a coroutine that is resumed when something has arrived. secure is the net.Conn that it reads from.
type secure struct {
	socket  *socket
	conn    *tls.Conn
	arrived []byte
	early   []byte // to be sent once the handshake is done
	ready   bool
	err     error
	yield   func(struct{}) bool
	resume  func() (struct{}, bool)
	stop    func()
}

// secureWith begins a handshake on a socket.
func (s *socket) secureWith(config *tls.Config) error {
	c := &secure{socket: s}
	c.conn = tls.Client(c, config)
	s.secure = c
	s.world.shaking++
	c.resume, c.stop = iter.Pull(c.run)
	c.resume()
	return c.err
}

// run is the coroutine.
func (c *secure) run(yield func(struct{}) bool) {
	c.yield = yield
	w := c.socket.world
	if c.err = c.handshake(); c.err != nil {
		return
	}
	for c.err == nil {
		n, err := c.conn.Read(w.plain)
		if err != nil {
			c.err = c.socket.end.ended(err)
			return
		}
		c.err = c.socket.end.receive(w.plain[:n])
	}
}

func (c *secure) handshake() error {
	w := c.socket.world
	if err := c.conn.Handshake(); err != nil {
		return fmt.Errorf("TLS handshake with the subject: %w", err)
	}
	w.shaking--
	state := c.conn.ConnectionState()
	if state.CipherSuite != cipherSuite {
		return fmt.Errorf("the subject chooses %s, where all must choose %s", tls.CipherSuiteName(state.CipherSuite), tls.CipherSuiteName(cipherSuite))
	}
	if kind := state.PeerCertificates[0].PublicKeyAlgorithm; kind != x509.ECDSA {
		return fmt.Errorf("the subject shows a key of kind %v, where all must show one on P-256", kind)
	}
	if state.DidResume {
		w.resumed++
	}
	c.ready = true
	if len(c.early) == 0 {
		return nil
	}
	_, err := c.conn.Write(c.early)
	c.early = nil
	return err
}

// feed resumes the coroutine with what has arrived, until it has taken all of it.
func (c *secure) feed(data []byte) error {
	c.arrived = data
	c.resume()
	return c.err
}

func (c *secure) send(data []byte) error {
	if !c.ready {
		c.early = append(c.early, data...)
		return nil
	}
	_, err := c.conn.Write(data)
	return err
}

// close says that this side ends.
func (c *secure) close() error {
	err := c.conn.Close()
	c.socket.world.closeSoon(c.socket)
	return err
}

// Read waits, as a coroutine, until something has arrived.
func (c *secure) Read(p []byte) (int, error) {
	for len(c.arrived) == 0 {
		if !c.yield(struct{}{}) {
			return 0, io.EOF
		}
	}
	n := copy(p, c.arrived)
	c.arrived = c.arrived[n:]
	return n, nil
}

// Write sends data, or keeps a copy for when there is room.
func (c *secure) Write(p []byte) (int, error) {
	if s := c.socket; len(s.unsent) > 0 {
		s.unsent = append(s.unsent, p...)
		return len(p), nil
	}
	err := c.socket.write(p)
	c.socket.unsent = bytes.Clone(c.socket.unsent)
	return len(p), err
}

// Close does nothing: the socket is closed by the world.
func (c *secure) Close() error { return nil }

// LocalAddr is not known.
func (c *secure) LocalAddr() net.Addr { return nil }

// RemoteAddr is not known.
func (c *secure) RemoteAddr() net.Addr { return nil }

// SetDeadline does nothing: a load has a time of its own.
func (c *secure) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (c *secure) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (c *secure) SetWriteDeadline(time.Time) error { return nil }
