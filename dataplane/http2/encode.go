package http2

// Header blocks are written without a dynamic table: indexed fields for what the static table holds whole, and literals
// with a static name where there is one. That costs no look-ups and no memory for each connection, and the bytes that a
// table would save cost less than keeping it (BenchmarkEncode compares). A literal is marked as never to be indexed,
// because RFC 7541 §7.1.3 wants that kept for fields that came so marked, and which those were is not known any more.
//
// The first block of a connection starts with dropTable, which tells the peer that no table is used; it
// answers any change of the peer's SETTINGS_HEADER_TABLE_SIZE for good (RFC 7541 §4.2).
const dropTable = 0x20

const (
	indexed      = 0x80
	neverIndexed = 0x10
)

// Places in the static table (RFC 7541, appendix A).
const (
	indexAuthority = 1
	indexGET       = 2
	indexPOST      = 3
	indexRoot      = 4
	indexHTTP      = 6
	indexHTTPS     = 7
	index200       = 8
)

// appendInt appends a number with a prefix of so many bits (RFC 7541 §5.1); first holds the bits above it.
func appendInt(b []byte, first byte, bits uint, n int) []byte {
	limit := 1<<bits - 1
	if n < limit {
		return append(b, first|byte(n))
	}
	b = append(b, first|byte(limit))
	for n -= limit; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func appendText[T string | []byte](b []byte, text T) []byte {
	b = appendInt(b, 0, 7, len(text))
	return append(b, text...)
}

// appendIndexed appends a field whose name is in the static table.
func appendIndexed[V string | []byte](b []byte, name int, value V) []byte {
	b = appendInt(b, neverIndexed, 4, name)
	return appendText(b, value)
}

// appendField appends a field, its name in lower case, unless it is about the connection (RFC 9113 §8.2.2).
func appendField[N, V string | []byte](b []byte, name N, value V) []byte {
	start := len(b)
	b = append(b, neverIndexed)
	b = appendInt(b, 0, 7, len(name))
	text := len(b)
	b = append(b, name...)
	lower := b[text:]
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + ('a' - 'A')
		}
	}
	switch index := staticName(lower); {
	case index > 0:
		b = appendInt(b[:start], neverIndexed, 4, index)
	case index == connectionName, string(lower) == "te" && string(value) != "trailers":
		return b[:start]
	}
	return appendText(b, value)
}

func appendMethod(b, method []byte) []byte {
	switch string(method) {
	case "GET":
		return append(b, indexed|indexGET)
	case "POST":
		return append(b, indexed|indexPOST)
	}
	return appendIndexed(b, indexGET, method)
}

func appendPath(b, path []byte) []byte {
	if len(path) == 1 && path[0] == '/' {
		return append(b, indexed|indexRoot)
	}
	return appendIndexed(b, indexRoot, path)
}

func appendScheme(b []byte, secure bool) []byte {
	if secure {
		return append(b, indexed|indexHTTPS)
	}
	return append(b, indexed|indexHTTP)
}

func appendStatus(b []byte, status int) []byte {
	for i, s := range [...]int{200, 204, 206, 304, 400, 404, 500} {
		if s == status {
			return append(b, indexed|byte(index200+i))
		}
	}
	return appendIndexed(b, index200, []byte{byte('0' + status/100%10), byte('0' + status/10%10), byte('0' + status%10)})
}

// connectionName stands for the names of fields that do not exist in HTTP/2.
const connectionName = -1

// staticName returns the place of a lower-case name in the static table, 0 if it has none.
func staticName(name []byte) int {
	switch string(name) {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return connectionName
	case "accept-charset":
		return 15
	case "accept-encoding":
		return 16
	case "accept-language":
		return 17
	case "accept-ranges":
		return 18
	case "accept":
		return 19
	case "access-control-allow-origin":
		return 20
	case "age":
		return 21
	case "allow":
		return 22
	case "authorization":
		return 23
	case "cache-control":
		return 24
	case "content-disposition":
		return 25
	case "content-encoding":
		return 26
	case "content-language":
		return 27
	case "content-length":
		return 28
	case "content-location":
		return 29
	case "content-range":
		return 30
	case "content-type":
		return 31
	case "cookie":
		return 32
	case "date":
		return 33
	case "etag":
		return 34
	case "expect":
		return 35
	case "expires":
		return 36
	case "from":
		return 37
	case "host":
		return 38
	case "if-match":
		return 39
	case "if-modified-since":
		return 40
	case "if-none-match":
		return 41
	case "if-range":
		return 42
	case "if-unmodified-since":
		return 43
	case "last-modified":
		return 44
	case "link":
		return 45
	case "location":
		return 46
	case "max-forwards":
		return 47
	case "proxy-authenticate":
		return 48
	case "proxy-authorization":
		return 49
	case "range":
		return 50
	case "referer":
		return 51
	case "refresh":
		return 52
	case "retry-after":
		return 53
	case "server":
		return 54
	case "set-cookie":
		return 55
	case "strict-transport-security":
		return 56
	case "user-agent":
		return 58
	case "vary":
		return 59
	case "via":
		return 60
	case "www-authenticate":
		return 61
	}
	return 0
}
