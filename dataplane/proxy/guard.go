package proxy

import (
	"unsafe"

	"pergola/dataplane/access"
	"pergola/sigv4"
)

// authorise asks the guard about the request, which has met its listener.
func (x *exchange) authorise() access.Decision {
	x.question = access.Request{
		VPC: x.record.VPC, Network: x.record.Network, Listener: x.record.Listener,
		Client: x.client.address.Addr(), Secure: x.client.arrival.TLS != nil,
		HTTP: sigv4.Request{
			Method: lent(x.request.Method), Path: lent(x.request.Path), RawQuery: lent(x.request.Query),
			Host: lent(x.request.Host), Header: (*fields)(x),
		},
	}
	return x.proxy.config.Guard.Authorize(&x.question)
}

// fields are the fields of the request as a sigv4.Header.
type fields exchange

// Len implements sigv4.Header.
func (f *fields) Len() int { return len(f.request.All()) }

// Field implements sigv4.Header.
func (f *fields) Field(i int) (name, value string) {
	field := &f.request.All()[i]
	return lent(field.Name), lent(field.Value)
}

// lent is a part of the request as a string that holds as long as the request does: it shares the connection's buffer.
func lent(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
