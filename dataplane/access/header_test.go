package access

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"pergola/dataplane/http1"
	"pergola/sigv4"
)

// TestAddressesOfClients are told as targets can read them: a zone is the node's own affair (RFC 6874 §1).
func TestAddressesOfClients(t *testing.T) {
	for address, want := range map[string]string{"10.0.0.5": "10.0.0.5", "fd00::5": "fd00::5", "fe80::5%eth0": "fe80::5"} {
		if got := string(appendAddress(nil, netip.MustParseAddr(address))); got != want {
			t.Errorf("%s is told as %s", address, got)
		}
	}
	if got := string(appendAddress(nil, netip.Addr{})); got != "unknown" {
		t.Errorf("none is told as %s", got)
	}
}

// sent is a request as it arrives with some fields.
func sent(t *testing.T, fields string) *http1.Request {
	t.Helper()
	here, there := net.Pipe()
	conn := http1.NewConn(there, http1.Config{})
	t.Cleanup(func() { here.Close(); conn.Close() })
	go fmt.Fprintf(here, "GET / HTTP/1.1\r\nHost: s.example\r\n%s\r\n", fields)
	r := new(http1.Request)
	if err := conn.In.ReadRequest(r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFault_B8_PoliciesSeeWhatTheTargetGets of each kind of field: those about the connection, also the ones that
// Connection names, those that only the data plane writes, in any spelling, and repeated ones.
func TestFault_B8_PoliciesSeeWhatTheTargetGets(t *testing.T) {
	from := Origin{Client: netip.MustParseAddr("10.0.0.5"), Port: 80}
	const written = "; x-forwarded-for=10.0.0.5; x-forwarded-port=80; x-forwarded-proto=http"
	for fields, want := range map[string]string{
		"": "host=s.example" + written,
		"X-Role: admin\r\nConnection: x-role\r\n": "host=s.example" + written,
		"X-Role: admin\r\nX-role: user\r\nConnection: " +
			"close, X-ROLE\r\n": "host=s.example" + written,
		"Keep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: x\r\nUpgrade: x\r\n": "host=s.example" + written,
		"X-Role: b\r\nx-role: a\r\n": "host=s.example; X-Role=b; x-role=a" + written,
		"X-Role: b\r\nX_Role: a\r\n": "host=s.example; X-Role=b; X_Role=a" + written,
		"x-amzn-lattice-identity: Principal=x\r\nX_Amzn-Source_Vpc: " +
			"vpc-1\r\nA: 1\r\n": "host=s.example; A=1" + written,
		"X-Forwarded-For: 1.1.1.1\r\nX_Forwarded_For: 2.2.2.2\r\nX-Forwarded-For: " +
			"3.3.3.3\r\nX-Forwarded-Proto: gopher\r\n": "host=s.example; x-forwarded-for=1.1.1.1, 3.3.3.3, 10.0.0.5; " +
			"x-forwarded-port=80; x-forwarded-proto=http",
	} {
		var h Header
		for range 2 { // and again in the same memory
			h.Set(sent(t, fields), from)
			var got []string
			for _, f := range h.Fields {
				got = append(got, f.Name+"="+f.Value)
			}
			if text := strings.Join(got, "; "); text != want {
				t.Errorf("%q:\n%s, want\n%s", fields, text, want)
			}
		}
	}
}

// TestFault_B8_AnUnderscoreIsAHyphenToPolicies: what some target may take for the field counts as a further value of
// it, so that an Allow needs it to satisfy too, and one is enough for a Deny.
func TestFault_B8_AnUnderscoreIsAHyphenToPolicies(t *testing.T) {
	r := &Request{Passed: sigv4.Fields{{Name: "X-Role", Value: "user"}, {Name: "x_ROLE", Value: "admin"},
		{Name: "x-roles", Value: "none"}}}
	e := evaluation{request: r}
	for i, want := range []string{"user", "admin"} {
		if got, ok := e.header("x-role", i); !ok || got != want {
			t.Errorf("value %d is %q, %v", i, got, ok)
		}
	}
	if got, ok := e.header("x-role", 2); ok {
		t.Errorf("there is also %q", got)
	}
}

// TestHeaderAllocatesNothing once it has its memory.
func TestHeaderAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector changes what escapes")
	}
	r, h := sent(t, "X-Role: b\r\nX-Forwarded-For: 1.1.1.1\r\n"), new(Header)
	if n := testing.AllocsPerRun(100, func() {
		h.Set(r, Origin{Client: netip.MustParseAddr("10.0.0.5"), Port: 8080, Secure: true})
		h.Trim()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
