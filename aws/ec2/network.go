package ec2

type DescribeNetworkInterfacesRequest struct {
	IDs     []string `query:"NetworkInterfaceId"`
	Filters []Filter `query:"Filter"`
}

type DescribeNetworkInterfacesResponse struct {
	Interfaces Set[NetworkInterface] `xml:"networkInterfaceSet"`
}

// NetworkInterface is the network interface of an instance as callers see it.
type NetworkInterface struct {
	ID               string         `xml:"networkInterfaceId"`
	Type             string         `xml:"interfaceType"`
	OwnerID          string         `xml:"ownerId"`
	Status           string         `xml:"status"`
	VPCID            string         `xml:"vpcId"`
	SubnetID         string         `xml:"subnetId"`
	AvailabilityZone string         `xml:"availabilityZone"`
	PrivateAddress   string         `xml:"privateIpAddress"`
	MAC              string         `xml:"macAddress"`
	SourceDestCheck  bool           `xml:"sourceDestCheck"`
	InstanceID       string         `xml:"attachment>instanceId"`
	InstanceOwnerID  string         `xml:"attachment>instanceOwnerId"`
	DeviceIndex      int            `xml:"attachment>deviceIndex"`
	Attached         string         `xml:"attachment>status"`
	Groups           Set[GroupName] `xml:"groupSet"`
	Tags             Set[Tag]       `xml:"tagSet"`
}

type DescribeRouteTablesRequest struct {
	IDs     []string `query:"RouteTableId"`
	Filters []Filter `query:"Filter"`
}

type DescribeRouteTablesResponse struct {
	Tables Set[RouteTable] `xml:"routeTableSet"`
}

// RouteTable is the main route table of a VPC as callers see it.
type RouteTable struct {
	ID           string                     `xml:"routeTableId"`
	OwnerID      string                     `xml:"ownerId"`
	VPCID        string                     `xml:"vpcId"`
	Associations Set[RouteTableAssociation] `xml:"associationSet"`
	Routes       Set[Route]                 `xml:"routeSet"`
	Tags         Set[Tag]                   `xml:"tagSet"`
}

// RouteTableAssociation says what a route table is for.
type RouteTableAssociation struct {
	ID      string `xml:"routeTableAssociationId"`
	TableID string `xml:"routeTableId"`
	Main    bool   `xml:"main"`
	State   string `xml:"associationState>state"`
}

// Route is one route of a route table.
type Route struct {
	Destination string `xml:"destinationCidrBlock"`
	GatewayID   string `xml:"gatewayId"`
	Origin      string `xml:"origin"`
	State       string `xml:"state"`
}

type DescribeNetworkACLsRequest struct {
	IDs     []string `query:"NetworkAclId"`
	Filters []Filter `query:"Filter"`
}

type DescribeNetworkACLsResponse struct {
	ACLs Set[NetworkACL] `xml:"networkAclSet"`
}

// NetworkACL is the default network ACL of a VPC as callers see it.
type NetworkACL struct {
	ID           string                     `xml:"networkAclId"`
	OwnerID      string                     `xml:"ownerId"`
	VPCID        string                     `xml:"vpcId"`
	Default      bool                       `xml:"default"`
	Entries      Set[NetworkACLEntry]       `xml:"entrySet"`
	Associations Set[NetworkACLAssociation] `xml:"associationSet"`
	Tags         Set[Tag]                   `xml:"tagSet"`
}

// NetworkACLEntry is one rule of a network ACL.
type NetworkACLEntry struct {
	Number   int    `xml:"ruleNumber"`
	Protocol string `xml:"protocol"`
	Action   string `xml:"ruleAction"`
	IsEgress bool   `xml:"egress"`
	CIDR     string `xml:"cidrBlock"`
}

// NetworkACLAssociation says that a network ACL is that of a subnet.
type NetworkACLAssociation struct {
	ID       string `xml:"networkAclAssociationId"`
	ACLID    string `xml:"networkAclId"`
	SubnetID string `xml:"subnetId"`
}
