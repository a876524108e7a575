package sts

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pergola/aws/iam"
)

// network is a network in memory, on which issuers answer by HTTP, or never.
type network struct {
	mu    sync.Mutex
	dials map[string]int
	keys  string
}

// dial connects to an issuer. One whose name begins with "slow" does not answer until the fetch gives up.
func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(address)
	n.mu.Lock()
	n.dials[host]++
	n.mu.Unlock()
	if strings.HasPrefix(host, "slow") {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		buffer := make([]byte, 4096)
		read, _ := server.Read(buffer)
		body := n.keys
		if strings.Contains(string(buffer[:read]), "/.well-known/") {
			body = `{"issuer":"http://` + address + `","jwks_uri":"http://` + address + `/keys"}`
		}
		fmt.Fprintf(server, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}()
	return client, nil
}

func (n *network) dialled(host string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials[host]
}

// keySet is a set of one key, "one".
func keySet(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return `{"keys":[{"kty":"EC","crv":"P-256","kid":"one","x":"` + encode(point[1:33]) + `","y":"` +
		encode(point[33:]) + `"}]}`
}

// issuersOn are issuers of a network in memory, on which they may be internal so that they may be http.
func issuersOn(t testing.TB) (*issuers, *network) {
	n := &network{dials: map[string]int{}, keys: keySet(t)}
	return newIssuers(fetcher{allowInternal: true, dial: n.dial}, time.Now, slog.New(slog.DiscardHandler)), n
}

// at is a provider of an account, whose issuer is of the network.
func at(account, host string) *iam.Provider {
	return &iam.Provider{Entity: iam.Entity{Account: account}, URL: "http://" + host + ":80"}
}

// TestFault_C6_ASlowIssuerHoldsNobody has issuers that never answer, and one that does.
func TestFault_C6_ASlowIssuerHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, n := issuersOn(t)
		outcomes := make(chan error, 1000)
		ask := func(p *iam.Provider) {
			go func() {
				_, err := i.key(t.Context(), p, "one", iam.ES256)
				outcomes <- err
			}()
			synctest.Wait()
		}
		quick := func(what string, want error) {
			t.Helper()
			select {
			case err := <-outcomes:
				if !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", what, err, want)
				}
			default:
				t.Errorf("%s: it waits", what)
			}
		}
		begin := time.Now()
		for range maxWaiting { // who waits for one issuer
			ask(at("1", "slow.localhost"))
		}
		ask(at("1", "slow.localhost"))
		quick("one too many for one issuer", errNoReply)
		for k := 1; k < maxAccountFetches; k++ { // what one account has fetched
			ask(at("1", fmt.Sprintf("slow%d.localhost", k)))
		}
		ask(at("1", "quick.localhost"))
		quick("one too many for one account", errNoReply)
		ask(at("2", "quick.localhost"))
		quick("another account", nil)
		gone, cancel := context.WithCancel(t.Context())
		go func() {
			_, err := i.key(gone, at("2", "slow.localhost"), "one", iam.ES256)
			outcomes <- err
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		quick("who has left", context.Canceled)
		for k := 0; i.fetchesUnderWay() < maxFetches; k++ {
			ask(at(fmt.Sprint("of", k/maxAccountFetches), fmt.Sprintf("slow%d.localhost", k)))
		}
		ask(at("3", "quick.localhost"))
		quick("one too many for all", errNoReply)
		ask(at("2", "quick.localhost"))
		quick("whose keys are known", nil)
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("it took %v", waited)
		}

		time.Sleep(fetchTimeout)
		synctest.Wait()
		for len(outcomes) > 0 {
			quick("who waited", errNoReply)
		}
		if got := i.fetchesUnderWay(); got != 0 {
			t.Errorf("%d fetches are under way", got)
		}
		if got := n.dialled("slow.localhost"); got != 2 { // one for each account
			t.Errorf("the issuer was asked %d times", got)
		}
		ask(at("1", "slow.localhost"))
		quick("what has failed is not tried again so soon", errNoReply)
		time.Sleep(betweenFetches)
		ask(at("1", "slow.localhost"))
		if got := n.dialled("slow.localhost"); got != 3 {
			t.Errorf("the issuer was asked %d times", got)
		}
		time.Sleep(fetchTimeout)
		synctest.Wait()
	})
}

func (i *issuers) fetchesUnderWay() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.total
}

// TestIssuersAreForgotten registers more issuers than are remembered.
func TestIssuersAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, _ := issuersOn(t)
		for k := range 2 * maxIssuers {
			account := fmt.Sprint(k % 10)
			if _, err := i.key(t.Context(), at(account, fmt.Sprintf("issuer%d.localhost", k)), "one", iam.ES256); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			own := 0
			for r := range i.known {
				if r.account == account {
					own++
				}
			}
			if len(i.known) > maxIssuers || own > maxAccountIssuers {
				t.Fatalf("%d issuers are remembered, %d of one account", len(i.known), own)
			}
		}
	})
}

// TestFault_C6_NothingInHereIsDialled asks issuers whose names lead to this host.
func TestFault_C6_NothingInHereIsDialled(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(net.Conn, http.ConnState) { asked.Add(1) }
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f := fetcher{}
	for _, host := range []string{"localhost", "127.0.0.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"} {
		_, err := f.fetchKeys(&iam.Provider{URL: "https://" + host + ":" + port})
		if !errors.Is(err, errInternal) && host != "[::1]" { // which a host without IPv6 does not get to
			t.Errorf("%s: %v, want %v", host, err, errInternal)
		}
	}
	if got := asked.Load(); got != 0 {
		t.Errorf("%d connections were made", got)
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range own {
		host, _, _ := strings.Cut(address.String(), "/")
		if err := refuseInternal(net.JoinHostPort(host, "443")); !errors.Is(err, errInternal) {
			t.Errorf("%s, which is this host's: %v", host, err)
		}
	}
	if err := refuseInternal("192.0.9.1:443"); err != nil {
		t.Errorf("an address elsewhere: %v", err)
	}
}

// certified is a certificate with its key, signed by another or by itself.
type certified struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

func certify(t *testing.T, template x509.Certificate, by *certified) *certified {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	template.Subject = pkix.Name{CommonName: "certificate of a test"}
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	if by == nil {
		by = &certified{&template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, by.Certificate, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &certified{certificate, key}
}

func (c *certified) thumbprint() string {
	sum := sha1.Sum(c.Raw)
	return hex.EncodeToString(sum[:])
}

// TestFault_D15_ThumbprintsDecide has issuers show certificates that no public authority knows.
func TestFault_D15_ThumbprintsDecide(t *testing.T) {
	authority := x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	named := x509.Certificate{DNSNames: []string{"issuer.example.com"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	misnamed, past := named, named
	misnamed.DNSNames = []string{"another.example.com"}
	past.NotBefore, past.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)

	root := certify(t, authority, nil)
	intermediate := certify(t, authority, root)
	other := certify(t, authority, nil)
	self := certify(t, named, nil)
	leaf, under := certify(t, named, root), certify(t, named, intermediate)
	public := x509.NewCertPool()
	public.AddCert(root.Certificate)

	for name, c := range map[string]struct {
		chain       []*certified
		thumbprints []string
		roots       *x509.CertPool
		want        bool
	}{
		"a public authority":              {[]*certified{leaf}, nil, public, true},
		"a public authority, and a wrong": {[]*certified{leaf}, []string{other.thumbprint()}, public, true},
		"the root":                        {[]*certified{leaf, root}, []string{root.thumbprint()}, nil, true},
		"in upper case": {[]*certified{leaf, root},
			[]string{other.thumbprint(), strings.ToUpper(root.thumbprint())}, nil, true},
		"the top intermediate": {[]*certified{under, intermediate}, []string{intermediate.thumbprint()},
			nil, true},
		"the certificate, alone":            {[]*certified{self}, []string{self.thumbprint()}, nil, true},
		"none":                              {[]*certified{leaf, root}, nil, nil, false},
		"another":                           {[]*certified{leaf, root}, []string{other.thumbprint()}, nil, false},
		"that of the server, below another": {[]*certified{leaf, root}, []string{leaf.thumbprint()}, nil, false},
		"of one that did not sign":          {[]*certified{leaf, other}, []string{other.thumbprint()}, nil, false},
		"of one, by way of one in between": {[]*certified{under, intermediate, root}, []string{root.thumbprint()},
			nil, true},
		"for another name": {[]*certified{certify(t, misnamed, root), root}, []string{root.thumbprint()},
			nil, false},
		"for another name, publicly": {[]*certified{certify(t, misnamed, root)}, nil, public, false},
		"past its time": {[]*certified{certify(t, past, root), root}, []string{root.thumbprint()},
			nil, false},
		"the root that is not an authority": {[]*certified{certify(t, named, self), self}, []string{self.thumbprint()},
			nil, false},
		"of the last, where it is not above": {[]*certified{self, root}, []string{root.thumbprint()}, nil, false},
	} {
		if c.roots == nil {
			c.roots = x509.NewCertPool()
		}
		shown := tls.Certificate{PrivateKey: c.chain[0].key}
		for _, certificate := range c.chain {
			shown.Certificate = append(shown.Certificate, certificate.Raw)
		}
		f := fetcher{roots: c.roots}
		err := shake(t, &tls.Config{Certificates: []tls.Certificate{shown}}, f.tls("issuer.example.com", c.thumbprints))
		if (err == nil) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// shake lets a client and a server shake hands, and returns the client's error.
func shake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if conn, err := listener.Accept(); err == nil {
			_ = conn.(*tls.Conn).HandshakeContext(t.Context())
			_ = conn.Close()
		}
	}()
	conn, err := (&tls.Dialer{Config: client}).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err == nil {
		_ = conn.Close()
	}
	_ = listener.Close()
	<-done
	return err
}

// TestAccountsTrustForThemselves has two accounts register one issuer, with another certificate each.
func TestAccountsTrustForThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, n := issuersOn(t)
		one := at("1", "issuer.localhost")
		one.Thumbprints = []string{"b", "a"}
		turned := at("1", "issuer.localhost")
		turned.Thumbprints = []string{"a", "b"}
		for _, p := range []*iam.Provider{one, turned, at("1", "issuer.localhost"), at("2", "issuer.localhost")} {
			if _, err := i.key(t.Context(), p, "one", iam.ES256); err != nil {
				t.Error(err)
			}
		}
		if got := n.dialled("issuer.localhost"); got != 3*2 {
			t.Errorf("the issuer was asked %d times, want twice for each trust", got)
		}
	})
}
