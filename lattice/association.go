package lattice

import "net/netip"

// ServiceNetworkServiceAssociation makes a service callable in a service network.
type ServiceNetworkServiceAssociation struct {
	ID                 string   `json:"id"`
	ARN                string   `json:"arn"`
	Status             Status   `json:"status,omitempty"`
	CreatedBy          string   `json:"createdBy"`
	CreatedAt          Time     `json:"createdAt"`
	ServiceID          string   `json:"serviceId"`
	ServiceName        string   `json:"serviceName"`
	ServiceARN         string   `json:"serviceArn"`
	ServiceNetworkID   string   `json:"serviceNetworkId"`
	ServiceNetworkName string   `json:"serviceNetworkName"`
	ServiceNetworkARN  string   `json:"serviceNetworkArn"`
	DNSEntry           DNSEntry `json:"dnsEntry"`
	CustomDomainName   string   `json:"customDomainName,omitempty"`
	Tags               Tags     `json:"tags,omitempty"`
	ClientToken        string   `json:"clientToken,omitempty"`
	// Failure is why the last change has failed; zero if it has not.
	Failure
	Intent
}

type CreateServiceNetworkServiceAssociationRequest struct {
	ClientToken              string `json:"clientToken" check:"len=1..64,pattern=visible"`
	ServiceIdentifier        string `json:"serviceIdentifier" check:"required,len=17..2048,id=service"`
	ServiceNetworkIdentifier string `json:"serviceNetworkIdentifier" check:"required,len=3..2048,id=servicenetwork"`
	Tags                     Tags   `json:"tags" check:"len=0..200,pattern=tags"`
}

type CreateServiceNetworkServiceAssociationResponse struct {
	ID               string   `json:"id,omitempty"`
	Status           Status   `json:"status,omitempty"`
	ARN              string   `json:"arn,omitempty"`
	CreatedBy        string   `json:"createdBy,omitempty"`
	CustomDomainName string   `json:"customDomainName,omitempty"`
	DNSEntry         DNSEntry `json:"dnsEntry,omitzero"`
}

type GetServiceNetworkServiceAssociationRequest struct {
	Identifier string `uri:"serviceNetworkServiceAssociationIdentifier" check:"required,len=17..2048,id=servicenetworkserviceassociation"`
}

type GetServiceNetworkServiceAssociationResponse struct {
	ID                 string   `json:"id,omitempty"`
	Status             Status   `json:"status,omitempty"`
	ARN                string   `json:"arn,omitempty"`
	CreatedBy          string   `json:"createdBy,omitempty"`
	CreatedAt          Time     `json:"createdAt,omitzero"`
	ServiceID          string   `json:"serviceId,omitempty"`
	ServiceName        string   `json:"serviceName,omitempty"`
	ServiceARN         string   `json:"serviceArn,omitempty"`
	ServiceNetworkID   string   `json:"serviceNetworkId,omitempty"`
	ServiceNetworkName string   `json:"serviceNetworkName,omitempty"`
	ServiceNetworkARN  string   `json:"serviceNetworkArn,omitempty"`
	DNSEntry           DNSEntry `json:"dnsEntry,omitzero"`
	CustomDomainName   string   `json:"customDomainName,omitempty"`
	FailureMessage     string   `json:"failureMessage,omitempty"`
	FailureCode        string   `json:"failureCode,omitempty"`
}

type DeleteServiceNetworkServiceAssociationRequest struct {
	Identifier string `uri:"serviceNetworkServiceAssociationIdentifier" check:"required,len=17..2048,id=servicenetworkserviceassociation"`
}

// DeleteAssociationResponse answers the deletion of an association of either sort.
type DeleteAssociationResponse struct {
	ID     string `json:"id,omitempty"`
	Status Status `json:"status,omitempty"`
	ARN    string `json:"arn,omitempty"`
}

type ListServiceNetworkServiceAssociationsRequest struct {
	ServiceNetworkIdentifier string `query:"serviceNetworkIdentifier" check:"len=3..2048,id=servicenetwork"`
	ServiceIdentifier        string `query:"serviceIdentifier" check:"len=17..2048,id=service"`
	Page
}

type ServiceNetworkServiceAssociationSummary struct {
	ID                 string   `json:"id,omitempty"`
	Status             Status   `json:"status,omitempty"`
	ARN                string   `json:"arn,omitempty"`
	CreatedBy          string   `json:"createdBy,omitempty"`
	CreatedAt          Time     `json:"createdAt,omitzero"`
	ServiceID          string   `json:"serviceId,omitempty"`
	ServiceName        string   `json:"serviceName,omitempty"`
	ServiceARN         string   `json:"serviceArn,omitempty"`
	ServiceNetworkID   string   `json:"serviceNetworkId,omitempty"`
	ServiceNetworkName string   `json:"serviceNetworkName,omitempty"`
	ServiceNetworkARN  string   `json:"serviceNetworkArn,omitempty"`
	DNSEntry           DNSEntry `json:"dnsEntry,omitzero"`
	CustomDomainName   string   `json:"customDomainName,omitempty"`
}

// ServiceNetworkVPCAssociation lets the clients in a VPC call the services of a service network, at an address there.
// Those from before the address was kept have none: see addressing.DoorOf.
type ServiceNetworkVPCAssociation struct {
	ID                 string      `json:"id"`
	ARN                string      `json:"arn"`
	Status             Status      `json:"status,omitempty"`
	CreatedBy          string      `json:"createdBy"`
	CreatedAt          Time        `json:"createdAt"`
	LastUpdatedAt      Time        `json:"lastUpdatedAt"`
	ServiceNetworkID   string      `json:"serviceNetworkId"`
	ServiceNetworkName string      `json:"serviceNetworkName"`
	ServiceNetworkARN  string      `json:"serviceNetworkArn"`
	VPCID              string      `json:"vpcId"`
	SecurityGroupIDs   []string    `json:"securityGroupIds,omitempty"`
	PrivateDNSEnabled  *bool       `json:"privateDnsEnabled,omitempty"`
	DNSOptions         *DNSOptions `json:"dnsOptions,omitempty"`
	Tags               Tags        `json:"tags,omitempty"`
	ClientToken        string      `json:"clientToken,omitempty"`
	Address            netip.Addr  `json:"address,omitzero"`
	// Failure is why the last change has failed; zero if it has not.
	Failure
	Intent
}

// DNSOptions says for which domains of resource configurations private names are made in a VPC.
type DNSOptions struct {
	PrivateDNSPreference       string   `json:"privateDnsPreference,omitempty" check:"enum=VERIFIED_DOMAINS_ONLY|ALL_DOMAINS|VERIFIED_DOMAINS_AND_SPECIFIED_DOMAINS|SPECIFIED_DOMAINS_ONLY"`
	PrivateDNSSpecifiedDomains []string `json:"privateDnsSpecifiedDomains,omitempty" check:"len=1..10,each=(len=1..255)"`
}

type CreateServiceNetworkVPCAssociationRequest struct {
	ClientToken              string      `json:"clientToken" check:"len=1..64,pattern=visible"`
	ServiceNetworkIdentifier string      `json:"serviceNetworkIdentifier" check:"required,len=3..2048"`
	VPCIdentifier            string      `json:"vpcIdentifier" check:"required,len=5..50,pattern=vpc"`
	PrivateDNSEnabled        *bool       `json:"privateDnsEnabled"`
	SecurityGroupIDs         []string    `json:"securityGroupIds" check:"len=0..5,each=(pattern=securitygroup)"`
	Tags                     Tags        `json:"tags" check:"len=0..200,pattern=tags"`
	DNSOptions               *DNSOptions `json:"dnsOptions"`
}

type CreateServiceNetworkVPCAssociationResponse struct {
	ID                string      `json:"id,omitempty"`
	Status            Status      `json:"status,omitempty"`
	ARN               string      `json:"arn,omitempty"`
	CreatedBy         string      `json:"createdBy,omitempty"`
	SecurityGroupIDs  []string    `json:"securityGroupIds,omitempty"`
	PrivateDNSEnabled *bool       `json:"privateDnsEnabled,omitempty"`
	DNSOptions        *DNSOptions `json:"dnsOptions,omitempty"`
}

type GetServiceNetworkVPCAssociationRequest struct {
	Identifier string `uri:"serviceNetworkVpcAssociationIdentifier" check:"required,len=17..2048,id=servicenetworkvpcassociation"`
}

type GetServiceNetworkVPCAssociationResponse struct {
	ID                 string      `json:"id,omitempty"`
	Status             Status      `json:"status,omitempty"`
	ARN                string      `json:"arn,omitempty"`
	CreatedBy          string      `json:"createdBy,omitempty"`
	CreatedAt          Time        `json:"createdAt,omitzero"`
	ServiceNetworkID   string      `json:"serviceNetworkId,omitempty"`
	ServiceNetworkName string      `json:"serviceNetworkName,omitempty"`
	ServiceNetworkARN  string      `json:"serviceNetworkArn,omitempty"`
	VPCID              string      `json:"vpcId,omitempty"`
	SecurityGroupIDs   []string    `json:"securityGroupIds,omitempty"`
	PrivateDNSEnabled  *bool       `json:"privateDnsEnabled,omitempty"`
	FailureMessage     string      `json:"failureMessage,omitempty"`
	FailureCode        string      `json:"failureCode,omitempty"`
	LastUpdatedAt      Time        `json:"lastUpdatedAt,omitzero"`
	DNSOptions         *DNSOptions `json:"dnsOptions,omitempty"`
}

// UpdateServiceNetworkVPCAssociationRequest changes those of its members that are present.
type UpdateServiceNetworkVPCAssociationRequest struct {
	Identifier        string      `uri:"serviceNetworkVpcAssociationIdentifier" check:"required,len=17..2048,id=servicenetworkvpcassociation"`
	SecurityGroupIDs  []string    `json:"securityGroupIds" check:"len=1..5,each=(pattern=securitygroup)"`
	PrivateDNSEnabled *bool       `json:"privateDnsEnabled"`
	DNSOptions        *DNSOptions `json:"dnsOptions"`
}

type UpdateServiceNetworkVPCAssociationResponse struct {
	ID                string      `json:"id,omitempty"`
	ARN               string      `json:"arn,omitempty"`
	Status            Status      `json:"status,omitempty"`
	CreatedBy         string      `json:"createdBy,omitempty"`
	SecurityGroupIDs  []string    `json:"securityGroupIds,omitempty"`
	PrivateDNSEnabled *bool       `json:"privateDnsEnabled,omitempty"`
	DNSOptions        *DNSOptions `json:"dnsOptions,omitempty"`
}

type DeleteServiceNetworkVPCAssociationRequest struct {
	Identifier string `uri:"serviceNetworkVpcAssociationIdentifier" check:"required,len=17..2048,id=servicenetworkvpcassociation"`
}

type ListServiceNetworkVPCAssociationsRequest struct {
	ServiceNetworkIdentifier string `query:"serviceNetworkIdentifier" check:"len=3..2048,id=servicenetwork"`
	VPCIdentifier            string `query:"vpcIdentifier" check:"len=5..50,pattern=vpc"`
	Page
}

type ServiceNetworkVPCAssociationSummary struct {
	ID                 string      `json:"id,omitempty"`
	ARN                string      `json:"arn,omitempty"`
	Status             Status      `json:"status,omitempty"`
	CreatedBy          string      `json:"createdBy,omitempty"`
	CreatedAt          Time        `json:"createdAt,omitzero"`
	ServiceNetworkID   string      `json:"serviceNetworkId,omitempty"`
	ServiceNetworkName string      `json:"serviceNetworkName,omitempty"`
	ServiceNetworkARN  string      `json:"serviceNetworkArn,omitempty"`
	PrivateDNSEnabled  *bool       `json:"privateDnsEnabled,omitempty"`
	DNSOptions         *DNSOptions `json:"dnsOptions,omitempty"`
	VPCID              string      `json:"vpcId,omitempty"`
	LastUpdatedAt      Time        `json:"lastUpdatedAt,omitzero"`
}
