package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pergola/dataplane/record"
	"pergola/lattice"
)

// untilLeft sleeps until a connection takes no further request, and returns how long that was.
func untilLeft(conn *http.ClientConn) time.Duration {
	start := time.Now()
	for conn.Err() == nil && conn.Available() > 0 {
		time.Sleep(time.Second)
	}
	return time.Since(start)
}

// TestTimeoutsByHTTP2 answers for silent targets after the idle timeout of the service, and takes leave of connections that
// have had no request for as long.
func TestTimeoutsByHTTP2(t *testing.T) {
	for _, version := range []lattice.ProtocolVersion{lattice.HTTP1, lattice.HTTP2} {
		for _, idle := range []time.Duration{0, 3 * time.Minute} {
			t.Run(string(version)+" "+idle.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.listener().Service.IdleTimeout = idle
					w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = version
					w.targets[targetA] = func(conn net.Conn) { io.Copy(io.Discard, conn) }
					if version == lattice.HTTP2 {
						w.targets[targetA] = serveHTTP2(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
					}
					want := max(idle, time.Minute)
					client := w.connectHTTP2()
					start := time.Now()
					response, err := client.RoundTrip(call{method: "GET", path: "/"}.request(t.Context(), t))
					if err != nil {
						t.Fatal(err)
					}
					response.Body.Close()
					if took := time.Since(start); response.StatusCode != 502 || took < want || took > want+want/16+time.Second {
						t.Errorf("answered %d after %v, want 502 after %v", response.StatusCode, took, want)
					}
					if took := untilLeft(client); took < want || took > want+2*time.Second {
						t.Errorf("left after %v without requests, want %v", took, want)
					}
					if r := w.last(); r.Failure != record.TargetDataTimeout {
						t.Errorf("recorded %s", r.Failure)
					}
					client.Close()
					w.close()
				})
			})
		}
	}
}

// TestLifetimeByHTTP2 takes leave of a connection after ten minutes, lets what is under way then go on, and cuts it a minute
// later.
func TestLifetimeByHTTP2(t *testing.T) {
	for _, row := range []struct {
		name    string
		takes   time.Duration // the request that is under way in the tenth minute
		failure record.Failure
	}{
		{"what is under way ends in time", time.Minute, ""},
		{"what is under way is cut", time.Hour, record.ConnectionDurationExceeded},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.listener().Service.IdleTimeout = 2 * time.Minute
				w.targets[targetA] = func(conn net.Conn) { speakSlowly(conn, row.takes) }
				client, start := w.connectHTTP2(), time.Now()
				ask := func(ctx context.Context, path string) error {
					response, err := client.RoundTrip(call{method: "GET", path: path}.request(ctx, t))
					if err == nil {
						_, err = io.Copy(io.Discard, response.Body)
						response.Body.Close()
					}
					return err
				}
				for time.Since(start) < DefaultLifetime-30*time.Second {
					if err := ask(t.Context(), "/"); err != nil {
						t.Fatalf("after %v: %v", time.Since(start), err)
					}
					time.Sleep(30 * time.Second)
				}
				slow := make(chan error, 1)
				go func() { slow <- ask(t.Context(), "/slow") }()
				untilLeft(client)
				if took := time.Since(start); took < DefaultLifetime || took > DefaultLifetime+time.Second {
					t.Errorf("it took its last request after %v", took)
				}
				err := <-slow
				took := time.Since(start)
				if row.failure == "" && err != nil {
					t.Errorf("the request under way failed: %v", err)
				}
				if row.failure != "" && (err == nil || took != DefaultLifetime+lifetimeGrace) {
					t.Errorf("the request under way ended with %v after %v", err, took)
				}
				synctest.Wait()
				if r := w.last(); r.Failure != row.failure {
					t.Errorf("recorded %q, want %q", r.Failure, row.failure)
				}
				client.Close()
				w.close()
			})
		})
	}
}

// TestATargetThatCannotBeReachedHoldsUpNobody answers requests that come together as soon as each: they wait for the same
// dial, and not for one another's.
func TestATargetThatCannotBeReachedHoldsUpNobody(t *testing.T) {
	for _, version := range []lattice.ProtocolVersion{lattice.HTTP1, lattice.HTTP2} {
		t.Run(string(version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *Config) {
					c.Dial = func(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
						<-ctx.Done()
						return nil, ctx.Err()
					}
				})
				w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = version
				client, start := w.connectHTTP2(), time.Now()
				var asking sync.WaitGroup
				for range 10 {
					asking.Go(func() {
						response, err := client.RoundTrip(call{method: "GET", path: "/"}.request(t.Context(), t))
						if err != nil {
							t.Error(err)
							return
						}
						response.Body.Close()
						if took := time.Since(start); response.StatusCode != 503 || took != DefaultDialTimeout {
							t.Errorf("answered %d after %v", response.StatusCode, took)
						}
					})
				}
				asking.Wait()
				client.Close()
				w.close()
			})
		})
	}
}

// speakSlowly answers requests by HTTP/1.1: those for /slow with a word each half minute.
func speakSlowly(conn net.Conn, takes time.Duration) {
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if r.URL.Path != "/slow" {
			io.WriteString(conn, ok)
			continue
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range takes / (30 * time.Second) {
			if _, err := io.WriteString(conn, "5\r\nhello\r\n"); err != nil {
				return
			}
			time.Sleep(30 * time.Second)
		}
		io.WriteString(conn, "0\r\n\r\n")
	}
}

// TestACutEndsADial lets a node stop although a target does not answer, for which the target is not asked again.
func TestACutEndsADial(t *testing.T) {
	began := make(chan struct{}, maxTries)
	w := newWorld(t, func(c *Config) {
		c.Dial = func(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
			began <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		c.DialTimeout = time.Hour
	})
	conn := w.connect(inVPC)
	go io.WriteString(conn, get)
	<-began
	w.cutAll()
	w.serving.Wait()
	if r := w.last(); r.Failure != record.ClientConnectionClosed || len(began) > 0 {
		t.Errorf("recorded %s, dialled %d times more", r.Failure, len(began))
	}
}
