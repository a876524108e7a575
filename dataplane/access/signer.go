package access

import (
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"

	"pergola/aws/iam"
	"pergola/policy"
	"pergola/sealing"
	"pergola/sigv4"
	"pergola/snapshot"
)

// signer is who signed a request; the zero value is nobody.
type signer struct {
	// identities are those among which the signer was found.
	identities *snapshot.Identities
	principal  *snapshot.Principal
	session    *session // nil for a long-term key
}

// credentials find signers in the newest snapshot.
type credentials struct {
	snapshot func() *snapshot.Snapshot
	box      *sealing.Box
	sessions *sessions
}

// Lookup implements sigv4.Credentials.
func (c *credentials) Lookup(keyID, token string, now time.Time) (secret string, s signer, err error) {
	s.identities = c.snapshot().Identities
	if token == "" {
		key := s.identities.Keys.Get(keyID)
		if key == nil || key.Inactive {
			return "", signer{}, sigv4.ErrUnknownKey
		}
		s.principal = key.Principal
		secret, err = key.Secret(c.box.OpenSecret)
		return secret, s, err
	}
	if s.session, err = c.sessions.open(keyID, token, now); err != nil {
		return "", signer{}, err
	}
	// A session lives as long as whom it is of: a later user or role of the same name has another unique id.
	if s.principal = s.identities.Principals.Get(s.session.of); s.principal == nil {
		return "", signer{}, sigv4.ErrUnknownKey
	}
	return s.session.secret, s, nil
}

// find is the signer that would have an ARN. A role stands for one of its sessions.
func (c *credentials) find(arn string) (signer, error) {
	s := signer{identities: c.snapshot().Identities}
	if s.principal = s.identities.Find(arn); s.principal == nil {
		return signer{}, fmt.Errorf("%s: no such user or role; give the ARN of a user, of a role or of a session of a role", arn)
	}
	if s.principal.Type == policy.AssumedRole {
		s.session = assumed(s.principal, arn)
	}
	return s, nil
}

// assumed is a session of a role as it would be with nothing asked for: the one that the ARN names, or any.
func assumed(role *snapshot.Principal, arn string) *session {
	name := "explain"
	if arn == role.ARN {
		arn = (&iam.Role{Entity: iam.Entity{Account: role.Account, Name: role.Name}}).SessionARN(name)
	} else {
		name = arn[strings.LastIndexByte(arn, '/')+1:]
	}
	return &session{arn: arn, id: role.UniqueID + ":" + name, name: name, of: role.UniqueID, tags: role.Tags}
}

// session is a session token, opened. It never changes.
type session struct {
	keyID, token, secret string
	expires              time.Time
	// arn and id are the session's own, of is the unique id of the user or the role, and name is "" for a user.
	arn, id, of, name string
	tags              snapshot.Tags
	// inline is the policy that was passed when the session began, or nil; managed are the ARNs of those that were
	// named.
	inline  *policy.Policy
	managed []string
	// issued is when, and the others are the values of aws:SourceIdentity and aws:FederatedProvider.
	issued                     time.Time
	sourceIdentity, federation string
}

// sessionSlots is how many opened sessions are kept, some kilobytes each.
const sessionSlots = 4096

// sessions keeps sessions that have been opened: a table of fixed size in which each has one place, found by hash, and
// drives out what was there. What is kept was good, so strangers cannot fill it.
type sessions struct {
	box   *sealing.Box
	seed  maphash.Seed
	slots [sessionSlots]atomic.Pointer[session]
}

func newSessions(box *sealing.Box) *sessions {
	return &sessions{box: box, seed: maphash.MakeSeed()}
}

// open opens the token that came with an access key. The strings may be the request's own.
func (t *sessions) open(keyID, token string, now time.Time) (*session, error) {
	slot := &t.slots[maphash.String(t.seed, keyID)%sessionSlots]
	s := slot.Load()
	if s == nil || s.keyID != keyID || s.token != token {
		secret, caller, err := t.box.OpenSession(keyID, token, now)
		switch {
		case errors.Is(err, sealing.ErrExpired):
			return nil, sigv4.ErrExpiredToken
		case err != nil:
			return nil, sigv4.ErrUnknownKey
		}
		if s, err = newSession(secret, &caller); err != nil {
			return nil, err
		}
		s.keyID, s.token = strings.Clone(keyID), strings.Clone(token)
		slot.Store(s)
	}
	if !now.Before(s.expires) {
		return nil, sigv4.ErrExpiredToken
	}
	return s, nil
}

// newSession fails with ErrUnknownKey if the session cannot be made sense of: nothing that issues sessions makes those.
func newSession(secret string, caller *iam.Caller) (*session, error) {
	of, _, _ := strings.Cut(caller.UserID, ":")
	s := &session{
		secret: secret, expires: caller.Session.Expires,
		arn: caller.ARN, id: caller.UserID, of: of, name: caller.Session.Name,
		tags:    snapshot.NewTags(caller.Tags),
		managed: caller.Session.PolicyARNs,
		issued:  caller.Session.Issued, sourceIdentity: caller.Session.SourceIdentity,
		federation: caller.Session.Federation,
	}
	if caller.Session.Policy == "" {
		return s, nil
	}
	document, err := policy.ParseSession(caller.Session.Policy)
	if err != nil {
		return nil, sigv4.ErrUnknownKey
	}
	document.Name = "session policy"
	s.inline = policy.Compile(document)
	return s, nil
}
