package http2

import (
	"slices"
	"strconv"
	"time"

	"pergola/dataplane/http1"
)

// gatherBody is how much of a body is gathered before it is handed over, in bytes.
const gatherBody = 4 << 10

// Writer writes a message to the peer: the fields of a head, EndHead, the body, trailers, End. All that it is given is
// copied. What is written gathers until there is enough of it, until Flush, or until End; the head leaves with what comes
// first, and says that the message ends with it if it does.
//
// Like that of http1, a Writer trusts its caller with the syntax of what it is given.
type Writer struct {
	s        *Stream
	block    []byte // the head that was not handed over, after a byte for dropTable
	pseudo   int    // where its pseudo-header fields end
	pending  bool   // there is such a head
	request  bool
	interim  bool // the head is informational
	body     []byte
	trailers []byte // like block
	framing  http1.Framing
	left     int64 // bytes to come of a sized body
	sent     int64
	last     int64 // when something was handed over last
}

func (w *Writer) recycle() {
	*w = Writer{
		s: w.s, block: kept(w.block, keepBytes), body: kept(w.body, keepBytes), trailers: kept(w.trailers, keepBytes),
	}
}

// StartRequest begins a request.
func (w *Writer) StartRequest(method, target []byte) {
	s := w.s
	s.toHead = string(method) == "HEAD"
	w.request, w.pending = true, true
	w.block = append(w.block[:0], dropTable)
	w.block = appendMethod(w.block, method)
	w.block = appendScheme(w.block, s.c.cfg.Secure)
	w.block = appendPath(w.block, target)
	w.pseudo = len(w.block)
}

// StartResponse begins a response. HTTP/2 has no place for the reason.
func (w *Writer) StartResponse(status int, reason []byte) {
	w.interim, w.pending = status < 200, true
	w.block = append(w.block[:0], dropTable)
	w.block = appendStatus(w.block, status)
	w.pseudo = len(w.block)
}

// Copy writes a field as it was received, with its name in lower case. Fields about the connection are dropped.
func (w *Writer) Copy(f http1.Field) { writeField(w, f.Name, f.Value) }

// Field writes a field.
func (w *Writer) Field(name, value string) { writeField(w, name, value) }

// FieldBytes writes a field whose value is bytes.
func (w *Writer) FieldBytes(name string, value []byte) { writeField(w, name, value) }

// FieldInt writes a field whose value is a number.
func (w *Writer) FieldInt(name string, value int64) {
	var digits [20]byte
	writeField(w, name, strconv.AppendInt(digits[:0], value, 10))
}

// writeField writes a field; the host of a request becomes its authority.
func writeField[N, V string | []byte](w *Writer, name N, value V) {
	if !w.request || len(name) != len("host") || !equalFold(name, "host") {
		w.block = appendField(w.block, name, value)
		return
	}
	end := len(w.block)
	w.block = appendIndexed(w.block, indexAuthority, value)
	if n := len(w.block) - end; end > w.pseudo { // it goes before the fields that are there already
		w.block = slices.Insert(w.block, w.pseudo, w.block[end:]...)[:end+n]
	}
	w.pseudo += len(w.block) - end
}

func equalFold[T string | []byte](text T, lower string) bool {
	for i := range len(text) {
		if text[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// EndHead states the framing of the body and ends the head. The end of a body needs no framing here: Chunked and UntilClose
// say that its length is not known, and a length is announced unless it is 0.
func (w *Writer) EndHead(framing http1.Framing) {
	if framing > 0 {
		w.FieldInt("content-length", int64(framing))
	}
	w.framing, w.left = framing, max(0, int64(framing))
	w.trailers = w.trailers[:0]
}

// bodiless reports whether the head says that no body follows.
func (w *Writer) bodiless() bool { return w.framing == http1.Bodiless || w.framing == 0 }

// Write writes a piece of the body. It waits while the peer has no room for it.
func (w *Writer) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if w.bodiless() || w.framing > 0 && int64(len(p)) > w.left {
		return 0, http1.ErrWrongLength
	}
	w.left -= int64(len(p))
	if len(w.body)+len(p) < gatherBody {
		w.body = append(w.body, p...)
		return len(p), nil
	}
	return len(p), w.push(p, gather)
}

// Trailer writes a trailer field after the body.
func (w *Writer) Trailer(f http1.Field) {
	if len(w.trailers) == 0 {
		w.trailers = append(w.trailers, dropTable)
	}
	w.trailers = appendField(w.trailers, f.Name, f.Value)
}

// Flush sends what is pending.
func (w *Writer) Flush() error { return w.push(nil, flush) }

// End ends the message and sends what is pending; an informational response is followed by another. It returns
// http1.ErrWrongLength if the body was shorter than announced.
func (w *Writer) End() error {
	switch {
	case w.framing > 0 && w.left > 0:
		return http1.ErrWrongLength
	case w.interim:
		return w.Flush()
	}
	return w.push(nil, finish)
}

// pushing says how far what is handed over has to go.
type pushing uint8

const (
	gather pushing = iota // to the connection's output, to be written when there is enough
	flush                 // to the connection
	finish                // to the connection, and the message ends
)

// push hands over what has gathered, and p.
func (w *Writer) push(p []byte, how pushing) error {
	s, c := w.s, w.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	w.last = c.now()
	s.active = w.last
	s.late = false
	switch {
	case (s.out.ended || s.hasTail()) && len(p) > 0:
		return ErrClosed
	case s.out.ended || s.hasTail():
		c.flush()
		return nil
	}
	if err := w.frames(p, how == finish); err != nil {
		return err
	}
	if how != gather || c.out.pending() >= maxGather {
		c.flush()
	}
	// What was written to its end is not undone if the connection has ended since: in order, or after the answer that says
	// what became of the request.
	if s.out.ended && (c.err == errLeft || !c.server && s.in.headed) {
		return nil
	}
	return s.writeError()
}

// frames makes frames of what has gathered and of p. The message does not end in order in answer to one that was
// malformed: the stream is reset behind it (RFC 9113 §8.1.1). A message that was to have a body, and had none in the end,
// ends with DATA nevertheless: gRPC asks for that in requests ("gRPC over HTTP2", Requests), and its servers wait for it.
// mu is held, though not while waiting.
func (w *Writer) frames(p []byte, end bool) error {
	s, c := w.s, w.s.c
	end = end && !s.malformed
	trailers := end && len(w.trailers) > 1
	if w.pending {
		last := !w.interim && !s.malformed && !trailers && w.bodiless()
		if err := c.sendHead(s, w.block, last); err != nil {
			return err
		}
		w.pending = false
	}
	if len(w.body) > 0 {
		err := c.sendData(s, w.body, end && !trailers && len(p) == 0)
		w.body = w.body[:0]
		if err != nil {
			return err
		}
	}
	if len(p) > 0 {
		if err := c.sendData(s, p, end && !trailers); err != nil {
			return err
		}
	}
	switch {
	case s.out.ended || s.hasTail() || !end:
	case trailers:
		return c.sendHead(s, w.trailers, true)
	default:
		return c.sendData(s, nil, true)
	}
	return s.writeError()
}

// Sent is the number of bytes of the stream's frames so far.
func (w *Writer) Sent() int64 { return w.sent }

// LastWrite is when the last piece was handed over to be written.
func (w *Writer) LastWrite() time.Time { return w.s.c.born.Add(time.Duration(w.last)) }
