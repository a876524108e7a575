package dns

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// ForwarderConfig is what a Forwarder needs. The zero value forwards to the name servers of the host.
type ForwarderConfig struct {
	// ResolvConf is the path of the file that names the name servers, in the form of resolv.conf(5). It is read for
	// every question, so it may change. Default: /etc/resolv.conf.
	ResolvConf string
	// Own reports whether a name server is this program itself, which a question must not be forwarded to. Nil: none is.
	Own func(netip.AddrPort) bool
	// Dial connects to a name server. Nil: as net.Dialer does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Random is where the ids of queries come from. Nil: crypto/rand.
	Random io.Reader
}

// Forwarder asks the name servers of a resolv.conf file, one after the other.
type Forwarder struct {
	resolvConf string
	own        func(netip.AddrPort) bool
	dial       func(ctx context.Context, network, address string) (net.Conn, error)
	random     io.Reader
}

const (
	// serverTimeout is how long one name server may take to answer one question over UDP or TCP.
	serverTimeout = 2 * time.Second
	// maxServers is how many name servers of a file count (resolv.conf(5), MAXNS).
	maxServers = 3
	// maxMessage is the longest message there can be (RFC 1035 §4.2.2).
	maxMessage = 1<<16 - 1
)

// NewForwarder makes a Forwarder.
func NewForwarder(config ForwarderConfig) *Forwarder {
	f := &Forwarder{cmp.Or(config.ResolvConf, "/etc/resolv.conf"), config.Own, config.Dial, config.Random}
	if f.own == nil {
		f.own = func(netip.AddrPort) bool { return false }
	}
	if f.dial == nil {
		f.dial = new(net.Dialer).DialContext
	}
	if f.random == nil {
		f.random = rand.Reader
	}
	return f
}

// Forward is the response of the first name server that gives one, an error too, with the id of the query. A
// question that came over UDP is asked over UDP, and over TCP if the response was truncated; one that came over TCP is
// asked over TCP at once.
func (f *Forwarder) Forward(ctx context.Context, query []byte, network string) ([]byte, error) {
	servers, err := f.servers()
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, server := range servers {
		response, err := f.ask(ctx, server, query, network)
		if err == nil {
			return response, nil
		}
		failures = append(failures, fmt.Errorf("name server %s: %w", server, err))
	}
	return nil, fmt.Errorf("forward a question: %w", errors.Join(failures...))
}

// servers are the name servers to ask, in order.
func (f *Forwarder) servers() ([]netip.AddrPort, error) {
	text, err := os.ReadFile(f.resolvConf)
	if err != nil {
		return nil, fmt.Errorf("forward a question: %w", err)
	}
	var servers []netip.AddrPort
	for _, server := range parseResolvConf(string(text)) {
		if !f.own(server) {
			servers = append(servers, server)
		}
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("forward a question: %s names no name server but this one; add a line such as \"nameserver 192.0.2.1\"", f.resolvConf)
	}
	return servers, nil
}

// parseResolvConf reads the name servers of a file in the form of resolv.conf(5). Lines that it does not understand
// are passed over, as everywhere.
func parseResolvConf(text string) []netip.AddrPort {
	var servers []netip.AddrPort
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" || len(servers) == maxServers {
			continue
		}
		if address, err := netip.ParseAddr(fields[1]); err == nil {
			servers = append(servers, netip.AddrPortFrom(address, 53))
		}
	}
	return servers
}

// ask puts the query to one name server, under an id of its own that an attacker would have to guess (RFC 5452 §4).
func (f *Forwarder) ask(ctx context.Context, server netip.AddrPort, query []byte, network string) ([]byte, error) {
	asked := bytes.Clone(query)
	if _, err := io.ReadFull(f.random, asked[:2]); err != nil {
		return nil, fmt.Errorf("no randomness for an id: %w", err)
	}
	response, err := f.exchange(ctx, network, server, asked)
	if err == nil && network == "udp" && isTruncated(response) {
		response, err = f.exchange(ctx, "tcp", server, asked)
	}
	if err != nil {
		return nil, err
	}
	copy(response[:2], query[:2])
	return response, nil
}

// isTruncated reports the TC bit of a message (RFC 1035 §4.1.1).
func isTruncated(message []byte) bool { return message[2]&(1<<1) != 0 }

// exchange sends a query over a new connection, for UDP from a new port, and waits for the response to it.
func (f *Forwarder) exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	conn, err := f.dial(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var response []byte
	if network == "udp" {
		response, err = exchangePackets(conn, query)
	} else {
		response, err = exchangeFrames(conn, query)
	}
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return response, err
}

// exchangePackets passes over packets that are not the response: they may be forged.
func exchangePackets(conn net.Conn, query []byte) ([]byte, error) {
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buffer := make([]byte, maxMessage)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, err
		}
		if isResponse(query, buffer[:n]) {
			return buffer[:n], nil
		}
	}
}

var errOtherResponse = errors.New("the response belongs to another question")

func exchangeFrames(conn net.Conn, query []byte) ([]byte, error) {
	frame := binary.BigEndian.AppendUint16(make([]byte, 0, frameHeader+len(query)), uint16(len(query)))
	if _, err := conn.Write(append(frame, query...)); err != nil {
		return nil, err
	}
	response, err := readFrame(conn, make([]byte, maxMessage))
	if err == nil && !isResponse(query, response) {
		err = errOtherResponse
	}
	return response, err
}

// isResponse reports whether a message has the id and the question of the query. The case of letters may differ:
// not every name server keeps it.
func isResponse(query, message []byte) bool {
	var asked, answered dnsmessage.Parser
	a, err1 := asked.Start(query)
	b, err2 := answered.Start(message)
	if err1 != nil || err2 != nil || !b.Response || a.ID != b.ID {
		return false
	}
	q1, err1 := asked.Question()
	q2, err2 := answered.Question()
	return err1 == nil && err2 == nil && q1.Type == q2.Type && q1.Class == q2.Class &&
		bytes.EqualFold(text(&q1.Name), text(&q2.Name))
}
