// Package ec2 holds the nouns of the networks that service networks join: VPCs, subnets, security groups and
// instances. It is an inventory, as large as VPC Lattice and the tools around it need.
package ec2

import (
	"net/netip"
	"time"
)

// The kinds under which the store keeps these nouns, by their ids.
const (
	KindVPC           = "vpc"
	KindSubnet        = "subnet"
	KindSecurityGroup = "securitygroup"
	KindInstance      = "instance"
)

// VPC is a network of its own: its addresses mean nothing outside of it, and two VPCs may have the same ones.
type VPC struct {
	ID      string            `json:"id"`
	Account string            `json:"account"`
	CIDR    netip.Prefix      `json:"cidr"`
	Tags    map[string]string `json:"tags,omitempty"`
	// DNSSupport and DNSHostnames are the VPC attributes enableDnsSupport and enableDnsHostnames.
	DNSSupport   bool `json:"dnsSupport"`
	DNSHostnames bool `json:"dnsHostnames"`
}

// Router is the VPC's own address: the first after the network address. It is every instance's gateway.
func (v VPC) Router() netip.Addr { return v.CIDR.Addr().Next() }

// Resolver is the address of the VPC's DNS resolver: base plus two.
func (v VPC) Resolver() netip.Addr { return v.Router().Next() }

// Subnet is a part of a VPC's addresses, in one availability zone.
type Subnet struct {
	ID               string            `json:"id"`
	Account          string            `json:"account"`
	VPC              string            `json:"vpc"`
	CIDR             netip.Prefix      `json:"cidr"`
	AvailabilityZone string            `json:"availabilityZone"`
	Tags             map[string]string `json:"tags,omitempty"`
}

// SecurityGroup says which traffic may enter and leave what it is attached to.
type SecurityGroup struct {
	ID          string            `json:"id"`
	Account     string            `json:"account"`
	VPC         string            `json:"vpc"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Ingress     []Permission      `json:"ingress,omitempty"`
	Egress      []Permission      `json:"egress,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// Permission lets traffic of one protocol and port range pass from or to one peer.
type Permission struct {
	// ID is sgr- and 17 hexadecimal digits.
	ID string `json:"id"`
	// Protocol is "tcp", "udp", "icmp", "icmpv6", a protocol number, or "-1" for all.
	Protocol string `json:"protocol"`
	// FromPort and ToPort bound the ports, or are -1 where the protocol has none.
	FromPort int32 `json:"fromPort"`
	ToPort   int32 `json:"toPort"`
	// Exactly one of CIDR, Group and PrefixList names the peer.
	CIDR        string `json:"cidr,omitempty"`
	Group       string `json:"group,omitempty"`
	PrefixList  string `json:"prefixList,omitempty"`
	Description string `json:"description,omitempty"`
}

// Instance is a machine in a subnet: a place with an address in which programs run.
type Instance struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	// Reservation is shared by the instances that were launched together, and Index counts them from 0.
	Reservation    string        `json:"reservation,omitempty"`
	Index          int           `json:"index,omitempty"`
	VPC            string        `json:"vpc"`
	Subnet         string        `json:"subnet"`
	Address        netip.Addr    `json:"address"`
	SecurityGroups []string      `json:"securityGroups,omitempty"`
	ImageID        string        `json:"imageId,omitempty"`
	Type           string        `json:"type,omitempty"`
	Launched       time.Time     `json:"launched"`
	State          InstanceState `json:"state"`
	// Terminated is when the nodes had forgotten the instance. It is described for a minute after that.
	Terminated  time.Time         `json:"terminated,omitzero"`
	Tags        map[string]string `json:"tags,omitempty"`
	ClientToken string            `json:"clientToken,omitempty"`
}

// InstanceState is where an instance stands in its life.
type InstanceState string

const (
	InstancePending      InstanceState = "pending"
	InstanceRunning      InstanceState = "running"
	InstanceShuttingDown InstanceState = "shutting-down"
	InstanceTerminated   InstanceState = "terminated"
)
