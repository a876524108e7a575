package snapshot

import (
	"errors"

	"pergola/aws/acm"
	"pergola/lattice"
)

// certificateState is a certificate with the services that refer to it.
type certificateState struct {
	id       string
	object   *acm.Certificate
	users    map[*serviceState]bool
	compiled *Certificate
}

func (c *certificateState) name() string { return c.id }
func (c *certificateState) unused() bool { return c.object == nil && len(c.users) == 0 }

func (c *Compiler) takeCertificate(change Change, id string) error {
	object, err := decode[acm.Certificate](change)
	if object != nil {
		if of, ok := acm.ID(object.ARN, c.region); !ok || of != id {
			object, err = nil, errMisplaced(change)
		} else if len(object.Chain) == 0 {
			object, err = nil, errEmpty(change)
		}
	}
	state := c.certificate(id)
	state.object = object
	c.staleCertificates.compile(state)
	return err
}

// errEmpty is about an object in which there is no certificate.
func errEmpty(change Change) error {
	return &broken{change.Key, errors.New("it holds no certificate")}
}

func (c *Compiler) takeAuthority(change Change, id string) error {
	object, err := decode[acm.Authority](change)
	if id != acm.AuthorityID {
		return errors.Join(err, errMisplaced(change))
	}
	c.authority = nil
	switch {
	case object == nil:
	case len(object.Certificate) == 0:
		err = errEmpty(change)
	default:
		c.authority = &Certificate{Chain: [][]byte{object.Certificate}, SealedKey: object.SealedKey}
	}
	return err
}

// certify notes which certificate a service refers to. One of another account or region is none.
func (c *Compiler) certify(s *serviceState) {
	if was := s.certificate; was != nil {
		delete(was.users, s)
		c.staleCertificates.look(was)
	}
	s.certificate = nil
	if s.object == nil || s.object.CertificateARN == "" || lattice.AccountOf(s.object.CertificateARN) != lattice.AccountOf(s.object.ARN) {
		return
	}
	if id, ok := acm.ID(s.object.CertificateARN, c.region); ok {
		s.certificate = c.certificate(id)
		s.certificate.users[s] = true
	}
}

// compileCertificates compiles the certificates that changed and marks the services and load balancers that use them.
func (c *Compiler) compileCertificates() {
	for state, stale := range c.staleCertificates {
		if !stale {
			continue
		}
		state.compiled = nil
		if object := state.object; object != nil {
			state.compiled = &Certificate{ARN: object.ARN, Chain: object.Chain, SealedKey: object.SealedKey}
		}
		for s := range state.users {
			c.staleServices.compile(s)
		}
		c.balancers.certified(state.id, c.region)
	}
}

func (c *Compiler) certificate(id string) *certificateState {
	state := c.certificates[id]
	if state == nil {
		state = &certificateState{id: id, users: map[*serviceState]bool{}}
		c.certificates[id] = state
	}
	return state
}
