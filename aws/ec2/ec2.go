// Package ec2 holds the nouns of the networks that service networks join: VPCs, subnets, security groups and
// instances. It is an inventory, as large as VPC Lattice and the tools around it need.
package ec2

import (
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"time"

	"pergola/lattice"
)

// The kinds under which the store keeps these nouns, by their ids.
const (
	KindVPC           = "vpc"
	KindSubnet        = "subnet"
	KindSecurityGroup = "securitygroup"
	KindInstance      = "instance"
	KindNetworkACL    = "networkacl"
	KindPrefixList    = "prefixlist"
	// KindUserData is what the instances of a reservation may ask their metadata for, in Base64, by the reservation.
	KindUserData = "userdata"
)

// ReferenceIndex is the index in which the store keeps what refers to VPCs, subnets and security groups, so that they
// are not deleted: "<referenced id>/<referrer id>".
const ReferenceIndex = "ec2-reference"

// AddressIndex is the index in which the store keeps who has which address: "<vpc id>/<address>" and the id of an
// instance, or of what another service keeps in the VPC.
const AddressIndex = "ec2-address"

// VPC is a network of its own: its addresses mean nothing outside of it, and two VPCs may have the same ones.
type VPC struct {
	ID      string            `json:"id"`
	Account string            `json:"account"`
	CIDR    netip.Prefix      `json:"cidr"`
	Tags    map[string]string `json:"tags,omitempty"`
	// DNSSupport and DNSHostnames are the VPC attributes enableDnsSupport and enableDnsHostnames.
	DNSSupport   bool `json:"dnsSupport"`
	DNSHostnames bool `json:"dnsHostnames"`
	// Stage is ACTIVE, and UPDATE_FAILED while a node cannot make the VPC.
	lattice.Stage
}

// Subnet is a part of a VPC's addresses, in one availability zone.
type Subnet struct {
	ID               string            `json:"id"`
	Account          string            `json:"account"`
	VPC              string            `json:"vpc"`
	CIDR             netip.Prefix      `json:"cidr"`
	AvailabilityZone string            `json:"availabilityZone"`
	Tags             map[string]string `json:"tags,omitempty"`
	// ACL is the id of the subnet's network ACL, or "" for the VPC's default one, and ACLAssociation the id of what joins
	// them, or "" for the first: see NetworkACL and NetworkACLAssociation.
	ACL            string `json:"acl,omitempty"`
	ACLAssociation string `json:"aclAssociation,omitempty"`
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

// DefaultSecurityGroup is the name of the security group that every VPC has.
const DefaultSecurityGroup = "default"

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
	// Tags are those of the rule.
	Tags map[string]string `json:"tags,omitempty"`
}

// Instance is a machine in a subnet: a place with an address in which programs run.
type Instance struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	// Reservation is shared by the instances that were launched together, and Index counts them from 0.
	Reservation    string     `json:"reservation,omitempty"`
	Index          int        `json:"index,omitempty"`
	VPC            string     `json:"vpc"`
	Subnet         string     `json:"subnet"`
	Address        netip.Addr `json:"address"`
	SecurityGroups []string   `json:"securityGroups,omitempty"`
	ImageID        string     `json:"imageId,omitempty"`
	Type           string     `json:"type,omitempty"`
	Launched       time.Time  `json:"launched"`
	// Stage is CREATE_IN_PROGRESS until every live node has made the instance, and ACTIVE from then on; UPDATE_FAILED
	// while one cannot make it any more; DELETE_IN_PROGRESS until they have forgotten it, and GONE for as long as it is
	// described after that. One that a node could not make at first is gone, with the reason.
	lattice.Stage
	// Intent says whether nodes are to have the instance.
	lattice.Intent
	// Profile is the instance profile that is associated with the instance, or nil.
	Profile         *ProfileAssociation `json:"profile,omitempty"`
	MetadataOptions MetadataOptions     `json:"metadataOptions,omitzero"`
	Tags            map[string]string   `json:"tags,omitempty"`
	ClientToken     string              `json:"clientToken,omitempty"`
	// UserData is the instance's own user data, in Base64, if it is from before reservations had it.
	UserData string `json:"userData,omitempty"`
}

// UnmarshalJSON reads an instance. One from before statuses were kept apart has its state in itself.
func (i *Instance) UnmarshalJSON(data []byte) error {
	type plain Instance
	older := struct {
		*plain
		State      InstanceState `json:"state"`
		Failure    string        `json:"failure"`
		Terminated time.Time     `json:"terminated"`
	}{plain: (*plain)(i)}
	if err := json.Unmarshal(data, &older); err != nil || older.State == "" {
		return err
	}
	i.Stage = lattice.Stage{Status: statusOf[older.State], Failure: lattice.Failure{FailureMessage: older.Failure},
		Until: lattice.Time{Time: older.Terminated}}
	i.Deleting = older.State == InstanceShuttingDown || older.State == InstanceTerminated
	return nil
}

// State is where the instance stands in its life.
func (i *Instance) State() InstanceState {
	switch {
	case i.Status == lattice.StatusGone:
		return InstanceTerminated
	case i.Deleting:
		return InstanceShuttingDown
	case i.Status == lattice.StatusCreateInProgress:
		return InstancePending
	}
	return InstanceRunning
}

// MaxUserData is the most bytes of user data that a reservation may have (EC2 user guide, "User data").
const MaxUserData = 16 << 10

// Architecture is the instruction set that all instances are said to have.
const Architecture = "x86_64"

// PrivateName is the instance's private DNS name in a region, which follows from its address (EC2 user guide, "EC2
// instance hostnames and domains").
func (i *Instance) PrivateName(region string) string {
	return "ip-" + strings.ReplaceAll(i.Address.String(), ".", "-") + "." + region + ".compute.internal"
}

// MAC is the hardware address of the instance's network interface. It is locally administered, ends in the IPv4 address,
// and so is as unique in its VPC as that.
func (i *Instance) MAC() net.HardwareAddr {
	address := i.Address.As4()
	return append(net.HardwareAddr{2, 0}, address[:]...)
}

// ProfileAssociation says which instance profile an instance has.
type ProfileAssociation struct {
	// ID is iip-assoc- and 17 hexadecimal digits.
	ID string `json:"id"`
	// ProfileName, ProfileARN and ProfileID are those of the instance profile, of the instance's account. The profile
	// may be gone, and one of another ProfileID that has taken its name is not the one that was meant.
	ProfileName string `json:"profileName"`
	ProfileARN  string `json:"profileArn"`
	ProfileID   string `json:"profileId"`
}

// MetadataOptions say how the instance metadata may be asked for from within an instance. The zero value is the default.
type MetadataOptions struct {
	// Disabled is whether there is none to be had.
	Disabled bool `json:"disabled,omitempty"`
	// TokensOptional is whether it can be had without a token: version 1 of the service.
	TokensOptional bool `json:"tokensOptional,omitempty"`
	// HopLimit is how far the answer that brings a token may travel, 1..64 hops; 0 means 1.
	HopLimit int32 `json:"hopLimit,omitempty"`
	// Tags is whether the instance's tags are part of it.
	Tags bool `json:"tags,omitempty"`
}

// InstanceState is where an instance stands in its life.
type InstanceState string

const (
	InstancePending      InstanceState = "pending"
	InstanceRunning      InstanceState = "running"
	InstanceShuttingDown InstanceState = "shutting-down"
	InstanceTerminated   InstanceState = "terminated"
)

// statusOf are the statuses of instances that have their state in themselves.
var statusOf = map[InstanceState]lattice.Status{
	InstancePending: lattice.StatusCreateInProgress, InstanceRunning: lattice.StatusActive,
	InstanceShuttingDown: lattice.StatusDeleteInProgress, InstanceTerminated: lattice.StatusGone,
}
