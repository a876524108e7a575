package http1

import (
	"strconv"
	"time"
)

// Writer writes messages to a connection: the lines of a head, EndHead, the body, End. What is written gathers in a
// buffer that is sent when it is full, at End, and at Flush; the first bytes of a body thus leave with the head.
//
// A Writer trusts its caller with the syntax of what it is given: parsed fields, and texts known to be clean.
type Writer struct {
	s    *stream
	blk  *block // nil while nothing is pending
	buf  []byte // what is pending, in blk
	sent int64
	last time.Duration // how old the connection was at the last write
	err  error         // the first that a write returned, and all later ones return

	framing  Framing
	left     int64 // bytes to come of a sized body
	open     bool  // a message was begun and not ended
	trailing bool  // the last chunk has been written
}

// StartRequest begins a request.
func (w *Writer) StartRequest(method, target []byte) {
	w.open = true
	w.reserve(len(method) + len(target) + len("  HTTP/1.1\r\n"))
	w.buf = append(w.buf, method...)
	w.buf = append(w.buf, ' ')
	w.buf = append(w.buf, target...)
	w.buf = append(w.buf, " HTTP/1.1\r\n"...)
}

// StartResponse begins a response. The version is HTTP/1.1 also towards HTTP/1.0 clients (RFC 9110 §2.5).
func (w *Writer) StartResponse(status int, reason []byte) {
	w.open = true
	w.reserve(len("HTTP/1.1 200 \r\n") + len(reason))
	w.buf = append(w.buf, "HTTP/1.1 "...)
	w.buf = strconv.AppendInt(w.buf, int64(status), 10)
	w.buf = append(w.buf, ' ')
	w.buf = append(w.buf, reason...)
	w.buf = append(w.buf, "\r\n"...)
}

// Copy writes a field as it was received.
func (w *Writer) Copy(f Field) { appendField(w, f.Name, f.Value) }

// Field writes a field.
func (w *Writer) Field(name, value string) { appendField(w, name, value) }

// FieldBytes writes a field whose value is bytes.
func (w *Writer) FieldBytes(name string, value []byte) { appendField(w, name, value) }

func appendField[N, V string | []byte](w *Writer, name N, value V) {
	w.reserve(len(name) + len(value) + 4)
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, ": "...)
	w.buf = append(w.buf, value...)
	w.buf = append(w.buf, "\r\n"...)
}

// FieldInt writes a field whose value is a number.
func (w *Writer) FieldInt(name string, value int64) {
	var digits [20]byte
	appendField(w, name, strconv.AppendInt(digits[:0], value, 10))
}

// EndHead states the framing of the body and ends the head.
func (w *Writer) EndHead(framing Framing) {
	switch {
	case framing == Chunked:
		w.Field("transfer-encoding", "chunked")
	case framing >= 0:
		w.FieldInt("content-length", int64(framing))
	}
	w.reserve(2)
	w.buf = append(w.buf, "\r\n"...)
	w.framing, w.left, w.trailing = framing, max(0, int64(framing)), false
}

// Write writes a piece of the body, framed as EndHead announced. Short pieces gather until they are a small buffer's
// worth; a long piece of an unchunked body goes out from where it lies.
func (w *Writer) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	switch {
	case w.framing == Bodiless, w.framing >= 0 && int64(len(p)) > w.left:
		return 0, ErrWrongLength
	case w.framing == Chunked:
		return len(p), w.writeChunks(p)
	}
	w.left -= int64(len(p))
	if len(w.buf)+len(p) < smallBlock {
		w.reserve(len(p))
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	// A head that waits goes out together with the first piece of the body: a copy of that size is cheaper than a write.
	if len(w.buf) > 0 && len(p) <= mediumBlock && w.grow(len(p)) {
		w.buf = append(w.buf, p...)
		return len(p), w.Flush()
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	return len(p), w.send(p)
}

// chunkFrame is what a chunk takes beside its data at most, in bytes.
const chunkFrame = 20

// writeChunks copies p into frames. Sending the three parts of a frame from where they lie would spare the copy, but not
// on TLS, where each would become a record, and the copy is small beside the write.
func (w *Writer) writeChunks(p []byte) error {
	for len(p) > 0 {
		piece := p[:min(len(p), largeBlock/2)]
		if !w.grow(len(piece) + chunkFrame) { // then by small pieces
			if err := w.Flush(); err != nil {
				return err
			}
			piece = p[:min(len(p), smallBlock-chunkFrame)]
			w.reserve(len(piece) + chunkFrame)
		}
		p = p[len(piece):]
		w.buf = strconv.AppendInt(w.buf, int64(len(piece)), 16)
		w.buf = append(w.buf, "\r\n"...)
		w.buf = append(w.buf, piece...)
		w.buf = append(w.buf, "\r\n"...)
		if len(w.buf) >= smallBlock {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Trailer writes a trailer field after the body. It is dropped unless the body is chunked, which alone has a place for
// it.
func (w *Writer) Trailer(f Field) {
	if w.framing != Chunked {
		return
	}
	w.lastChunk()
	w.Copy(f)
}

func (w *Writer) lastChunk() {
	if !w.trailing {
		w.trailing = true
		w.reserve(3)
		w.buf = append(w.buf, "0\r\n"...)
	}
}

// End ends the message and sends what is pending. It returns ErrWrongLength if the body was shorter than announced.
func (w *Writer) End() error {
	if err := w.seal(); err != nil {
		return err
	}
	return w.Flush()
}

// seal ends the message without sending it.
func (w *Writer) seal() error {
	switch {
	case w.framing == Chunked:
		w.lastChunk()
		w.reserve(2)
		w.buf = append(w.buf, "\r\n"...)
	case w.left > 0:
		return ErrWrongLength
	}
	w.open = false
	return nil
}

// Flush sends what is pending.
func (w *Writer) Flush() error {
	if len(w.buf) == 0 {
		return w.err
	}
	err := w.send(w.buf)
	w.drop()
	return err
}

// Sent is the number of bytes written to the connection since it was made.
func (w *Writer) Sent() int64 { return w.sent }

// LastWrite is when the last piece was written to the connection.
func (w *Writer) LastWrite() time.Time { return w.s.born.Add(w.last) }

func (w *Writer) done() bool { return !w.open }

func (w *Writer) send(p []byte) error {
	if w.err != nil {
		return w.err
	}
	w.last = w.s.touch(true)
	n, err := w.s.conn.Write(p)
	w.sent += int64(n)
	w.err = err
	return err
}

// reserve makes room for n more bytes, those of a head, which has been counted where it was read, or few.
func (w *Writer) reserve(n int) {
	if len(w.buf)+n > cap(w.buf) {
		w.move(w.s.cfg.Memory.get(len(w.buf) + n))
	}
}

// grow makes room for n more bytes, and reports whether they may be held.
func (w *Writer) grow(n int) bool {
	if len(w.buf)+n <= cap(w.buf) {
		return true
	}
	blk := w.s.get(len(w.buf)+n, 1)
	if blk != nil {
		w.move(blk)
	}
	return blk != nil
}

// move takes what is pending to another block.
func (w *Writer) move(blk *block) {
	buf := append(blk.data[:0], w.buf...)
	w.drop()
	w.blk, w.buf = blk, buf
}

// drop gives back the buffer and what is pending in it.
func (w *Writer) drop() {
	if w.blk != nil {
		w.s.cfg.Memory.put(w.blk)
	}
	w.blk, w.buf = nil, nil
}
