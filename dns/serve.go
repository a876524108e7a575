package dns

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"pergola/bound"
	"pergola/containment"
)

const (
	// maxQuery is the longest query that we read. Queries are a question and a few options.
	maxQuery = 4096
	// maxStreams is how many connections clients may have open at once, over all VPCs, shared out as bound.Pool says, and
	// maxClientStreams how many of them one client; further ones are closed.
	maxStreams       = 512
	maxClientStreams = 64
	// maxPipelined is how many questions of one connection may be with the forwarder; no more are read until one of
	// them is answered (RFC 7766 §6.2.1.1).
	maxPipelined = 16
	// idleTimeout is how long a connection may take to bring its next query, or to take a response (RFC 7766 §6.2.3).
	idleTimeout = 10 * time.Second
)

// ServePacket answers the questions that come to conn from clients in the VPC. It returns nil when ctx ends, or
// net.ErrClosed if somebody else has closed conn; conn is closed then, and nothing is left running. Bind conn to a
// single address: clients take a response only from where they sent the question.
func (s *Server) ServePacket(ctx context.Context, vpcID string, conn net.PacketConn) error {
	ctx, cancel := context.WithCancel(ctx)
	var forwards sync.WaitGroup
	defer forwards.Wait()
	defer cancel()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	socket := packets{server: s, vpc: vpcID, conn: conn, in: make([]byte, maxQuery), out: make([]byte, 0, ourUDPSize)}
	err := containment.Accept(ctx, s.log, "a resolver", socket.read, func(p packet) { socket.answer(ctx, &forwards, p) })
	return unlessDone(ctx, err)
}

// packets is a socket to which questions come in packets.
type packets struct {
	server  *Server
	vpc     string
	conn    net.PacketConn
	in, out []byte
}

// packet is a question in packets.in.
type packet struct {
	size   int
	client net.Addr
}

func (s *packets) read() (p packet, err error) {
	p.size, p.client, err = s.conn.ReadFrom(s.in)
	return p, err
}

// answer answers a question. A panic ends this question and no other.
func (s *packets) answer(ctx context.Context, forwards *sync.WaitGroup, p packet) {
	defer s.server.contain(s.vpc)
	query := s.in[:p.size]
	response, forward := s.server.Answer(s.out, s.vpc, query)
	switch {
	case forward:
		query = bytes.Clone(query)
		from := origin{s.vpc, bound.ClientOf(p.client), "udp"}
		s.server.relay(ctx, forwards, query, from, func(response []byte) { writePacket(s.conn, p.client, query, response) })
	case response != nil:
		writePacket(s.conn, p.client, query, response)
	}
}

// contain is deferred: it ends a question, or a connection, that panics.
func (s *Server) contain(vpcID string) {
	if problem := recover(); problem != nil {
		_ = containment.Report(s.log, "answering a question", problem, "vpc", vpcID)
	}
}

// origin is where a question comes from, and by which kind of network.
type origin struct {
	vpc     string
	client  netip.Addr
	network string
}

// writePacket sends a response, cut to what the client takes. A response that is lost on our side is like one that
// the network lost: the client asks again.
func writePacket(conn net.PacketConn, client net.Addr, query, response []byte) {
	conn.WriteTo(fit(query, response), client)
}

// unlessDone is nil if serving failed because ctx has ended.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("dns: %w", err)
}

// relay has the forwarder answer a query and calls reply with the response, from one of the tasks; at once and with
// SERVFAIL where the client has as many questions there as it may.
func (s *Server) relay(ctx context.Context, tasks *sync.WaitGroup, query []byte, from origin, reply func([]byte)) {
	place := s.forwards.Enter(from.vpc, from.client)
	if place == nil {
		reply(serverFailure(query))
		return
	}
	tasks.Go(func() {
		defer place.Leave()
		var response []byte
		err := containment.Do(s.log, "forwarding a question", func() (err error) {
			response, err = s.ask(ctx, query, from)
			return err
		}, "vpc", from.vpc)
		if err != nil {
			s.log.DebugContext(ctx, "dns: a question could not be forwarded", "error", err)
			response = serverFailure(query)
		}
		defer s.contain(from.vpc)
		reply(response)
	})
}

// serverFailure says that a query could not be answered this time.
func serverFailure(query []byte) []byte {
	q := reparse(query)
	return q.refuse(nil, dnsmessage.RCodeServerFailure)
}

// reparse reads a query that Answer has accepted.
func reparse(query []byte) question {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	must(err)
	q := question{header: header}
	q.parse(&p, query)
	return q
}

// fit is the response if the client takes it over UDP, and otherwise one without records that tells the client to ask
// again over TCP (RFC 2181 §9).
func fit(query, response []byte) []byte {
	if len(response) <= plainUDPSize {
		return response
	}
	q := reparse(query)
	if q.edns.present && len(response) <= min(int(q.edns.size), ourUDPSize) {
		return response
	}
	// The second and third byte of a header are QR, Opcode (4 bits), AA, TC, RD; RA, Z (3), RCODE (4).
	short := q.refuse(nil, dnsmessage.RCode(response[3]&0xF))
	const authoritative, truncated = 1 << 2, 1 << 1
	short[2] |= response[2]&authoritative | truncated
	return short
}

// ServeStream answers the questions that come over the connections of a listener from clients in the VPC. It returns
// nil when ctx ends, or net.ErrClosed if somebody else has closed the listener; the listener and all connections are
// closed then, and nothing is left running.
func (s *Server) ServeStream(ctx context.Context, vpcID string, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var streams sync.WaitGroup
	defer streams.Wait()
	defer cancel()
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	err := containment.Accept(ctx, s.log, "a resolver", listener.Accept, func(conn net.Conn) {
		client := bound.ClientOf(conn.RemoteAddr())
		place := s.streams.Enter(vpcID, client)
		if place == nil {
			_ = conn.Close() // nothing was said
			return
		}
		streams.Go(func() {
			defer place.Leave()
			s.serveStream(ctx, origin{vpcID, client, "tcp"}, conn)
		})
	})
	return unlessDone(ctx, err)
}

// serveStream answers the questions of one connection until the client has no more or does not behave. A panic ends
// this connection and no other, and is counted before the client can see the end.
func (s *Server) serveStream(ctx context.Context, from origin, conn net.Conn) {
	defer conn.Close()
	defer s.contain(from.vpc)
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var forwards sync.WaitGroup
	defer forwards.Wait()
	room := make(chan struct{}, maxPipelined)
	out := stream{conn: conn}
	buffer, frame := make([]byte, maxQuery), make([]byte, frameHeader, plainUDPSize)
	for {
		conn.SetReadDeadline(time.Now().Add(idleTimeout))
		query, err := readFrame(conn, buffer)
		if err != nil {
			return
		}
		response, forward := s.Answer(frame, from.vpc, query)
		switch {
		case forward:
			room <- struct{}{}
			s.relay(ctx, &forwards, bytes.Clone(query), from, func(response []byte) {
				defer func() { <-room }()
				out.write(append(make([]byte, frameHeader), response...))
			})
		case response != nil:
			out.write(response)
		default:
			return
		}
	}
}

// stream is the writing side of a connection. mu keeps frames apart.
type stream struct {
	mu   sync.Mutex
	conn net.Conn
}

// write sends a message that begins with room for its frame header. A connection that does not take it is closed.
func (s *stream) write(frame []byte) {
	binary.BigEndian.PutUint16(frame, uint16(len(frame)-frameHeader))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.SetWriteDeadline(time.Now().Add(idleTimeout))
	if _, err := s.conn.Write(frame); err != nil {
		s.conn.Close()
	}
}

// frameHeader is the size of the length that precedes each message on a stream (RFC 1035 §4.2.2).
const frameHeader = 2

// readFrame reads one message into the buffer, which must be long enough for it.
func readFrame(r io.Reader, buffer []byte) ([]byte, error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint16(header[:]))
	if length > len(buffer) {
		return nil, fmt.Errorf("message of %d bytes, more than %d", length, len(buffer))
	}
	_, err := io.ReadFull(r, buffer[:length])
	return buffer[:length], err
}
