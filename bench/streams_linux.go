package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// message is what is sent through gRPC, with its prefix: not compressed, and its length.
func message() []byte {
	prefix := binary.BigEndian.AppendUint32([]byte{0}, messageLength)
	return append(prefix, bytes.Repeat([]byte("x"), messageLength)...)
}

// http2Opener returns what opens a connection that speaks HTTP/2.
func (u *loading) http2Opener() func() ([]asker, error) {
	r := u.request
	said := []hpack.HeaderField{
		{Name: ":method", Value: r.method}, {Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: r.host}, {Name: ":path", Value: r.path},
	}
	for _, field := range r.fields {
		said = append(said, hpack.HeaderField{Name: strings.ToLower(field[0]), Value: field[1]})
	}
	config := clientTLS(r.host, "h2", true)
	return func() ([]asker, error) {
		s, err := u.world.connect(u.from, u.to)
		if err != nil {
			return nil, err
		}
		u.sockets = append(u.sockets, s)
		c := &http2Client{framing: newFraming(s), loading: u, said: said, message: message(), next: 1}
		c.take = c.answer
		s.end = c
		if err := s.secureWith(config); err != nil {
			return nil, err
		}
		c.greet(http2.ClientPreface)
		var askers []asker
		for range u.streams {
			askers = append(askers, &http2Asker{connection: c})
		}
		return askers, nil
	}
}

// http2Client is a client's connection.
type http2Client struct {
	*framing
	loading *loading
	said    []hpack.HeaderField
	message []byte
	next    uint32 // the id of the next stream
}

// http2Asker has one request under way on a connection.
type http2Asker struct {
	connection *http2Client
	stream     *stream // that lasts, or under way
	due        time.Duration
	body       int // what has come of it
}

func (a *http2Asker) ask(due time.Duration) error {
	c, call := a.connection, a.connection.loading.call
	a.due, a.body = due, 0
	if a.stream == nil {
		a.stream = &stream{id: c.next, window: c.initial, client: a}
		c.streams[c.next] = a.stream
		c.next += 2
		var flags http2.Flags
		if call == callGet {
			flags = http2.FlagHeadersEndStream
		}
		c.putFields(a.stream, flags, c.said...)
	}
	switch call {
	case callUnary:
		c.putData(a.stream, http2.FlagDataEndStream, c.message)
	case callStreaming:
		c.putData(a.stream, 0, c.message)
	}
	return nil
}

// answer takes a part of an answer.
func (c *http2Client) answer(st *stream, f frame) error {
	a := st.client
	if f.kind == http2.FrameHeaders {
		if err := c.checkFields(st, f); err != nil {
			return err
		}
	} else {
		a.body += len(f.payload)
	}
	want, call := c.loading.body, c.loading.call
	if call.grpc() {
		want = len(c.message)
	}
	switch {
	case a.body > want:
		return errors.New("an answer is longer than it should be")
	case call == callStreaming && f.endsStream():
		return errors.New("the subject ends a call that should last")
	case call == callStreaming && a.body < want || call != callStreaming && !f.endsStream():
		return nil
	case a.body < want:
		return fmt.Errorf("an answer has %d bytes, not %d", a.body, want)
	}
	if call != callStreaming {
		delete(c.streams, st.id)
		a.stream = nil
	}
	return c.loading.answered(a, a.due)
}

// checkFields checks a head, and trailers.
func (c *http2Client) checkFields(st *stream, f frame) error {
	grpc := c.loading.call.grpc()
	switch {
	case !st.opened && c.seen.status != "200":
		return fmt.Errorf("the subject answers with status %q: %+v", c.seen.status, c.seen)
	case !st.opened && !grpc && c.seen.length != strconv.Itoa(c.loading.body):
		return fmt.Errorf("the subject answers with a length of %q", c.seen.length)
	case grpc && f.endsStream() && c.seen.grpcStatus != "0":
		return fmt.Errorf("a call ends with status %q", c.seen.grpcStatus)
	}
	st.opened = true
	return nil
}

func (c *http2Client) ended(err error) error {
	return fmt.Errorf("the subject ended a connection: %w", err)
}

// grpcTarget makes a target that speaks gRPC on HTTP/2 without TLS: it echoes messages.
func grpcTarget() func(*socket) end {
	return func(s *socket) end {
		c := &grpcServer{framing: newFraming(s), preface: http2.ClientPreface}
		c.take, c.begin = c.echo, func(id uint32) *stream { return &stream{id: id, window: c.initial} }
		c.greet("")
		return c
	}
}

// grpcServer is a target's side of a connection.
type grpcServer struct {
	*framing
	preface string // what is to come of it
}

func (c *grpcServer) receive(data []byte) error {
	if n := min(len(data), len(c.preface)); n > 0 {
		if string(data[:n]) != c.preface[:n] {
			return fmt.Errorf("the target is told %q, which does not begin HTTP/2", data)
		}
		data, c.preface = data[n:], c.preface[n:]
	}
	return c.framing.receive(data)
}

// echo answers with what has arrived.
func (c *grpcServer) echo(st *stream, f frame) error {
	if f.kind == http2.FrameHeaders && !st.opened {
		if c.seen.path != echoPath {
			return fmt.Errorf("the target is asked for %q", c.seen.path)
		}
		st.opened = true
		c.putFields(st, 0, hpack.HeaderField{Name: ":status", Value: "200"}, hpack.HeaderField{Name: "content-type", Value: "application/grpc"})
	}
	if f.kind == http2.FrameData && len(f.payload) > 0 {
		c.putData(st, 0, f.payload)
	}
	if f.endsStream() {
		c.putFields(st, http2.FlagHeadersEndStream, hpack.HeaderField{Name: "grpc-status", Value: "0"})
		delete(c.streams, st.id)
	}
	return nil
}

// ended ends the connection on this side too.
func (c *grpcServer) ended(error) error {
	c.socket.world.remove(c.socket)
	return nil
}
