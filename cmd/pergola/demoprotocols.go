package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// caller is a client in payments by TLS, by one version of HTTP.
func (s *story) caller(roots *x509.CertPool, http2 bool) *http.Client {
	client := s.client.Client()
	transport := client.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	return client
}

// https has enrichment answer by TLS under its generated name, whose certificate nobody had to ask for.
func (s *story) https() (string, error) {
	listener, err := s.create("/services/"+s.service+"/listeners", body{"name": "https", "protocol": "HTTPS", "port": 443, "defaultAction": forward(s.v1, 100)})
	if err != nil {
		return "", err
	}
	s.secure = listener.ID
	authority, err := s.deployment.Authority(s.ctx)
	if err != nil {
		return "", err
	}
	s.trusted = x509.NewCertPool()
	if !s.trusted.AppendCertsFromPEM([]byte(authority)) {
		return "", errors.New("the certificate of the built-in authority cannot be read")
	}
	client := s.caller(s.trusted, false)
	defer client.CloseIdleConnections()
	var got answer
	err = s.soon(func() (err error) {
		got, err = s.fetch(client, "https://"+s.domain+"/", nil)
		return err
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %s by %s, issued by %s", got.status, got.body, tls.VersionName(got.tls.Version), got.tls.PeerCertificates[0].Issuer.CommonName), nil
}

// http2 makes many calls at once, after a first one that has made the connection.
func (s *story) http2() (string, error) {
	const calls = 100
	client, connections := s.caller(s.trusted, true), atomic.Int64{}
	defer client.CloseIdleConnections()
	transport := client.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		connections.Add(1)
		return dial(ctx, network, address)
	}
	first, err := s.fetch(client, "https://"+s.domain+"/", nil)
	if err != nil {
		return "", err
	}
	var running sync.WaitGroup
	failures := make([]error, calls)
	for i := range failures {
		running.Go(func() { _, failures[i] = s.fetch(client, "https://"+s.domain+"/", nil) })
	}
	running.Wait()
	if n := connections.Load(); n != 1 || first.version != "HTTP/2.0" {
		return "", fmt.Errorf("%d connections, by %s", n, first.version)
	}
	return fmt.Sprintf("%d calls at once by %s, answered in partner by HTTP/1.1", calls, first.version), errors.Join(failures...)
}

// limitOf is the method of a gRPC service that the demo calls, by the path that it has on the wire.
const limitOf = "/partner.Limits/Of"

// grpc calls a method of a gRPC service, to which a rule of the listener for HTTPS leads by its path.
func (s *story) grpc() (string, error) {
	home := s.targets[2].instance
	listener, err := home.Listen(s.ctx, 9090)
	if err != nil {
		return "", err
	}
	server := grpc.NewServer(grpc.ForceServerCodec(textCodec{}))
	server.RegisterService(limits(home.Address.String()), nil)
	s.serve(stopper{server}, func() error { return server.Serve(listener) })
	group, err := s.makeTargetGroup("limits", body{"port": 9090, "protocol": "HTTP", "protocolVersion": "GRPC", "healthCheck": body{"enabled": false}}, home.ID)
	if err != nil {
		return "", err
	}
	if err := s.pathRule(s.secure, "limits", "/partner.Limits/", group); err != nil {
		return "", err
	}
	dial := s.client.Client().Transport.(*http.Transport).DialContext
	connection, err := grpc.NewClient("passthrough:///"+s.domain+":443",
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: s.trusted})),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return dial(ctx, "tcp", address) }),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(textCodec{})))
	if err != nil {
		return "", err
	}
	defer connection.Close()
	question, limit := "risk scoring", ""
	err = s.soon(func() error { return connection.Invoke(s.ctx, limitOf, &question, &limit) })
	return fmt.Sprintf("%s of %s: %s", limitOf, question, limit), err
}

// pathRule has the paths that begin with a prefix answered by a target group.
func (s *story) pathRule(listener, name, prefix, group string) error {
	match := body{"httpMatch": body{"pathMatch": body{"match": body{"prefix": prefix}}}}
	_, err := s.create("/services/"+s.service+"/listeners/"+listener+"/rules", body{"name": name, "priority": 20, "match": match, "action": forward(group, 100)})
	return err
}

// limits is a gRPC service whose one method says for whom it was asked, and where.
func limits(address string) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "partner.Limits", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Of", Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var who string
			if err := decode(&who); err != nil {
				return nil, err
			}
			answer := "1,000 a day for " + who + ", says " + address
			return &answer, nil
		}}},
	}
}

// textCodec carries strings as they are: the demo's messages need no schema.
type textCodec struct{}

func (textCodec) Name() string { return "text" }

func (textCodec) Marshal(message any) ([]byte, error) { return []byte(*message.(*string)), nil }

func (textCodec) Unmarshal(data []byte, message any) error {
	*message.(*string) = string(data)
	return nil
}

// stopper closes a gRPC server as others are.
type stopper struct{ *grpc.Server }

func (s stopper) Close() error {
	s.Stop()
	return nil
}

// ledger is the custom domain name of a service whose TLS nobody but its target ends.
const ledger = "ledger.partner.example"

// passthrough calls a service by TLS that passes through to its target, whose own certificate the client sees.
func (s *story) passthrough() (string, error) {
	home := s.targets[2].instance
	certificate, roots, err := selfSigned(ledger)
	if err != nil {
		return "", err
	}
	listener, err := home.Listen(s.ctx, 8443)
	if err != nil {
		return "", err
	}
	server := newServer("ledger at " + home.Address.String())
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	s.serve(server, func() error { return server.ServeTLS(listener, "", "") })
	group, err := s.makeTargetGroup("ledger", body{"port": 8443, "protocol": "TCP", "healthCheck": body{"enabled": false}}, home.ID)
	if err != nil {
		return "", err
	}
	service, err := s.create("/services", body{"name": "ledger", "customDomainName": ledger})
	if err != nil {
		return "", err
	}
	if _, err := s.create("/services/"+service.ID+"/listeners", body{"name": "tls", "protocol": "TLS_PASSTHROUGH", "port": 443, "defaultAction": forward(group, 100)}); err != nil {
		return "", err
	}
	if err := s.associate(service.ID); err != nil {
		return "", err
	}
	client := s.caller(roots, true)
	defer client.CloseIdleConnections()
	var got answer
	err = s.soon(func() (err error) {
		got, err = s.fetch(client, "https://"+ledger+"/", nil)
		return err
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("GET https://%s/: %d %s, with the target's own certificate", ledger, got.status, strings.TrimSpace(got.body)), nil
}

// selfSigned makes a certificate for a name, and what trusts it.
func selfSigned(name string) (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots, nil
}
