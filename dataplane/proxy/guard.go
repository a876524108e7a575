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
		Client: x.client.address.Addr(), Secure: x.client.arrival.ServerName != "",
		HTTP: sigv4.Request{
			Method: lent(x.request.Method), Path: lent(x.request.Path), RawQuery: lent(x.request.Query),
			Host: lent(x.request.Host), Header: x.lendFields(),
		},
		Passed: x.header.Fields,
	}
	return x.proxy.config.Guard.Authorize(&x.question)
}

// lendFields are the fields of the request as they were sent, in memory that the exchange keeps.
func (x *exchange) lendFields() sigv4.Fields {
	x.fields = x.fields[:0]
	for i := range x.request.All() {
		f := &x.request.All()[i]
		x.fields = append(x.fields, sigv4.Field{Name: lent(f.Name), Value: lent(f.Value)})
	}
	return x.fields
}

// lent is a part of the request as a string that holds as long as the request does: it shares the connection's buffer.
func lent(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
