package termination

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"pergola/aws/acm"
	"pergola/certificate"
	"pergola/dataplane/security"
	"pergola/sealing"
	"pergola/snapshot"
)

// faceKey is a name with what certifies it: the certificate of the service, or the built-in authority.
type faceKey struct {
	name string
	by   *snapshot.Certificate
}

// keyOf says what certifies a name of a service, or false if nothing does. There is no fallback: a custom domain name has
// the certificate of its service or none (user guide, "Configure a custom domain name").
func keyOf(s *snapshot.Snapshot, service *snapshot.Service, name string) (faceKey, bool) {
	switch {
	case name == "":
		return faceKey{}, false
	case name == service.DomainName:
		return faceKey{name, s.Authority}, s.Authority != nil
	case name == service.CustomDomainName:
		return faceKey{name, service.Certificate}, service.Certificate != nil
	}
	return faceKey{}, false
}

// face is what clients are shown under one name. Its session tickets are good for this name and this certificate alone,
// since the key that seals them, which crypto/tls renews daily, belongs to original.
type face struct {
	name     string
	open     sync.Once
	err      error     // why it cannot be shown
	renewAt  time.Time // when another takes its place; zero for never
	original *tls.Config
	// configs are made when they are first needed.
	configs [keyKinds][len(security.Suites)][protocolLists]atomic.Pointer[tls.Config]

	certificates []tls.Certificate // by keyKind; at least the first
	now          func() time.Time
}

// face returns what a name is shown with, ready for use. Where there is none yet, or it is to be renewed, it makes one,
// and drops those that the snapshot has no use for.
func (t *Terminator) face(s *snapshot.Snapshot, key faceKey) *face {
	t.mu.Lock()
	f := t.faces[key]
	if f == nil || !f.renewAt.IsZero() && !t.now().Before(f.renewAt) {
		f = &face{name: key.name, now: t.now}
		if key.by == s.Authority {
			f.renewAt = t.now().Add(certificate.Lifetime - certificate.RenewBefore)
		}
		t.sweep(s)
		t.faces[key] = f
	}
	t.mu.Unlock()
	f.open.Do(func() {
		if f.err = f.certify(t, s, key); f.err != nil {
			t.log.Error("a name cannot be served over TLS", "name", key.name, "certificate", key.by.ARN, "error", f.err)
		}
	})
	return f
}

// sweep drops the faces of names and certificates that are not in the snapshot. The caller holds mu.
func (t *Terminator) sweep(s *snapshot.Snapshot) {
	used, seen := make(map[faceKey]bool, len(t.faces)), map[*snapshot.Network]bool{}
	for vpc := range s.VPCs.Values() {
		for _, door := range vpc.Doors {
			if seen[door.Network] {
				continue
			}
			seen[door.Network] = true
			for name, service := range door.Network.Names.All() {
				if key, ok := keyOf(s, service, name); ok {
					used[key] = true
				}
			}
		}
	}
	for key := range t.faces {
		if !used[key] {
			delete(t.faces, key)
		}
	}
}

// certify gives the face its certificates: that of the service, or new ones from the built-in authority.
func (f *face) certify(t *Terminator, s *snapshot.Snapshot, key faceKey) (err error) {
	if key.by == s.Authority {
		f.certificates, err = t.issue(key)
	} else {
		f.certificates = make([]tls.Certificate, 1)
		f.certificates[0], err = Open(t.box, key.by)
	}
	f.original = &tls.Config{Time: f.now, MinVersion: security.MinVersion, GetConfigForClient: f.choose}
	return err
}

// issue has the built-in authority certify a generated name, for a key of each kind.
func (t *Terminator) issue(key faceKey) ([]tls.Certificate, error) {
	sealed, err := t.box.OpenKey(acm.AuthorityID, key.by.SealedKey)
	if err != nil {
		return nil, err
	}
	authority, err := certificate.OpenAuthority(key.by.Chain[0], sealed)
	if err != nil {
		return nil, err
	}
	keys, err := t.keys()
	if err != nil {
		return nil, err
	}
	issued := make([]tls.Certificate, len(keys))
	for kind, private := range keys {
		leaf, err := authority.Issue(private.Public(), t.now(), key.name)
		if err != nil {
			return nil, err
		}
		issued[kind] = tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: private}
	}
	return issued, nil
}

// Open opens the key of a certificate that an account has, so that it can be shown.
func Open(box *sealing.Box, c *snapshot.Certificate) (tls.Certificate, error) {
	leaf, err := x509.ParseCertificate(c.Chain[0])
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s: %w", c.ARN, err)
	}
	der, err := box.OpenKey(c.ARN, c.SealedKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := certificate.ParseKey(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the key of certificate %s: %w", c.ARN, err)
	}
	return tls.Certificate{Certificate: c.Chain, PrivateKey: private, Leaf: leaf}, nil
}

// config is the configuration with one certificate, one suite and one list of protocols.
func (f *face) config(key keyKind, suite int, list protocolList) *tls.Config {
	if made := f.configs[key][suite][list].Load(); made != nil {
		return made
	}
	// Of two that are made at once, one is used for one handshake only.
	made := &tls.Config{
		Time: f.now, MinVersion: security.MinVersion, Certificates: f.certificates[key : key+1],
		CipherSuites: []uint16{security.Suites[suite].ID}, NextProtos: list.protocols(),
	}
	f.configs[key][suite][list].Store(made)
	return made
}
