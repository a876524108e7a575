package http2

import "encoding/binary"

// preface is what a client sends first (RFC 9113 §3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frameKind is the type of a frame (RFC 9113 §6).
type frameKind uint8

const (
	kindData frameKind = iota
	kindHeaders
	kindPriority
	kindReset
	kindSettings
	kindPush
	kindPing
	kindGoAway
	kindWindow
	kindContinuation
)

// Flags of frames. The same bit means different things on different kinds.
const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// Settings (RFC 9113 §6.5.2).
const (
	settingTableSize     = 1
	settingPush          = 2
	settingMaxStreams    = 3
	settingInitialWindow = 4
	settingMaxFrame      = 5
	settingMaxHeadBytes  = 6
)

const (
	frameHeader = 9
	// maxFrame is the largest payload that is taken: what every endpoint must take, and no more.
	maxFrame  = 16384
	maxWindow = 1<<31 - 1
	maxID     = 1<<31 - 1
	// defaultWindow is what windows start with unless a setting says otherwise.
	defaultWindow = 65535
)

// frame is one frame; payload lies in the read buffer.
type frame struct {
	kind    frameKind
	flags   byte
	stream  uint32
	payload []byte
}

func (f *frame) has(flag byte) bool { return f.flags&flag != 0 }

// nextFrame takes the frame that b starts with. size is its length in b, 0 if it is not all there.
func nextFrame(b []byte) (f frame, size int, err error) {
	if len(b) < frameHeader {
		return f, 0, nil
	}
	n := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	if n > maxFrame {
		return f, 0, connError(FrameSizeError, "a frame is larger than was allowed")
	}
	if len(b) < frameHeader+n {
		return f, 0, nil
	}
	f = frame{
		kind: frameKind(b[3]), flags: b[4], stream: binary.BigEndian.Uint32(b[5:]) & maxID,
		payload: b[frameHeader : frameHeader+n : frameHeader+n],
	}
	return f, frameHeader + n, nil
}

// unpad returns the payload without its padding (RFC 9113 §6.1).
func (f *frame) unpad() ([]byte, error) {
	p := f.payload
	if !f.has(flagPadded) {
		return p, nil
	}
	if len(p) == 0 {
		return nil, connError(FrameSizeError, "a padded frame has no room for the length of its padding")
	}
	padding := int(p[0])
	if padding >= len(p) {
		return nil, connError(ProtocolError, "the padding is longer than its frame")
	}
	return p[1 : len(p)-padding], nil
}

// block returns the header block in a HEADERS frame. self says that the stream is to depend on itself.
func (f *frame) block() (block []byte, self bool, err error) {
	p, err := f.unpad()
	if err != nil || !f.has(flagPriority) {
		return p, false, err
	}
	if len(p) < 5 {
		return nil, false, connError(FrameSizeError, "a HEADERS frame has no room for its priority")
	}
	return p[5:], binary.BigEndian.Uint32(p)&maxID == f.stream, nil
}

func appendFrameHeader(b []byte, kind frameKind, flags byte, f frameSize) []byte {
	return append(b, byte(f.n>>16), byte(f.n>>8), byte(f.n), byte(kind), flags,
		byte(f.stream>>24), byte(f.stream>>16), byte(f.stream>>8), byte(f.stream))
}

// frameSize is the stream that a frame belongs to and the length of its payload.
type frameSize struct {
	stream uint32
	n      int
}

func appendReset(b []byte, stream uint32, code Code) []byte {
	b = appendFrameHeader(b, kindReset, 0, frameSize{stream, 4})
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

func appendWindow(b []byte, stream uint32, n int64) []byte {
	b = appendFrameHeader(b, kindWindow, 0, frameSize{stream, 4})
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

func appendGoAway(b []byte, last uint32, code Code) []byte {
	b = appendFrameHeader(b, kindGoAway, 0, frameSize{0, 8})
	b = binary.BigEndian.AppendUint32(b, last)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

func appendPing(b []byte, flags byte, data []byte) []byte {
	b = appendFrameHeader(b, kindPing, flags, frameSize{0, 8})
	return append(b, data[:8]...)
}

// setting is one entry of a SETTINGS frame.
type setting struct {
	id    uint16
	value uint32
}

func appendSettings(b []byte, settings ...setting) []byte {
	b = appendFrameHeader(b, kindSettings, 0, frameSize{0, 6 * len(settings)})
	for _, s := range settings {
		b = binary.BigEndian.AppendUint16(b, s.id)
		b = binary.BigEndian.AppendUint32(b, s.value)
	}
	return b
}

// appendBlock appends a header block in as many frames as it needs.
func appendBlock(b []byte, stream uint32, block []byte, end bool) []byte {
	kind, flags := kindHeaders, byte(0)
	if end {
		flags = flagEndStream
	}
	for {
		piece := block[:min(len(block), maxFrame)]
		if block = block[len(piece):]; len(block) == 0 {
			flags |= flagEndHeaders
		}
		b = appendFrameHeader(b, kind, flags, frameSize{stream, len(piece)})
		b = append(b, piece...)
		if len(block) == 0 {
			return b
		}
		kind, flags = kindContinuation, 0
	}
}
