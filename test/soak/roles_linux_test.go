package soak

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// roles are the parts that the test's own program plays inside instances, each until it is told to stop.
var roles = map[string]func(ctx context.Context, name string) error{
	"target":      serveTarget,
	"client":      callWell,
	"abandon":     abandon,
	"flood-http1": floodHTTP1,
	"flood-http2": floodHTTP2,
	"flood-tls":   floodTLS,
	"flood-dns":   floodDNS,
}

// play plays a part until SIGTERM. The first argument is the name of the service.
func play(role string, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := roles[role](ctx, args[0]); err != nil && ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
		return 1
	}
	return 0
}

// serveTarget answers at once, but for /slow, where it takes ten seconds if its client waits so long.
func serveTarget(ctx context.Context, _ string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "well\n")
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(10 * time.Second):
		case <-r.Context().Done():
		}
	})
	server := &http.Server{Addr: net.JoinHostPort(os.Getenv("PERGOLA_ADDRESS"), "8080"), Handler: mux}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// tally is what came of a client's requests, by outcome: "200 http", or the text of an error.
type tally struct {
	mu       sync.Mutex
	outcomes map[string]int
}

func (t *tally) count(outcome string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outcomes[outcome]++
}

// callWell calls the service as a good client does, over HTTP/1.1, HTTPS and HTTP/2, on kept connections and on new
// ones, and prints what came of it.
func callWell(ctx context.Context, name string) error {
	results := &tally{outcomes: map[string]int{}}
	var callers sync.WaitGroup
	for _, scheme := range []string{"http", "https", "https+h2"} {
		for _, kept := range []bool{true, false} {
			callers.Go(func() { keepCalling(ctx, results, scheme, name, kept) })
		}
	}
	callers.Wait()
	return json.NewEncoder(os.Stdout).Encode(results.outcomes)
}

func keepCalling(ctx context.Context, results *tally, scheme, name string, kept bool) {
	transport := &http.Transport{DisableKeepAlives: !kept, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(scheme != "https+h2")
	transport.Protocols.SetHTTP2(scheme == "https+h2")
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	url := strings.TrimSuffix(scheme, "+h2") + "://" + name + "/"
	for ctx.Err() == nil {
		outcome := scheme + " " + call(client, url)
		if ctx.Err() == nil {
			results.count(outcome)
		}
		wait(ctx, 2*time.Millisecond)
	}
}

func call(client *http.Client, url string) string {
	response, err := client.Post(url, "text/plain", strings.NewReader(strings.Repeat("x", 1000)))
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err.Error()
	}
	return response.Status
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// abandon sends requests that take long and goes away, by RST and by FIN.
func abandon(ctx context.Context, name string) error {
	return repeat(ctx, 4, func() error {
		conn, err := dial(ctx, name, "80")
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "GET /slow HTTP/1.1\r\nHost: %s\r\n\r\n", name)
		if rand.IntN(2) == 0 {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		wait(ctx, 20*time.Millisecond)
		return err
	})
}

// floodHTTP1 opens connections and keeps them, each with half a head that says little.
func floodHTTP1(ctx context.Context, name string) error {
	return hoard(ctx, name, "80", func(conn net.Conn) error {
		_, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nx: %s\r\n", name, strings.Repeat("y", 8000))
		return err
	})
}

// floodTLS begins handshakes and falls silent.
func floodTLS(ctx context.Context, name string) error {
	return hoard(ctx, name, "443", func(conn net.Conn) error {
		_, err := conn.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3})
		return err
	})
}

// floodHTTP2 sends heads that are small on the wire and large when decoded, on as many streams as it may, and reads
// nothing.
func floodHTTP2(ctx context.Context, name string) error {
	return repeat(ctx, 2, func() error {
		conn, err := dial(ctx, name, "443")
		if err != nil {
			return err
		}
		defer conn.Close()
		secure := tls.Client(conn, &tls.Config{ServerName: name, NextProtos: []string{"h2"}, InsecureSkipVerify: true})
		_ = secure.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.WriteString(secure, http2.ClientPreface); err != nil {
			return err
		}
		framer := http2.NewFramer(secure, secure)
		if err := framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize}); err != nil {
			return err
		}
		var block strings.Builder
		encoder := hpack.NewEncoder(&block)
		for stream := uint32(1); stream < 256 && ctx.Err() == nil; stream += 2 {
			block.Reset()
			for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", name}, {":path", "/"}} {
				_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
			}
			for range 14 {
				_ = encoder.WriteField(hpack.HeaderField{Name: "x-large", Value: strings.Repeat("z", 4000)})
			}
			if err := framer.WriteHeaders(http2.HeadersFrameParam{
				StreamID: stream, BlockFragment: []byte(block.String()), EndHeaders: true, EndStream: true,
			}); err != nil {
				return err
			}
		}
		wait(ctx, time.Second)
		return nil
	})
}

// floodDNS asks for names that do not exist, over UDP and on TCP connections that it keeps.
func floodDNS(ctx context.Context, _ string) error {
	servers, err := nameserver()
	if err != nil {
		return err
	}
	go func() { _ = hoard(ctx, servers, "53", func(net.Conn) error { return nil }) }()
	return repeat(ctx, 8, func() error {
		asking, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		_, _ = net.DefaultResolver.LookupHost(asking, fmt.Sprintf("n%d.example.com.", rand.Int()))
		return nil
	})
}

func nameserver() (string, error) {
	content, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "nameserver" {
			return fields[1], nil
		}
	}
	return "", errors.New("/etc/resolv.conf names no server")
}

func dial(ctx context.Context, host, port string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	return dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
}

// repeat does something again and again, several at once. What is refused is what a flood expects, and tried again.
func repeat(ctx context.Context, atOnce int, do func() error) error {
	var working sync.WaitGroup
	for range atOnce {
		working.Go(func() {
			for ctx.Err() == nil {
				if do() != nil {
					wait(ctx, 50*time.Millisecond)
				}
			}
		})
	}
	working.Wait()
	return nil
}

// hoardSize is how many connections a hoarder keeps: more than a deployment with 512 descriptors can give.
const hoardSize = 600

// hoard keeps as many connections as it can get, after it has said something on each, and replaces those that end.
func hoard(ctx context.Context, host, port string, say func(net.Conn) error) error {
	var mu sync.Mutex
	held := map[net.Conn]bool{}
	context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range slices.Collect(maps.Keys(held)) {
			_ = conn.Close()
		}
	})
	return repeat(ctx, hoardSize, func() error {
		conn, err := dial(ctx, host, port)
		if err != nil {
			wait(ctx, time.Second)
			return err
		}
		mu.Lock()
		held[conn] = true
		mu.Unlock()
		defer func() {
			mu.Lock()
			delete(held, conn)
			mu.Unlock()
			_ = conn.Close()
		}()
		if err := say(conn); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, conn)
		return err
	})
}
