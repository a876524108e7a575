package proxy

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"pergola/dataplane/http1"
)

// grpcType begins the content type of every gRPC message; a plus sign and the encoding may follow, or parameters.
const grpcType = "application/grpc"

// isGRPC reports whether the request is a gRPC call, also where it says that it is another thing besides: its target
// may see either. There are none by HTTP/1.1.
func (x *exchange) isGRPC() bool {
	if !x.request.HTTP2 {
		return false
	}
	for _, f := range x.request.All() {
		if http1.EqualFold(f.Name, "content-type") && isGRPCType(f.Value) {
			return true
		}
	}
	return false
}

func isGRPCType(kind []byte) bool {
	if len(kind) < len(grpcType) || !http1.EqualFold(kind[:len(grpcType)], grpcType) {
		return false
	}
	return len(kind) == len(grpcType) || kind[len(grpcType)] == '+' || kind[len(grpcType)] == ';'
}

// deadlineExceeded is the gRPC status code of a call that took longer than its client gives it.
const deadlineExceeded = 4

// isLate reports whether the time that the client gives the call is over. The target, which is told of it too, may have
// given up then without a word.
func (x *exchange) isLate() bool {
	timeout, ok := parseGRPCTimeout(x.request.Get("grpc-timeout"))
	return ok && time.Since(x.record.Start) >= timeout
}

// parseGRPCTimeout reads the field grpc-timeout (gRPC over HTTP/2, "Requests"): up to eight digits and a unit.
func parseGRPCTimeout(field []byte) (timeout time.Duration, ok bool) {
	units := map[byte]time.Duration{
		'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
	}
	if len(field) < 2 || len(field) > 9 {
		return 0, false
	}
	last := len(field) - 1
	n, err := strconv.ParseUint(string(field[:last]), 10, 32)
	unit := units[field[last]]
	if err != nil || unit == 0 {
		return 0, false
	}
	if n > uint64(math.MaxInt64/unit) {
		return math.MaxInt64, true
	}
	return time.Duration(n) * unit, true
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
	code := grpcCode(status)
	if status >= 500 && x.isLate() {
		code = deadlineExceeded
	}
	out.FieldInt("grpc-status", code)
	if body == "" {
		body = reason(status)
	}
	x.scratch = appendGRPCMessage(x.scratch[:0], body)
	out.FieldBytes("grpc-message", x.scratch)
	x.writeRequestID()
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
