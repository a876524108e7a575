package termination

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/aws/acm"
	"pergola/certificate"
	"pergola/sealing"
	"pergola/snapshot"
	"pergola/snapshot/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The names of the service of a world.
const (
	generated = "parking-1.7d67968.vpc-lattice-svcs.us-west-2.on.aws"
	custom    = "parking.example.com"
)

// ownKey is the key of the certificates of services, which tests share since it takes a while to make one.
var ownKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// world is a Terminator with a snapshot of one service, and what its clients trust.
type world struct {
	*Terminator
	t        testing.TB
	snapshot *snapshot.Snapshot
	service  *snapshot.Service
	roots    *x509.CertPool
}

func newWorld(t testing.TB) *world {
	t.Helper()
	box, err := sealing.New(make([]byte, sealing.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	der, key, err := certificate.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Terminator: New(Config{Box: box}), t: t, roots: x509.NewCertPool()}
	w.roots.AppendCertsFromPEM(certificate.PEM(der))
	w.service = &snapshot.Service{ID: "svc-1", DomainName: generated, CustomDomainName: custom, Certificate: w.certificate("1", custom)}
	w.snapshot = &snapshot.Snapshot{
		Authority: &snapshot.Certificate{Chain: [][]byte{der}, SealedKey: box.SealKey(acm.AuthorityID, key)},
		VPCs: table.Of(map[string]*snapshot.VPC{"vpc-1": {Doors: []snapshot.Door{{Network: &snapshot.Network{
			Names: table.Of(map[string]*snapshot.Service{generated: w.service, custom: w.service}),
		}}}}}),
	}
	return w
}

// certificate is a certificate of an account, from an authority of its own that clients trust.
func (w *world) certificate(uuid string, names ...string) *snapshot.Certificate {
	return w.certificateFrom(uuid, &x509.Certificate{DNSNames: names})
}

func (w *world) certificateFrom(uuid string, leaf *x509.Certificate) *snapshot.Certificate {
	w.t.Helper()
	issuer := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer " + uuid}, IsCA: true, BasicConstraintsValid: true}
	leaf.SerialNumber = big.NewInt(2)
	for _, c := range []*x509.Certificate{issuer, leaf} {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	root, err := x509.CreateCertificate(rand.Reader, issuer, issuer, signer.Public(), signer)
	if err != nil {
		w.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, issuer, ownKey().Public(), signer)
	if err != nil {
		w.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(ownKey())
	if err != nil {
		w.t.Fatal(err)
	}
	w.roots.AppendCertsFromPEM(certificate.PEM(root))
	arn := "arn:aws:acm:us-west-2:100000000001:certificate/" + uuid
	return &snapshot.Certificate{ARN: arn, Chain: [][]byte{der, root}, SealedKey: w.box.SealKey(arn, private)}
}

// greeting is what the server says after each handshake, so that clients also read the tickets before it.
const greeting = "hello"

// handshake lets a client shake hands with the service, for the name that its configuration has, or for another.
func (w *world) handshake(config *tls.Config, as ...string) (tls.ConnectionState, error) {
	w.t.Helper()
	client, state, err := w.meet(config, append(as, config.ServerName)[0])
	if client != nil {
		return state, client
	}
	return state, err
}

// meet returns the errors of both sides.
func (w *world) meet(config *tls.Config, name string) (clientErr error, state tls.ConnectionState, serverErr error) {
	w.t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer far.Close()
		conn, err := w.Handshake(ctx, far, w.snapshot, w.service, name)
		if err == nil {
			_, err = io.WriteString(conn, greeting)
			_ = conn.Close()
		}
		done <- err
	}()
	config = config.Clone()
	if config.RootCAs == nil {
		config.RootCAs = w.roots
	}
	conn := tls.Client(near, config)
	clientErr = conn.HandshakeContext(ctx)
	if clientErr == nil {
		var said []byte
		if said, clientErr = io.ReadAll(conn); clientErr == nil && string(said) != greeting {
			w.t.Errorf("the server said %q", said)
		}
	}
	state = conn.ConnectionState()
	_ = near.Close()
	return clientErr, state, <-done
}

// refusedWith checks the alert that a client got and the cause that was counted.
func (w *world) refusedWith(config *tls.Config, name, alert string, cause Cause) {
	w.t.Helper()
	before := w.Errors()
	clientErr, _, serverErr := w.meet(config, name)
	if clientErr == nil || !strings.Contains(clientErr.Error(), alert) {
		w.t.Errorf("the client got %v, want %s", clientErr, alert)
	}
	var failure *Failure
	if !errors.As(serverErr, &failure) || failure.Cause != cause {
		w.t.Errorf("the server got %v, want %v", serverErr, cause)
	}
	for name, count := range w.Errors() {
		want := before[name]
		if name == cause.String() {
			want++
		}
		if count != want {
			w.t.Errorf("%d failures of %s are counted, want %d", count, name, want)
		}
	}
}
