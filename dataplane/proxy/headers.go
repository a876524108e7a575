package proxy

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unsafe"

	"pergola/dataplane/access"
	"pergola/dataplane/http1"
)

// maxRequestID is how much of a caller's own request id is kept, in bytes.
const maxRequestID = 512

// Method, Path and Header make an exchange a snapshot.Request.
func (x *exchange) Method() []byte { return x.request.Method }

// Path implements snapshot.Request.
func (x *exchange) Path() []byte { return x.request.Path }

// Header implements snapshot.Request.
func (x *exchange) Header(name string, i int) ([]byte, bool) {
	for _, f := range x.header.Fields {
		if !strings.EqualFold(f.Name, name) {
			continue
		}
		if i == 0 {
			return unsafe.Slice(unsafe.StringData(f.Value), len(f.Value)), true
		}
		i--
	}
	return nil, false
}

// origin is how the request came.
func (x *exchange) origin() access.Origin {
	return access.Origin{
		Client: x.client.address.Addr(), Port: x.record.Listener.Port, Secure: x.client.arrival.ServerName != "",
	}
}

// takeRequestID settles the id of the request: the caller's own, cut to size, or a random UUID (RFC 9562 §5.4).
func (x *exchange) takeRequestID() {
	if own := x.request.Get("x-amzn-requestid"); len(own) > 0 {
		x.id = append(x.id[:0], own[:min(len(own), maxRequestID)]...)
		return
	}
	x.id = appendUUID(x.id[:0], x.proxy.config.Random(), x.proxy.config.Random())
}

func appendUUID(b []byte, high, low uint64) []byte {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], high&^0xf000|0x4000)        // version 4
	binary.BigEndian.PutUint64(raw[8:], low&^(3<<62)|uint64(1)<<63) // variant 10
	b = append(hex.AppendEncode(b, raw[:4]), '-')
	b = append(hex.AppendEncode(b, raw[4:6]), '-')
	b = append(hex.AppendEncode(b, raw[6:8]), '-')
	b = append(hex.AppendEncode(b, raw[8:10]), '-')
	return hex.AppendEncode(b, raw[10:])
}

// fieldWriter takes the fields of a request's head.
type fieldWriter interface {
	Field(name, value string)
	FieldBytes(name string, value []byte)
}

// writeRequestHead writes the request head for the target: the client's fields that go end to end, and what the proxy
// says about client, network and target (user guide, "HTTP targets").
func (x *exchange) writeRequestHead(framing http1.Framing) {
	out := x.to.out
	out.StartRequest(x.request.Method, x.request.Target)
	for _, f := range x.header.Fields {
		out.Field(f.Name, f.Value)
	}
	if x.request.Expects100() {
		out.Field("expect", "100-continue")
	}
	if x.request.TakesTrailers() {
		out.Field("te", "trailers")
		out.Field("connection", "te")
	}
	if !x.balanced {
		x.writeLattice(out)
	}
	out.EndHead(framing)
}

// writeLattice writes the fields that only the proxy may write.
func (x *exchange) writeLattice(out fieldWriter) {
	r := &x.record
	b := append(x.scratch[:0], "SourceVpcArn="...)
	b = append(b, r.VPC.ARN...)
	out.FieldBytes("x-amzn-lattice-network", b)
	b = append(b[:0], "ServiceArn="...)
	b = append(b, r.Listener.Service.ARN...)
	b = append(b, "; ServiceNetworkArn="...)
	b = append(b, r.Network.ARN...)
	b = append(b, "; TargetGroupArn="...)
	b = append(b, r.TargetGroup.ARN...)
	out.FieldBytes("x-amzn-lattice-target", b)
	out.Field("x-amzn-source-vpc", r.VPC.ID)
	out.FieldBytes("x-amzn-requestid", x.id)
	x.scratch = b
	if r.Caller.Principal != "" {
		x.writeIdentity(out)
	}
}

// writeIdentity tells the target who signed the request (user guide, "Caller identity headers"). A key without a value
// is sent all the same. The path of a user may hold semicolons, and what follows one must not pass for another key.
func (x *exchange) writeIdentity(out fieldWriter) {
	c := &x.record.Caller
	b := append(x.scratch[:0], "Principal="...)
	b = appendEscaped(b, c.Principal)
	b = append(b, "; PrincipalOrgID="...)
	b = append(b, c.Organization...)
	b = append(b, "; PrincipalOrgPaths="...)
	b = append(b, c.OrganizationPath...)
	b = append(b, "; SessionName="...)
	b = append(b, c.SessionName...)
	b = append(b, "; Type=AWS_IAM"...)
	out.FieldBytes("x-amzn-lattice-identity", b)
	if len(c.Tags) > 0 {
		b = append(b[:0], "principal="...)
		b = appendEscaped(b, c.Principal)
		b = append(b, ";principalorgid="...)
		b = append(b, c.Organization...)
		b = append(b, ";principalorgpath="...)
		b = append(b, c.OrganizationPath...)
		for _, tag := range c.Tags {
			b = append(b, ';')
			b = append(appendEscaped(b, tag.Key), '=')
			b = appendEscaped(b, tag.Value)
		}
		out.FieldBytes("x-amzn-lattice-identity-tags", b)
	}
	x.scratch = b
}

// appendEscaped appends a principal or a part of a tag. A semicolon, which would end it, gets a backslash before it, and so
// does a backslash; what cannot stand in a field becomes a space.
func appendEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == ';' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return b
}

// writeResponseHead writes the response head for the client.
func (x *exchange) writeResponseHead(framing http1.Framing, keep bool) {
	out := x.client.out
	x.record.Status = x.response.Status
	out.StartResponse(x.response.Status, x.response.Reason)
	x.copyResponseFields()
	x.writeRequestID()
	x.writeConnection(keep)
	if framing == http1.Bodiless && x.response.Status != 204 && x.response.Length() >= 0 {
		// What a GET would have brought, or what is not modified.
		out.FieldInt("content-length", x.response.Length())
	}
	out.EndHead(framing)
}

// writeRequestID tells the client by which id its request is known; load balancers give none.
func (x *exchange) writeRequestID() {
	if !x.balanced {
		x.client.out.FieldBytes("x-amzn-requestid", x.id)
	}
}

func (x *exchange) copyResponseFields() {
	for _, f := range x.response.All() {
		if !f.Hop && (x.balanced || !http1.EqualFold(f.Name, "x-amzn-requestid")) {
			x.client.out.Copy(f)
		}
	}
}

// writeConnection says whether the connection goes on, where the version does not say it already. In HTTP/2 nothing
// that is said of one request concerns the connection.
func (x *exchange) writeConnection(keep bool) {
	switch {
	case x.request.HTTP2:
	case !keep:
		x.client.out.Field("connection", "close")
	case x.request.HTTP10:
		x.client.out.Field("connection", "keep-alive")
	}
}

// copyTrailers passes trailer fields on, except those that a recipient could take for the proxy's.
func copyTrailers(out writer, trailers []http1.Field) {
	for _, f := range trailers {
		if !access.Reserved(f.Name) {
			out.Trailer(f)
		}
	}
}
