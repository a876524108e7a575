package elbv2

import "pergola/aws"

// APIVersion is the version of the API whose shapes this package holds, each as large as its users need. Requests carry
// the names of their parameters in query tags and their constraints in check tags, which package lattice explains;
// responses carry the names of their elements in xml tags.
const APIVersion = "2015-12-01"

// Empty answers the operations that have nothing to tell.
type Empty struct{}

// Page asks for one page of a listing: at most PageSize items, all for 0, after the one that Marker names.
type Page struct {
	Marker   string `query:"Marker"`
	PageSize int32  `query:"PageSize" check:"range=1..400"`
}

// Tag is one tag.
type Tag struct {
	Key   string `query:"Key" xml:"Key" check:"required,len=1..128,pattern=tagtext"`
	Value string `query:"Value" xml:"Value" check:"len=0..256,pattern=tagtext"`
}

// Attribute is one attribute of a resource.
type Attribute struct {
	Key   string `query:"Key" xml:"Key" check:"len=1..256,pattern=attribute"`
	Value string `query:"Value" xml:"Value" check:"len=0..1024"`
}

// AttributesResponse has the attributes of a resource.
type AttributesResponse struct {
	Attributes aws.Members[Attribute] `xml:"Attributes"`
}

type AddTagsRequest struct {
	ResourceARNs []string `query:"ResourceArns" check:"required,len=1..20"`
	Tags         []Tag    `query:"Tags" check:"required,len=1..50"`
}

type RemoveTagsRequest struct {
	ResourceARNs []string `query:"ResourceArns" check:"required,len=1..20"`
	TagKeys      []string `query:"TagKeys" check:"required,each=(len=1..128,pattern=tagtext)"`
}

type DescribeTagsRequest struct {
	ResourceARNs []string `query:"ResourceArns" check:"required,len=1..20"`
}

type DescribeTagsResponse struct {
	Descriptions aws.Members[TagDescription] `xml:"TagDescriptions"`
}

// TagDescription is the tags of one resource.
type TagDescription struct {
	ResourceARN string           `xml:"ResourceArn"`
	Tags        aws.Members[Tag] `xml:"Tags"`
}

// LoadBalancerRequest names a load balancer.
type LoadBalancerRequest struct {
	ARN string `query:"LoadBalancerArn" check:"required"`
}

type CreateLoadBalancerRequest struct {
	Name           string          `query:"Name" check:"required"`
	Subnets        []string        `query:"Subnets"`
	SubnetMappings []SubnetMapping `query:"SubnetMappings"`
	SecurityGroups []string        `query:"SecurityGroups"`
	Scheme         string          `query:"Scheme" check:"enum=internet-facing|internal"`
	Kind           string          `query:"Type" check:"enum=application|network|gateway"`
	IPAddressType  string          `query:"IpAddressType" check:"enum=ipv4|dualstack|dualstack-without-public-ipv4"`
	CustomerPool   string          `query:"CustomerOwnedIpv4Pool"`
	Tags           []Tag           `query:"Tags" check:"len=1..50"`
}

// SubnetMapping is a subnet with what the load balancer is to have there.
type SubnetMapping struct {
	SubnetID       string `query:"SubnetId"`
	AllocationID   string `query:"AllocationId"`
	PrivateAddress string `query:"PrivateIPv4Address"`
	IPv6Address    string `query:"IPv6Address"`
}

// LoadBalancersResponse has load balancers, and whether there are more.
type LoadBalancersResponse struct {
	LoadBalancers aws.Members[LoadBalancerDescription] `xml:"LoadBalancers"`
	NextMarker    string                               `xml:"NextMarker,omitempty"`
}

// LoadBalancerDescription is a load balancer as callers see it.
type LoadBalancerDescription struct {
	ARN            string               `xml:"LoadBalancerArn"`
	DNSName        string               `xml:"DNSName"`
	HostedZoneID   string               `xml:"CanonicalHostedZoneId"`
	Created        aws.Instant          `xml:"CreatedTime"`
	Name           string               `xml:"LoadBalancerName"`
	Scheme         string               `xml:"Scheme"`
	VPCID          string               `xml:"VpcId"`
	State          string               `xml:"State>Code"`
	Reason         string               `xml:"State>Reason,omitempty"`
	Type           string               `xml:"Type"`
	Zones          aws.Members[ZoneUse] `xml:"AvailabilityZones"`
	SecurityGroups aws.Members[string]  `xml:"SecurityGroups"`
	IPAddressType  string               `xml:"IpAddressType"`
}

// ZoneUse is a zone in which a load balancer is. It does not tell the address, as AWS tells none of an Application Load
// Balancer.
type ZoneUse struct {
	Zone      string                `xml:"ZoneName"`
	SubnetID  string                `xml:"SubnetId"`
	Addresses aws.Members[struct{}] `xml:"LoadBalancerAddresses"`
}

type DescribeLoadBalancersRequest struct {
	ARNs  []string `query:"LoadBalancerArns"`
	Names []string `query:"Names"`
	Page
}

type ModifyLoadBalancerAttributesRequest struct {
	ARN        string      `query:"LoadBalancerArn" check:"required"`
	Attributes []Attribute `query:"Attributes" check:"required,len=0..20"`
}

type SetSecurityGroupsRequest struct {
	ARN            string   `query:"LoadBalancerArn" check:"required"`
	SecurityGroups []string `query:"SecurityGroups" check:"required"`
}

type SetSecurityGroupsResponse struct {
	SecurityGroupIDs aws.Members[string] `xml:"SecurityGroupIds"`
}

// CapacityResponse describes the capacity that is reserved for a load balancer, which is none.
type CapacityResponse struct {
	Decreases int                   `xml:"DecreaseRequestsRemaining"`
	Zones     aws.Members[struct{}] `xml:"CapacityReservationState"`
}
