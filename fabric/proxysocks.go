package fabric

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
)

// The bytes of SOCKS5 (RFC 1928) and of its user name and password method (RFC 1929).
const (
	socksVersion     = 5
	socksPassword    = 2
	socksNoMethod    = 0xff
	socksAuthVersion = 1
	socksConnect     = 1
	socksIPv4        = 1
	socksName        = 3
	socksIPv6        = 4
)

// SOCKS5 replies (RFC 1928 §6).
const (
	socksSucceeded       = 0
	socksFailure         = 1
	socksNetUnreachable  = 3
	socksHostUnreachable = 4
	socksRefused         = 5
	socksBadCommand      = 7
	socksBadAddress      = 8
)

func (p *proxy) serveSOCKS(c net.Conn, r io.Reader) {
	from, err := p.socksClient(c, r)
	if err != nil {
		p.log.Debug("a SOCKS client was refused", "vpc", p.router.vpc.ID, "err", err)
		return
	}
	host, port, failure := readSOCKSTarget(r)
	if failure != socksSucceeded {
		socksReply(c, failure)
		return
	}
	target, err := p.connect(from, host, port)
	if errors.Is(err, errDropped) {
		hush(c, r)
		return
	}
	if err != nil {
		p.log.Debug("a SOCKS client's target cannot be reached", "vpc", p.router.vpc.ID, "err", err)
		socksReply(c, socksFailureOf(err))
		return
	}
	defer p.drop(target)
	if socksReply(c, socksSucceeded) == nil {
		relay(c, r, target)
	}
}

// socksClient agrees on the method, which is always user name and password, and finds the instance.
func (p *proxy) socksClient(c io.Writer, r io.Reader) (*loopbackInstance, error) {
	offered, err := readSOCKSMethods(r)
	if err != nil {
		return nil, err
	}
	if !offered {
		c.Write([]byte{socksVersion, socksNoMethod})
		return nil, errors.New("it offers no user name and password")
	}
	if _, err := c.Write([]byte{socksVersion, socksPassword}); err != nil {
		return nil, err
	}
	user, password, err := readSOCKSCredentials(r)
	if err != nil {
		return nil, err
	}
	from := p.router.authenticate(user, password)
	if from == nil {
		c.Write([]byte{socksAuthVersion, 1})
		return nil, errors.New("its user name and password are no instance's")
	}
	_, err = c.Write([]byte{socksAuthVersion, 0})
	return from, err
}

// readSOCKSMethods reports whether the client offers user name and password.
func readSOCKSMethods(r io.Reader) (bool, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return false, err
	}
	if head[0] != socksVersion {
		return false, errors.New("it does not speak SOCKS5")
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(r, methods); err != nil {
		return false, err
	}
	return bytes.IndexByte(methods, socksPassword) >= 0, nil
}

func readSOCKSCredentials(r io.Reader) (user, password string, err error) {
	var version [1]byte
	if _, err := io.ReadFull(r, version[:]); err != nil {
		return "", "", err
	}
	if version[0] != socksAuthVersion {
		return "", "", errors.New("its authentication has an unknown version")
	}
	if user, err = readSOCKSString(r); err != nil {
		return "", "", err
	}
	password, err = readSOCKSString(r)
	return user, password, err
}

func readSOCKSString(r io.Reader) (string, error) {
	var size [1]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return "", err
	}
	b := make([]byte, size[0])
	_, err := io.ReadFull(r, b)
	return string(b), err
}

// readSOCKSTarget reads the request; failure is the reply to one that cannot be met.
func readSOCKSTarget(r io.Reader) (host string, port uint16, failure byte) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || head[0] != socksVersion {
		return "", 0, socksFailure
	}
	if head[1] != socksConnect {
		return "", 0, socksBadCommand
	}
	host, err := readSOCKSHost(r, head[3])
	if errors.Is(err, errSOCKSAddress) {
		return "", 0, socksBadAddress
	}
	var last [2]byte
	if err == nil {
		_, err = io.ReadFull(r, last[:])
	}
	if err != nil {
		return "", 0, socksFailure
	}
	return host, binary.BigEndian.Uint16(last[:]), socksSucceeded
}

var errSOCKSAddress = errors.New("unknown address type")

func readSOCKSHost(r io.Reader, kind byte) (string, error) {
	switch kind {
	case socksIPv4:
		var b [4]byte
		_, err := io.ReadFull(r, b[:])
		return netip.AddrFrom4(b).String(), err
	case socksIPv6:
		var b [16]byte
		_, err := io.ReadFull(r, b[:])
		return netip.AddrFrom16(b).String(), err
	case socksName:
		return readSOCKSString(r)
	}
	return "", errSOCKSAddress
}

// socksReply answers a request; the address it carries means nothing to a client that asked to connect.
func socksReply(c io.Writer, reply byte) error {
	_, err := c.Write([]byte{socksVersion, reply, 0, socksIPv4, 0, 0, 0, 0, 0, 0})
	return err
}

func socksFailureOf(err error) byte {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return socksRefused
	case errors.Is(err, syscall.ENETUNREACH):
		return socksNetUnreachable
	}
	return socksHostUnreachable
}
