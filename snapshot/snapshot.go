// Package snapshot compiles all the objects of a deployment, at one revision of the store, into the one immutable
// value from which a node serves: which VPCs exist, which service networks each reaches, which service
// answers to a name on a port, which rules it has, which targets stand behind them, who may call it, and how callers are
// recognised.
//
// Compile is pure: the same objects give the same Snapshot. A Compiler does the same work incrementally: a change to
// one service costs that service, not all of them. A property test holds the two together.
package snapshot

import (
	"net/netip"
	"time"

	"pergola/fabric/packetfilter"
	"pergola/lattice"
	"pergola/policy"
	"pergola/snapshot/table"
)

// Snapshot is all that a node needs to serve. It never changes once it is made: readers hold it without locks, and a
// new one replaces it whole.
type Snapshot struct {
	// Revision is the revision of the store that this is compiled from.
	Revision int64
	// VPCs holds every VPC by id.
	VPCs table.Table[*VPC]
	// Services holds every service by id, callable or not.
	Services table.Table[*Service]
	// TargetGroups holds every target group by id, in use or not.
	TargetGroups table.Table[*TargetGroup]
	// LoadBalancers holds every load balancer by id.
	LoadBalancers table.Table[*LoadBalancer]
	// PrivateZones are the hosted zones of each VPC that has some, by its id, and PublicZones those of each
	// account; see PublicZone.
	PrivateZones table.Table[*Zones]
	PublicZones  table.Table[*Zones]
	// Identities are the callers that can be recognised.
	Identities *Identities
	// Authority is the built-in authority, which certifies generated names; nil until there is one. Its key is sealed
	// for acm.AuthorityID.
	Authority *Certificate
	// LeftOut says why objects of the store count as absent, by their keys, such as "service/svc-…": they cannot be
	// decoded, or compiling them panics.
	LeftOut map[string]error
}

// Certificate is a certificate with its private key. The same certificate is the same *Certificate from one snapshot to
// the next until it is replaced.
type Certificate struct {
	// ARN is empty for the built-in authority.
	ARN string
	// Chain is the certificate itself and then those that certify it, each in DER. There is at least one.
	Chain [][]byte
	// SealedKey is the private key in PKCS #8, sealed with the deployment's key.
	SealedKey []byte
}

// VPC is a VPC as its clients and targets see it.
type VPC struct {
	ID, ARN, Account string
	CIDR             netip.Prefix
	// Instances are the instances that run in the VPC, ordered by id.
	Instances []Instance
	// Doors are what clients of the VPC reach, the oldest first.
	Doors []Door
	// LoadBalancers are those in the VPC by their DNS names, in lower case and without a trailing dot.
	LoadBalancers map[string]*LoadBalancer
	// Filter is which packets pass in the VPC. There always is one. It is the same *Filter until something in it changes.
	Filter *packetfilter.Filter
	// Gateways are the resource gateways in the VPC, ordered by id.
	Gateways []*Gateway
}

// Instance is a place in a VPC where programs run.
type Instance struct {
	ID      string
	Address netip.Addr
}

// Network is a service network with the services that can be called in it. All doors to the same service network share
// one Network.
type Network struct {
	ID, ARN  string
	AuthType lattice.AuthType
	// Policy is the auth policy that is attached, or nil. It counts only while AuthType says so.
	Policy *policy.Policy
	// Ports holds, for each port on which some service of the network listens, who answers there.
	Ports map[uint16]*Port
	// Names holds every name by which a service of the network can be called: generated names and custom domain
	// names, in lower case and without a trailing dot.
	Names table.Table[*Service]

	resources resources // see VPC.Reach
}

// Port is one port of a service network.
type Port struct {
	// Listeners holds the listeners of the port, of every protocol, by the names of their services, in lower case. A
	// TLS_PASSTHROUGH listener is there under the custom domain name only (user guide, "TLS listeners").
	Listeners table.Table[*Listener]
	// TLS says that some listener of the port speaks TLS, so that a connection must say first whether it does.
	TLS bool

	secure int // how many entries of Listeners speak TLS
}

// Service is a service as requests meet it.
type Service struct {
	ID, ARN, Name    string
	DomainName       string
	CustomDomainName string
	AuthType         lattice.AuthType
	// Policy is the auth policy that is attached, or nil. It counts only while AuthType says so.
	Policy      *policy.Policy
	Tags        Tags
	IdleTimeout time.Duration
	// Certificate is what HTTPS listeners show to clients of the custom domain name; nil without one, and where it does
	// not exist any more.
	Certificate *Certificate
	// Listeners are the service's listeners of every protocol, ordered by port.
	Listeners []*Listener
}

// Listener is a listener with its rules.
type Listener struct {
	ID       string
	Protocol lattice.Protocol
	Port     uint16
	Service  *Service
	// Rules are in the order in which they are tried: by priority, the default rule last. There is always one.
	Rules []Rule
}

// Rule is a compiled rule.
type Rule struct {
	ID       string
	Priority int32
	// match is nil in a default rule, which matches every request.
	match  *match
	Action Action
}

// Action is what a rule does: exactly one of FixedStatus and Forward is set.
type Action struct {
	// FixedStatus is 404 or 500, or 0.
	FixedStatus int
	// Forward leaves out the target groups that do not exist. It is empty, but not nil, when none is left.
	Forward []WeightedTargetGroup
	// TotalWeight is the sum of the weights of Forward.
	TotalWeight int
}

// WeightedTargetGroup is a target group and its share of the requests.
type WeightedTargetGroup struct {
	Group  *TargetGroup
	Weight int
}

// TargetGroup is a target group with its targets.
type TargetGroup struct {
	ID, ARN         string
	Type            lattice.TargetGroupType
	Protocol        lattice.TargetProtocol
	ProtocolVersion lattice.ProtocolVersion
	// VPC is the id of the VPC in which the targets live.
	VPC string
	// HealthCheck is nil when the health of the targets is not checked.
	HealthCheck *HealthCheck
	// EventVersion is the structure of the events that functions get, V1 or V2; "" for all but LAMBDA.
	EventVersion string
	// InUse is true when a listener of a service that is associated with some service network forwards to the group.
	// Only then are its targets checked.
	InUse bool
	// Targets are the registered and the draining targets, ordered by key.
	Targets []Target
}

// Target is one target of a group.
type Target struct {
	// Key identifies the target within its group (lattice.TargetKey).
	Key string
	// Address is where requests go. It is invalid for an instance or a load balancer that does not exist any more.
	Address netip.AddrPort
	// More are the further addresses of a load balancer, which has one in each of its subnets: requests go to all in turn.
	More []netip.AddrPort
	// Function is the ARN of a Lambda function, which has no address; "" for all others.
	Function string
	// Draining targets finish what they have and receive nothing new.
	Draining bool
}

// HealthCheck is a health check with every default filled in.
type HealthCheck struct {
	Protocol           lattice.TargetProtocol
	ProtocolVersion    lattice.ProtocolVersion
	Path               string
	Interval, Timeout  time.Duration
	HealthyThreshold   int
	UnhealthyThreshold int
	// Port is 0 for the port on which the target receives requests.
	Port uint16
	// Codes are the ranges of status codes that mean health.
	Codes []lattice.CodeRange
}
