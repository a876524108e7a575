package fabric

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"pergola/addressing"
)

// proxied is a loopback fabric whose resolver knows hello.test as the service network's, and a service there that answers
// with what it saw.
func proxied(t *testing.T) (f *Fabric, address, credentials string) {
	t.Helper()
	f = open(t, Config{Kind: Loopback, Resolve: func(_ context.Context, vpc, name string) ([]netip.Addr, error) {
		switch {
		case vpc == "vpc-a" && name == "hello.test":
			return []netip.Addr{addressing.Spell(addressing.ServiceNetworks6, netip.MustParseAddr("169.254.171.9")),
				netip.MustParseAddr("169.254.171.1")}, nil
		case name == "broken.test":
			return nil, errors.New("the resolver is broken")
		}
		return nil, nil
	}})
	apply(t, f, testVPC("vpc-a"), testVPC("vpc-b"))
	s := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "%s %s %s from %s, %q %q", r.Method, r.Host, r.RequestURI, host, body, r.Header["Proxy-Authorization"])
	})}
	l := listen(t, f, routerA, "169.254.171.1:80")
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	seat, err := f.seat(oneA)
	if err != nil {
		t.Fatal(err)
	}
	i := seat.place.(*loopbackInstance)
	return f, i.proxy.listener.Addr().String(), i.id + ":" + i.password
}

// exchange sends bytes to the proxy and gives all that comes back.
func exchange(t *testing.T, address, request string) string {
	t.Helper()
	c, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestProxyHTTP(t *testing.T) {
	_, address, credentials := proxied(t)
	authorization := "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(credentials)) + "\r\n"
	for name, c := range map[string]struct{ request, want string }{
		"absolute form": {
			"GET http://hello.test/a%2Fb//c?d=%20 HTTP/1.1\r\nHost: hello.test\r\n" + authorization + "\r\n",
			`GET hello.test /a%2Fb//c?d=%20 from 10.20.1.10, "" []`,
		},
		"body": {
			"POST http://hello.test HTTP/1.1\r\nHost: hello.test\r\nContent-Length: 2\r\n" + authorization + "\r\nhi",
			`POST hello.test / from 10.20.1.10, "hi" []`,
		},
		"query without path":   {"GET http://hello.test?x HTTP/1.1\r\nHost: h\r\n" + authorization + "\r\n", "GET h /?x from"},
		"another Host":         {"GET http://169.254.171.1/ HTTP/1.1\r\nHost: other.test\r\n" + authorization + "\r\n", "GET other.test / from"},
		"CONNECT":              {"CONNECT hello.test:80 HTTP/1.1\r\n" + authorization + "\r\nGET /in HTTP/1.0\r\n\r\n", `GET  /in from 10.20.1.10, "" []`},
		"no credentials":       {"GET http://hello.test/ HTTP/1.1\r\nHost: hello.test\r\n\r\n", "HTTP/1.1 407 "},
		"another's password":   {"GET http://hello.test/ HTTP/1.1\r\nProxy-Authorization: Basic aS0yOng=\r\n\r\n", "HTTP/1.1 407 "},
		"unknown name":         {"GET http://nobody.test/ HTTP/1.1\r\n" + authorization + "\r\n", "502 Bad Gateway"},
		"unknown name's text":  {"GET http://nobody.test/ HTTP/1.1\r\n" + authorization + "\r\n", "pergola: nobody.test in vpc-a: the VPC's resolver does not know this name"},
		"broken resolver":      {"CONNECT broken.test:443 HTTP/1.1\r\n" + authorization + "\r\n", "pergola: broken.test in vpc-a: the resolver is broken"},
		"nothing listens":      {"CONNECT 169.254.171.1:81 HTTP/1.1\r\n" + authorization + "\r\n", "connection refused"},
		"outside the VPC":      {"CONNECT 192.0.2.1:80 HTTP/1.1\r\n" + authorization + "\r\n", "network is unreachable"},
		"host's own addresses": {"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + authorization + "\r\n", "network is unreachable"},
		"https without tunnel": {"GET https://hello.test/ HTTP/1.1\r\n" + authorization + "\r\n", "HTTP/1.1 400 "},
		"no HTTP":              {"hello\r\n\r\n", "HTTP/1.1 400 "},
	} {
		if got := exchange(t, address, c.request); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q in it", name, got, c.want)
		}
	}
}

func TestProxySOCKS(t *testing.T) {
	_, address, credentials := proxied(t)
	user, password, _ := strings.Cut(credentials, ":")
	login := "\x05\x01\x02\x01" + string(rune(len(user))) + user + string(rune(len(password))) + password
	const request = "GET /in HTTP/1.0\r\n\r\n"
	const welcome = "\x05\x02\x01\x00"
	for name, c := range map[string]struct{ request, prefix, want string }{
		"name":               {login + "\x05\x01\x00\x03\x0ahello.test\x00\x50" + request, welcome + "\x05\x00", "/in from 10.20.1.10"},
		"IPv4":               {login + "\x05\x01\x00\x01\xa9\xfe\xab\x01\x00\x50" + request, welcome + "\x05\x00", "/in from 10.20.1.10"},
		"mapped IPv6":        {login + "\x05\x01\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xa9\xfe\xab\x01\x00\x50" + request, welcome + "\x05\x00", "/in"},
		"unknown name":       {login + "\x05\x01\x00\x03\x0bnobody.test\x00\x50", welcome + "\x05\x04", ""},
		"nothing listens":    {login + "\x05\x01\x00\x01\xa9\xfe\xab\x01\x00\x51", welcome + "\x05\x05", ""},
		"outside the VPC":    {login + "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50", welcome + "\x05\x03", ""},
		"another command":    {login + "\x05\x02\x00\x01\xa9\xfe\xab\x01\x00\x50", welcome + "\x05\x07", ""},
		"another address":    {login + "\x05\x01\x00\x09", welcome + "\x05\x08", ""},
		"another's password": {"\x05\x01\x02\x01\x03i-2\x01x", "\x05\x02\x01\x01", ""},
		"no password":        {"\x05\x01\x00", "\x05\xff", ""},
	} {
		got := exchange(t, address, c.request)
		if !strings.HasPrefix(got, c.prefix) || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q and %q in it", name, got, c.prefix, c.want)
		}
	}
}

// Programs find the proxy in their environment.
func TestProxyFromPrograms(t *testing.T) {
	f, _, _ := proxied(t)
	get := Command{Args: []string{self(t), "http://hello.test/path"}, Env: testEnv("get")}
	if code, output := run(t, f, oneA, get); code != 0 || !strings.Contains(output, "GET hello.test /path from 10.20.1.10") {
		t.Errorf("a Go client: exit status %d, %q", code, output)
	}
	if code, output := run(t, f, routerA, get); code != 0 || !strings.Contains(output, "from 10.20.255.254") {
		t.Errorf("a Go client in a short-lived instance: exit status %d, %q", code, output)
	}
	if _, output := run(t, f, oneB, get); !strings.Contains(output, "Bad Gateway") && !strings.Contains(output, "does not know") {
		t.Errorf("a client in a VPC without the name: %q", output)
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here")
	}
	for _, flag := range []string{"--silent", "--proxytunnel"} {
		c := Command{Args: []string{"curl", "--silent", flag, "--data", "hi", "http://hello.test/path"}, Env: testEnv("")}
		if code, output := run(t, f, twoA, c); code != 0 || !strings.Contains(output, `POST hello.test /path from 10.20.1.11, "hi" []`) {
			t.Errorf("curl %s: exit status %d, %q", flag, code, output)
		}
	}
}

// What listens in a VPC trusts addresses, so a client from elsewhere on the host is not heard.
func TestLoopbackStranger(t *testing.T) {
	f, _, _ := proxied(t)
	l := listen(t, f, routerA, "169.254.171.2:80")
	greet(t, l, "a")
	real := l.(*listener).Listener.(*loopbackListener).TCPListener.Addr().String()
	c, err := net.Dial("tcp4", real)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("a stranger heard %q", got)
	}
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 253, 1, 10)}}
	if c, err = other.Dial("tcp4", real); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("an instance of another VPC heard %q", got)
	}
}

// Several fabrics on one host take different slots.
func TestSlots(t *testing.T) {
	slots := map[byte]bool{}
	for range 2 {
		f := open(t, Config{Kind: Loopback})
		apply(t, f, testVPC("vpc-a"), testVPC("vpc-b"))
		for _, v := range f.all() {
			slots[v.router.place.(*loopbackRouter).slot] = true
		}
	}
	if len(slots) != 4 {
		t.Errorf("%d slots for 4 VPCs", len(slots))
	}
}

func TestAddressTaken(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		listen(t, f, routerA, "169.254.171.1:80").Close()
		listen(t, f, routerA, "169.254.171.1:80")
		if _, err := f.Listen(t.Context(), routerA, "tcp4", netip.MustParseAddrPort("169.254.171.1:80")); err == nil || !strings.Contains(err.Error(), "address already in use") {
			t.Errorf("a taken address: %v", err)
		}
		if _, err := f.Listen(t.Context(), routerA, "tcp4", netip.MustParseAddrPort("192.0.2.1:80")); err == nil {
			t.Error("an address from elsewhere is given")
		}
	})
}

func FuzzProxyRequest(f *testing.F) {
	for _, seed := range []string{
		"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"CONNECT [fd00::1]:443 HTTP/1.1\r\nProxy-Authorization: Basic aTp4\r\n\r\n",
		"GET http://a?b HTTP/1.0\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		"GET http://[::1]/ HTTP/1.1\r\nConnection: close\r\nProxy-Connection: keep-alive\r\n\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input string) {
		q, err := readProxyRequest(bufio.NewReader(strings.NewReader(input)))
		if err != nil {
			return
		}
		if q.host == "" || q.port == 0 {
			t.Errorf("%q is accepted without a target", input)
		}
		if head := string(q.head); head != "" && (strings.Count(head, "\r\n\r\n") != 1 || !strings.HasSuffix(head, "\r\n\r\n") ||
			strings.Contains(strings.ToLower(head), "\r\nproxy-authorization:")) {
			t.Errorf("%q becomes %q", input, head)
		}
	})
}

func FuzzSOCKS(f *testing.F) {
	f.Add([]byte("\x05\x01\x02\x01\x03i-1\x01x\x05\x01\x00\x03\x01a\x00\x50"))
	f.Add([]byte("\x05\x02\x00\x02\x01\x00\x00\x05\x01\x00\x01\x0a\x00\x00\x01\x00\x50"))
	f.Fuzz(func(t *testing.T, input []byte) {
		r := strings.NewReader(string(input))
		if ok, err := readSOCKSMethods(r); !ok || err != nil {
			return
		}
		if _, _, err := readSOCKSCredentials(r); err != nil {
			return
		}
		if host, _, failure := readSOCKSTarget(r); failure == socksSucceeded && len(host) > 255 {
			t.Errorf("host %q", host)
		}
	})
}
