package proxy

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pergola/dataplane/access"
	"pergola/dataplane/http1"
	"pergola/dataplane/record"
	"pergola/snapshot"
)

// decided is a guard that has decided, and keeps what it was asked.
type decided struct {
	access.Decision
	asked []string
}

func (d *decided) Authorize(r *access.Request) access.Decision {
	d.asked = append(d.asked, strings.Clone(r.HTTP.Method), strings.Clone(r.HTTP.Path), strings.Clone(r.HTTP.RawQuery), strings.Clone(r.HTTP.Host),
		r.VPC.ID, r.Network.ID, r.Listener.ID, r.Client.String())
	for _, f := range r.HTTP.Header {
		d.asked = append(d.asked, f.Name+"="+f.Value)
	}
	return d.Decision
}

func TestWhatTheGuardIsAsked(t *testing.T) {
	guard := &decided{Decision: access.Decision{Allowed: true}}
	w := newWorld(t, func(c *Config) { c.Guard = guard })
	w.targets[targetA] = w.answers(ok)
	w.ask("PUT http://s.example:80/a%20b/..?q=1&q=%32 HTTP/1.1\r\nHost: other\r\nX-A: 1\r\nx-a: 2\r\n\r\n")
	want := "PUT|/a%20b/..|q=1&q=%32|s.example:80|vpc-client|sn-1|listener-1|10.0.0.5|Host=other|X-A=1|x-a=2"
	if got := strings.Join(guard.asked, "|"); got != want {
		t.Errorf("asked %s\nwant  %s", got, want)
	}
}

func TestGuardFails(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Guard = &decided{Decision: access.Decision{Err: errors.New("a secret matter"), DeniedBy: access.DeniedByIdentity}}
	})
	if a := w.ask(get); a.status != 500 || a.body != "Internal Server Error" {
		t.Errorf("answered %v", a)
	}
	waitRecorded(w, 1)
	if r := w.last(); r.Failure != record.InternalError || r.DeniedBy != access.DeniedByIdentity {
		t.Errorf("recorded %+v", r)
	}
}

// alarmed is a guard that panics at a path.
type alarmed struct{}

func (alarmed) Authorize(r *access.Request) access.Decision {
	if r.HTTP.Path == "/panic" {
		panic("no such thing")
	}
	return access.Decision{Allowed: true}
}

// TestAPanicEndsOneRequest, or the connection where that can carry no other, and is logged.
func TestAPanicEndsOneRequest(t *testing.T) {
	var logged strings.Builder
	newAlarmed := func(t *testing.T) *world {
		logged.Reset()
		w := newWorld(t, func(c *Config) {
			c.Guard, c.Log = alarmed{}, slog.New(slog.NewTextHandler(&logged, nil))
		})
		w.targets[targetA] = w.answers(ok, ok)
		return w
	}
	t.Run("HTTP/1.1", func(t *testing.T) {
		w := newAlarmed(t)
		if all := w.say(get+"GET /panic HTTP/1.1\r\nHost: s.example\r\n\r\n"+get, inVPC); len(all) != 1 || all[0].status != 200 {
			t.Errorf("answered %v", all)
		}
		if n := strings.Count(logged.String(), "no such thing"); n != 1 {
			t.Errorf("logged %d times: %s", n, logged.String())
		}
	})
	t.Run("HTTP/2", func(t *testing.T) {
		w := newAlarmed(t)
		conn := w.connectHTTP2()
		for _, test := range []struct {
			path string
			good bool
		}{{"/", true}, {"/panic", false}, {"/", true}} {
			request, err := http.NewRequestWithContext(t.Context(), "GET", "http://s.example:80"+test.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := conn.RoundTrip(request)
			if good := err == nil; good != test.good {
				t.Errorf("%s: %v", test.path, err)
			}
			if err == nil {
				response.Body.Close()
			}
		}
		if n := strings.Count(logged.String(), "no such thing"); n != 1 {
			t.Errorf("logged %d times: %s", n, logged.String())
		}
	})
}

// stubborn is a client that does not notice for a while that it is broken off.
type stubborn struct {
	net.Conn
	sent    chan string
	release chan struct{}
}

func (s *stubborn) Read(p []byte) (int, error) {
	select {
	case text := <-s.sent:
		return copy(p, text), nil
	case <-s.release:
		return 0, net.ErrClosed
	}
}

// panicking is the answer of a target whose reading panics.
type panicking struct{ reader }

func (panicking) ReadResponse(*http1.Response, bool) error { panic("no such thing") }

// TestAPanicWaitsForTheUpload: nobody uses a client any more whose request has panicked, once that is over.
func TestAPanicWaitsForTheUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.targets[targetA] = func(conn net.Conn) { io.Copy(io.Discard, conn) }
		to, err := w.proxy.dial(t.Context(), destination{vpc: aGroup().VPC, address: targetA})
		if err != nil {
			t.Fatal(err)
		}
		to.in = panicking{to.in}
		w.proxy.pool.give(to, time.Now())
		here, there := net.Pipe()
		client := &stubborn{Conn: addressed{there}, sent: make(chan string, 1), release: make(chan struct{})}
		client.sent <- "POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 10\r\n\r\nhello"
		served := make(chan struct{})
		go func() {
			defer close(served)
			w.proxy.ServeConn(w.finish, w.cut, client, inVPC)
		}()
		synctest.Wait()
		select {
		case <-served:
			t.Error("the client's body is still being read")
		default:
		}
		close(client.release)
		<-served
		here.Close()
		w.close()
	})
}

// TestIdentity holds what a target is told of the caller, against what the caller says.
func TestIdentity(t *testing.T) {
	const forged = "GET / HTTP/1.1\r\nHost: s.example\r\nAuthorization: mine\r\nX-Amz-Date: mine\r\n" +
		"X-Amzn-Lattice-Identity: forged\r\nx_amzn_lattice_identity: forged\r\nX-Amzn-Lattice-Identity-Tags: forged\r\n\r\n"
	for _, test := range []struct {
		name   string
		caller access.Caller
		want   []string // lines of the head
	}{
		{"nobody", access.Caller{}, nil},
		{"a user", access.Caller{Principal: "arn:aws:iam::111122223333:user/alice"},
			[]string{"x-amzn-lattice-identity: Principal=arn:aws:iam::111122223333:user/alice; PrincipalOrgID=; PrincipalOrgPaths=; SessionName=; Type=AWS_IAM"}},
		{"a session", access.Caller{Principal: "arn:aws:sts::1:assumed-role/R/S", Organization: "o-1", OrganizationPath: "o-1/r-1/", SessionName: "S",
			Tags: snapshot.Tags{{Key: "a", Value: "1;2\\3"}, {Key: "b;", Value: "4\r\nx: 5"}}},
			[]string{
				"x-amzn-lattice-identity: Principal=arn:aws:sts::1:assumed-role/R/S; PrincipalOrgID=o-1; PrincipalOrgPaths=o-1/r-1/; SessionName=S; Type=AWS_IAM",
				"x-amzn-lattice-identity-tags: principal=arn:aws:sts::1:assumed-role/R/S;principalorgid=o-1;principalorgpath=o-1/r-1/;a=1\\;2\\\\3;b\\;=4  x: 5",
			}},
		{"a user with a path that says more", access.Caller{Principal: "arn:aws:iam::1:user/;SessionName=S;team=red;/alice", Tags: snapshot.Tags{{Key: "a", Value: "1"}}},
			[]string{
				"x-amzn-lattice-identity: Principal=arn:aws:iam::1:user/\\;SessionName=S\\;team=red\\;/alice; PrincipalOrgID=; PrincipalOrgPaths=; SessionName=; Type=AWS_IAM",
				"x-amzn-lattice-identity-tags: principal=arn:aws:iam::1:user/\\;SessionName=S\\;team=red\\;/alice;principalorgid=;principalorgpath=;a=1",
			}},
	} {
		w := newWorld(t, func(c *Config) { c.Guard = &decided{Decision: access.Decision{Allowed: true, Caller: test.caller}} })
		w.targets[targetA] = w.answers(ok)
		w.ask(forged)
		waitRecorded(w, 1)
		if got := w.last().Caller.Principal; got != test.caller.Principal {
			t.Errorf("%s: recorded %q", test.name, got)
		}
		var got []string
		for line := range strings.Lines(w.heads[0]) {
			if line = strings.TrimSpace(line); strings.Contains(strings.ReplaceAll(strings.ToLower(line), "_", "-"), "lattice-identity") {
				got = append(got, line)
			}
		}
		if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
		}
		if !strings.Contains(w.heads[0], "Authorization: mine\r\nX-Amz-Date: mine\r\n") {
			t.Errorf("%s: the signature is not passed on:\n%s", test.name, w.heads[0])
		}
	}
}
