// Package metadata is the instance metadata service: at 169.254.169.254 in every VPC it tells each instance who and where
// it is, and gives it credentials of the role in its instance profile. SDKs and agents find it there unasked.
//
// Who asks is known by the address that asks. Version 2 of the service is all that an instance speaks unless it wants
// version 1 as well: a request needs a token, which is had with a PUT and a header that neither a careless proxy nor a
// browser sends (EC2 user guide, "Use the Instance Metadata Service"). Tokens hold only for their instance and until
// they expire, and nothing is kept of them: they are signed with a key that this process draws when it starts. After a
// restart an old token is refused, upon which clients get themselves another one.
//
// A request whose Host is a name is refused, so that no web page can reach the service by pointing its own name here.
package metadata

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"pergola/bound"
	"pergola/containment"
)

// Address is where instances look for the service.
var Address = netip.MustParseAddrPort("169.254.169.254:80")

// ErrUntrusted is wrapped by what Config.Credentials returns when the role does not let instances have its sessions: its
// trust policy does not name the service ec2.amazonaws.com.
var ErrUntrusted = errors.New("the role does not trust ec2.amazonaws.com")

// Config is what a Server needs. Region, Describe and Credentials are required.
type Config struct {
	// Region is the deployment's.
	Region string
	// Describe finds the instance that has an address in a VPC; false if none has. It is called once for every request and
	// must not block.
	Describe func(vpcID string, client netip.Addr) (Instance, bool)
	// Credentials makes a session of the role in the instance's profile. It is called for instances that have a role
	// only, and seldom: the server keeps what it returns until a quarter of its life is left.
	Credentials func(ctx context.Context, instance Instance) (Credential, error)
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Random is read once, for the key that signs tokens; nil means crypto/rand.
	Random io.Reader
	// Logger hears why credentials could not be had; nil is silent. No secret is ever logged.
	Logger *slog.Logger
}

// Instance is what the service tells of an instance, and how it may be asked.
type Instance struct {
	ID, Account         string
	VPC, Subnet         string
	VPCCIDR, SubnetCIDR netip.Prefix
	// AvailabilityZone is a name such as us-west-2a.
	AvailabilityZone string
	Address          netip.Addr
	// Hostname is the private DNS name.
	Hostname string
	// MAC is the hardware address of the network interface; nil hides the interface.
	MAC net.HardwareAddr
	// Image may be "", and is not told then.
	Image, Type, Architecture string
	Launched                  time.Time
	SecurityGroups            []Group
	// UserData is what the instance was started with, as it is; empty for nothing.
	UserData []byte
	// Profile is the instance profile, or nil.
	Profile *Profile
	// Tags are the instance's tags by key.
	Tags    map[string]string
	Options Options
}

// Group is a security group by id and name.
type Group struct{ ID, Name string }

// Profile is an instance profile.
type Profile struct {
	ARN, ID string
	// Role is the name of the role in the profile, or "".
	Role string
}

// Options say how the service may be used from within an instance. The zero value is the default.
type Options struct {
	// Disabled is whether the instance gets no answers at all.
	Disabled bool
	// TokensOptional lets requests without a token pass: version 1 of the service.
	TokensOptional bool
	// HopLimit is how far the answer that brings a token may travel, 1..64 hops; 0 means 1, so that it reaches programs
	// of the instance itself and no containers behind it.
	HopLimit int
	// Tags is whether the instance's tags are told.
	Tags bool
}

// Credential is what a session of a role signs with. It must not be logged.
type Credential struct {
	AccessKeyID, Secret, Token string
	Expires                    time.Time
}

// Server serves any number of VPCs. Its methods may be called from any goroutine.
type Server struct {
	region   string
	describe func(vpcID string, client netip.Addr) (Instance, bool)
	now      func() time.Time
	log      *slog.Logger
	tokens   tokens
	sessions sessions
	streams  *bound.Pool // the connections that are open
}

// New makes a Server.
func New(cfg Config) *Server {
	s := &Server{region: cfg.Region, describe: cfg.Describe, now: cfg.Now, log: cfg.Logger,
		streams: bound.NewPool(int64(containment.Portion(maxStreams, 16)), maxClientStreams)}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	random := cfg.Random
	if random == nil {
		random = rand.Reader
	}
	s.tokens = newTokens(random)
	s.sessions = sessions{obtain: cfg.Credentials, now: s.now, held: map[holder]*session{}}
	return s
}
