package termination

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pergola/certificate"
	"pergola/snapshot"
)

// in12 is a client that speaks TLS 1.2 with some suites.
func in12(suites ...uint16) *tls.Config {
	return &tls.Config{ServerName: custom, MaxVersion: tls.VersionTLS12, CipherSuites: suites}
}

// guideSuites are the suites of TLS 1.2 in the order of the user guide, "Security policy".
var guideSuites = []uint16{
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_RSA_WITH_AES_256_CBC_SHA,
}

func TestEverySuiteOfTheGuideAndNoOther(t *testing.T) {
	w := newWorld(t)
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if !slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
			continue
		}
		state, err := w.handshake(in12(s.ID))
		switch wanted := slices.Contains(guideSuites, s.ID); {
		case wanted && (err != nil || state.CipherSuite != s.ID || state.Version != tls.VersionTLS12):
			t.Errorf("%s: %v", s.Name, err)
		case !wanted && err == nil:
			t.Errorf("%s is spoken", s.Name)
		case !wanted:
			w.refusedWith(in12(s.ID), custom, "handshake failure", NoSuite)
		}
	}
}

// TestTheGuidesOrder offers every set of suites that begins somewhere in the guide's list: the first of it is taken.
func TestTheGuidesOrder(t *testing.T) {
	w := newWorld(t)
	for i := range guideSuites {
		offered := append(slices.Clone(guideSuites[i:]), tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256)
		if state, err := w.handshake(in12(offered...)); err != nil || state.CipherSuite != guideSuites[i] {
			t.Errorf("of %d suites from %s on, %s is taken, %v", len(offered), tls.CipherSuiteName(guideSuites[i]), tls.CipherSuiteName(state.CipherSuite), err)
		}
	}
}

// TestChooseSuite covers clients that crypto/tls does not play.
func TestChooseSuite(t *testing.T) {
	curves, all := []tls.CurveID{tls.CurveP256}, slices.Clone(guideSuites)
	slices.Reverse(all)
	for name, tt := range map[string]struct {
		hello tls.ClientHelloInfo
		want  int
	}{
		"everything, in another order": {tls.ClientHelloInfo{CipherSuites: all, SupportedCurves: curves}, 0},
		"no curves":                    {tls.ClientHelloInfo{CipherSuites: all}, 4},
		"another curve":                {tls.ClientHelloInfo{CipherSuites: all, SupportedCurves: []tls.CurveID{0x001e}}, 4},
		"a curve of TLS 1.3 alone":     {tls.ClientHelloInfo{CipherSuites: all, SupportedCurves: []tls.CurveID{tls.X25519MLKEM768}}, 4},
		"another form of points":       {tls.ClientHelloInfo{CipherSuites: all, SupportedCurves: curves, SupportedPoints: []uint8{1}}, 4},
		"several forms of points":      {tls.ClientHelloInfo{CipherSuites: all, SupportedCurves: curves, SupportedPoints: []uint8{1, 0}}, 0},
		"no curves for what is left":   {tls.ClientHelloInfo{CipherSuites: guideSuites[:4]}, -1},
		"a reserved number":            {tls.ClientHelloInfo{CipherSuites: []uint16{0x0a0a, guideSuites[7]}}, 7},
		"nothing":                      {tls.ClientHelloInfo{}, -1},
	} {
		if got := chooseSuite(&tt.hello); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

func TestVersions(t *testing.T) {
	w := newWorld(t)
	for version, good := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		config := &tls.Config{ServerName: custom, MinVersion: version, MaxVersion: version}
		if !good {
			w.refusedWith(config, custom, "protocol version", NoVersion)
			continue
		}
		if state, err := w.handshake(config); err != nil || state.Version != version {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	state, err := w.handshake(&tls.Config{ServerName: custom})
	if err != nil || state.Version != tls.VersionTLS13 {
		t.Errorf("a client of both versions got %s, %v", tls.VersionName(state.Version), err)
	}
}

func TestALPN(t *testing.T) {
	w := newWorld(t)
	lists := map[string]string{ // what a client offers, and what comes of it where HTTP/2 is allowed
		"h2 http/1.1": "h2", "http/1.1 h2": "h2", "h2": "h2", "http/1.1": "http/1.1", "http/1.1 http/1.0": "http/1.1", "": "", "spdy/3": "", "http/1.0": "",
	}
	for list, best := range lists {
		offered := words(list)
		for _, id := range append([]uint16{0}, guideSuites...) { // 0 is TLS 1.3
			config := &tls.Config{ServerName: custom, NextProtos: offered}
			if id != 0 {
				config = in12(id)
				config.NextProtos = offered
			}
			want := best
			prohibited := id != 0 && id != tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 && id != tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
			if prohibited && want == "h2" {
				want = ""
				if slices.Contains(offered, "http/1.1") {
					want = "http/1.1"
				}
			}
			state, err := w.handshake(config)
			if err != nil || state.NegotiatedProtocol != want {
				t.Errorf("%q over %s: %q, %v, want %q", list, tls.CipherSuiteName(id), state.NegotiatedProtocol, err, want)
			}
		}
	}
}

// words takes a list apart.
func words(list string) (all []string) {
	for _, word := range bytes.Fields([]byte(list)) {
		all = append(all, string(word))
	}
	return all
}

func TestServerName(t *testing.T) {
	w := newWorld(t)
	insecure := func(name string) *tls.Config { return &tls.Config{ServerName: name, InsecureSkipVerify: true} }
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, cause := range map[string]Cause{"": NoName, "other.example.com": WrongName, generated: WrongName} {
			config := insecure(name)
			config.MaxVersion = version
			w.refusedWith(config, custom, "unrecognized name", cause)
		}
	}
	w.refusedWith(insecure("other.example.com"), "other.example.com", "unrecognized name", NoCertificate) // no name of the service
	w.refusedWith(insecure(""), "", "unrecognized name", NoCertificate)
	for _, name := range []string{"Parking.Example.COM", custom} {
		if _, err := w.handshake(&tls.Config{ServerName: name}, name+"."); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhichCertificate has one row for each case of the user guide, "Bring Your Own Certificate" and "Configure a custom
// domain name".
func TestWhichCertificate(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name    string
		shown   *snapshot.Certificate // of the service
		asked   string
		trusted bool
		refused bool
	}{
		{"generated name, no certificate", nil, generated, true, false},
		{"generated name, a certificate for the other", w.certificate("a", custom), generated, true, false},
		{"custom name, the SAN is it", w.certificate("b", custom), custom, true, false},
		{"custom name, one of the SANs is it", w.certificate("c", "other.example.com", custom), custom, true, false},
		{"custom name, a wildcard one level deep", w.certificate("d", "*.example.com"), custom, true, false},
		{"custom name, no certificate, no fallback", nil, custom, false, true},
		{"custom name, a certificate that lost it", w.certificate("e", "other.example.com"), custom, false, false},
		{"custom name, a wildcard two levels up", w.certificate("f", "*.com"), custom, false, false},
	} {
		w.service.Certificate = tt.shown
		state, err := w.handshake(&tls.Config{ServerName: tt.asked})
		var untrusted *tls.CertificateVerificationError
		switch {
		case tt.refused:
			w.refusedWith(&tls.Config{ServerName: tt.asked}, tt.asked, "unrecognized name", NoCertificate)
		case tt.trusted && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case !tt.trusted && !errors.As(err, &untrusted):
			t.Errorf("%s: %v, want the client to refuse the certificate", tt.name, err)
		case tt.trusted && tt.asked == custom && !bytes.Equal(state.PeerCertificates[0].Raw, tt.shown.Chain[0]):
			t.Errorf("%s: another certificate is shown", tt.name)
		}
	}
}

// TestCommonName has a certificate without a SAN, whose CN the guide lets count. The clients of today ignore it; what is
// shown is the certificate all the same.
func TestCommonName(t *testing.T) {
	w := newWorld(t)
	w.service.Certificate = w.certificateFrom("cn", &x509.Certificate{Subject: pkix.Name{CommonName: custom}})
	state, err := w.handshake(&tls.Config{ServerName: custom, InsecureSkipVerify: true})
	if err != nil || !bytes.Equal(state.PeerCertificates[0].Raw, w.service.Certificate.Chain[0]) || len(state.PeerCertificates) != 2 {
		t.Errorf("shown %d certificates, %v", len(state.PeerCertificates), err)
	}
}

// TestGeneratedNames holds that all of them share one key, and each has a certificate of its own.
func TestGeneratedNames(t *testing.T) {
	w := newWorld(t)
	first, err := w.handshake(&tls.Config{ServerName: generated})
	if err != nil {
		t.Fatal(err)
	}
	w.service.DomainName = "other-2.7d67968.vpc-lattice-svcs.us-west-2.on.aws"
	second, err := w.handshake(&tls.Config{ServerName: w.service.DomainName})
	if err != nil {
		t.Fatal(err)
	}
	a, b := first.PeerCertificates[0], second.PeerCertificates[0]
	if a.Equal(b) || !bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo) || len(a.DNSNames) != 1 || a.DNSNames[0] != generated {
		t.Errorf("shown %v and %v", a.DNSNames, b.DNSNames)
	}
	w.snapshot = &snapshot.Snapshot{VPCs: w.snapshot.VPCs}
	w.refusedWith(&tls.Config{ServerName: w.service.DomainName}, w.service.DomainName, "unrecognized name", NoCertificate)
}

// TestKeyFor covers clients that crypto/tls does not play; it always accepts both kinds of keys.
func TestKeyFor(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[string]x509.PublicKeyAlgorithm{generated: x509.ECDSA, custom: x509.RSA} {
		state, err := w.handshake(&tls.Config{ServerName: name})
		if err != nil || state.PeerCertificates[0].PublicKeyAlgorithm != want {
			t.Errorf("%s is shown with a key of kind %v, %v; want %v", name, state.PeerCertificates[0].PublicKeyAlgorithm, err,
				want)
		}
	}
	both, single := &face{certificates: make([]tls.Certificate, keyKinds)}, &face{certificates: make([]tls.Certificate, 1)}
	accepting := &tls.ClientHelloInfo{SignatureSchemes: []tls.SignatureScheme{tls.PSSWithSHA256,
		tls.ECDSAWithP256AndSHA256}}
	refusing := &tls.ClientHelloInfo{SignatureSchemes: []tls.SignatureScheme{tls.PSSWithSHA256,
		tls.ECDSAWithP384AndSHA384}}
	for _, tt := range []struct {
		face  *face
		hello *tls.ClientHelloInfo
		want  keyKind
	}{{both, accepting, p256Key}, {both, refusing, rsaKey}, {single, accepting, rsaKey}} {
		if got := tt.face.keyFor(tt.hello); got != tt.want {
			t.Errorf("of %d keys, a client of %v is shown number %d, want %d", len(tt.face.certificates),
				tt.hello.SignatureSchemes, got, tt.want)
		}
	}
}

func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, name := range []string{custom, generated} {
			w := newWorld(t)
			config := &tls.Config{ServerName: name, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1), NextProtos: []string{"h2"}}
			for i, want := range []bool{false, true, true} {
				state, err := w.handshake(config)
				if err != nil || state.DidResume != want || state.NegotiatedProtocol != "h2" {
					t.Errorf("%s, %s, connection %d: resumed %t with %q, %v", tls.VersionName(version), name, i, state.DidResume, state.NegotiatedProtocol, err)
				}
			}
			// Another certificate is another service, as far as a session goes.
			w.service.Certificate = w.certificate("2", custom)
			if state, err := w.handshake(config); err != nil || state.DidResume != (name == generated) {
				t.Errorf("%s, %s, with a new certificate: resumed %t, %v", tls.VersionName(version), name, state.DidResume, err)
			}
			w.service.Certificate = nil
			if name == custom {
				w.refusedWith(config, name, "unrecognized name", NoCertificate)
			}
		}
	}
}

// TestASessionBelongsToItsName offers the session of one name for another.
func TestASessionBelongsToItsName(t *testing.T) {
	w := newWorld(t)
	cache := &oneSession{}
	if _, err := w.handshake(&tls.Config{ServerName: generated, ClientSessionCache: cache}); err != nil {
		t.Fatal(err)
	}
	state, err := w.handshake(&tls.Config{ServerName: custom, ClientSessionCache: cache, InsecureSkipVerify: true})
	if err != nil || state.DidResume || cache.asked != 2 {
		t.Errorf("resumed %t, %v", state.DidResume, err)
	}
}

// oneSession is a client's cache that mixes up names.
type oneSession struct {
	session *tls.ClientSessionState
	asked   int
}

func (c *oneSession) Get(string) (*tls.ClientSessionState, bool) {
	c.asked++
	return c.session, c.session != nil
}

func (c *oneSession) Put(_ string, s *tls.ClientSessionState) { c.session = s }

// TestTicketKeysRotate resumes after a day, when the key that seals tickets has been replaced, but not after a week.
func TestTicketKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		config := &tls.Config{ServerName: custom, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		for _, step := range []struct {
			wait time.Duration
			want bool
		}{{0, false}, {time.Hour, true}, {25 * time.Hour, true}, {8 * 24 * time.Hour, false}, {time.Hour, true}} {
			time.Sleep(step.wait)
			if state, err := w.handshake(config); err != nil || state.DidResume != step.want {
				t.Errorf("after %v: resumed %t, %v", step.wait, state.DidResume, err)
			}
		}
	})
}

// TestRenewal runs for a year: generated names always have a certificate with a month to go.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.service.Certificate = nil
		seen := map[string]bool{}
		for range 74 {
			state, err := w.handshake(&tls.Config{ServerName: generated})
			if err != nil {
				t.Fatal(err)
			}
			leaf := state.PeerCertificates[0]
			if left := time.Until(leaf.NotAfter); left <= certificate.RenewBefore-time.Second {
				t.Fatalf("a certificate has %v to go", left)
			}
			seen[leaf.SerialNumber.String()] = true
			time.Sleep(5 * 24 * time.Hour)
		}
		if len(seen) != 7 { // 365 days, each for 60
			t.Errorf("%d certificates in a year", len(seen))
		}
		if len(w.faces) != 1 {
			t.Errorf("%d are kept", len(w.faces))
		}
	})
}

// TestFacesAreThoseOfTheSnapshot holds that no key stays that the snapshot has no use for.
func TestFacesAreThoseOfTheSnapshot(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.service.Certificate = w.certificate(fmt.Sprint(i), custom)
		if _, err := w.handshake(&tls.Config{ServerName: custom}); err != nil {
			t.Fatal(err)
		}
		if len(w.faces) != 1 {
			t.Fatalf("there are %d faces", len(w.faces))
		}
	}
	if _, err := w.handshake(&tls.Config{ServerName: generated}); err != nil || len(w.faces) != 2 {
		t.Errorf("there are %d faces, %v", len(w.faces), err)
	}
	w.service.Certificate = nil
	w.snapshot.Authority = &snapshot.Certificate{Chain: w.snapshot.Authority.Chain, SealedKey: w.snapshot.Authority.SealedKey}
	if _, err := w.handshake(&tls.Config{ServerName: generated}); err != nil || len(w.faces) != 1 {
		t.Errorf("there are %d faces, %v", len(w.faces), err)
	}
}

func TestBadCertificates(t *testing.T) {
	w := newWorld(t)
	good := w.service.Certificate
	for name, bad := range map[string]*snapshot.Certificate{
		"sealed for another":  {ARN: "arn:2", Chain: good.Chain, SealedKey: good.SealedKey},
		"sealed otherwise":    {ARN: good.ARN, Chain: good.Chain, SealedKey: []byte("x")},
		"no key":              {ARN: good.ARN, Chain: good.Chain, SealedKey: w.box.SealKey(good.ARN, []byte("x"))},
		"no certificate":      {ARN: good.ARN, Chain: [][]byte{[]byte("x")}, SealedKey: good.SealedKey},
		"certificate cut off": {ARN: good.ARN, Chain: [][]byte{good.Chain[0][:99]}, SealedKey: good.SealedKey},
	} {
		t.Run(name, func(t *testing.T) {
			w.service.Certificate = bad
			w.refusedWith(&tls.Config{ServerName: custom}, custom, "unrecognized name", BadCertificate)
		})
	}
	w.service.Certificate = good
	if _, err := w.handshake(&tls.Config{ServerName: custom}); err != nil {
		t.Errorf("a good one after bad ones: %v", err)
	}
	w.snapshot.Authority.SealedKey = []byte("x")
	w.refusedWith(&tls.Config{ServerName: generated}, generated, "unrecognized name", BadCertificate)
}

func TestClientsThatFail(t *testing.T) {
	for name, tt := range map[string]struct {
		client func(net.Conn)
		want   Cause
	}{
		"plain HTTP":  {func(c net.Conn) { _, _ = io.WriteString(c, "GET / HTTP/1.1\r\n\r\n"); _, _ = io.Copy(io.Discard, c) }, OtherCause},
		"gone":        {func(c net.Conn) { _ = c.Close() }, Closed},
		"gone midway": {func(c net.Conn) { _, _ = c.Write([]byte{22, 3, 1, 2, 0, 1}); _ = c.Close() }, Closed},
		"silent":      {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, TimedOut},
		"no trust": {func(c net.Conn) {
			_ = tls.Client(c, &tls.Config{ServerName: custom, RootCAs: x509.NewCertPool()}).Handshake()
		}, RefusedByClient},
		"other record": {func(c net.Conn) { _, _ = c.Write([]byte{23, 3, 3, 0, 1, 0}); _, _ = io.Copy(io.Discard, c) }, OtherCause},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				near, far := net.Pipe()
				go tt.client(near)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := w.Handshake(ctx, far, w.snapshot, w.service, custom)
				var failure *Failure
				if !errors.As(err, &failure) || failure.Cause != tt.want || failure.Name != custom {
					t.Errorf("%v, want %v", err, tt.want)
				}
				if got := w.Errors()[tt.want.String()]; got != 1 {
					t.Errorf("%d are counted", got)
				}
				_, _ = near.Close(), far.Close()
				synctest.Wait()
			})
		})
	}
}

// TestManyAtOnce lets clients meet a name for the first time together, while certificates change.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	services := make([]*snapshot.Service, 3)
	for i := range services {
		services[i] = &snapshot.Service{DomainName: generated, CustomDomainName: custom, Certificate: w.certificate(fmt.Sprint("x", i), custom)}
	}
	var running sync.WaitGroup
	for i := range 24 {
		running.Go(func() {
			own := *w
			own.service = services[i%len(services)]
			for _, name := range []string{custom, generated} {
				if _, err := own.handshake(&tls.Config{ServerName: name, MaxVersion: tls.VersionTLS12 + uint16(i%2)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
}

// TestWhatIsLeftOut wants neither client certificates nor Encrypted Client Hello nor renegotiation.
func TestWhatIsLeftOut(t *testing.T) {
	w := newWorld(t)
	asked := false
	config := &tls.Config{ServerName: custom, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		return &tls.Certificate{}, nil
	}}
	state, err := w.handshake(config)
	if err != nil || asked || state.ECHAccepted {
		t.Errorf("a client certificate was asked for: %t, ECH: %t, %v", asked, state.ECHAccepted, err)
	}
}

// alarming is a connection that panics when it is read.
type alarming struct{ net.Conn }

func (alarming) Read([]byte) (int, error) { panic("no such thing") }

// TestAPanicEndsTheHandshake and nothing else, and is logged.
func TestAPanicEndsTheHandshake(t *testing.T) {
	w := newWorld(t)
	var logged strings.Builder
	w.log = slog.New(slog.NewTextHandler(&logged, nil))
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	_, err := w.Handshake(t.Context(), alarming{far}, w.snapshot, w.service, generated)
	var failure *Failure
	if !errors.As(err, &failure) || failure.Cause != OtherCause || !strings.Contains(logged.String(), "no such thing") {
		t.Errorf("got %v, logged %q", err, logged.String())
	}
}
