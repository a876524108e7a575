package security_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"

	"pergola/dataplane/security"
)

// shown is a certificate that nobody has reason to trust.
func shown(t *testing.T, key any, public any) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestConnect connects to targets that are configured in every way that matters.
func TestConnect(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	byRSA, byCurve := shown(t, private, &private.PublicKey), shown(t, curve, &curve.PublicKey)
	only := func(suite uint16) *tls.Config {
		return &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}}
	}
	type test struct {
		what        string
		certificate tls.Certificate
		target      *tls.Config
		protocols   []string
		refusal     string
	}
	tests := []test{
		{"TLS 1.3 with any certificate", byCurve, &tls.Config{MinVersion: tls.VersionTLS13}, nil, ""},
		{"TLS 1.1", byRSA, &tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}, nil, "no TLS with the target"},
		{"a suite of no policy", byRSA, only(tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256), nil, "no TLS with the target"},
		{"a suite for other keys", byCurve, only(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256), nil, "no TLS with the target"},
		{"the protocol", byRSA, &tls.Config{NextProtos: []string{"http/1.1", "h2"}}, []string{"h2"}, ""},
		{"no protocol", byRSA, &tls.Config{}, []string{"h2"}, `agrees on none of ["h2"]`},
		{"a protocol that was not asked for", byRSA, &tls.Config{NextProtos: []string{"h2"}}, nil, ""},
	}
	for _, suite := range security.Suites {
		tests = append(tests, test{tls.CipherSuiteName(suite.ID), byRSA, only(suite.ID), nil, ""})
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			near, far := net.Pipe()
			defer near.Close()
			named := make(chan string, 1)
			test.target.Certificates = []tls.Certificate{test.certificate}
			test.target.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				named <- hello.ServerName
				return nil, nil
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer far.Close()
				_ = tls.Server(far, test.target).HandshakeContext(t.Context())
			}()
			conn, err := security.Connect(t.Context(), near, "orders.example.com", test.protocols...)
			<-done
			switch {
			case test.refusal == "" && err != nil, test.refusal != "" && (err == nil || !strings.Contains(err.Error(), test.refusal)):
				t.Fatalf("%v, want %q", err, test.refusal)
			case err == nil && len(test.protocols) > 0 && conn.ConnectionState().NegotiatedProtocol != test.protocols[0]:
				t.Errorf("agreed on %q", conn.ConnectionState().NegotiatedProtocol)
			}
			if name := <-named; name != "orders.example.com" {
				t.Errorf("the target was told the name %q", name)
			}
		})
	}
}
