package http2

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/dataplane/http1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	requests = sync.Pool{New: func() any { return new(http1.Request) }}
	zeros    = make([]byte, 16<<10)
)

// echo answers a request with its own body and trailers, and tells in fields what it was asked. A request without a body
// gets 5 bytes, or as many as its path says.
func echo(s *Stream) {
	r := requests.Get().(*http1.Request)
	defer requests.Put(r)
	if err := s.In.ReadRequest(r); err != nil {
		var malformed *http1.MalformedError
		if errors.As(err, &malformed) {
			s.Out.StartResponse(400, nil)
			s.Out.Field("x-problem", malformed.Problem)
			s.Out.EndHead(http1.Sized(0))
			s.Out.End()
		}
		return
	}
	if r.Expects100() {
		s.Out.StartResponse(100, nil)
		s.Out.EndHead(http1.Bodiless)
		s.Out.End()
	}
	s.Out.StartResponse(200, nil)
	s.Out.FieldBytes("x-method", r.Method)
	s.Out.FieldBytes("x-target", r.Target)
	s.Out.FieldBytes("x-host", r.Host)
	if cookie := r.Get("cookie"); cookie != nil {
		s.Out.FieldBytes("x-cookie", cookie)
	}
	if size := parseLength(r.Path[1:]); size >= 0 && len(r.Path) > 1 {
		writeBody(s, size, r.IsHead())
		return
	}
	if r.Framing() == http1.Bodiless {
		writeBody(s, 5, r.IsHead())
		return
	}
	s.Out.EndHead(http1.Chunked)
	if err := relay(s, s); err != nil {
		return
	}
	s.Out.End()
}

func writeBody(s *Stream, size int64, head bool) {
	if head {
		s.Out.FieldInt("content-length", size)
		s.Out.EndHead(http1.Bodiless)
		s.Out.End()
		return
	}
	s.Out.EndHead(http1.Sized(size))
	for size > 0 {
		n := min(size, int64(len(zeros)))
		if _, err := s.Out.Write(zeros[:n]); err != nil {
			return
		}
		size -= n
	}
	s.Out.End()
}

// relay passes a body and its trailers on, in the way the proxy does.
func relay(to, from *Stream) error {
	body := from.In.Body()
	for {
		view, err := body.Next()
		switch {
		case err == io.EOF:
			for _, f := range body.Trailers() {
				to.Out.Trailer(f)
			}
			return nil
		case err != nil:
			return err
		case view != nil:
			if _, err := to.Out.Write(view); err != nil {
				return err
			}
			continue
		}
		if err := to.Out.Flush(); err != nil {
			return err
		}
		if err := body.Fill(); err != nil {
			return err
		}
	}
}

// host is a listener whose connections are served.
type host struct {
	address  string
	listener net.Listener
	all      sync.WaitGroup
	mu       sync.Mutex
	servers  []*Server
}

// serve serves connections to a port of the loopback until the test ends.
func serve(t testing.TB, cfg Config, secure *tls.Config, handle func(*Stream)) *host {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Memory == nil {
		cfg.Memory = new(Memory)
	}
	h := &host{address: l.Addr().String(), listener: l}
	h.all.Add(1)
	go func() {
		defer h.all.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if secure != nil {
				conn = tls.Server(conn, secure)
			}
			s := NewServer(conn, cfg)
			h.mu.Lock()
			h.servers = append(h.servers, s)
			h.mu.Unlock()
			h.all.Add(1)
			go func() {
				defer h.all.Done()
				for s.Serve(handle) == http1.ErrQuiet {
				}
			}()
		}
	}()
	t.Cleanup(h.close)
	return h
}

func (h *host) close() {
	h.listener.Close()
	h.mu.Lock()
	for _, s := range h.servers {
		s.Close()
	}
	h.mu.Unlock()
	h.all.Wait()
}

// certificate returns TLS configurations for both ends, with HTTP/2 agreed upon.
func certificate(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	server = &tls.Config{Certificates: s.TLS.Certificates, NextProtos: []string{"h2"}}
	client = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	client.NextProtos, client.ServerName = []string{"h2"}, "example.com"
	return server, client
}

// dial connects a Client to an address.
func dial(t testing.TB, address string, cfg Config, secure *tls.Config) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if secure != nil {
		conn = tls.Client(conn, secure)
	}
	c := NewClient(conn, cfg)
	t.Cleanup(func() { c.Close() })
	return c
}

// open opens a stream, and fails the test if it cannot.
func open(t testing.TB, c *Client) *Stream {
	t.Helper()
	s, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// get sends a GET and returns the length of the body of its response, whose fields no longer hold.
func get(c *Client, target string, r *http1.Response) (size int64, err error) {
	s, err := c.Open()
	if err != nil {
		return 0, err
	}
	defer s.Close()
	return getOn(s, target, r)
}

func getOn(s *Stream, target string, r *http1.Response) (size int64, err error) {
	s.Out.StartRequest([]byte("GET"), []byte(target))
	s.Out.Field("host", "service.example")
	s.Out.EndHead(http1.Bodiless)
	if err := s.SendAndWait(); err != nil {
		return 0, err
	}
	if err := s.In.ReadResponse(r, false); err != nil {
		return 0, err
	}
	body := s.In.Body()
	for {
		view, err := body.Next()
		switch {
		case err == io.EOF:
			if !s.Rest() {
				return 0, errors.New("the exchange is not over")
			}
			return body.Received(), nil
		case err != nil:
			return 0, err
		case view == nil:
			if err := body.Fill(); err != nil {
				return 0, err
			}
		}
	}
}

// exchange sends a GET, has the answer given, and reads it to its end.
func exchange(c *Client, answer func()) error {
	s, err := c.Open()
	if err != nil {
		return err
	}
	defer s.Close()
	s.Out.StartRequest([]byte("GET"), []byte("/"))
	s.Out.Field("host", "service.example")
	s.Out.EndHead(http1.Bodiless)
	if err := s.Out.End(); err != nil {
		return err
	}
	answer()
	var r http1.Response
	for r.Status < 200 {
		if err := s.In.ReadResponse(&r, false); err != nil {
			return err
		}
	}
	return s.In.Body().Discard(1 << 30)
}
