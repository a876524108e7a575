package metadata

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/ipv4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const vpcID = "vpc-0a"

var start = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

func web() Instance {
	return Instance{
		ID: "i-0web", Account: "100000000001", VPC: vpcID, Subnet: "subnet-0a",
		VPCCIDR: netip.MustParsePrefix("10.0.0.0/16"), SubnetCIDR: netip.MustParsePrefix("10.0.1.0/24"),
		AvailabilityZone: "us-west-2a", Address: netip.MustParseAddr("10.0.1.9"), Hostname: "ip-10-0-1-9.us-west-2.compute.internal", MAC: net.HardwareAddr{2, 0, 10, 0, 1, 9},
		Image: "ami-0a", Type: "t3.micro", Architecture: "x86_64", Launched: start.Add(-time.Hour),
		SecurityGroups: []Group{{"sg-0a", "web"}, {"sg-0b", "ops"}},
		Profile:        &Profile{ARN: "arn:aws:iam::100000000001:instance-profile/app/web", ID: "AIPA1", Role: "reader"},
		Tags:           map[string]string{"Name": "web one", "a/b": "hidden", "..": "hidden", "Kosten stelle:ü": "7", "empty": ""},
	}
}

// world is a server of one VPC with some instances, at a time that the test sets.
type world struct {
	t         *testing.T
	instances map[netip.Addr]Instance
	seconds   atomic.Int64
	obtained  atomic.Int64
	// credentials, if it is set, takes the place of what makes credentials.
	credentials func(context.Context, Instance) (Credential, error)
	listener    *listener
	logged      bytes.Buffer
}

// newWorld serves instances.
func newWorld(t *testing.T, instances ...Instance) *world {
	w := &world{t: t, instances: map[netip.Addr]Instance{}, listener: newListener()}
	for _, i := range instances {
		w.instances[i.Address] = i
	}
	w.serve(w.listener)
	return w
}

func (w *world) now() time.Time { return start.Add(time.Duration(w.seconds.Load()) * time.Second) }

func (w *world) serve(l net.Listener) {
	s := New(Config{
		Region: "us-west-2", Now: w.now, Logger: slog.New(slog.NewTextHandler(&w.logged, nil)),
		Describe: func(vpc string, client netip.Addr) (Instance, bool) {
			i, ok := w.instances[client]
			return i, ok && vpc == vpcID
		},
		Credentials: func(ctx context.Context, i Instance) (Credential, error) {
			n := w.obtained.Add(1)
			if w.credentials != nil {
				return w.credentials(ctx, i)
			}
			return Credential{fmt.Sprintf("ASIA%d", n), "secret/" + i.ID, "token+" + i.Profile.Role, w.now().Add(time.Hour)}, nil
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- s.Serve(ctx, vpcID, l) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			w.t.Error(err)
		}
	})
}

// listener is a listener to whose connections tests give the addresses of their clients.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newListener() *listener {
	return &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(Address) }

func (l *listener) dial(client string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- addressed{there, client}:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

type addressed struct {
	net.Conn
	client string
}

func (a addressed) RemoteAddr() net.Addr {
	address, err := netip.ParseAddr(a.client)
	if err != nil {
		return a.Conn.RemoteAddr()
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 40000))
}

// client is HTTP as a program in an instance has it.
func (w *world) client(address string) *http.Client {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return w.listener.dial(address) }}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// ask makes one request of the instance 10.0.1.9. Fields are pairs of names and values; Host is one of them.
func (w *world) ask(method, path string, fields ...string) (status int, body string, header http.Header) {
	w.t.Helper()
	return w.askAs("10.0.1.9", method, path, fields...)
}

func (w *world) askAs(client, method, path string, fields ...string) (status int, body string, header http.Header) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, "http://169.254.169.254"+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "Host" {
			request.Host = fields[i+1]
			continue
		}
		request.Header.Add(fields[i], fields[i+1])
	}
	answer, err := w.client(client).Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, string(content), answer.Header
}

func (w *world) token() string {
	w.t.Helper()
	status, body, _ := w.ask("PUT", tokenPath, lifeField, "60")
	if status != http.StatusOK {
		w.t.Fatalf("no token: %d", status)
	}
	return body
}

// get asks for a path with a token.
func (w *world) get(path string) (int, string) {
	w.t.Helper()
	status, body, _ := w.ask("GET", path, tokenField, w.token())
	return status, body
}

func TestPaths(t *testing.T) {
	plain, tagged := web(), web()
	tagged.Options.Tags = true
	const mac = "/latest/meta-data/network/interfaces/macs/02:00:0a:00:01:09/"
	bare := web()
	bare.Profile, bare.Image, bare.MAC = nil, "", nil
	started := web()
	started.UserData = []byte("#!/bin/sh\n\x00\xff")
	roleless := web()
	roleless.Profile = &Profile{ARN: "arn", ID: "AIPA2"}
	for _, c := range []struct {
		instance Instance
		path     string
		want     string // "" is 404
	}{
		{plain, "/", strings.Join(versions, "\n")},
		{plain, "/latest", "dynamic/\nmeta-data/"},
		{plain, "/2021-07-15/", "dynamic/\nmeta-data/"},
		{plain, "/latest/dynamic", "instance-identity/"},
		{plain, "/latest/dynamic/instance-identity/", "document"},
		{plain, "/latest/meta-data/", "ami-id\nhostname\niam/\ninstance-id\ninstance-life-cycle\ninstance-type\nlocal-hostname\nlocal-ipv4\nmac\nnetwork/\nplacement/\nsecurity-groups\nservices/"},
		{plain, "/1.0/meta-data/instance-id", "i-0web"},
		{plain, "/latest/meta-data/ami-id", "ami-0a"},
		{plain, "/latest/meta-data/hostname", "ip-10-0-1-9.us-west-2.compute.internal"},
		{plain, "/latest/meta-data/local-hostname", "ip-10-0-1-9.us-west-2.compute.internal"},
		{plain, "/latest/meta-data/local-ipv4", "10.0.1.9"},
		{plain, "/latest/meta-data/instance-type", "t3.micro"},
		{plain, "/latest/meta-data/instance-life-cycle", "on-demand"},
		{plain, "/latest/meta-data/mac", "02:00:0a:00:01:09"},
		{plain, "/latest/meta-data/network", "interfaces/"},
		{plain, "/latest/meta-data/network/interfaces/macs/", "02:00:0a:00:01:09/"},
		{plain, mac, "device-number\nlocal-hostname\nlocal-ipv4s\nmac\nowner-id\nsecurity-group-ids\nsecurity-groups\nsubnet-id\nsubnet-ipv4-cidr-block\nvpc-id\nvpc-ipv4-cidr-block\nvpc-ipv4-cidr-blocks"},
		{plain, mac + "device-number", "0"},
		{plain, mac + "local-ipv4s", "10.0.1.9"},
		{plain, mac + "subnet-id", "subnet-0a"},
		{plain, mac + "vpc-id", vpcID},
		{plain, mac + "vpc-ipv4-cidr-block", "10.0.0.0/16"},
		{plain, mac + "vpc-ipv4-cidr-blocks", "10.0.0.0/16"},
		{plain, mac + "subnet-ipv4-cidr-block", "10.0.1.0/24"},
		{plain, mac + "security-group-ids", "sg-0a\nsg-0b"},
		{plain, mac + "owner-id", "100000000001"},
		{plain, "/latest/meta-data/placement/", "availability-zone\nregion"},
		{plain, "/latest/meta-data/placement/availability-zone", "us-west-2a"},
		{plain, "/latest/meta-data/placement/region", "us-west-2"},
		{plain, "/latest/meta-data/security-groups", "web\nops"},
		{plain, "/latest/meta-data/services/domain", "amazonaws.com"},
		{plain, "/latest/meta-data/services/partition", "aws"},
		{plain, "/latest/meta-data/iam/", "info\nsecurity-credentials/"},
		{plain, "/latest/meta-data/iam/security-credentials", "reader"},
		{plain, "/latest/meta-data/iam/security-credentials/", "reader"},
		{plain, "/latest/meta-data/iam/security-credentials/writer", ""},
		{plain, "/latest/meta-data/iam/security-credentials/reader/", ""},
		{plain, "/latest/meta-data/tags/instance/", ""},
		{plain, "/latest/meta-data/instance-id/", ""},
		{plain, "/latest/meta-data/instance", ""},
		{plain, "/latest/user-data", ""},
		{plain, "/2001-01-01/meta-data/", ""},
		{plain, "//latest/meta-data/", ""},
		{plain, "/latest/../latest/meta-data/", ""},
		{plain, "/meta-data/", ""},
		{tagged, "/latest/meta-data/tags/instance", "Kosten stelle:ü\nName\nempty"},
		{tagged, "/latest/meta-data/tags/instance/Name", "web one"},
		{tagged, "/latest/meta-data/tags/instance/Kosten%20stelle:%C3%BC", "7"},
		{tagged, "/latest/meta-data/tags/instance/a/b", ""},
		{bare, "/latest/meta-data/iam/", ""},
		{bare, "/latest/meta-data/iam/security-credentials/", ""},
		{bare, "/latest/meta-data/ami-id", ""},
		{bare, "/latest/meta-data/network/", ""},
		{plain, "/latest/user-data", ""},
		{started, "/latest/user-data", "#!/bin/sh\n\x00\xff"},
		{started, "/2021-07-15/user-data", "#!/bin/sh\n\x00\xff"},
		{started, "/latest/user-data/", ""},
		{started, "/latest", "dynamic/\nmeta-data/\nuser-data"},
		{roleless, "/latest/meta-data/iam/", "info"},
		{roleless, "/latest/meta-data/iam/security-credentials/", ""},
	} {
		t.Run(strings.ReplaceAll(c.path, "/", "_"), func(t *testing.T) {
			w := newWorld(t, c.instance)
			status, body := w.get(c.path)
			switch {
			case c.want == "" && status != http.StatusNotFound:
				t.Errorf("%d %q, want 404", status, body)
			case c.want != "" && (status != http.StatusOK || body != c.want):
				t.Errorf("%d %q, want %q", status, body, c.want)
			}
		})
	}
}

// User data is the instance's own bytes, and of no type.
func TestFault_D8_UserDataIsServedAsItIs(t *testing.T) {
	started := web()
	started.UserData = []byte{0, 0xff, '\n'}
	w := newWorld(t, started)
	status, body, header := w.ask("GET", "/latest/user-data", tokenField, w.token())
	if status != http.StatusOK || body != "\x00\xff\n" || header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d %q %v", status, body, header)
	}
	if status, _, _ := w.ask("GET", "/latest/user-data"); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
}

func TestEmptyContentIsAnAnswer(t *testing.T) {
	tagged := web()
	tagged.Options.Tags = true
	w := newWorld(t, tagged)
	if status, body := w.get("/latest/meta-data/tags/instance/empty"); status != http.StatusOK || body != "" {
		t.Errorf("%d %q", status, body)
	}
}

func TestRefusals(t *testing.T) {
	v1, off := web(), web()
	v1.Address, v1.ID, v1.Options.TokensOptional = netip.MustParseAddr("10.0.1.10"), "i-0v1", true
	off.Address, off.ID, off.Options.Disabled = netip.MustParseAddr("10.0.1.11"), "i-0off", true
	w := newWorld(t, web(), v1, off)
	token := w.token()
	const id = "/latest/meta-data/instance-id"
	altered := "A" + token[1:]
	if altered == token {
		altered = "B" + token[1:]
	}
	for _, c := range []struct {
		client, method, path string
		fields               []string
		want                 int
	}{
		{"10.0.1.9", "GET", id, nil, 401},
		{"10.0.1.9", "GET", "/", nil, 401},
		{"10.0.1.9", "GET", "/nowhere", nil, 401},
		{"10.0.1.9", "GET", id, []string{tokenField, token}, 200},
		{"10.0.1.9", "HEAD", id, []string{tokenField, token}, 200},
		{"10.0.1.9", "GET", id, []string{tokenField, altered}, 401},
		{"10.0.1.9", "GET", id, []string{tokenField, token[:len(token)-1]}, 401},
		{"10.0.1.9", "GET", id, []string{tokenField, token + "="}, 401},
		{"10.0.1.9", "GET", id, []string{tokenField, ""}, 401},
		{"10.0.1.9", "GET", id, []string{tokenField, token, tokenField, token}, 401},
		{"10.0.1.9", "GET", id, []string{tokenField, token, "X-Forwarded-For", "10.0.0.1"}, 200},
		{"10.0.1.10", "GET", id, nil, 200},
		{"10.0.1.10", "GET", id, []string{tokenField, token}, 401}, // another instance's
		{"10.0.1.11", "PUT", tokenPath, []string{lifeField, "60"}, 403},
		{"10.0.1.11", "GET", id, nil, 403},
		{"10.0.1.12", "GET", id, nil, 404},
		{"nowhere", "GET", id, nil, 404},
		{"10.0.1.9", "GET", id, []string{tokenField, token, "Host", "evil.example"}, 403},
		{"10.0.1.10", "GET", id, []string{"Host", "169.254.169.254.example:80"}, 403},
		{"10.0.1.10", "GET", id, []string{"Host", "169.254.169.254:80"}, 200},
		{"10.0.1.10", "GET", id, []string{"Host", "[fd00:ec2::254]"}, 200},
		{"10.0.1.10", "GET", id, []string{"Host", "127.0.0.1:8080"}, 200},
		{"10.0.1.9", "PUT", tokenPath, nil, 400},
		{"10.0.1.9", "PUT", tokenPath, []string{lifeField, "0"}, 400},
		{"10.0.1.9", "PUT", tokenPath, []string{lifeField, "21601"}, 400},
		{"10.0.1.9", "PUT", tokenPath, []string{lifeField, "-1"}, 400},
		{"10.0.1.9", "PUT", tokenPath, []string{lifeField, "1h"}, 400},
		{"10.0.1.9", "PUT", tokenPath, []string{lifeField, "60", lifeField, "60"}, 400},
		{"10.0.1.9", "PUT", tokenPath, []string{lifeField, "21600"}, 200},
		{"10.0.1.9", "PUT", tokenPath, []string{lifeField, "60", "X-Forwarded-For", ""}, 403},
		{"10.0.1.9", "PUT", tokenPath, []string{lifeField, "60", "Host", "evil.example"}, 403},
		{"10.0.1.9", "GET", tokenPath, nil, 405},
		{"10.0.1.9", "POST", tokenPath, []string{lifeField, "60"}, 405},
		{"10.0.1.9", "PUT", id, []string{tokenField, token}, 405},
		{"10.0.1.9", "OPTIONS", id, nil, 405},
		{"10.0.1.9", "PUT", "/2021-07-15/api/token", []string{lifeField, "60"}, 405},
	} {
		status, body, header := w.askAs(c.client, c.method, c.path, c.fields...)
		if status != c.want {
			t.Errorf("%s asks %s %s %v: %d, want %d", c.client, c.method, c.path, c.fields, status, c.want)
		}
		if title := fmt.Sprintf("<h1>%d - %s</h1>", status, http.StatusText(status)); status != 200 && !strings.Contains(body, title) {
			t.Errorf("%s %s: the page %q has not %s", c.method, c.path, body, title)
		}
		if got := header.Get("Content-Type"); status == 200 && got != "text/plain" || status != 200 && got != "text/html" {
			t.Errorf("%s %s: %d with content type %s", c.method, c.path, status, got)
		}
	}
}

func TestTokensExpire(t *testing.T) {
	w := newWorld(t, web())
	status, token, header := w.ask("PUT", tokenPath, lifeField, "10")
	if status != http.StatusOK || header.Get(lifeField) != "10" {
		t.Fatalf("%d %v", status, header)
	}
	for second, want := range map[int64]int{9: 200, 10: 401} {
		w.seconds.Store(second)
		if status, _, _ := w.ask("GET", "/latest/meta-data/mac", tokenField, token); status != want {
			t.Errorf("after %d seconds: %d, want %d", second, status, want)
		}
	}
	w.seconds.Store(0)
	other := newWorld(t, web())
	if status, _, _ := other.ask("GET", "/latest/meta-data/mac", tokenField, token); status != http.StatusUnauthorized {
		t.Errorf("another process takes the token: %d", status)
	}
}

func TestDocument(t *testing.T) {
	w := newWorld(t, web())
	_, body := w.get("/latest/dynamic/instance-identity/document")
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"accountId": "100000000001", "architecture": "x86_64", "availabilityZone": "us-west-2a", "billingProducts": nil,
		"devpayProductCodes": nil, "marketplaceProductCodes": nil, "imageId": "ami-0a", "instanceId": "i-0web",
		"instanceType": "t3.micro", "kernelId": nil, "pendingTime": "2026-05-06T06:08:09Z", "privateIp": "10.0.1.9",
		"ramdiskId": nil, "region": "us-west-2", "version": "2017-09-30",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestCredentials(t *testing.T) {
	w := newWorld(t, web())
	read := func() (got struct{ Code, LastUpdated, Type, AccessKeyId, SecretAccessKey, Token, Expiration string }) {
		t.Helper()
		status, body := w.get("/latest/meta-data/iam/security-credentials/reader")
		if err := json.Unmarshal([]byte(body), &got); status != http.StatusOK || err != nil {
			t.Fatalf("%d %q %v", status, body, err)
		}
		return got
	}
	first := read()
	if fmt.Sprint(first) != "{Success 2026-05-06T07:08:09Z AWS-HMAC ASIA1 secret/i-0web token+reader 2026-05-06T08:08:09Z}" {
		t.Errorf("%v", first)
	}
	for _, c := range []struct {
		second int64
		key    string
	}{{0, "ASIA1"}, {2699, "ASIA1"}, {2700, "ASIA2"}, {2701, "ASIA2"}, {2700 + 2699, "ASIA2"}, {2700 + 2700, "ASIA3"}} {
		w.seconds.Store(c.second)
		if got := read().AccessKeyId; got != c.key {
			t.Errorf("after %d seconds the key is %s, want %s", c.second, got, c.key)
		}
	}
	changed := web()
	changed.Profile.ID = "AIPA9"
	w.instances[changed.Address] = changed
	if got := read().AccessKeyId; got != "ASIA4" {
		t.Errorf("another profile has the key %s", got)
	}
	if status, body := w.get("/latest/meta-data/iam/info"); status != http.StatusOK || !strings.Contains(body, `"InstanceProfileId": "AIPA9"`) ||
		!strings.Contains(body, `"InstanceProfileArn": "arn:aws:iam::100000000001:instance-profile/app/web"`) || !strings.Contains(body, `"Code": "Success"`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestCredentialsThatCannotBeHad(t *testing.T) {
	w := newWorld(t, web())
	const path = "/latest/meta-data/iam/security-credentials/reader"
	w.credentials = func(context.Context, Instance) (Credential, error) {
		return Credential{}, fmt.Errorf("role reader: %w", ErrUntrusted)
	}
	if status, body := w.get(path); status != http.StatusOK || !strings.Contains(body, `"Code": "AssumeRoleUnauthorizedAccess"`) {
		t.Errorf("%d %s", status, body)
	}
	w.credentials = func(context.Context, Instance) (Credential, error) { return Credential{}, errors.New("no store") }
	if status, body := w.get(path); status != http.StatusServiceUnavailable || strings.Contains(body, "store") {
		t.Errorf("%d %s", status, body)
	}
	if logged := w.logged.String(); !strings.Contains(logged, "instance=i-0web") || !strings.Contains(logged, "no store") {
		t.Errorf("logged %q", logged)
	}
	w.credentials = nil
	if status, _ := w.get(path); status != http.StatusOK {
		t.Errorf("a failure is kept: %d", status)
	}
}

func TestManyQuestionsObtainOneCredential(t *testing.T) {
	w := newWorld(t, web())
	token := w.token()
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			request, _ := http.NewRequestWithContext(t.Context(), "GET", "http://169.254.169.254/latest/meta-data/iam/security-credentials/reader", nil)
			request.Header.Set(tokenField, token)
			answer, err := w.client("10.0.1.9").Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			answer.Body.Close()
		})
	}
	asking.Wait()
	if n := w.obtained.Load(); n != 1 {
		t.Errorf("%d credentials were obtained", n)
	}
}

func TestExpiredSessionsAreForgotten(t *testing.T) {
	now := start
	s := sessions{now: func() time.Time { return now }, held: map[holder]*session{}, obtain: func(context.Context, Instance) (Credential, error) {
		return Credential{Expires: now.Add(time.Hour)}, nil
	}}
	i := web()
	for _, c := range []struct {
		id    string
		later time.Duration
		held  int
	}{{"i-1", 0, 1}, {"i-2", time.Minute, 2}, {"i-3", 59 * time.Minute, 2}, {"i-4", time.Hour, 1}} {
		now = now.Add(c.later)
		i.ID = c.id
		if _, _, err := s.of(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		if len(s.held) != c.held {
			t.Errorf("with %s %d sessions are held, want %d", c.id, len(s.held), c.held)
		}
	}
}

func TestNoSecretsAreLogged(t *testing.T) {
	w := newWorld(t, web())
	token := w.token()
	if status, _ := w.get("/latest/meta-data/iam/security-credentials/reader"); status != http.StatusOK {
		t.Fatal(status)
	}
	for _, secret := range []string{token, "secret/", "token+"} {
		if strings.Contains(w.logged.String(), secret) {
			t.Errorf("the log has a secret: %s", w.logged.String())
		}
	}
}

func TestOneClientDoesNotTakeAllConnections(t *testing.T) {
	neighbour := web()
	neighbour.Address, neighbour.Options.TokensOptional = netip.MustParseAddr("10.0.1.10"), true
	w := newWorld(t, web(), neighbour)
	var held []net.Conn
	for range maxClientStreams {
		conn, err := w.listener.dial("10.0.1.9")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	refused, err := w.listener.dial("10.0.1.9")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := refused.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a connection too many: %v", err)
	}
	if status, _, _ := w.askAs("10.0.1.10", "GET", "/"); status != http.StatusOK {
		t.Errorf("the neighbour gets %d", status)
	}
	fmt.Fprint(held[0], "GET / HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: close\r\n\r\n")
	if answer, err := http.ReadResponse(bufio.NewReader(held[0]), nil); err != nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("%v %v", answer, err)
	}
	if _, err := io.Copy(io.Discard, held[0]); err != nil {
		t.Error(err)
	}
	for _, conn := range held {
		conn.Close()
	}
}

// watched is a listener of TCP that remembers its last connection.
type watched struct {
	net.Listener
	last atomic.Pointer[net.TCPConn]
}

func (l *watched) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.last.Store(conn.(*net.TCPConn))
	}
	return conn, err
}

func TestHopLimit(t *testing.T) {
	inner, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	local := web()
	local.Address, local.Options.HopLimit = netip.MustParseAddr("127.0.0.1"), 3
	w := newWorld(t, local)
	l := &watched{Listener: inner}
	w.serve(l)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	token := ""
	for _, c := range []struct {
		method, path string
		ttl          int
	}{{"PUT", tokenPath, 3}, {"GET", "/latest/meta-data/mac", 64}, {"PUT", tokenPath, 3}} {
		request, _ := http.NewRequestWithContext(t.Context(), c.method, "http://"+inner.Addr().String()+c.path, nil)
		request.Header.Set(lifeField, "60")
		if token != "" {
			request.Header.Set(tokenField, token)
		}
		answer, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %d %v", c.method, c.path, answer.StatusCode, err)
		}
		if c.method == "PUT" {
			token = string(content)
		}
		if ttl, err := ipv4.NewConn(l.last.Load()).TTL(); err != nil || ttl != c.ttl {
			t.Errorf("after %s %s packets may make %d hops (%v), want %d", c.method, c.path, ttl, err, c.ttl)
		}
	}
}

func TestServeLeavesNothingRunning(t *testing.T) {
	optional := web()
	optional.Options.TokensOptional = true
	asked, ended := make(chan struct{}), atomic.Bool{}
	s := New(Config{
		Describe: func(string, netip.Addr) (Instance, bool) { return optional, true },
		Credentials: func(ctx context.Context, _ Instance) (Credential, error) {
			close(asked)
			<-ctx.Done()
			ended.Store(true)
			return Credential{}, ctx.Err()
		},
	})
	l, served := newListener(), make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { served <- s.Serve(ctx, vpcID, l) }()
	conn, err := l.dial("10.0.1.9")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /latest/meta-data/iam/security-credentials/reader HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n")
	<-asked
	cancel()
	if err := <-served; err != nil || !ended.Load() {
		t.Errorf("Serve returns %v while a request is being answered", err)
	}
}

func TestServeReportsABrokenListener(t *testing.T) {
	l := newListener()
	l.Close()
	if err := New(Config{}).Serve(t.Context(), vpcID, l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// FuzzToken holds tokens to two truths: what was issued is valid for its instance until it expires, and nothing else is.
func FuzzToken(f *testing.F) {
	key := newTokens(bytes.NewReader(make([]byte, 32)))
	f.Add("i-1", "", int64(1))
	f.Add("i-1", key.issue("i-1", start.Add(time.Minute)), int64(60))
	f.Add("", "AAAA\n", int64(21600))
	f.Fuzz(func(t *testing.T, instance, other string, seconds int64) {
		if seconds < 1 || seconds > maxTokenLife {
			return
		}
		expires := start.Add(time.Duration(seconds) * time.Second)
		token := key.issue(instance, expires)
		if !key.valid(instance, token, expires.Add(-time.Second)) || key.valid(instance, token, expires) || key.valid(instance+"x", token, start) {
			t.Errorf("%q for %q", token, instance)
		}
		if key.valid(instance, other, start) && len(other) != len(token) {
			t.Errorf("%q is valid for %q", other, instance)
		}
	})
}

// FuzzPath asks for any path. There is an answer to each, and a directory leads to all that it lists.
func FuzzPath(f *testing.F) {
	tagged := web()
	tagged.Options.Tags = true
	s := New(Config{Region: "us-west-2", Credentials: func(context.Context, Instance) (Credential, error) { return Credential{}, nil }})
	for _, path := range []string{"", "/", "meta-data", "meta-data/", "meta-data/iam/security-credentials/", "a//b", "meta-data/tags/instance/Name"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		content, found := list(s.items(tagged), strings.TrimSuffix(path, "/"))
		if !found {
			return
		}
		for name := range strings.SplitSeq(content, "\n") {
			below := strings.TrimPrefix(strings.TrimSuffix(path, "/")+"/"+name, "/")
			if _, found, err := s.find(t.Context(), tagged, below); !found || err != nil {
				t.Errorf("%q lists %q, which leads nowhere: %v", path, name, err)
			}
		}
	})
}
