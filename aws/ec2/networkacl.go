package ec2

import (
	"net/netip"
	"strings"
)

// ACL is a network ACL: what may cross the boundary of the subnets that have it, without regard to connections. In each
// direction the entry with the lowest number that matches decides, and what none matches is denied.
type ACL struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	VPC     string `json:"vpc"`
	// Default is whether it is the one that the VPC was made with, and that subnets without another have.
	Default bool `json:"default,omitempty"`
	// Ingress and Egress are in order of their numbers.
	Ingress     []ACLEntry        `json:"ingress,omitempty"`
	Egress      []ACLEntry        `json:"egress,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	ClientToken string            `json:"clientToken,omitempty"`
}

// ACLEntry is one entry of a network ACL.
type ACLEntry struct {
	// Number is 1..32766.
	Number int32 `json:"number"`
	// Protocol is a protocol number, or "-1" for all.
	Protocol string `json:"protocol"`
	// Allow is whether what matches passes; otherwise it is denied.
	Allow bool         `json:"allow,omitempty"`
	CIDR  netip.Prefix `json:"cidr"`
	// FromPort and ToPort bound the ports of TCP and UDP. Of ICMP they are type and code, where -1 is any. Otherwise
	// they are -1.
	FromPort int32 `json:"fromPort"`
	ToPort   int32 `json:"toPort"`
}

// DefaultACL is the id of the network ACL that a VPC was made with.
func DefaultACL(vpc string) string { return "acl-" + strings.TrimPrefix(vpc, "vpc-") }

// NetworkACL is the id of the network ACL that a subnet has.
func (s *Subnet) NetworkACL() string {
	if s.ACL == "" {
		return DefaultACL(s.VPC)
	}
	return s.ACL
}

// NetworkACLAssociation is the id of the association of a subnet with its network ACL.
func (s *Subnet) NetworkACLAssociation() string {
	if s.ACLAssociation == "" {
		return "aclassoc-" + strings.TrimPrefix(s.ID, "subnet-")
	}
	return s.ACLAssociation
}
