package ec2

type CreateVPCRequest struct {
	CIDRBlock        string             `query:"CidrBlock" check:"required"`
	AmazonIPv6       bool               `query:"AmazonProvidedIpv6CidrBlock"`
	TagSpecification []TagSpecification `query:"TagSpecification"`
}

type CreateVPCResponse struct {
	VPC VPCDescription `xml:"vpc"`
}

// VPCDescription is a VPC as callers see it.
type VPCDescription struct {
	ID               string                `xml:"vpcId"`
	OwnerID          string                `xml:"ownerId"`
	State            string                `xml:"state"`
	CIDRBlock        string                `xml:"cidrBlock"`
	CIDRAssociations Set[VPCCIDRBlock]     `xml:"cidrBlockAssociationSet"`
	IPv6Associations Set[VPCIPv6CIDRBlock] `xml:"ipv6CidrBlockAssociationSet"`
	DHCPOptionsID    string                `xml:"dhcpOptionsId"`
	InstanceTenancy  string                `xml:"instanceTenancy"`
	IsDefault        bool                  `xml:"isDefault"`
	Tags             Set[Tag]              `xml:"tagSet"`
}

// VPCCIDRBlock is an IPv4 block of a VPC.
type VPCCIDRBlock struct {
	AssociationID string `xml:"associationId"`
	CIDRBlock     string `xml:"cidrBlock"`
	State         string `xml:"cidrBlockState>state"`
}

// VPCIPv6CIDRBlock is an IPv6 block of a VPC.
type VPCIPv6CIDRBlock struct {
	AssociationID string `xml:"associationId"`
	CIDRBlock     string `xml:"ipv6CidrBlock"`
	State         string `xml:"ipv6CidrBlockState>state"`
}

type DescribeVPCsRequest struct {
	IDs     []string `query:"VpcId"`
	Filters []Filter `query:"Filter"`
	Page
}

type DescribeVPCsResponse struct {
	NextToken string              `xml:"nextToken,omitempty"`
	VPCs      Set[VPCDescription] `xml:"vpcSet"`
}

type DeleteVPCRequest struct {
	ID string `query:"VpcId" check:"required"`
}

type DescribeVPCAttributeRequest struct {
	ID        string `query:"VpcId" check:"required"`
	Attribute string `query:"Attribute" check:"required,enum=enableDnsSupport|enableDnsHostnames|enableNetworkAddressUsageMetrics"`
}

// DescribeVPCAttributeResponse has the one attribute that was asked for.
type DescribeVPCAttributeResponse struct {
	ID                  string          `xml:"vpcId"`
	DNSSupport          *AttributeValue `xml:"enableDnsSupport,omitempty"`
	DNSHostnames        *AttributeValue `xml:"enableDnsHostnames,omitempty"`
	AddressUsageMetrics *AttributeValue `xml:"enableNetworkAddressUsageMetrics,omitempty"`
}

// AttributeValue is the value of an attribute that is on or off.
type AttributeValue struct {
	Value bool `query:"Value" xml:"value"`
}

// ModifyVPCAttributeRequest changes the one attribute that it has.
type ModifyVPCAttributeRequest struct {
	ID                  string          `query:"VpcId" check:"required"`
	DNSSupport          *AttributeValue `query:"EnableDnsSupport"`
	DNSHostnames        *AttributeValue `query:"EnableDnsHostnames"`
	AddressUsageMetrics *AttributeValue `query:"EnableNetworkAddressUsageMetrics"`
}

type CreateSubnetRequest struct {
	VPCID              string             `query:"VpcId" check:"required"`
	CIDRBlock          string             `query:"CidrBlock" check:"required"`
	AvailabilityZone   string             `query:"AvailabilityZone"`
	AvailabilityZoneID string             `query:"AvailabilityZoneId"`
	IPv6CIDRBlock      string             `query:"Ipv6CidrBlock"`
	TagSpecification   []TagSpecification `query:"TagSpecification"`
}

type CreateSubnetResponse struct {
	Subnet SubnetDescription `xml:"subnet"`
}

// SubnetDescription is a subnet as callers see it.
type SubnetDescription struct {
	ID                 string                `xml:"subnetId"`
	ARN                string                `xml:"subnetArn"`
	OwnerID            string                `xml:"ownerId"`
	State              string                `xml:"state"`
	VPCID              string                `xml:"vpcId"`
	CIDRBlock          string                `xml:"cidrBlock"`
	IPv6Associations   Set[VPCIPv6CIDRBlock] `xml:"ipv6CidrBlockAssociationSet"`
	AvailableAddresses int                   `xml:"availableIpAddressCount"`
	AvailabilityZone   string                `xml:"availabilityZone"`
	AvailabilityZoneID string                `xml:"availabilityZoneId"`
	DefaultForZone     bool                  `xml:"defaultForAz"`
	MapPublicIP        bool                  `xml:"mapPublicIpOnLaunch"`
	AssignIPv6         bool                  `xml:"assignIpv6AddressOnCreation"`
	Tags               Set[Tag]              `xml:"tagSet"`
}

type DescribeSubnetsRequest struct {
	IDs     []string `query:"SubnetId"`
	Filters []Filter `query:"Filter"`
	Page
}

type DescribeSubnetsResponse struct {
	NextToken string                 `xml:"nextToken,omitempty"`
	Subnets   Set[SubnetDescription] `xml:"subnetSet"`
}

type DeleteSubnetRequest struct {
	ID string `query:"SubnetId" check:"required"`
}
