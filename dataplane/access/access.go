// Package access decides which requests may pass. Where a service network or a service has the auth type AWS_IAM, it
// finds out who signed a request and asks every policy that has a say: the auth policies of the service network and of
// the service, and for callers that signed also the policies of their own side (user guide, "How authorization works").
//
// Everything it needs is in the snapshot and in the request, so no call is made for any request. Guard.Authorize is on
// the request path and allocates nothing for a request that may pass; Guard.Explain walks the same path and tells what
// it saw.
package access

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"pergola/lattice"
	"pergola/policy"
	"pergola/sealing"
	"pergola/sigv4"
	"pergola/snapshot"
)

// Config is what a Guard needs. All but Now is required.
type Config struct {
	// Region is the region for which requests must be signed.
	Region string
	// Box opens secrets and session tokens.
	Box *sealing.Box
	// Snapshot returns the newest snapshot; who signs is looked up there.
	Snapshot func() *snapshot.Snapshot
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Guard decides. It is safe for concurrent use.
type Guard struct {
	region      string
	now         func() time.Time
	credentials *credentials
	verifier    *sigv4.Verifier[signer]
	evaluations sync.Pool // of *evaluation
}

// New makes a Guard.
func New(config Config) *Guard {
	if config.Now == nil {
		config.Now = time.Now
	}
	g := &Guard{
		region: config.Region, now: config.Now,
		credentials: &credentials{config.Snapshot, config.Box, newSessions(config.Box)},
	}
	g.verifier = sigv4.New(sigv4.Config[signer]{
		Rules:       sigv4.DataPlane(config.Region),
		Credentials: g.credentials,
		Now:         config.Now,
	})
	g.evaluations.New = func() any { return &evaluation{guard: g} }
	return g
}

// Request is a request that has reached a service. Its strings need only hold while it is being looked at.
type Request struct {
	// VPC is where the request comes from, and Network the service network that it came to.
	VPC     *snapshot.VPC
	Network *snapshot.Network
	// Listener is the listener that the request is for, and with it the service.
	Listener *snapshot.Listener
	// Client is the address of the client in its VPC.
	Client netip.Addr
	// Secure says that the request came over TLS.
	Secure bool
	// HTTP is the request itself. Policies are asked about the path as it was sent, which is also what rules match.
	HTTP sigv4.Request
	// Passed are the fields that the target gets, which is what policies are asked about; see Header. Nil means that all
	// of HTTP.Header is passed on.
	Passed sigv4.Fields

	// opaque says that this is a Connection: there is no HTTP in it to look at.
	opaque bool
}

func (r *Request) passed() sigv4.Fields {
	if r.Passed == nil {
		return r.HTTP.Header
	}
	return r.Passed
}

// guarded reports whether the service network or the service asks for authorisation. Where neither does, signatures are
// not looked at: they may be meant for the target.
func (r *Request) guarded() bool {
	return r.Network.AuthType == lattice.AuthIAM || r.Listener.Service.AuthType == lattice.AuthIAM
}

// DeniedBy is the level at which a request was denied, in the words of the access log (user guide, "Access logs").
type DeniedBy string

// The levels. Identity stands for everything on the caller's side: its signature and its own policies.
const (
	DeniedByNetwork  DeniedBy = "Network"
	DeniedByService  DeniedBy = "Service"
	DeniedByIdentity DeniedBy = "Identity"
)

// Caller is who signed a request. The zero value is nobody.
type Caller struct {
	// Principal is the ARN of a user or of a session of a role; "" for nobody.
	Principal string
	// Organization and OrganizationPath say where the caller's account is; "" outside of an organisation.
	Organization, OrganizationPath string
	// SessionName is the name of a session of a role, "" otherwise.
	SessionName string
	// Tags are those of the user, or of the session.
	Tags snapshot.Tags
}

// Decision is the outcome for one request.
type Decision struct {
	// Allowed says that the request may go on.
	Allowed bool
	// Refusal is the body with which a refused request is answered, with status 403.
	Refusal string
	// DeniedBy is the level that refused, "" if none did.
	DeniedBy DeniedBy
	// Caller is who signed; nobody if the signature was refused or not looked at.
	Caller Caller
	// Policy is what the policies decided; the zero value if none was asked.
	Policy policy.Decision
	// Err says why no decision could be made, in words that are not the caller's business. The request must not go on.
	Err error
}

// Authorize decides about one request. Of what the request lends it keeps nothing.
func (g *Guard) Authorize(r *Request) Decision {
	if !r.guarded() {
		return Decision{Allowed: true}
	}
	e := g.evaluations.Get().(*evaluation)
	defer g.evaluations.Put(e)
	defer e.reset()
	s, err := g.authenticate(r)
	if err != nil {
		return refused(err)
	}
	e.prepare(r, s)
	return e.decision(e.access.Decide(&e.question))
}

// authenticate finds out who signed a request. Any signature must be good, even where nobody in particular is asked for
// (user guide, "SIGv4 authenticated requests").
func (g *Guard) authenticate(r *Request) (signer, error) {
	if r.opaque || !sigv4.Signed(&r.HTTP) {
		return signer{}, nil
	}
	identity, err := g.verifier.Verify(&r.HTTP)
	return identity.Principal, err
}

// refused is the decision about a request whose signature was not accepted.
func refused(err error) Decision {
	var refusal *sigv4.Refusal
	if errors.As(err, &refusal) {
		return Decision{Refusal: refusal.Error(), DeniedBy: DeniedByIdentity}
	}
	return Decision{Err: err, DeniedBy: DeniedByIdentity}
}

// Explanation is a decision with everything that led to it.
type Explanation struct {
	Decision
	// Guarded says that the service network or the service asks for authorisation. Where it is false, everything else
	// but Allowed is empty.
	Guarded bool
	// Signature is how the signature was seen; nil if there is none or it was not looked at.
	Signature *sigv4.Explanation
	// Levels are what the policies of each level found, in the order in which refusals are reported; none if the
	// signature was refused.
	Levels []policy.LevelExplanation
}

// Connection is a TLS connection that is passed through to a target. Nothing in it can be read, so nobody can sign it.
type Connection struct {
	// VPC is where the connection comes from, and Network the service network that it came to.
	VPC     *snapshot.VPC
	Network *snapshot.Network
	// Listener is the listener that the connection is for, and with it the service.
	Listener *snapshot.Listener
	// Client is the address of the client in its VPC.
	Client netip.Addr
}

// request is the connection as policies are asked about it: the action is Connect, the resource is the service itself, and
// keys that tell of a request have no value (service authorization reference, "Amazon VPC Lattice Services"; user guide,
// "TLS listeners").
func (c *Connection) request() Request {
	return Request{VPC: c.VPC, Network: c.Network, Listener: c.Listener, Client: c.Client, Secure: true, opaque: true}
}

// AuthorizeConnection decides about one connection. Its caller is nobody: only what is allowed to anonymous principals is
// allowed. The connection has nowhere to put a Refusal, so it is for those who explain.
func (g *Guard) AuthorizeConnection(c *Connection) Decision {
	r := c.request()
	return g.Authorize(&r)
}

// ExplainConnection decides as AuthorizeConnection does, and tells why.
func (g *Guard) ExplainConnection(c *Connection) (Explanation, error) {
	r := c.request()
	return g.Explain(&r, "")
}

// Explain decides as Authorize does, and tells why. With as, the ARN of a user, of a role or of a session of a role, it
// decides as if that principal had signed, and not as the request is signed. The error says that there is no such
// principal, or why no decision could be made.
func (g *Guard) Explain(r *Request, as string) (x Explanation, err error) {
	var s signer
	if as != "" {
		if s, err = g.credentials.find(as); err != nil {
			return x, err
		}
	}
	if !r.guarded() {
		return Explanation{Decision: Decision{Allowed: true}}, nil
	}
	x.Guarded = true
	if as == "" && !r.opaque && sigv4.Signed(&r.HTTP) {
		signature := g.verifier.Explain(&r.HTTP)
		x.Signature = &signature
		if s, err = g.authenticate(r); err != nil {
			x.Decision = refused(err)
			return x, x.Err
		}
	}
	e := &evaluation{guard: g} // of its own: the findings refer to its text
	e.prepare(r, s)
	decision, levels := e.access.Explain(&e.question)
	x.Decision, x.Levels = e.decision(decision), levels
	return x, nil
}
