package estate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"pergola/internal/inside"
)

// trusting is a client in an instance that trusts the built-in authority and speaks one version of HTTP.
func (e *estate) trusting(from inside.Instance, http2 bool) *http.Client {
	e.t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(must(e.Authority(e.t.Context()))(e.t))) {
		e.t.Fatal("the authority's certificate cannot be read")
	}
	client := from.Client()
	transport := client.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	e.t.Cleanup(client.CloseIdleConnections)
	return client
}

// say sends a request and returns the status, the version of the answer and its body.
func (e *estate) say(client *http.Client, method, url, body string) (status int, version, text string) {
	e.t.Helper()
	request := must(http.NewRequestWithContext(e.t.Context(), method, url, strings.NewReader(body)))(e.t)
	response := must(client.Do(request))(e.t)
	defer response.Body.Close()
	return response.StatusCode, response.Proto, string(must(io.ReadAll(response.Body))(e.t))
}

// selfSigned is a certificate for names, or for none, that nobody has reason to trust.
func selfSigned(t *testing.T, names ...string) (tls.Certificate, *x509.Certificate) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, must(x509.ParseCertificate(der))(t)
}

// serveAs serves on a port of an instance by one version of HTTP, with TLS or without.
func (e *estate) serveAs(instance inside.Instance, port uint16, http2 bool, certificate *tls.Certificate, handler http.Handler) {
	e.t.Helper()
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	server.Protocols.SetHTTP1(!http2)
	server.Protocols.SetHTTP2(http2 && certificate != nil)
	server.Protocols.SetUnencryptedHTTP2(http2 && certificate == nil)
	listener := must(instance.Listen(e.t.Context(), port))(e.t)
	e.t.Cleanup(func() { _ = server.Close() })
	if certificate == nil {
		go server.Serve(listener)
		return
	}
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*certificate}}
	go server.ServeTLS(listener, "", "")
}

// TestHTTPS calls services by TLS, by both versions of HTTP and under their generated names, whose certificate comes from
// the built-in authority, and reaches targets by both versions with and without TLS.
func TestHTTPS(t *testing.T) {
	e := newEstate(t)
	server := e.RunInstance(e.owners, "10.20.1.11")
	untrusted, _ := selfSigned(t)
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s tls=%v proto=%s %s", r.Host, r.Proto, r.TLS != nil, r.Header.Get("X-Forwarded-Proto"), body)
	})
	v1, v2 := e.trusting(e.client, false), e.trusting(e.client, true)
	for i, target := range []struct {
		protocol types.TargetGroupProtocol
		version  types.TargetGroupProtocolVersion
	}{
		{types.TargetGroupProtocolHttp, types.TargetGroupProtocolVersionHttp1},
		{types.TargetGroupProtocolHttps, types.TargetGroupProtocolVersionHttp1},
		{types.TargetGroupProtocolHttp, types.TargetGroupProtocolVersionHttp2},
		{types.TargetGroupProtocolHttps, types.TargetGroupProtocolVersionHttp2},
	} {
		name := strings.ToLower(fmt.Sprintf("%s-%s", target.protocol, target.version))
		t.Run(name, func(t *testing.T) {
			var certificate *tls.Certificate
			if target.protocol == types.TargetGroupProtocolHttps {
				certificate = &untrusted
			}
			port, by2 := uint16(8080+i), target.version == types.TargetGroupProtocolVersionHttp2
			e.serveAs(server, port, by2, certificate, echo)
			group := e.makeGroupAs(name, &types.TargetGroupConfig{
				Port: aws.Int32(int32(port)), Protocol: target.protocol, ProtocolVersion: target.version,
			}, server)
			s := e.makeServiceAs(&vpclattice.CreateServiceInput{Name: &name}, types.ListenerProtocolHttps, only(group))
			version := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}
			want := fmt.Sprintf("%s %s tls=%v proto=https body", s.domain, version[by2], certificate != nil)
			if status, by, text := e.say(v2, "POST", "https://"+s.domain+"/a", "body"); status != 200 || by != "HTTP/2.0" || text != want {
				t.Errorf("by HTTP/2: %d %s %q, want %q", status, by, text, want)
			}
			status, by, text := e.say(v1, "POST", "https://"+s.domain+"/a", "body")
			switch {
			case by != "HTTP/1.1", by2 && status != 502:
				t.Errorf("by HTTP/1.1 to HTTP/2: %d %s %q", status, by, text)
			case !by2 && (status != 200 || text != want):
				t.Errorf("by HTTP/1.1: %d %q, want %q", status, text, want)
			}
		})
	}
}

// TestTLSPassthrough carries TLS by its server name to a target that ends it.
func TestTLSPassthrough(t *testing.T) {
	e := newEstate(t)
	const domain = "orders.example.com"
	certificate, root := selfSigned(t, domain)
	server := e.RunInstance(e.owners, "10.20.1.12")
	e.serveAs(server, 8443, true, &certificate, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.Host, r.TLS.ServerName, r.Header.Get("X-Forwarded-For"))
	}))
	group := e.makeGroupAs("orders", &types.TargetGroupConfig{Port: aws.Int32(8443), Protocol: types.TargetGroupProtocolTcp}, server)
	s := e.makeServiceAs(&vpclattice.CreateServiceInput{Name: aws.String("orders"), CustomDomainName: aws.String(domain)},
		types.ListenerProtocolTlsPassthrough, only(group))
	client := e.client.Client()
	transport := client.Transport.(*http.Transport)
	transport.TLSClientConfig, transport.ForceAttemptHTTP2 = &tls.Config{RootCAs: x509.NewCertPool()}, true
	transport.TLSClientConfig.RootCAs.AddCert(root)
	t.Cleanup(client.CloseIdleConnections)
	if status, by, text := e.say(client, "GET", "https://"+domain+"/", ""); status != 200 || by != "HTTP/2.0" || text != domain+" "+domain+" " {
		t.Errorf("%d %s %q", status, by, text)
	}
	if _, err := client.Get("https://" + s.domain + "/"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("by the generated name: %v", err)
	}
}
