package dns

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// maxQuery is the longest query that we read. Queries are a question and a few options.
	maxQuery = 4096
	// maxStreams is how many connections a stream listener holds at once; further ones are closed.
	maxStreams = 128
	// maxPipelined is how many questions of one connection may be with the forwarder; no more are read until one of
	// them is answered (RFC 7766 §6.2.1.1).
	maxPipelined = 16
	// idleTimeout is how long a connection may take to bring its next query, or to take a response (RFC 7766 §6.2.3).
	idleTimeout = 10 * time.Second
)

// ServePacket answers the questions that come to conn from clients in the VPC. It returns nil when ctx ends, or the
// error with which reading failed; conn is closed then, and nothing is left running. Bind conn to a single address:
// clients take a response only from where they sent the question.
func (s *Server) ServePacket(ctx context.Context, vpcID string, conn net.PacketConn) error {
	ctx, cancel := context.WithCancel(ctx)
	var forwards sync.WaitGroup
	defer forwards.Wait()
	defer cancel()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	in, out := make([]byte, maxQuery), make([]byte, 0, ourUDPSize)
	for {
		n, client, err := conn.ReadFrom(in)
		if err != nil {
			return unlessDone(ctx, err)
		}
		query := in[:n]
		response, forward := s.Answer(out, vpcID, query)
		switch {
		case forward:
			query = bytes.Clone(query)
			s.relay(ctx, &forwards, query, "udp", func(response []byte) { writePacket(conn, client, query, response) })
		case response != nil:
			writePacket(conn, client, query, response)
		}
	}
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

// relay has the forwarder answer a query and calls reply with the response, from one of the tasks.
func (s *Server) relay(ctx context.Context, tasks *sync.WaitGroup, query []byte, network string, reply func([]byte)) {
	select {
	case s.forwards <- struct{}{}:
	default:
		reply(serverFailure(query))
		return
	}
	tasks.Go(func() {
		defer func() { <-s.forwards }()
		response, err := s.forward(ctx, query, network)
		if err != nil {
			s.log.DebugContext(ctx, "dns: a question could not be forwarded", "error", err)
			response = serverFailure(query)
		}
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
// nil when ctx ends, or the error with which accepting failed; the listener and all connections are closed then, and
// nothing is left running.
func (s *Server) ServeStream(ctx context.Context, vpcID string, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var streams sync.WaitGroup
	defer streams.Wait()
	defer cancel()
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	room := make(chan struct{}, maxStreams)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return unlessDone(ctx, err)
		}
		select {
		case room <- struct{}{}:
			streams.Go(func() {
				defer func() { <-room }()
				s.serveStream(ctx, vpcID, conn)
			})
		default:
			conn.Close()
		}
	}
}

// serveStream answers the questions of one connection until the client has no more or does not behave.
func (s *Server) serveStream(ctx context.Context, vpcID string, conn net.Conn) {
	defer conn.Close()
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
		response, forward := s.Answer(frame, vpcID, query)
		switch {
		case forward:
			room <- struct{}{}
			s.relay(ctx, &forwards, bytes.Clone(query), "tcp", func(response []byte) {
				out.write(append(make([]byte, frameHeader), response...))
				<-room
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
