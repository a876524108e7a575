package snapshot

import (
	"bytes"
	"strings"
)

// maxName is the length of the longest domain name in text (RFC 1035 §2.3.4).
const maxName = 255

// Listener is the listener that a request for host meets, or nil. The host is as the client sent it: its port does
// not count, nor does the case of its letters, nor one trailing dot. It does not allocate. A nil Port has no
// listeners.
func (p *Port) Listener(host []byte) *Listener {
	if p == nil {
		return nil
	}
	if i := bytes.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	var folded [maxName]byte
	return p.Listeners.GetBytes(foldName(&folded, host))
}

// Service is the service that has the name in the network, or nil. Neither the case of its letters nor one trailing
// dot counts. It does not allocate. A nil Network has no services.
func (n *Network) Service(name []byte) *Service {
	if n == nil {
		return nil
	}
	var folded [maxName]byte
	return n.Names.GetBytes(foldName(&folded, name))
}

// foldName writes a name in the form in which the tables of a Network hold names. What is too long to be a name
// becomes "", which no table holds.
func foldName(folded *[maxName]byte, name []byte) []byte {
	name = bytes.TrimSuffix(name, []byte("."))
	if len(name) > maxName {
		return nil
	}
	for i, c := range name {
		folded[i] = lower(c)
	}
	return folded[:len(name)]
}

// tableName is a name as the tables of a Network hold it.
func tableName(name string) string {
	return lowerString(strings.TrimSuffix(name, "."))
}
