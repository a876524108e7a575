package functions

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"pergola/aws/lambda"
	"pergola/containment"
)

// A Runtime is reached from other processes by HTTP/2 over a Unix socket: one connection carries all invocations, and a
// caller that leaves resets its own. A message is the length of a head, in four bytes, the head as JSON, and a payload.
const (
	maxHead      = 1 << 20                       // mostly variables of a function
	maxMessage   = 2*lambda.MaxPayload + maxHead // an event has a body of 6 MB in Base64
	maxStreams   = 1 << 14
	invokePath   = "/invoke"
	forgetPath   = "/forget"
	remotePause  = 20 * time.Millisecond
	remoteWindow = 1 << 20 // bytes of a payload that are under way
)

// returnWithin is how long an invocation waits for a Runtime that is being started again.
const returnWithin = 5 * time.Second

// remoteErrors are the errors that a caller can tell apart, by their names on the wire.
var remoteErrors = map[string]error{
	"throttled": ErrThrottled, "no code": ErrNoCode, "closed": errClosed,
	"canceled": context.Canceled, "deadline exceeded": context.DeadlineExceeded,
}

// remoteError is an error of a Runtime in another process.
type remoteError struct {
	text string
	is   error
}

// Error is what the Runtime said.
func (e *remoteError) Error() string { return e.text }

// Unwrap is the error that it was, if that is one of those that can be told apart.
func (e *remoteError) Unwrap() error { return e.is }

// invocationHead and resultHead are what goes with a payload.
type (
	invocationHead struct {
		Function *Function
		Call     Call
	}
	resultHead struct {
		Result Result
		// Failed is the text of an error, and Is its name.
		Failed, Is string
	}
)

func protocols() *http.Protocols {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	return &p
}

// Serve answers Clients with a Runtime until the context ends, and closes the listener then.
func Serve(ctx context.Context, listener net.Listener, r *Runtime, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+invokePath, func(w http.ResponseWriter, request *http.Request) {
		_ = containment.Do(log, "an invocation", func() error { return serveInvocation(w, request, r) })
	})
	mux.HandleFunc("POST "+forgetPath, func(_ http.ResponseWriter, request *http.Request) {
		r.Forget(request.URL.Query().Get("arn"))
	})
	server := &http.Server{
		Handler: mux, Protocols: protocols(), ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: remoteWindow,
			MaxReceiveBufferPerConnection: 8 * remoteWindow,
		},
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func serveInvocation(w http.ResponseWriter, request *http.Request, r *Runtime) error {
	var head invocationHead
	payload, err := readMessage(http.MaxBytesReader(w, request.Body, maxMessage), &head)
	if err != nil || head.Function == nil {
		http.Error(w, "no invocation", http.StatusBadRequest)
		return err
	}
	head.Call.Payload = payload
	result, err := r.Invoke(request.Context(), head.Function, head.Call)
	answer := resultHead{Result: result}
	if err != nil {
		answer = resultHead{Failed: err.Error()}
		for name, is := range remoteErrors {
			if errors.Is(err, is) {
				answer.Is = name
			}
		}
	}
	payload, answer.Result.Payload = result.Payload, nil
	start, err := messageHead(answer)
	if err != nil {
		return err
	}
	if _, err = w.Write(start); err == nil {
		_, err = w.Write(payload)
	}
	return ignoreGone(request, err)
}

// ignoreGone leaves out the error of an answer to somebody who has left.
func ignoreGone(request *http.Request, err error) error {
	if request.Context().Err() != nil {
		return nil
	}
	return err
}

func messageHead(head any) ([]byte, error) {
	encoded, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(encoded))), encoded...), nil
}

func readMessage(r io.Reader, head any) (payload []byte, err error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxHead {
		return nil, fmt.Errorf("a head of %d bytes, %d at most are allowed", n, maxHead)
	}
	encoded := make([]byte, n)
	if _, err := io.ReadFull(r, encoded); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(encoded, head); err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// Client reaches the Runtime behind a Unix socket, and has its methods. They may be called at the same time. Close it.
type Client struct{ http *http.Client }

// NewClient makes a Client for the socket at a path. Nothing need answer there yet.
func NewClient(path string) *Client {
	return &Client{&http.Client{Transport: &http.Transport{
		Protocols: protocols(), DisableCompression: true,
		HTTP2:       &http.HTTP2Config{MaxReceiveBufferPerStream: remoteWindow},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialReturning(ctx, path) },
	}}}
}

// dialReturning connects to a socket, and waits for one that is not there yet, or not again.
func dialReturning(ctx context.Context, path string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, returnWithin)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "unix", path)
		if err == nil || ctx.Err() != nil {
			return conn, err
		}
		select {
		case <-time.After(remotePause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// Close closes the connection.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Invoke is Runtime.Invoke. An invocation whose Runtime ends meanwhile is an error.
func (c *Client) Invoke(ctx context.Context, f *Function, call Call) (Result, error) {
	payload := call.Payload
	call.Payload = nil
	start, err := messageHead(invocationHead{f, call})
	if err != nil {
		return Result{}, err
	}
	response, err := c.post(ctx, invokePath, io.MultiReader(bytes.NewReader(start), bytes.NewReader(payload)),
		int64(len(start)+len(payload)))
	if err != nil {
		return Result{}, err
	}
	defer response.Body.Close()
	var head resultHead
	if payload, err = readMessage(response.Body, &head); err != nil {
		return Result{}, lost(ctx, err)
	}
	if head.Failed != "" {
		return Result{}, &remoteError{head.Failed, remoteErrors[head.Is]}
	}
	head.Result.Payload = payload
	return head.Result, nil
}

// Forget is Runtime.Forget. A Runtime that is not there has nothing to forget.
func (c *Client) Forget(arn string) {
	ctx, cancel := context.WithTimeout(context.Background(), returnWithin)
	defer cancel()
	if response, err := c.post(ctx, forgetPath+"?arn="+url.QueryEscape(arn), http.NoBody, 0); err == nil {
		_ = response.Body.Close()
	}
}

func (c *Client) post(ctx context.Context, path string, body io.Reader, length int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://functions"+path, body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = length
	response, err := c.http.Do(request)
	if err != nil {
		return nil, lost(ctx, err)
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		said, _ := io.ReadAll(io.LimitReader(response.Body, 200))
		return nil, fmt.Errorf("functions: the runtime answers %d: %s", response.StatusCode, said)
	}
	return response, nil
}

// lost explains why there is no answer.
func lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("functions: the process that runs functions has ended, or is not there yet; invoke again: %w", err)
}
