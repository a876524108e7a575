package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"pergola/bound"
	"pergola/dataplane/event"
	"pergola/dataplane/http1"
	"pergola/dataplane/record"
	"pergola/lattice"
	"pergola/snapshot"
)

// Functions invokes Lambda functions. It must be safe for concurrent use.
type Functions interface {
	// InvokeFunction hands an event to a function, for a target group, both named by their ARNs, and returns what the
	// function answers. The error is context.DeadlineExceeded if that took too long; one that has a method
	// Unavailable() bool that says true is about a function that could not be invoked at all; any other is the function's.
	InvokeFunction(ctx context.Context, function, targetGroup string, event []byte) ([]byte, error)
}

// functionTarget is a target that is a function.
type functionTarget interface {
	// Function is the ARN of the function.
	Function() string
}

// invoke answers the request by the function of a target group of type LAMBDA (user guide, "Lambda functions as targets in
// VPC Lattice"). The whole body is read first. The function has as long as a target may be silent. What is held of
// body, event and answer counts on the client's share; beyond that the answer is 503.
func (x *exchange) invoke(group *snapshot.TargetGroup) (keep bool) {
	if framing := x.request.Framing(); framing > event.MaxBody {
		return x.answer(413, reason(413))
	}
	defer x.releaseTarget()
	if !x.pick(group) {
		return x.answer(503, reason(503))
	}
	target, ok := x.target.(functionTarget)
	if !ok || x.proxy.config.Functions == nil {
		return x.fail(503, record.TargetConnectionError, errors.New("functions cannot be invoked here"))
	}
	held := counter{share: x.client.share}
	defer held.set(0)
	body, err := x.readBody(&held)
	x.client.noteSent()
	told := []byte(nil)
	if err == nil {
		told, err = x.event(group, body, &held)
	}
	switch {
	case errors.Is(err, event.ErrTooLarge):
		return x.answer(413, reason(413))
	case err == http1.ErrNoRoom:
		return x.fail(503, record.ClientRateLimited, nil)
	case err != nil:
		return x.failClient(err)
	}
	ctx, end := context.WithTimeout(context.Background(), x.patience)
	defer end()
	x.client.occupy(wait(end))
	defer x.client.occupy(nil)
	x.record.RequestToTarget = time.Since(x.record.Start)
	answer, err := x.proxy.config.Functions.InvokeFunction(ctx, target.Function(), group.ARN, told)
	if err != nil {
		return x.failFunction(err)
	}
	if !held.set(2 * len(answer)) { // as it came, and as it is read
		return x.fail(503, record.ClientRateLimited, nil)
	}
	response, err := event.ParseResponse(answer)
	if err != nil {
		return x.failFunction(err)
	}
	held.set(len(response.Body))
	return x.answerFunction(response)
}

// counter counts what a request holds.
type counter struct {
	share *bound.Share
	n     int
}

// set says how many bytes are held from now on, and reports whether they may be.
func (c *counter) set(n int) bool {
	if n > c.n && !c.share.Take(int64(n-c.n)) {
		return false
	}
	c.share.Give(int64(max(0, c.n-n)))
	c.n = n
	return true
}

// firstBody is how much memory a body begins with, in bytes.
const firstBody = 16 << 10

// readBody reads the whole body of the request, up to the longest that a function may get. A client that waits to be told
// so first is told. Its memory grows with the bytes received, not by the length announced.
func (x *exchange) readBody(held *counter) ([]byte, error) {
	if !x.hasBody() {
		return nil, nil
	}
	if x.request.Expects100() && !x.request.HTTP10 {
		out := x.client.out
		out.StartResponse(100, []byte("Continue"))
		out.EndHead(http1.Bodiless)
		if err := out.End(); err != nil {
			return nil, err
		}
	}
	most := event.MaxBody
	if framing := x.request.Framing(); framing > 0 {
		most = int(framing)
	}
	var body []byte
	for {
		switch view, err := x.client.body.Next(); {
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, err
		case view == nil:
			if err := x.client.body.Fill(); err != nil {
				return nil, err
			}
		case len(body)+len(view) > event.MaxBody:
			return nil, event.ErrTooLarge
		default:
			if body, err = held.room(body, len(view), most); err != nil {
				return nil, err
			}
			body = append(body, view...)
		}
	}
}

// room returns the body, which is all that is held, with room for n bytes more. Most is what there may be in the end.
func (c *counter) room(body []byte, n, most int) ([]byte, error) {
	n += len(body)
	if n <= cap(body) {
		return body, nil
	}
	size := max(n, min(max(firstBody, 2*len(body)), most))
	if !c.set(cap(body) + size) {
		return nil, http1.ErrNoRoom
	}
	body = append(make([]byte, 0, size), body...)
	c.set(size)
	return body, nil
}

// event is what the function is told of the request. From then on it is all that is held.
func (x *exchange) event(group *snapshot.TargetGroup, body []byte, held *counter) ([]byte, error) {
	r := &x.record
	region := ""
	if arn, err := lattice.ParseARN(r.Listener.Service.ARN); err == nil {
		region = arn.Region
	}
	request := event.Request{
		Method: string(x.request.Method), Target: string(x.request.Target), Body: body,
		ServiceNetworkARN: r.Network.ARN, ServiceARN: r.Listener.Service.ARN, TargetGroupARN: group.ARN, Region: region,
		Identity: event.Identity{
			SourceVPCARN: r.VPC.ARN, Principal: r.Caller.Principal,
			PrincipalOrgID: r.Caller.Organization, SessionName: r.Caller.SessionName,
		},
		Time: r.Start,
	}
	fields := eventFields{v2: group.EventVersion == "V2"}
	for _, f := range x.header.Fields {
		fields.Field(strings.Clone(f.Name), strings.Clone(f.Value))
	}
	x.writeLattice(&fields)
	request.Fields = fields.list
	size := request.BodySize()
	if !held.set(held.n + size) {
		return nil, http1.ErrNoRoom
	}
	defer held.set(size)
	if fields.v2 {
		return event.V2(&request), nil
	}
	return event.V1(&request), nil
}

// eventFields gathers the header fields of an event. What V2 says in its context it does not say in fields too.
type eventFields struct {
	v2   bool
	list []event.Field
}

// Field adds a field.
func (f *eventFields) Field(name, value string) {
	if f.v2 && (strings.HasPrefix(name, "x-amzn-lattice-") || name == "x-amzn-source-vpc") {
		return
	}
	f.list = append(f.list, event.Field{Name: name, Value: value})
}

// FieldBytes adds a field.
func (f *eventFields) FieldBytes(name string, value []byte) { f.Field(name, string(value)) }

// failFunction answers a request whose function has no answer for it. One that was ended because the client had gone did
// nothing wrong.
func (x *exchange) failFunction(err error) bool {
	var unavailable interface{ Unavailable() bool }
	switch {
	case x.client.wasCut():
		return x.fail(502, record.ClientConnectionClosed, err)
	case errors.Is(err, context.DeadlineExceeded):
		return x.fail(502, record.TargetDataTimeout, err)
	case errors.As(err, &unavailable) && unavailable.Unavailable():
		return x.fail(503, record.TargetConnectionError, err)
	}
	return x.fail(502, record.TargetProtocolError, err)
}

// functionPiece is how much of a function's answer is written at once, in bytes. A client has its idle time for each.
const functionPiece = 32 << 10

// answerFunction sends what the function has answered.
func (x *exchange) answerFunction(r *event.Response) (keep bool) {
	started := time.Now()
	keep = x.mayKeep()
	err := x.writeFunctionAnswer(r, keep)
	ended := time.Now()
	x.record.ResponseFromTarget = ended.Sub(started)
	if err != nil {
		x.record.Failure = record.ClientConnectionClosed
	}
	x.finish(ended)
	switch {
	case err != nil:
		x.client.Close()
		return false
	case !keep:
		x.client.Linger(maxLinger, lingerTime)
	}
	return keep
}

func (x *exchange) writeFunctionAnswer(r *event.Response, keep bool) error {
	x.record.Status = r.Status
	out := x.client.out
	out.StartResponse(r.Status, []byte(http.StatusText(r.Status)))
	for _, f := range r.Fields {
		if f.Name != "x-amzn-requestid" {
			out.Field(f.Name, f.Value)
		}
	}
	x.writeRequestID()
	x.writeConnection(keep)
	switch {
	case r.Status == 204 || r.Status == 304:
		out.EndHead(http1.Bodiless)
	case x.request.IsHead():
		if len(r.Body) > 0 { // otherwise a GET may bring one all the same
			out.FieldInt("content-length", int64(len(r.Body)))
		}
		out.EndHead(http1.Bodiless)
	default:
		out.EndHead(http1.Sized(int64(len(r.Body))))
		for piece := range slices.Chunk(r.Body, functionPiece) {
			_, _ = out.Write(piece) // an error stays with the writer, and End returns it
		}
	}
	return out.End()
}
