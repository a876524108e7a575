package access

import (
	"net/netip"
	"strconv"
	"unsafe"

	"pergola/dataplane/http1"
	"pergola/sigv4"
)

// Header is the header of a request as its target gets it, without what is added once the request has been let pass.
// Policies and rules are asked about the same fields, so that nothing is decided by what the target never sees. Its
// memory is used again for the next request.
type Header struct {
	// Fields hold as long as the request does: host, the sender's fields that go end to end, and the x-forwarded fields.
	Fields sigv4.Fields
	text   []byte
}

// Origin is how a request came: from which client, at which port, and whether over TLS.
type Origin struct {
	Client netip.Addr
	Port   uint16
	Secure bool
}

// Set makes the header that of a request. Fields about the sender's connection are left out, also those that its
// Connection names (RFC 9110 §7.6.1), and so are Reserved ones. The address of the client goes behind those that the
// sender names in x-forwarded-for, as is common among proxies; a target that trusts only the last one cannot be lied
// to.
func (h *Header) Set(r *http1.Request, from Origin) {
	h.Fields, h.text = append(h.Fields[:0], sigv4.Field{Name: "host", Value: lent(r.Host)}), h.text[:0]
	for i := range r.All() {
		f := &r.All()[i]
		switch {
		case f.Hop || http1.EqualFold(f.Name, "host"):
		case !Reserved(f.Name):
			h.Fields = append(h.Fields, sigv4.Field{Name: lent(f.Name), Value: lent(f.Value)})
		case http1.EqualFold(f.Name, "x-forwarded-for") && len(f.Value) > 0:
			h.text = append(append(h.text, f.Value...), ", "...)
		}
	}
	h.text = appendAddress(h.text, from.Client)
	end := len(h.text)
	h.text = strconv.AppendUint(h.text, uint64(from.Port), 10)
	scheme := "http"
	if from.Secure {
		scheme = "https"
	}
	h.Fields = append(h.Fields,
		sigv4.Field{Name: "x-forwarded-for", Value: lent(h.text[:end])},
		sigv4.Field{Name: "x-forwarded-port", Value: lent(h.text[end:])},
		sigv4.Field{Name: "x-forwarded-proto", Value: scheme})
}

func appendAddress(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return append(b, "unknown"...) // RFC 7239 §6.2
	}
	return a.WithZone("").AppendTo(b)
}

// lent is a part of the request as a string that holds as long as the request does: it shares the connection's buffer.
func lent(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Reserved reports whether a field is the data plane's own to write, so that a sender's never passes. An underscore
// counts as a hyphen: the two become one in the environment of CGI and its descendants (RFC 3875 §4.1.18).
func Reserved(name []byte) bool {
	const prefix = "x-amzn-lattice-"
	if len(name) < len(prefix) || name[0]|0x20 != 'x' {
		return false
	}
	if sameName(lent(name[:len(prefix)]), prefix) {
		return true
	}
	switch len(name) {
	case len("x-forwarded-for"):
		return sameName(lent(name), "x-forwarded-for")
	case len("x-forwarded-port"):
		return sameName(lent(name), "x-forwarded-port") || sameName(lent(name), "x-amzn-requestid")
	case len("x-forwarded-proto"):
		return sameName(lent(name), "x-forwarded-proto") || sameName(lent(name), "x-amzn-source-vpc")
	}
	return false
}

// sameName reports whether two names are the same to some target: regardless of case, and of hyphens and underscores.
func sameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if folded(a[i]) != folded(b[i]) {
			return false
		}
	}
	return true
}

func folded(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case c == '_':
		return '-'
	}
	return c
}

// maxHeaderText is how much memory for text is kept, in bytes.
const maxHeaderText = 4 << 10

// Trim gives up memory that an unusual request took.
func (h *Header) Trim() {
	if cap(h.text) > maxHeaderText {
		h.text = nil
	}
}
