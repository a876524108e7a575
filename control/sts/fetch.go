package sts

import (
	"context"
	"crypto/sha1" //nolint:gosec // what AWS names certificates by
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"pergola/aws/iam"
)

// The bounds of one fetch of an issuer's keys, of both its documents together.
const (
	fetchTimeout = 10 * time.Second
	maxDocument  = 256 << 10
	maxHead      = 64 << 10
)

// fetcher reads the keys of issuers.
type fetcher struct {
	// roots are the authorities that are trusted without a thumbprint; nil means those of the system.
	roots *x509.CertPool
	// allowInternal lets issuers be on this host and in private networks.
	allowInternal bool
	// dial makes connections in tests; nil means the network.
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// fetchKeys reads the keys of a provider's issuer by way of its discovery document (OpenID Connect Discovery §4).
func (f *fetcher) fetchKeys(provider *iam.Provider) ([]iam.PublicKey, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	document, err := f.fetch(ctx, strings.TrimSuffix(provider.URL, "/")+"/.well-known/openid-configuration", provider)
	if err != nil {
		return nil, err
	}
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(document, &discovery); err != nil {
		return nil, fmt.Errorf("discovery document: %w", err)
	}
	if discovery.Issuer != provider.URL {
		return nil, fmt.Errorf("the discovery document is that of %q", discovery.Issuer)
	}
	if document, err = f.fetch(ctx, discovery.Keys, provider); err != nil {
		return nil, err
	}
	keys, err := iam.ReadKeys(document)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return keys, nil
}

// fetch reads a document of an issuer. Each has a connection of its own, straight to the address that was looked at: no
// proxy, no redirect and no second look-up of the name leads elsewhere.
func (f *fetcher) fetch(ctx context.Context, raw string, provider *iam.Provider) ([]byte, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	if !f.mayFetch(u, provider) {
		return nil, fmt.Errorf("%q is not https", raw)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	transport := &http.Transport{
		DialContext: f.dialer(ctx), DisableKeepAlives: true, MaxResponseHeaderBytes: maxHead,
		TLSClientConfig: f.tls(u.Hostname(), provider.Thumbprints),
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", raw, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err == nil && len(body) > maxDocument {
		err = fmt.Errorf("%s is longer than %d bytes", raw, maxDocument)
	}
	return body, err
}

// mayFetch reports whether a document may be at a place: on https, or on this host where that is allowed and the issuer
// is registered so. So an issuer elsewhere cannot have us look around here.
func (f *fetcher) mayFetch(u *url.URL, provider *iam.Provider) bool {
	plain := u.Scheme == "http" && f.allowInternal && iam.IsInternalHost(u.Hostname()) &&
		strings.HasPrefix(provider.URL, "http://")
	return u.Host != "" && (u.Scheme == "https" || plain)
}

// errInternal refuses a connection before it is made.
var errInternal = errors.New("the issuer's address is this host's, or in a private network; give its keys with " +
	"pergola issuer, or start with --allow-local-issuers")

// dialer makes connections that last as long as a fetch does. The transport would go on with them when the fetch is
// over.
func (f *fetcher) dialer(fetch context.Context) func(ctx context.Context, network, address string) (net.Conn, error) {
	dial := f.dial
	if dial == nil {
		d := net.Dialer{}
		if !f.allowInternal {
			d.Control = func(_, address string, _ syscall.RawConn) error { return refuseInternal(address) }
		}
		dial = d.DialContext
	}
	return func(_ context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(fetch, network, address)
		if err != nil {
			return nil, err
		}
		deadline, _ := fetch.Deadline()
		return conn, conn.SetDeadline(deadline)
	}
}

// refuseInternal looks at an address to which a connection is about to be made.
func refuseInternal(address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	isOwn := func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr() == to.Addr().Unmap().WithZone("")
	}
	if iam.IsInternal(to.Addr()) || slices.ContainsFunc(own, isOwn) {
		return errInternal
	}
	return nil
}

// tls verifies an issuer's certificate: with the public authorities, and where these do not know it with the
// thumbprints that its provider is registered with. A thumbprint is that of the last certificate that the issuer shows,
// which signs the others (IAM user guide, "Obtain the thumbprint for an OpenID Connect identity provider"). The name
// and the time must fit in either case.
func (f *fetcher) tls(host string, thumbprints []string) *tls.Config {
	verify := func(state tls.ConnectionState) error {
		chain := state.PeerCertificates
		options := x509.VerifyOptions{Roots: f.roots, DNSName: host, Intermediates: x509.NewCertPool()}
		for _, certificate := range chain[1:] {
			options.Intermediates.AddCert(certificate)
		}
		_, err := chain[0].Verify(options)
		top := chain[len(chain)-1]
		if err == nil || !isPinned(top, thumbprints) {
			return err
		}
		options.Roots = x509.NewCertPool()
		options.Roots.AddCert(top)
		_, err = chain[0].Verify(options)
		return err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: host,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies, in two ways
		VerifyConnection:   verify,
	}
}

func isPinned(certificate *x509.Certificate, thumbprints []string) bool {
	sum := sha1.Sum(certificate.Raw) //nolint:gosec // see the import
	return slices.ContainsFunc(thumbprints,
		func(t string) bool { return strings.EqualFold(t, hex.EncodeToString(sum[:])) })
}
