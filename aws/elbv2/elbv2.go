// Package elbv2 holds the nouns of Elastic Load Balancing that VPC Lattice leans on: internal Application Load Balancers
// with their listeners, and the target groups behind them.
package elbv2

import (
	"net/netip"
	"slices"
	"time"

	"pergola/lattice"
)

// The kinds under which the store keeps these nouns, by their ids. Listeners are a part of their load balancer.
const (
	KindLoadBalancer = "loadbalancer"
	KindTargetGroup  = "loadbalancertargetgroup"
)

// Service is the name of the service in ARNs, in signatures and in IAM actions.
const Service = "elasticloadbalancing"

// HostedZone is the id of the hosted zone in which the names of load balancers are. It is made up.
const HostedZone = "Z0PERGOLAELB"

// DomainSuffix ends the name of every load balancer of a region.
func DomainSuffix(region string) string { return region + ".elb.amazonaws.com" }

// LoadBalancer is an internal Application Load Balancer.
type LoadBalancer struct {
	// ID is 16 hexadecimal digits, the end of the ARN.
	ID      string `json:"id"`
	ARN     string `json:"arn"`
	Account string `json:"account"`
	Name    string `json:"name"`
	DNSName string `json:"dnsName"`
	VPC     string `json:"vpc"`
	// Stage is CREATE_IN_PROGRESS until every live node has made the load balancer, and ACTIVE from then on;
	// CREATE_FAILED while one cannot make it, and UPDATE_FAILED while one cannot make it any more, as a listener on a port
	// that is taken.
	lattice.Stage
	lattice.Intent
	// Nodes are where the load balancer is, in order of zone.
	Nodes          []Node   `json:"nodes"`
	SecurityGroups []string `json:"securityGroups,omitempty"`
	// Attributes are those that differ from their defaults.
	Attributes map[string]string `json:"attributes,omitempty"`
	// Listeners are in order of port.
	Listeners []Listener        `json:"listeners,omitempty"`
	Tags      map[string]string `json:"tags,omitempty"`
	CreatedAt time.Time         `json:"createdAt"`
}

// Node is the part of a load balancer that is in one subnet, with an address of its own.
type Node struct {
	Subnet  string     `json:"subnet"`
	Zone    string     `json:"zone"`
	Address netip.Addr `json:"address"`
}

// Attribute is the value of an attribute, its default if none was set.
func (l *LoadBalancer) Attribute(key string) string {
	if value, ok := l.Attributes[key]; ok {
		return value
	}
	return LoadBalancerAttributes[key]
}

// ForwardsTo reports whether some listener of the load balancer forwards to a target group.
func (l *LoadBalancer) ForwardsTo(group string) bool {
	return slices.ContainsFunc(l.Listeners, func(listener Listener) bool {
		return slices.ContainsFunc(listener.Action.Forward, func(s Share) bool { return s.TargetGroup == group })
	})
}

// Listener is a port on which a load balancer takes requests, with the one rule that every listener has.
type Listener struct {
	// ID and RuleID are 16 hexadecimal digits each.
	ID       string           `json:"id"`
	RuleID   string           `json:"ruleId"`
	Protocol lattice.Protocol `json:"protocol"`
	Port     int32            `json:"port"`
	// Certificate is the ARN of the certificate of an HTTPS listener, and SSLPolicy the name of its policy.
	Certificate string            `json:"certificate,omitempty"`
	SSLPolicy   string            `json:"sslPolicy,omitempty"`
	Action      Action            `json:"action"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// Action is what is done with a request: it is forwarded, or it gets a fixed response.
type Action struct {
	Forward []Share        `json:"forward,omitempty"`
	Fixed   *FixedResponse `json:"fixed,omitempty"`
}

// Share is a target group, by its id, and its share of the requests.
type Share struct {
	TargetGroup string `json:"targetGroup"`
	Weight      int32  `json:"weight"`
}

// FixedResponse is an answer that a load balancer gives itself.
type FixedResponse struct {
	Status      int    `json:"status"`
	ContentType string `json:"contentType,omitempty"`
	Body        string `json:"body,omitempty"`
}

// The types of targets.
const (
	TargetInstance = "instance"
	TargetIP       = "ip"
)

// TargetGroup is a set of targets that run the same application.
type TargetGroup struct {
	// ID is 16 hexadecimal digits, the end of the ARN.
	ID       string                 `json:"id"`
	ARN      string                 `json:"arn"`
	Account  string                 `json:"account"`
	Name     string                 `json:"name"`
	VPC      string                 `json:"vpc"`
	Type     string                 `json:"type"`
	Protocol lattice.TargetProtocol `json:"protocol"`
	Port     int32                  `json:"port"`
	// HealthCheck has every default filled in.
	HealthCheck HealthCheck       `json:"healthCheck"`
	Targets     []Target          `json:"targets,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// Target is a target of a group: an instance or an address, and a port of it.
type Target struct {
	ID   string `json:"id"`
	Port int32  `json:"port"`
}

// Key identifies the target within its group.
func (t Target) Key() string { return lattice.TargetKey(t.ID, t.Port) }

// HealthCheck is how the health of a group's targets is found out.
type HealthCheck struct {
	Protocol lattice.TargetProtocol `json:"protocol"`
	// Port is 0 for the port on which a target receives requests.
	Port               int32  `json:"port,omitempty"`
	Path               string `json:"path"`
	IntervalSeconds    int32  `json:"intervalSeconds"`
	TimeoutSeconds     int32  `json:"timeoutSeconds"`
	HealthyThreshold   int32  `json:"healthyThreshold"`
	UnhealthyThreshold int32  `json:"unhealthyThreshold"`
	// Codes are the status codes that mean health: single ones and ranges, separated by commas.
	Codes string `json:"codes"`
}
