package proxy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pergola/dataplane/record"
	"pergola/lattice"
	"pergola/snapshot"
)

const functionARN = "arn:aws:lambda:us-west-2:111122223333:function:f:live"

// function is a function as a test has it answer.
type function func(ctx context.Context, event []byte) (string, error)

func (f function) InvokeFunction(ctx context.Context, arn, group string, event []byte) ([]byte, error) {
	if arn != functionARN || group != groupARN {
		return nil, fmt.Errorf("%s was invoked for %s", arn, group)
	}
	answer, err := f(ctx, event)
	return []byte(answer), err
}

// functionPicker makes every target a function.
type functionPicker struct{ Picker }

type pickedFunction struct{ Target }

func (pickedFunction) Function() string { return functionARN }

func (p functionPicker) Pick(g *snapshot.TargetGroup, tried ...netip.AddrPort) (Target, bool) {
	target, ok := p.Picker.Pick(g, tried...)
	return pickedFunction{target}, ok
}

// newFunctionWorld returns a world whose one target is a function.
func newFunctionWorld(t *testing.T, version string, f function) *world {
	w := newWorld(t, func(c *Config) { c.Functions, c.Picker = f, functionPicker{c.Picker} })
	w.listener().Rules = []snapshot.Rule{forwarding(&snapshot.TargetGroup{ID: "tg-1", ARN: groupARN, Type: lattice.TargetLambda, EventVersion: version})}
	return w
}

func TestAFunctionAnswersOneRequestAfterTheOther(t *testing.T) {
	for _, version := range []string{"V1", "V2"} {
		var events []string
		w := newFunctionWorld(t, version, func(_ context.Context, event []byte) (string, error) {
			events = append(events, string(event))
			return `{"statusCode":201,"headers":{"a":["1","2"],"Connection":"close","x-amzn-requestid":"mine"},"body":"done"}`, nil
		})
		w.random = 7
		all := w.say("POST /p?q=1 HTTP/1.1\r\nHost: s.example\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nX-Forwarded-For: 1.2.3.4\r\nX-Amzn-Lattice-Network: forged\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\nhello"+
			"GET / HTTP/1.1\r\nHost: s.example\r\n\r\n", inVPC)
		if len(all) != 2 || all[0].status != 201 || all[0].body != "done" || all[0].length != 4 || all[0].close || strings.Join(all[0].header["A"], "") != "12" || all[0].header.Get("x-amzn-requestid") == "mine" {
			t.Fatalf("%s: %v", version, all)
		}
		for _, want := range []string{`/p?q=1`, `"hello"`, `1.2.3.4, 10.0.0.5`, `x-amzn-requestid`, "x-forwarded-port"} {
			if !strings.Contains(events[0], want) {
				t.Errorf("%s: no %s in %s", version, want, events[0])
			}
		}
		for _, unwanted := range []string{"forged", "x-hop", "content-length"} {
			if strings.Contains(events[0], unwanted) {
				t.Errorf("%s: %s in %s", version, unwanted, events[0])
			}
		}
		if got := strings.Contains(events[0], "x-amzn-lattice-network"); got != (version == "V1") {
			t.Errorf("%s: %s", version, events[0])
		}
		if got := strings.Contains(events[0], `"timeEpoch"`); got != (version == "V2") {
			t.Errorf("%s: %s", version, events[0])
		}
		w.serving.Wait()
		if r := w.last(); r.Status != 201 || r.Failure != "" || r.TargetGroup.ID != "tg-1" || r.Target.IsValid() && r.Target != targetA {
			t.Errorf("the record is %+v", r)
		}
	}
}

func TestTheSignerIsInTheEvent(t *testing.T) {
	x := &exchange{client: &client{connection: &connection{}}}
	x.record.VPC = &snapshot.VPC{ID: "vpc-client", ARN: vpcARN}
	x.record.Network, x.record.TargetGroup = &snapshot.Network{ARN: networkARN}, &snapshot.TargetGroup{ARN: groupARN}
	x.record.Listener = &snapshot.Listener{Service: &snapshot.Service{ARN: serviceARN}}
	x.record.Caller.Principal, x.record.Caller.SessionName = "arn:aws:sts::111122223333:assumed-role/r/s", "s"
	told := func(version string) []byte {
		event, err := x.event(&snapshot.TargetGroup{EventVersion: version}, nil, &counter{})
		if err != nil {
			t.Fatal(err)
		}
		return event
	}
	var v1 struct{ Headers map[string]string }
	if err := json.Unmarshal(told("V1"), &v1); err != nil {
		t.Fatal(err)
	}
	if got := v1.Headers["x-amzn-lattice-identity"]; !strings.HasPrefix(got, "Principal=arn:aws:sts::111122223333:assumed-role/r/s; ") {
		t.Errorf("V1: %q", got)
	}
	var v2 struct {
		RequestContext struct {
			Region   string
			Identity map[string]string
		}
	}
	if err := json.Unmarshal(told("V2"), &v2); err != nil {
		t.Fatal(err)
	}
	if got := v2.RequestContext; got.Region != "us-west-2" || got.Identity["type"] != "AWS_IAM" || got.Identity["sessionName"] != "s" || got.Identity["sourceVpcArn"] != vpcARN {
		t.Errorf("V2: %+v", got)
	}
}

// gone is an error about a function that could not be invoked.
type gone struct{ error }

func (gone) Unavailable() bool { return true }

func (g gone) Unwrap() error { return g.error }

func TestWhatAFunctionFailsWith(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		err          error
		status       int
		failure      record.Failure
	}{
		{"its own error", "", errors.New("function failed"), 502, record.TargetProtocolError},
		{"its own timeout", "", fmt.Errorf("f: %w", context.DeadlineExceeded), 502, record.TargetDataTimeout},
		{"not to be invoked", "", fmt.Errorf("f: %w", gone{errors.New("no permission")}), 503, record.TargetConnectionError},
		{"no response", `"hello"`, nil, 502, record.TargetProtocolError},
		{"a field that splits", `{"statusCode":200,"headers":{"a":"b\r\nc: d"}}`, nil, 502, record.TargetProtocolError},
		{"nothing", ``, nil, 502, record.TargetProtocolError},
	} {
		w := newFunctionWorld(t, "V2", func(context.Context, []byte) (string, error) { return c.answer, c.err })
		got := w.ask("GET / HTTP/1.1\r\nHost: s.example\r\n\r\n")
		w.serving.Wait()
		if got.status != c.status || w.last().Failure != c.failure {
			t.Errorf("%s: %v %s, want %d %s", c.name, got, w.last().Failure, c.status, c.failure)
		}
	}
}

func TestAFunctionMayTakeAsLongAsTheServiceIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFunctionWorld(t, "V2", func(ctx context.Context, _ []byte) (string, error) {
			<-ctx.Done()
			return "", gone{ctx.Err()}
		})
		conn := w.connect(inVPC)
		defer conn.Close()
		go io.WriteString(conn, "GET / HTTP/1.1\r\nHost: s.example\r\nConnection: close\r\n\r\n")
		got, err := readAnswer(bufio.NewReader(conn), false)
		w.serving.Wait()
		if err != nil || got.status != 502 || w.last().Failure != record.TargetDataTimeout {
			t.Errorf("%v %v", got, err)
		}
		conn.Close()
		w.close()
	})
}

// TestACutEndsTheInvocation lets a node stop although a function takes its time, which is not called the function's fault.
func TestACutEndsTheInvocation(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error, 1)
	w := newFunctionWorld(t, "V2", func(ctx context.Context, _ []byte) (string, error) {
		close(began)
		<-ctx.Done()
		ended <- ctx.Err()
		return "", ctx.Err()
	})
	var logged strings.Builder
	w.proxy.config.Log = slog.New(slog.NewTextHandler(&logged, nil))
	conn := w.connect(inVPC)
	go io.WriteString(conn, "GET / HTTP/1.1\r\nHost: s.example\r\n\r\n")
	<-began
	w.cutAll()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	w.serving.Wait()
	if r := w.last(); r.Failure != record.ClientConnectionClosed || logged.Len() > 0 {
		t.Errorf("recorded %s, logged %s", r.Failure, logged.String())
	}
}

// TestASlowClientOfAFunction gets all of a long answer, since a connection on which something moves is not idle.
func TestASlowClientOfAFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const length = 1 << 20
		w := newFunctionWorld(t, "V2", func(context.Context, []byte) (string, error) {
			return `{"statusCode":200,"body":"` + strings.Repeat("x", length) + `"}`, nil
		})
		conn := w.connect(inVPC)
		go io.WriteString(conn, get)
		start, read := time.Now(), 0
		for piece := make([]byte, 8<<10); read < length; time.Sleep(time.Second) {
			n, err := conn.Read(piece)
			if read += n; err != nil {
				t.Errorf("%d of %d bytes came in %v: %v", read, length, time.Since(start), err)
				break
			}
		}
		conn.Close()
		w.close()
	})
}

// TestHEADOfFunctions says how long the body of a GET would be only if the function does (RFC 9110 §8.6).
func TestHEADOfFunctions(t *testing.T) {
	for body, length := range map[string]int64{`,"body":"hello"`: 5, ``: -1} {
		w := newFunctionWorld(t, "V2", func(context.Context, []byte) (string, error) { return `{"statusCode":200` + body + `}`, nil })
		if got := w.ask("HEAD / HTTP/1.1\r\nHost: s.example\r\n\r\n"); got.status != 200 || got.length != length || got.body != "" {
			t.Errorf("%q: %v, %d bytes, want %d", body, got, got.length, length)
		}
	}
}

func TestBodiesOfFunctions(t *testing.T) {
	received := 0
	w := newFunctionWorld(t, "V2", func(_ context.Context, event []byte) (string, error) {
		received = len(event)
		return `{"statusCode":200,"body":"ok"}`, nil
	})
	head := "POST / HTTP/1.1\r\nHost: s.example\r\nContent-Type: text/plain\r\n"
	six := strings.Repeat("x", 6<<20)
	if got := w.ask(head + "Content-Length: 6291456\r\n\r\n" + six); got.status != 200 || received < len(six) {
		t.Errorf("6 MB: %v", got)
	}
	if got := w.ask(head + "Content-Length: 6291457\r\n\r\n" + six + "x"); got.status != 413 || got.body != "Content Too Large" {
		t.Errorf("more than 6 MB: %v", got)
	}
	if got := w.ask(head + "Transfer-Encoding: chunked\r\n\r\n600001\r\n" + six + "x\r\n0\r\n\r\n"); got.status != 413 {
		t.Errorf("more than 6 MB in chunks: %v", got)
	}
	w.serving.Wait() // for what was recorded so far
	got := w.ask(head + "Transfer-Encoding: chunked\r\n\r\nnonsense\r\n")
	w.serving.Wait()
	if got.status != 400 || w.last().Failure != record.ClientProtocolError {
		t.Errorf("a malformed body: %v", got)
	}
	if got := w.ask("HEAD / HTTP/1.1\r\nHost: s.example\r\n\r\n"); got.status != 200 {
		t.Errorf("HEAD: %v", got)
	}

	conn := w.connect(inVPC)
	in := bufio.NewReader(conn)
	go io.WriteString(conn, head+"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	if line, err := in.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 100 ") || err != nil {
		t.Fatalf("%q %v", line, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	go io.WriteString(conn, "hi")
	if got, err := readAnswer(in, false); err != nil || got.status != 200 || got.close {
		t.Errorf("after 100: %v %v", got, err)
	}
}
