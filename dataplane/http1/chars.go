package http1

import "encoding/binary"

// tokenMask has a bit for each character of a token (RFC 9110 §5.6.2).
const tokenMask = (1<<10-1)<<'0' | (1<<26-1)<<'A' | (1<<26-1)<<'a' |
	1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' |
	1<<'-' | 1<<'.' | 1<<'^' | 1<<'_' | 1<<'`' | 1<<'|' | 1<<'~'

// hostMask has a bit for each character of a host name: the unreserved ones of RFC 3986 §2.3. Its sub-delims and
// escapes are legal in a reg-name too, but no name of a service can hold them.
const hostMask = (1<<10-1)<<'0' | (1<<26-1)<<'A' | (1<<26-1)<<'a' | 1<<'-' | 1<<'.' | 1<<'_' | 1<<'~'

// isToken and isHost rely on a shift of 64 or more giving zero, and on c-64 wrapping for small c.
func isToken(c byte) bool {
	return (uint64(1)<<c)&(tokenMask&(1<<64-1))|(uint64(1)<<(c-64))&(tokenMask>>64) != 0
}

func isHost(c byte) bool {
	return (uint64(1)<<c)&(hostMask&(1<<64-1))|(uint64(1)<<(c-64))&(hostMask>>64) != 0
}

func allToken(b []byte) bool {
	for _, c := range b {
		if !isToken(c) {
			return false
		}
	}
	return len(b) > 0
}

// validValue reports whether b may stand in a field value: visible characters, bytes above 0x7f, spaces and tabs
// (RFC 9110 §5.5). Eight bytes are looked at together; only where one of them is below 0x20 or is 0x7f does the loop
// below decide.
func validValue(b []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		del := x ^ 0x7f*ones
		if ((x-0x20*ones)&^x|(del-ones)&^del)&high != 0 && !validBytes(b[:8]) {
			return false
		}
		b = b[8:]
	}
	return validBytes(b)
}

func validBytes(b []byte) bool {
	for _, c := range b {
		if (c < 0x20 && c != '\t') || c == 0x7f {
			return false
		}
	}
	return true
}

// trimSpace removes optional whitespace at both ends (RFC 9110 §5.6.3).
func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// EqualFold reports whether b is the given lower-case ASCII text in any case.
func EqualFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		if lowerByte(b[i]) != lower[i] {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func isHex(c byte) bool {
	c = lowerByte(c)
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
}
