package ec2

type CreateSecurityGroupRequest struct {
	Name             string             `query:"GroupName" check:"required,len=1..255"`
	Description      string             `query:"GroupDescription" check:"required,len=1..255"`
	VPCID            string             `query:"VpcId"`
	TagSpecification []TagSpecification `query:"TagSpecification"`
}

type CreateSecurityGroupResponse struct {
	ID   string   `xml:"groupId"`
	ARN  string   `xml:"securityGroupArn"`
	Tags Set[Tag] `xml:"tagSet"`
}

type DescribeSecurityGroupsRequest struct {
	IDs     []string `query:"GroupId"`
	Names   []string `query:"GroupName"`
	Filters []Filter `query:"Filter"`
	Page
}

type DescribeSecurityGroupsResponse struct {
	NextToken string                        `xml:"nextToken,omitempty"`
	Groups    Set[SecurityGroupDescription] `xml:"securityGroupInfo"`
}

// SecurityGroupDescription is a security group as callers see it.
type SecurityGroupDescription struct {
	ID          string            `xml:"groupId"`
	ARN         string            `xml:"securityGroupArn"`
	OwnerID     string            `xml:"ownerId"`
	VPCID       string            `xml:"vpcId"`
	Name        string            `xml:"groupName"`
	Description string            `xml:"groupDescription"`
	Ingress     Set[IPPermission] `xml:"ipPermissions"`
	Egress      Set[IPPermission] `xml:"ipPermissionsEgress"`
	Tags        Set[Tag]          `xml:"tagSet"`
}

// IPPermission is a protocol and a range of ports with all peers that they are open to. It stands for one Permission a
// peer.
type IPPermission struct {
	Protocol    string               `query:"IpProtocol" xml:"ipProtocol" check:"required"`
	FromPort    *int32               `query:"FromPort" xml:"fromPort,omitempty" check:"range=-1..65535"`
	ToPort      *int32               `query:"ToPort" xml:"toPort,omitempty" check:"range=-1..65535"`
	Groups      Set[PermittedGroup]  `query:"Groups" xml:"groups"`
	Ranges      Set[PermittedRange]  `query:"IpRanges" xml:"ipRanges"`
	IPv6Ranges  Set[PermittedRange6] `query:"Ipv6Ranges" xml:"ipv6Ranges"`
	PrefixLists Set[PermittedList]   `query:"PrefixListIds" xml:"prefixListIds"`
}

// PermittedGroup is a security group as a peer.
type PermittedGroup struct {
	ID          string `query:"GroupId" xml:"groupId" check:"required"`
	OwnerID     string `query:"UserId" xml:"userId,omitempty"`
	Description string `query:"Description" xml:"description,omitempty"`
}

// PermittedRange is a range of IPv4 addresses as a peer.
type PermittedRange struct {
	CIDR        string `query:"CidrIp" xml:"cidrIp" check:"required"`
	Description string `query:"Description" xml:"description,omitempty"`
}

// PermittedRange6 is a range of IPv6 addresses as a peer.
type PermittedRange6 struct {
	CIDR        string `query:"CidrIpv6" xml:"cidrIpv6" check:"required"`
	Description string `query:"Description" xml:"description,omitempty"`
}

// PermittedList is a managed prefix list as a peer.
type PermittedList struct {
	ID          string `query:"PrefixListId" xml:"prefixListId" check:"required"`
	Description string `query:"Description" xml:"description,omitempty"`
}

// PermissionsRequest names permissions of a security group: as a list, or a single one to a range of addresses in the
// members of SinglePermission.
type PermissionsRequest struct {
	GroupID     string         `query:"GroupId" check:"required"`
	Permissions []IPPermission `query:"IpPermissions"`
	SinglePermission
	// TagSpecification has the tags of new rules.
	TagSpecification []TagSpecification `query:"TagSpecification"`
}

// SinglePermission is the short form of a permission.
type SinglePermission struct {
	Protocol string `query:"IpProtocol"`
	FromPort *int32 `query:"FromPort" check:"range=-1..65535"`
	ToPort   *int32 `query:"ToPort" check:"range=-1..65535"`
	CIDR     string `query:"CidrIp"`
}

// RevokedPermissionsRequest names permissions to take away, by their ids or by what they say.
type RevokedPermissionsRequest struct {
	PermissionsRequest
	RuleIDs []string `query:"SecurityGroupRuleId"`
}

type AuthorizeSecurityGroupResponse struct {
	Return bool                   `xml:"return"`
	Rules  Set[SecurityGroupRule] `xml:"securityGroupRuleSet"`
}

type RevokeSecurityGroupResponse struct {
	Return bool                          `xml:"return"`
	Rules  Set[RevokedSecurityGroupRule] `xml:"revokedSecurityGroupRuleSet"`
}

// SecurityGroupRule is a single permission as callers see it.
type SecurityGroupRule struct {
	ID           string           `xml:"securityGroupRuleId"`
	GroupID      string           `xml:"groupId"`
	GroupOwnerID string           `xml:"groupOwnerId"`
	IsEgress     bool             `xml:"isEgress"`
	Protocol     string           `xml:"ipProtocol"`
	FromPort     int32            `xml:"fromPort"`
	ToPort       int32            `xml:"toPort"`
	CIDR         string           `xml:"cidrIpv4,omitempty"`
	CIDR6        string           `xml:"cidrIpv6,omitempty"`
	PrefixListID string           `xml:"prefixListId,omitempty"`
	Group        *ReferencedGroup `xml:"referencedGroupInfo,omitempty"`
	Description  string           `xml:"description,omitempty"`
	ARN          string           `xml:"securityGroupRuleArn,omitempty"`
	Tags         Set[Tag]         `xml:"tagSet"`
}

type DescribeSecurityGroupRulesRequest struct {
	IDs     []string `query:"SecurityGroupRuleId"`
	Filters []Filter `query:"Filter"`
	Page
}

type DescribeSecurityGroupRulesResponse struct {
	NextToken string                 `xml:"nextToken,omitempty"`
	Rules     Set[SecurityGroupRule] `xml:"securityGroupRuleSet"`
}

// RevokedSecurityGroupRule is a single permission that has been taken away.
type RevokedSecurityGroupRule struct {
	ID           string `xml:"securityGroupRuleId"`
	GroupID      string `xml:"groupId"`
	IsEgress     bool   `xml:"isEgress"`
	Protocol     string `xml:"ipProtocol"`
	FromPort     int32  `xml:"fromPort"`
	ToPort       int32  `xml:"toPort"`
	CIDR         string `xml:"cidrIpv4,omitempty"`
	CIDR6        string `xml:"cidrIpv6,omitempty"`
	PrefixListID string `xml:"prefixListId,omitempty"`
	PeerGroupID  string `xml:"referencedGroupId,omitempty"`
	Description  string `xml:"description,omitempty"`
}

// ReferencedGroup is the security group that a permission names.
type ReferencedGroup struct {
	ID      string `xml:"groupId"`
	OwnerID string `xml:"userId"`
}

type DeleteSecurityGroupRequest struct {
	ID string `query:"GroupId" check:"required"`
}

type DeleteSecurityGroupResponse struct {
	Return bool   `xml:"return"`
	ID     string `xml:"groupId"`
}
