package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	frameHead = 9 // bytes before the payload of a frame
	// flowWindow is how much the world lets a subject send ahead, on a stream and on a connection.
	flowWindow = 4 << 20
	// defaultWindow is what either side may send before the other has said anything (RFC 9113 §6.9.2).
	defaultWindow = 65535
	// maxPayload is the payload of a frame that every receiver takes (RFC 9113 §4.2).
	maxPayload = 16 << 10
)

// framing is one side of a connection of HTTP/2, for a client and a target alike: what they do with streams is their
// own. It understands what a good peer sends, and takes all else for an error.
type framing struct {
	socket  *socket
	streams map[uint32]*stream
	take    func(st *stream, f frame) error // takes HEADERS, decoded into seen, and DATA
	begin   func(id uint32) *stream         // begins a stream of the peer's; nil if the peer may not

	partial []byte // the part of a frame that has arrived
	out     []byte // what is to be sent at the end of the turn
	marked  bool   // out is to be flushed

	encoder *hpack.Encoder
	encoded bytes.Buffer
	decoder *hpack.Decoder
	seen    fields

	window   int // what may be sent on the connection
	initial  int // what may be sent on a new stream
	received int // since the connection's window was opened last
	waiting  []held
}

// stream is a stream, on either side.
type stream struct {
	id       uint32
	window   int // what may be sent
	received int // since the window was opened last
	opened   bool
	client   *http2Asker // on a client's side
}

// held is a frame that waits for its window, or for the frame before it.
type held struct {
	stream  *stream
	kind    http2.FrameType
	flags   http2.Flags
	payload []byte
}

// frame is a frame of a stream.
type frame struct {
	kind    http2.FrameType
	flags   http2.Flags
	payload []byte
}

func (f frame) endsStream() bool {
	return f.flags.Has(http2.FlagDataEndStream) // the same bit in HEADERS
}

// fields are those header fields that somebody looks at.
type fields struct{ path, status, length, grpcStatus string }

func (f *fields) emit(field hpack.HeaderField) {
	switch field.Name {
	case ":path":
		f.path = field.Value
	case ":status":
		f.status = field.Value
	case "content-length":
		f.length = field.Value
	case "grpc-status":
		f.grpcStatus = field.Value
	}
}

func newFraming(s *socket) *framing {
	f := &framing{socket: s, streams: map[uint32]*stream{}, window: defaultWindow, initial: defaultWindow}
	f.encoder = hpack.NewEncoder(&f.encoded)
	f.decoder = hpack.NewDecoder(4096, f.seen.emit)
	return f
}

// greet sends what each side says first.
func (f *framing) greet(preface string) {
	f.out = append(f.out, preface...)
	settings := binary.BigEndian.AppendUint16(nil, uint16(http2.SettingInitialWindowSize))
	settings = binary.BigEndian.AppendUint32(settings, flowWindow)
	if preface != "" {
		settings = binary.BigEndian.AppendUint16(settings, uint16(http2.SettingEnablePush))
		settings = binary.BigEndian.AppendUint32(settings, 0)
	}
	f.put(http2.FrameSettings, 0, 0, settings)
	f.openWindow(0, flowWindow-defaultWindow)
}

func (f *framing) openWindow(id uint32, by int) {
	f.put(http2.FrameWindowUpdate, 0, id, binary.BigEndian.AppendUint32(nil, uint32(by)))
}

// put appends a frame to what will be sent.
func (f *framing) put(kind http2.FrameType, flags http2.Flags, id uint32, payload []byte) {
	if !f.marked {
		f.marked = true
		f.socket.world.unsent = append(f.socket.world.unsent, f)
	}
	n := len(payload)
	f.out = append(f.out, byte(n>>16), byte(n>>8), byte(n), byte(kind), byte(flags))
	f.out = binary.BigEndian.AppendUint32(f.out, id)
	f.out = append(f.out, payload...)
}

// putFields appends HEADERS.
func (f *framing) putFields(st *stream, flags http2.Flags, fields ...hpack.HeaderField) {
	f.encoded.Reset()
	for _, field := range fields {
		_ = f.encoder.WriteField(field) // into memory
	}
	f.queue(held{st, http2.FrameHeaders, flags | http2.FlagHeadersEndHeaders, f.encoded.Bytes()})
}

// putData appends DATA, as soon as the windows allow it.
func (f *framing) putData(st *stream, flags http2.Flags, data []byte) {
	f.queue(held{st, http2.FrameData, flags, data})
}

func (f *framing) queue(h held) {
	if len(f.waiting) == 0 && f.fits(h) {
		f.put(h.kind, h.flags, h.stream.id, h.payload)
		return
	}
	h.payload = bytes.Clone(h.payload)
	f.waiting = append(f.waiting, h)
}

// fits takes what a frame needs of the windows, if they have it.
func (f *framing) fits(h held) bool {
	if h.kind != http2.FrameData {
		return true
	}
	if n := len(h.payload); n <= f.window && n <= h.stream.window {
		f.window -= n
		h.stream.window -= n
		return true
	}
	return false
}

// release sends what has waited for a window.
func (f *framing) release() {
	for len(f.waiting) > 0 && f.fits(f.waiting[0]) {
		h := f.waiting[0]
		f.waiting = f.waiting[1:]
		f.put(h.kind, h.flags, h.stream.id, h.payload)
	}
}

// flush sends what has gathered.
func (f *framing) flush() error {
	f.marked = false
	if f.socket.world.sockets[f.socket.fd] != f.socket {
		return nil // closed
	}
	if len(f.out) == 0 {
		return nil
	}
	out := f.out
	f.out = f.out[:0]
	if len(f.socket.unsent) > 0 {
		f.out = nil
		f.socket.unsent = append(f.socket.unsent[:len(f.socket.unsent):len(f.socket.unsent)], out...)
		return nil
	}
	err := f.socket.send(out)
	if len(f.socket.unsent) > 0 {
		f.out = nil // it belongs to the socket now
	}
	return err
}

// receive takes frames.
func (f *framing) receive(data []byte) error {
	if len(f.partial) > 0 {
		data = append(f.partial, data...)
	}
	for len(data) >= frameHead {
		length := int(data[0])<<16 | int(data[1])<<8 | int(data[2])
		if length > maxPayload {
			return fmt.Errorf("a frame of %d bytes is longer than it may be", length)
		}
		if len(data) < frameHead+length {
			break
		}
		id := binary.BigEndian.Uint32(data[5:]) & (1<<31 - 1)
		err := f.frame(id, frame{http2.FrameType(data[3]), http2.Flags(data[4]), data[frameHead : frameHead+length]})
		if err != nil {
			return err
		}
		data = data[frameHead+length:]
	}
	f.partial = append(f.partial[:0], data...)
	return nil
}

// frame handles a frame.
func (f *framing) frame(id uint32, fr frame) error {
	switch fr.kind {
	case http2.FrameHeaders, http2.FrameData:
		return f.ofStream(id, fr)
	case http2.FrameWindowUpdate:
		return f.windowUpdate(id, fr.payload)
	case http2.FrameSettings:
		if fr.flags.Has(http2.FlagSettingsAck) {
			return nil
		}
		f.put(http2.FrameSettings, http2.FlagSettingsAck, 0, nil)
		return f.settings(fr.payload)
	case http2.FramePing:
		if !fr.flags.Has(http2.FlagPingAck) {
			f.put(http2.FramePing, http2.FlagPingAck, 0, fr.payload)
		}
		return nil
	case http2.FrameRSTStream:
		if f.begin != nil {
			delete(f.streams, id) // the client has lost interest
			return nil
		}
		return fmt.Errorf("stream %d is reset with %x", id, fr.payload)
	case http2.FrameGoAway:
		return fmt.Errorf("the connection goes away: %q", fr.payload)
	case http2.FrameContinuation, http2.FramePushPromise:
		return fmt.Errorf("a frame of kind %v is not expected", fr.kind)
	}
	return nil // PRIORITY, and what is unknown
}

// ofStream handles HEADERS and DATA.
func (f *framing) ofStream(id uint32, fr frame) error {
	st := f.streams[id]
	if fr.kind == http2.FrameHeaders {
		if err := f.decode(&fr); err != nil {
			return err
		}
		if st == nil && f.begin != nil {
			st = f.begin(id)
			f.streams[id] = st
		}
	} else if err := f.count(st, &fr); err != nil {
		return err
	}
	if st == nil {
		if f.begin != nil {
			return nil // of a stream that was reset
		}
		return fmt.Errorf("a frame is for stream %d, which is not open", id)
	}
	return f.take(st, fr)
}

// decode decodes HEADERS into seen.
func (f *framing) decode(fr *frame) error {
	if !fr.flags.Has(http2.FlagHeadersEndHeaders) {
		return errors.New("header fields in several frames are not expected")
	}
	block, err := unpadded(fr)
	if err != nil {
		return err
	}
	if fr.flags.Has(http2.FlagHeadersPriority) {
		if len(block) < 5 {
			return errors.New("a priority is too short")
		}
		block = block[5:]
	}
	f.seen = fields{}
	_, err = f.decoder.Write(block)
	return errors.Join(err, f.decoder.Close())
}

// unpadded is a frame's payload without padding.
func unpadded(fr *frame) ([]byte, error) {
	if !fr.flags.Has(http2.FlagDataPadded) {
		return fr.payload, nil
	}
	if len(fr.payload) == 0 || int(fr.payload[0]) >= len(fr.payload) {
		return nil, errors.New("padding is longer than its frame")
	}
	return fr.payload[1 : len(fr.payload)-int(fr.payload[0])], nil
}

// count opens the windows again from which a DATA frame has taken, and removes its padding.
func (f *framing) count(st *stream, fr *frame) (err error) {
	n := len(fr.payload)
	if f.received += n; f.received > flowWindow/2 {
		f.openWindow(0, f.received)
		f.received = 0
	}
	if st != nil && !fr.endsStream() {
		if st.received += n; st.received > flowWindow/2 {
			f.openWindow(st.id, st.received)
			st.received = 0
		}
	}
	fr.payload, err = unpadded(fr)
	return err
}

func (f *framing) windowUpdate(id uint32, payload []byte) error {
	if len(payload) != 4 {
		return errors.New("WINDOW_UPDATE has the wrong length")
	}
	by := int(binary.BigEndian.Uint32(payload) & (1<<31 - 1))
	if id == 0 {
		f.window += by
	} else if st := f.streams[id]; st != nil {
		st.window += by
	}
	f.release()
	return nil
}

func (f *framing) settings(payload []byte) error {
	for ; len(payload) >= 6; payload = payload[6:] {
		value := binary.BigEndian.Uint32(payload[2:])
		switch http2.SettingID(binary.BigEndian.Uint16(payload)) {
		case http2.SettingInitialWindowSize:
			for _, st := range f.streams {
				st.window += int(value) - f.initial
			}
			f.initial = int(value)
		case http2.SettingHeaderTableSize:
			f.encoder.SetMaxDynamicTableSizeLimit(value)
		}
	}
	f.release()
	return nil
}
