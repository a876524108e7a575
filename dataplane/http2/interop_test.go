package http2

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"pergola/dataplane/http1"
)

// overBoth runs a test over clear text and over TLS.
func overBoth(t *testing.T, test func(t *testing.T, server, client *tls.Config)) {
	t.Run("clear text", func(t *testing.T) { test(t, nil, nil) })
	t.Run("TLS", func(t *testing.T) {
		server, client := certificate(t)
		test(t, server, client)
	})
}

// goClient is Go's client, which speaks nothing but HTTP/2.
func goClient(t *testing.T, secure *tls.Config) (client *http.Client, scheme string) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(secure == nil)
	protocols.SetHTTP2(secure != nil)
	transport := &http.Transport{Protocols: protocols, TLSClientConfig: secure}
	t.Cleanup(transport.CloseIdleConnections)
	if secure != nil {
		return &http.Client{Transport: transport}, "https://"
	}
	return &http.Client{Transport: transport}, "http://"
}

func TestGoClientAgainstServer(t *testing.T) {
	overBoth(t, func(t *testing.T, server, clientTLS *tls.Config) {
		h := serve(t, Config{}, server, echo)
		client, scheme := goClient(t, clientTLS)
		url := scheme + h.address
		large := strings.Repeat("0123456789abcdef", 200<<10)
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				testGoGet(t, client, fmt.Sprint(url, "/", i*1000, "?a=b"), i*1000)
				testGoPost(t, client, url, large[:len(large)>>i])
			})
		}
		all.Wait()
		response, err := client.Head(url + "/1234")
		if err != nil || response.ContentLength != 1234 {
			t.Fatalf("HEAD: %+v, %v", response, err)
		}
		response.Body.Close()
	})
}

func testGoGet(t *testing.T, client *http.Client, url string, size int) {
	response, err := client.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil || int(n) != size || response.ProtoMajor != 2 || response.Header.Get("x-target") == "" {
		t.Errorf("%d bytes of %d, %v, %+v", n, size, err, response)
	}
}

func testGoPost(t *testing.T, client *http.Client, url, body string) {
	request, _ := http.NewRequest("POST", url, io.MultiReader(strings.NewReader(body))) // of unknown length
	request.Trailer = http.Header{"X-Trailer": {"behind"}}
	request.Header.Set("Expect", "100-continue")
	response, err := client.Do(request)
	if err != nil {
		t.Error(err)
		return
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil || string(got) != body {
		t.Errorf("%d bytes of %d came back, %v", len(got), len(body), err)
	}
	if got := response.Trailer.Get("x-trailer"); got != "behind" {
		t.Errorf("the trailer is %q", got)
	}
}

func TestClientAgainstGoServer(t *testing.T) {
	overBoth(t, func(t *testing.T, serverTLS, clientTLS *tls.Config) {
		address := goServer(t, serverTLS)
		c := dial(t, address, Config{Secure: clientTLS != nil}, clientTLS)
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				if err := testPost(c, bytes.Repeat([]byte("0123456789abcdef"), 100<<10>>i)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := c.Active(); n != 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}

// goServer runs Go's server, which sends back what it gets after an early hint.
func goServer(t *testing.T, secure *tls.Config) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(true)
	server := &http.Server{Protocols: protocols, TLSConfig: secure, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("link", "</x>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("trailer", "x-length")
		w.Header().Set("x-host", r.Host)
		n, _ := io.Copy(w, r.Body)
		w.Header().Set("x-length", fmt.Sprint(n))
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if secure != nil {
			server.ServeTLS(l, "", "")
		} else {
			server.Serve(l)
		}
	}()
	t.Cleanup(func() {
		server.Shutdown(context.Background())
		<-done
	})
	return l.Addr().String()
}

// testPost sends a body while its echo is read.
func testPost(c *Client, body []byte) error {
	s, err := c.Open()
	if err != nil {
		return err
	}
	defer s.Close()
	s.Out.StartRequest([]byte("POST"), []byte("/"))
	s.Out.Field("host", "service.example")
	s.Out.EndHead(http1.Sized(int64(len(body))))
	sent := make(chan error, 1)
	go func() {
		if _, err := s.Out.Write(body); err != nil {
			sent <- err
			return
		}
		sent <- s.Out.End()
	}()
	got, err := readEcho(s)
	if err := <-sent; err != nil {
		return err
	}
	if err != nil || !bytes.Equal(got, body) {
		return fmt.Errorf("%d bytes of %d came back: %w", len(got), len(body), err)
	}
	if trailers := s.In.Body().Trailers(); len(trailers) != 1 || string(trailers[0].Value) != fmt.Sprint(len(body)) {
		return fmt.Errorf("the trailers are %v", trailers)
	}
	if !s.Rest() {
		return errors.New("the exchange is not over")
	}
	return nil
}

func readEcho(s *Stream) ([]byte, error) {
	var r http1.Response
	if err := s.In.ReadResponse(&r, false); err != nil || r.Status != 103 || string(r.Get("link")) != "</x>" {
		return nil, fmt.Errorf("want a hint, got %d %v", r.Status, err)
	}
	if err := s.In.ReadResponse(&r, false); err != nil || r.Status != 200 || string(r.Get("x-host")) != "service.example" {
		return nil, fmt.Errorf("got %d %v", r.Status, err)
	}
	return io.ReadAll(s.In.Body())
}

func TestCurlAgainstServer(t *testing.T) {
	path, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	version, _ := exec.Command(path, "--version").Output()
	if !strings.Contains(string(version), "HTTP2") {
		t.Skip("curl does not speak HTTP/2")
	}
	server, _ := certificate(t)
	url := "http://" + serve(t, Config{}, nil, echo).address
	secure := "https://" + serve(t, Config{}, server, echo).address
	body := strings.Repeat("x", 1<<20)
	for _, c := range []struct {
		args  []string
		stdin string
		want  int
	}{
		{[]string{url + "/100000"}, "", 100000},
		{[]string{"--data-binary", "@-", url}, body, len(body)},
		{[]string{"-T", "-", url}, body, len(body)},
		{[]string{secure + "/10", secure + "/20", secure + "/30"}, "", 60},
		{[]string{"-Z", secure + "/100000", secure + "/200000", secure + "/300000"}, "", 600000},
		{[]string{"-T", "-", secure}, body, len(body)},
	} {
		cmd := exec.Command(path, append([]string{"-sSk", "--http2-prior-knowledge"}, c.args...)...)
		cmd.Stdin = strings.NewReader(c.stdin)
		var failure strings.Builder
		cmd.Stderr = &failure
		out, err := cmd.Output()
		if err != nil || len(out) != c.want {
			t.Errorf("curl %q: %d bytes, %v, %s", c.args, len(out), err, failure.String())
		}
	}
}
