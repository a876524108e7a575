package functions

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"pergola/aws/lambda"
)

// handler serves the Runtime API of one environment, version 2018-06-01.
func (e *environment) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", e.handOut)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", e.takeResponse)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", e.takeError)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", e.takeInitError)
	return mux
}

// handOut gives the process its next invocation, once there is one.
func (e *environment) handOut(w http.ResponseWriter, r *http.Request) {
	e.begun.Do(func() { close(e.ready) })
	var inv *invocation
	select {
	case inv = <-e.next:
	case <-r.Context().Done():
		return
	}
	e.mu.Lock()
	e.current = inv
	e.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(inv.Payload)))
	h.Set("Lambda-Runtime-Aws-Request-Id", inv.ID)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.started.Add(e.function.Timeout).UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", inv.ARN)
	h.Set("Lambda-Runtime-Trace-Id", traceID(inv))
	if inv.ClientContext != "" {
		h.Set("Lambda-Runtime-Client-Context", inv.ClientContext)
	}
	_, _ = w.Write(inv.Payload) // a process that does not take it will not answer, and run out of time
	inv.Payload = nil           // nobody needs it any more, however long the function takes
	inv.letGo()
}

// traceID is an X-Ray trace of this one invocation, which nobody samples.
func traceID(inv *invocation) string {
	digits := strings.ReplaceAll(inv.ID, "-", "") + strings.Repeat("0", 32)
	return "Root=1-" + strconv.FormatInt(inv.started.Unix()&0xffffffff|1<<30, 16)[:8] + "-" + digits[:24] + ";Parent=" + digits[8:24] + ";Sampled=0"
}

// claim ends the current invocation, if it is the one named.
func (e *environment) claim(id string) *invocation {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current == nil || e.current.ID != id {
		return nil
	}
	inv := e.current
	e.current = nil
	return inv
}

func (e *environment) takeResponse(w http.ResponseWriter, r *http.Request) {
	body, ok := e.body(w, r, "Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (6291556 bytes).")
	if !ok {
		return
	}
	inv := e.claim(r.PathValue("id"))
	if inv == nil {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	if kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); kind != "" { // a stream that broke off
		inv.answer <- failed(inv, kind, "the function failed while it sent its response")
	} else {
		inv.answer <- Result{Payload: body}
	}
	accept(w)
}

func (e *environment) takeError(w http.ResponseWriter, r *http.Request) {
	body, ok := e.body(w, r, "Function.ErrorSizeTooLarge", "the error is longer than a response may be")
	if !ok {
		return
	}
	inv := e.claim(r.PathValue("id"))
	if inv == nil {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	inv.answer <- Result{Payload: body, Error: unhandled}
	accept(w)
}

// takeInitError notes why the process gives up before its first invocation. It is to end then.
func (e *environment) takeInitError(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, lambda.MaxPayload))
	if err != nil {
		return
	}
	select {
	case <-e.ready:
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the environment has begun to serve")
		return
	default:
	}
	e.mu.Lock()
	e.failed = body
	e.mu.Unlock()
	accept(w)
}

// responseSlack is what the service allows beyond six mebibytes, in bytes.
const responseSlack = 100

// body reads a response. One that is too long fails the invocation.
func (e *environment) body(w http.ResponseWriter, r *http.Request, kind, message string) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, lambda.MaxPayload+responseSlack))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		if inv := e.claim(r.PathValue("id")); inv != nil {
			inv.answer <- Result{Payload: failure(kind, message), Error: unhandled}
		}
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", message)
		return nil, false
	case err != nil: // the process will run out of time, or has ended
		return nil, false
	}
	return body, true
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(failure(kind, message))
}

// took is how long an invocation took, in milliseconds.
func (inv *invocation) took() float64 { return float64(time.Since(inv.started).Microseconds()) / 1000 }
