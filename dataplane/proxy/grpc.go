package proxy

import (
	"fmt"

	"pergola/dataplane/http1"
)

// grpcType begins the content type of every gRPC message; a plus sign and the encoding may follow, or parameters.
const grpcType = "application/grpc"

// isGRPC reports whether the request is a gRPC call. There are none by HTTP/1.1.
func (x *exchange) isGRPC() bool {
	if !x.request.HTTP2 {
		return false
	}
	kind := x.request.Get("content-type")
	if len(kind) < len(grpcType) || !http1.EqualFold(kind[:len(grpcType)], grpcType) {
		return false
	}
	return len(kind) == len(grpcType) || kind[len(grpcType)] == '+' || kind[len(grpcType)] == ';'
}

// grpcCode is the gRPC status code that stands for a status of HTTP, so that a client is told by a call's own means what
// became of it (gRPC, "HTTP to gRPC Status Code Mapping"; INTERNAL for what its table leaves to the server).
func grpcCode(status int) int64 {
	const (
		permissionDenied = 7
		unimplemented    = 12
		internal         = 13
		unavailable      = 14
	)
	switch status {
	case 403:
		return permissionDenied
	case 404:
		return unimplemented
	case 429, 502, 503:
		return unavailable
	}
	return internal
}

// writeGRPCAnswer answers a gRPC call without a target: by a head that holds all that the trailers would.
func (x *exchange) writeGRPCAnswer(status int, body string) error {
	x.record.Status = 200
	out := x.client.out
	out.StartResponse(200, nil)
	out.Field("content-type", grpcType)
	out.FieldInt("grpc-status", grpcCode(status))
	if body == "" {
		body = reason(status)
	}
	x.scratch = appendGRPCMessage(x.scratch[:0], body)
	out.FieldBytes("grpc-message", x.scratch)
	out.FieldBytes("x-amzn-requestid", x.id)
	out.EndHead(http1.Bodiless)
	return out.End()
}

// appendGRPCMessage appends a message with everything escaped that may not stand in the field (gRPC over HTTP/2,
// "Percent-Encoded").
func appendGRPCMessage(b []byte, message string) []byte {
	for i := range len(message) {
		if c := message[i]; c < ' ' || c > '~' || c == '%' {
			b = fmt.Appendf(b, "%%%02X", c)
		} else {
			b = append(b, c)
		}
	}
	return b
}
