package metadata

import (
	"context"
	"sync"
	"time"
)

// sessions holds the credentials of instances, so that each gets the same one from all its questions until it is time
// for the next.
type sessions struct {
	obtain func(context.Context, Instance) (Credential, error)
	now    func() time.Time

	mu   sync.Mutex
	held map[holder]*session
}

// holder is for whom a credential is: another role or another profile of the same name makes another credential.
type holder struct{ instance, profileID, role string }

// session is the credential of one holder.
type session struct {
	// obtaining is held while the credential is looked at or obtained, so that many questions at once obtain one.
	obtaining  sync.Mutex
	credential Credential
	obtained   time.Time
}

// of returns the credential of an instance that has a role, and when it was obtained.
func (s *sessions) of(ctx context.Context, i Instance) (Credential, time.Time, error) {
	held := s.find(holder{i.ID, i.Profile.ID, i.Profile.Role})
	held.obtaining.Lock()
	defer held.obtaining.Unlock()
	now := s.now()
	if !held.isFresh(now) {
		if err := ctx.Err(); err != nil {
			return Credential{}, time.Time{}, err
		}
		credential, err := s.obtain(ctx, i)
		if err != nil {
			return Credential{}, time.Time{}, err
		}
		held.credential, held.obtained = credential, now
	}
	return held.credential, held.obtained, nil
}

// isFresh reports whether more than a quarter of the credential's life is left.
func (s *session) isFresh(now time.Time) bool {
	life := s.credential.Expires.Sub(s.obtained)
	return s.credential.Expires.Sub(now) > life/4
}

// find returns the session of a holder. A new holder is the occasion to forget those that ask no more.
func (s *sessions) find(h holder) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[h] == nil {
		s.forget()
		s.held[h] = &session{}
	}
	return s.held[h]
}

// forget drops the sessions that have expired. One that is being obtained is in use.
func (s *sessions) forget() {
	now := s.now()
	for h, held := range s.held {
		if !held.obtaining.TryLock() {
			continue
		}
		if !now.Before(held.credential.Expires) {
			delete(s.held, h)
		}
		held.obtaining.Unlock()
	}
}
