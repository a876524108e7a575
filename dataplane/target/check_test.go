package target

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pergola/lattice"
	"pergola/snapshot"
)

func TestWhatACheckSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := groupOf("[fd00:ec2:81::a00:1]:8080")
		spec.HealthCheck.Path = "/health?deep=1"
		d := deploy(t, spec)
		d.answer(spec.Targets[0].Address, ok)
		d.after(time.Second)
		want := "GET /health?deep=1 HTTP/1.1\r\nhost: [fd00:ec2:81::a00:1]:8080\r\nuser-agent: Pergola-HealthChecker/1.0\r\nconnection: close\r\n\r\n"
		if got := d.asked[0]; got.head != want || got.vpc != vpcID {
			t.Errorf("in %s the check sent\n%q, want\n%q", got.vpc, got.head, want)
		}
	})
}

func TestWhichResponsesPass(t *testing.T) {
	tests := []struct {
		name, response string
		problem        string // empty if it passes
	}{
		{"first code", "HTTP/1.1 200 OK\r\n\r\n", ""},
		{"in the range", "HTTP/1.1 302 Found\r\nlocation: /login\r\n\r\n", ""},
		{"end of the range", "HTTP/1.1 399 \r\n\r\n", ""},
		{"past the range", "HTTP/1.1 400 Bad Request\r\n\r\n", "answered with 400"},
		{"old version", "HTTP/1.0 200 OK\r\n\r\n", ""},
		{"after interim responses", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ""},
		{"without the body it announces", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", ""},
		{"switched protocols", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "no valid response"},
		{"not HTTP", "SSH-2.0-OpenSSH_9.6\r\n\r\n", "no valid response"},
		{"head without end", "HTTP/1.1 200 OK\r\nx: " + strings.Repeat("y", 100<<10), "no valid response"},
		{"endless interim responses", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 9), "did not respond within 5s"},
		{"half a head", "HTTP/1.1 200 OK\r\n", "did not respond within 5s"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n.answer(address(one), test.response)
				set := New(Config{Dial: n.dial})
				defer set.Close()
				h := groupOf().HealthCheck
				h.Codes = []lattice.CodeRange{{From: 200, To: 200}, {From: 300, To: 399}}
				err := set.check(t.Context(), &Target{vpc: vpcID, addresses: addressesOf(snapshot.Target{Address: address(one)})},
					h)
				switch {
				case test.problem == "" && err != nil:
					t.Errorf("the check fails: %v", err)
				case test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)):
					t.Errorf("the check says %v, want %q", err, test.problem)
				}
				synctest.Wait()
				if n.connections() != 0 {
					t.Error("the connection was left open")
				}
			})
		})
	}
}
