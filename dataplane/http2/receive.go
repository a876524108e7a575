package http2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"pergola/dataplane/http1"
)

// take takes one frame. Its errors end the connection. mu is held.
func (c *conn) take(f *frame) error {
	switch {
	case c.head.open && (f.kind != kindContinuation || f.stream != c.head.stream):
		return connError(ProtocolError, "a header block was interrupted")
	case !c.peer.seen && (f.kind != kindSettings || f.has(flagAck)):
		return connError(ProtocolError, "the first frame is not SETTINGS")
	}
	switch f.kind {
	case kindData:
		return c.takeData(f)
	case kindHeaders:
		return c.takeHeaders(f)
	case kindPriority:
		return c.takePriority(f)
	case kindReset:
		return c.takeReset(f)
	case kindSettings:
		return c.takeSettings(f)
	case kindPush:
		return connError(ProtocolError, "PUSH_PROMISE although push is disabled")
	case kindPing:
		return c.takePing(f)
	case kindGoAway:
		return c.takeGoAway(f)
	case kindWindow:
		return c.takeWindow(f)
	case kindContinuation:
		return c.takeContinuation(f)
	}
	return c.charge(costFrame) // unknown kinds are ignored (RFC 9113 §4.1)
}

// unopened reports whether a stream has never been, in any way: the streams of both sides are those that the client opens,
// with odd numbers.
func (c *conn) unopened(id uint32) bool { return id%2 == 0 || id > c.last }

// takeData takes a piece of a body (RFC 9113 §6.1). All of the frame counts against the windows.
func (c *conn) takeData(f *frame) error {
	size := int64(len(f.payload))
	data, err := f.unpad()
	switch {
	case f.stream == 0:
		return connError(ProtocolError, "DATA on stream 0")
	case err != nil:
		return err
	case c.unopened(f.stream):
		return connError(ProtocolError, "DATA on a stream that is not open")
	case size > c.flow.receive:
		return connError(FlowControlError, "more data than the connection's window")
	}
	c.flow.receive -= size
	s := c.streams[f.stream]
	if s == nil {
		c.giveBack(size)
		if _, byUs := c.closed.find(f.stream); byUs {
			return nil // it was on its way
		}
		c.appendReset(f.stream, StreamClosed)
		return c.charge(costReset)
	}
	c.giveBack(size - int64(len(data)))
	if err := s.in.mayTake(size, int64(len(data))); err != nil {
		c.giveBack(int64(len(data)))
		return c.breach(s, err.code, err.err)
	}
	s.in.window -= size
	s.in.got += int64(len(data))
	switch {
	case len(data) == 0:
	case s.done: // nobody reads it any more
		c.giveBack(int64(len(data)))
	case !s.keepData(data):
		c.giveBack(int64(len(data)))
		return c.breach(s, EnhanceYourCalm, errHeld)
	default:
		c.earn(earnInput)
	}
	c.giveBackOn(s, size-int64(len(data)))
	s.active = c.heard
	c.wake(s)
	if f.has(flagEndStream) {
		return c.takeEnd(s)
	}
	if len(data) == 0 {
		return c.charge(costEmpty)
	}
	return nil
}

// streamError is what ends one stream because of what the peer did on it.
type streamError struct {
	code Code
	err  error
}

func (e *streamError) Error() string { return fmt.Sprintf("http2: %v: %v", e.code, e.err) }
func (e *streamError) Unwrap() error { return e.err }

// mayTake reports what speaks against a piece of the body, of so many bytes with its padding and without.
func (in *inbound) mayTake(size, data int64) *streamError {
	switch {
	case in.ended:
		return &streamError{StreamClosed, errEnded}
	case size > in.window:
		return &streamError{FlowControlError, errWindow}
	case !in.headed:
		return &streamError{ProtocolError, ErrNoHead}
	case in.length >= 0 && in.got+data > in.length:
		return &streamError{ProtocolError, ErrLength}
	}
	return nil
}

// What a peer can do wrong on a stream, beside malformed messages.
var (
	errEnded    = errors.New("the stream goes on after its end")
	errWindow   = errors.New("more data than the window, or a window that is too large")
	errNoWindow = errors.New("a window opened by nothing")
	errPriority = errors.New("a wrong priority")
)

// breach resets a stream on which the peer broke a rule, and charges for it.
func (c *conn) breach(s *Stream, code Code, err error) error {
	c.reset(s, code, &streamError{code, err})
	return c.charge(costReset)
}

// takeEnd takes the end of the peer's half of a stream.
func (c *conn) takeEnd(s *Stream) error {
	if s.in.length >= 0 && s.in.got != s.in.length {
		return c.breach(s, ProtocolError, ErrLength)
	}
	s.in.ended = true
	c.flow.bringing--
	c.settle(s)
	c.wake(s)
	return nil
}

// takePriority checks the frame and does nothing more: RFC 9113 §5.3.2 has given up the scheme.
func (c *conn) takePriority(f *frame) error {
	switch {
	case f.stream == 0:
		return connError(ProtocolError, "PRIORITY on stream 0")
	case len(f.payload) != 5:
		return c.breachPriority(f.stream, FrameSizeError)
	case binary.BigEndian.Uint32(f.payload)&maxID == f.stream:
		return c.breachPriority(f.stream, ProtocolError)
	}
	return c.charge(costFrame)
}

// breachPriority resets a stream that may be in any state.
func (c *conn) breachPriority(id uint32, code Code) error {
	if s := c.streams[id]; s != nil {
		return c.breach(s, code, errPriority)
	}
	c.appendReset(id, code)
	return c.charge(costReset)
}

// takeReset takes RST_STREAM (RFC 9113 §6.4).
func (c *conn) takeReset(f *frame) error {
	switch {
	case f.stream == 0 || c.unopened(f.stream):
		return connError(ProtocolError, "RST_STREAM on a stream that is not open")
	case len(f.payload) != 4:
		return connError(FrameSizeError, "RST_STREAM is not 4 bytes long")
	}
	if s := c.streams[f.stream]; s != nil {
		c.kill(s, &ResetError{Code(binary.BigEndian.Uint32(f.payload))})
	}
	if !c.server {
		return c.charge(costFrame)
	}
	return c.charge(costReset)
}

// takeSettings takes SETTINGS (RFC 9113 §6.5).
func (c *conn) takeSettings(f *frame) error {
	switch {
	case f.stream != 0:
		return connError(ProtocolError, "SETTINGS on a stream")
	case f.has(flagAck) && len(f.payload) > 0:
		return connError(FrameSizeError, "an acknowledgement of SETTINGS with content")
	case f.has(flagAck):
		return c.charge(costFrame)
	case len(f.payload)%6 != 0:
		return connError(FrameSizeError, "SETTINGS is not a multiple of 6 bytes long")
	}
	c.peer.seen = true
	for p := f.payload; len(p) > 0; p = p[6:] {
		if err := c.takeSetting(setting{binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])}); err != nil {
			return err
		}
	}
	c.out.reserve(c, frameHeader)
	c.out.blk.data = appendFrameHeader(c.out.blk.data, kindSettings, flagAck, frameSize{})
	c.wakeBlocked()
	return c.charge(costSettings + len(f.payload)/6)
}

func (c *conn) takeSetting(s setting) error {
	switch s.id {
	case settingPush:
		if s.value > 1 || s.value == 1 && !c.server {
			return connError(ProtocolError, "a wrong value of SETTINGS_ENABLE_PUSH")
		}
	case settingMaxStreams:
		c.peer.maxStreams = s.value
	case settingInitialWindow:
		if s.value > maxWindow {
			return connError(FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE is too large")
		}
		more := int64(s.value) - c.peer.window
		c.peer.window = int64(s.value)
		for _, stream := range c.streams {
			if stream.out.window += more; stream.out.window > maxWindow {
				return connError(FlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE makes a window too large")
			}
			stream.writable.signal()
		}
	case settingMaxFrame:
		if s.value < maxFrame || s.value >= 1<<24 {
			return connError(ProtocolError, "a wrong value of SETTINGS_MAX_FRAME_SIZE")
		}
	}
	return nil
}

// takePing answers PING (RFC 9113 §6.7).
func (c *conn) takePing(f *frame) error {
	switch {
	case f.stream != 0:
		return connError(ProtocolError, "PING on a stream")
	case len(f.payload) != 8:
		return connError(FrameSizeError, "PING is not 8 bytes long")
	case f.has(flagAck):
		if c.leaving.stage == warned && bytes.Equal(f.payload, leavingPing[:]) {
			c.leaveNow()
		}
		return c.charge(costFrame)
	}
	c.out.reserve(c, frameHeader+8)
	c.out.blk.data = appendPing(c.out.blk.data, flagAck, f.payload)
	return c.charge(costPing)
}

// takeGoAway takes GOAWAY (RFC 9113 §6.8): what the peer does not look at may be sent again elsewhere.
func (c *conn) takeGoAway(f *frame) error {
	switch {
	case f.stream != 0:
		return connError(ProtocolError, "GOAWAY on a stream")
	case len(f.payload) < 8:
		return connError(FrameSizeError, "GOAWAY is too short")
	}
	last, code := binary.BigEndian.Uint32(f.payload)&maxID, Code(binary.BigEndian.Uint32(f.payload[4:]))
	l := &c.leaving
	if last > l.peerLast {
		return connError(ProtocolError, "GOAWAY takes back what the one before said")
	}
	l.peerGone, l.peerLast = true, last
	if !c.server {
		for id, s := range c.streams {
			if id > last {
				c.kill(s, &staleError{connError(code, "GOAWAY")})
			}
		}
		c.wakeBlocked()
		if len(c.streams) == 0 {
			c.emptied()
		}
	}
	return c.charge(costPing)
}

// takeWindow takes WINDOW_UPDATE (RFC 9113 §6.9).
func (c *conn) takeWindow(f *frame) error {
	switch {
	case len(f.payload) != 4:
		return connError(FrameSizeError, "WINDOW_UPDATE is not 4 bytes long")
	case f.stream != 0 && c.unopened(f.stream):
		return connError(ProtocolError, "WINDOW_UPDATE on a stream that is not open")
	}
	n := int64(binary.BigEndian.Uint32(f.payload) & maxWindow)
	if f.stream == 0 {
		switch c.flow.send += n; {
		case n == 0:
			return connError(ProtocolError, "WINDOW_UPDATE by nothing")
		case c.flow.send > maxWindow:
			return connError(FlowControlError, "the connection's window is too large")
		}
		c.wakeBlocked()
		return c.charge(costFrame)
	}
	s := c.streams[f.stream]
	if s == nil {
		return c.charge(costFrame)
	}
	switch s.out.window += n; {
	case n == 0:
		return c.breach(s, ProtocolError, errNoWindow)
	case s.out.window > maxWindow:
		return c.breach(s, FlowControlError, errWindow)
	}
	s.writable.signal()
	c.sendTails()
	return c.charge(costFrame)
}

// refuse reports whether no further stream is taken.
func (c *conn) refuse() bool {
	return len(c.streams) >= int(c.cfg.MaxStreams) || c.running >= 2*int(c.cfg.MaxStreams)
}

// takeHeaders takes the start of a head or of trailers (RFC 9113 §6.2).
func (c *conn) takeHeaders(f *frame) error {
	block, self, err := f.block()
	switch {
	case f.stream == 0:
		return connError(ProtocolError, "HEADERS on stream 0")
	case err != nil:
		return err
	}
	s := c.streams[f.stream]
	switch {
	case s != nil:
	case c.server && f.stream > c.last:
		if s, err = c.accept(f.stream, self); err != nil {
			return err
		}
	case c.unopened(f.stream):
		return connError(ProtocolError, "HEADERS on a stream that is not open")
	default:
		if err := c.onClosed(f.stream); err != nil {
			return err
		}
	}
	switch {
	case s == nil:
	case self:
		err, s = c.breach(s, ProtocolError, errPriority), nil
	case s.in.ended:
		err, s = c.breach(s, StreamClosed, errEnded), nil
	}
	if err != nil {
		return err
	}
	return c.beginBlock(s, f, block)
}

// onClosed is for HEADERS on a stream that was closed.
func (c *conn) onClosed(id uint32) error {
	known, byUs := c.closed.find(id)
	switch {
	case byUs || !c.server:
		return c.charge(costFrame) // it was on its way
	case known:
		return connError(StreamClosed, "HEADERS on a stream that is closed")
	}
	return connError(ProtocolError, "streams are not opened in the order of their numbers")
}

// accept takes a new stream of a client; nil without an error means that its head is to be decoded and dropped.
func (c *conn) accept(id uint32, self bool) (*Stream, error) {
	switch {
	case id%2 == 0:
		return nil, connError(ProtocolError, "a client's stream has an even number")
	case id > c.leaving.last:
		return nil, nil // it knows that by GOAWAY
	}
	c.last = id
	if self || c.refuse() {
		code := RefusedStream
		if self {
			code = ProtocolError
		}
		c.appendReset(id, code)
		c.closed.add(id, true)
		return nil, c.charge(costRefused)
	}
	s := newStream(c)
	s.id = id
	c.add(s)
	if !s.take(streamCost) {
		return nil, c.refuseHeld(s)
	}
	return s, nil
}

// refuseHeld refuses a stream whose head may not be held: a Server did nothing with it yet, unless it was trailers.
func (c *conn) refuseHeld(s *Stream) error {
	if !c.server || s.in.headed {
		return c.breach(s, EnhanceYourCalm, errHeld)
	}
	c.reset(s, RefusedStream, errHeld)
	s.drop(s.held)
	s.recycle()
	return c.charge(costRefused)
}

// takeHead takes a head that is complete, or trailers. mu is held.
func (c *conn) takeHead(s *Stream, h head) error {
	in := &s.in
	fields := in.fields[h.from:h.to]
	s.active = c.heard
	switch {
	case in.headed:
		return c.takeTrailers(s, fields, h)
	case !c.server && h.err == nil && informational(fields):
		return c.takeInformational(s, h)
	}
	in.headed = true
	in.length = s.bodyLength(fields)
	if h.end && in.length > 0 {
		in.length = -1
		if h.err == nil {
			h.err = ErrLength
		}
	}
	in.heads = append(in.heads, h)
	if c.server {
		s.fresh = true
		c.running++
	}
	c.wake(s)
	if h.end {
		return c.takeEnd(s)
	}
	return nil
}

func (c *conn) takeTrailers(s *Stream, fields []http1.Field, h head) (err error) {
	if !h.end {
		return c.breach(s, ProtocolError, ErrTrailers)
	}
	if err = h.err; err == nil {
		s.in.trailers, err = trailers(fields)
	}
	if err != nil {
		return c.breach(s, ProtocolError, err)
	}
	return c.takeEnd(s)
}

func (c *conn) takeInformational(s *Stream, h head) error {
	s.in.heads = append(s.in.heads, h)
	switch {
	case h.end:
		return c.breach(s, ProtocolError, ErrEndsTooEarly)
	case len(s.in.heads) > maxInformational:
		return c.breach(s, ProtocolError, ErrManyHeads)
	}
	c.wake(s)
	return c.charge(costFrame)
}

// bodyLength is how long the body that comes after a head with these fields has to be; -1 if that is not known.
func (s *Stream) bodyLength(fields []http1.Field) int64 {
	if !s.c.server {
		if status := statusOf(fields); s.toHead || status == "204" || status == "304" {
			return 0
		}
	}
	for i := range fields {
		if string(fields[i].Name) == "content-length" {
			return parseLength(fields[i].Value)
		}
	}
	return -1
}

// parseLength reads a length; what is none is left to http1 to refuse.
func parseLength(b []byte) int64 {
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' || n > maxLength {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

const maxLength = (1<<63 - 1 - 9) / 10
