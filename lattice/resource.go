package lattice

import (
	"net/netip"
	"strconv"
	"strings"
)

// ResourceGateway is where connections to resources enter the VPC in which the resources are: an interface with an
// address in each of some subnets, from which resources are reached.
type ResourceGateway struct {
	ID     string `json:"id"`
	ARN    string `json:"arn"`
	Name   string `json:"name"`
	Status Status `json:"status,omitempty"`
	VPCID  string `json:"vpcId"`
	// SubnetIDs are in the order in which the creator gave them, and Nodes the addresses in them.
	SubnetIDs           []string      `json:"subnetIds"`
	Nodes               []GatewayNode `json:"nodes"`
	SecurityGroupIDs    []string      `json:"securityGroupIds,omitempty"`
	IPAddressType       string        `json:"ipAddressType"`
	IPv4AddressesPerEni int32         `json:"ipv4AddressesPerEni"`
	// ResourceConfigDNSResolution says who resolves the names of resources.
	ResourceConfigDNSResolution string `json:"resourceConfigDnsResolution"`
	CreatedAt                   Time   `json:"createdAt"`
	LastUpdatedAt               Time   `json:"lastUpdatedAt"`
	Tags                        Tags   `json:"tags,omitempty"`
	ClientToken                 string `json:"clientToken,omitempty"`
	// Failure is why the last change has failed; zero if it has not.
	Failure
	Intent
}

// GatewayNode is the address of a resource gateway in a subnet.
type GatewayNode struct {
	SubnetID string     `json:"subnetId"`
	Address  netip.Addr `json:"address"`
}

// Who resolves the names of resources behind a gateway: the resolvers of the host, or that of the gateway's VPC.
const (
	ResolvePublic = "PUBLIC"
	ResolveInVPC  = "IN_VPC"
)

// DefaultIPv4AddressesPerEni is how many IPv4 addresses each interface of a gateway has unless its creator says
// otherwise.
const DefaultIPv4AddressesPerEni = 16

// ResourceConfiguration is a resource behind a gateway, or a group of such resources, as consumers see it.
type ResourceConfiguration struct {
	ID     string `json:"id"`
	ARN    string `json:"arn"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Status Status `json:"status,omitempty"`
	// ResourceGatewayID is the gateway. A child has that of its group.
	ResourceGatewayID string `json:"resourceGatewayId"`
	// ResourceConfigurationGroupID is the group of a child.
	ResourceConfigurationGroupID              string                           `json:"resourceConfigurationGroupId,omitempty"`
	ResourceConfigurationDefinition           *ResourceConfigurationDefinition `json:"resourceConfigurationDefinition,omitempty"`
	PortRanges                                []string                         `json:"portRanges,omitempty"`
	Protocol                                  string                           `json:"protocol,omitempty"`
	AllowAssociationToShareableServiceNetwork *bool                            `json:"allowAssociationToShareableServiceNetwork,omitempty"`
	CustomDomainName                          string                           `json:"customDomainName,omitempty"`
	GroupDomain                               string                           `json:"groupDomain,omitempty"`
	DomainVerificationID                      string                           `json:"domainVerificationId,omitempty"`
	DomainVerificationARN                     string                           `json:"domainVerificationArn,omitempty"`
	// Address is the one at which the resource is reached in each VPC that has it by its association with a service
	// network. Other types have none.
	Address       netip.Addr `json:"address,omitzero"`
	CreatedAt     Time       `json:"createdAt"`
	LastUpdatedAt Time       `json:"lastUpdatedAt"`
	Tags          Tags       `json:"tags,omitempty"`
	ClientToken   string     `json:"clientToken,omitempty"`
	// Failure is why the last change has failed; zero if it has not.
	Failure
	Intent
}

// The types of resource configurations.
const (
	ResourceSingle = "SINGLE"
	ResourceGroup  = "GROUP"
	ResourceChild  = "CHILD"
	ResourceARN    = "ARN"
	ResourceCIDR   = "CIDR"
)

// The protocols of resource configurations.
const (
	ResourceTCP    = "TCP"
	ResourceTCPUDP = "TCP_UDP"
)

// ParsePortRange reads a port or a range of ports, such as 443 or 8000-8080, and reports whether it is one.
func ParsePortRange(s string) (first, last uint16, ok bool) {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	low, err := strconv.ParseUint(from, 10, 16)
	if err != nil {
		return 0, 0, false
	}
	high, err := strconv.ParseUint(to, 10, 16)
	return uint16(low), uint16(high), err == nil && 0 < low && low <= high
}

// ServiceNetworkResourceAssociation makes a resource, or all resources of a group, reachable in a service network.
type ServiceNetworkResourceAssociation struct {
	ID                        string `json:"id"`
	ARN                       string `json:"arn"`
	Status                    Status `json:"status,omitempty"`
	CreatedBy                 string `json:"createdBy"`
	CreatedAt                 Time   `json:"createdAt"`
	LastUpdatedAt             Time   `json:"lastUpdatedAt"`
	ResourceConfigurationID   string `json:"resourceConfigurationId"`
	ResourceConfigurationName string `json:"resourceConfigurationName"`
	ResourceConfigurationARN  string `json:"resourceConfigurationArn"`
	ServiceNetworkID          string `json:"serviceNetworkId"`
	ServiceNetworkName        string `json:"serviceNetworkName"`
	ServiceNetworkARN         string `json:"serviceNetworkArn"`
	// PrivateDNSEnabled says whether VPCs may have the custom domain of the resource, and PrivateDNSEntry names it.
	PrivateDNSEnabled *bool     `json:"privateDnsEnabled,omitempty"`
	PrivateDNSEntry   *DNSEntry `json:"privateDnsEntry,omitempty"`
	// DNSEntry is the name of a single resource. Those of a group have theirs: see ResourceDomainName.
	DNSEntry    *DNSEntry `json:"dnsEntry,omitempty"`
	Tags        Tags      `json:"tags,omitempty"`
	ClientToken string    `json:"clientToken,omitempty"`
	// Failure is why the last change has failed; zero if it has not.
	Failure
	Intent
}

// DomainVerification is the proof, or the attempt at one, that an account owns a domain: a TXT record that only its
// owner can publish.
type DomainVerification struct {
	ID              string           `json:"id"`
	ARN             string           `json:"arn"`
	DomainName      string           `json:"domainName"`
	Status          string           `json:"status"`
	TxtMethodConfig *TxtMethodConfig `json:"txtMethodConfig"`
	CreatedAt       Time             `json:"createdAt"`
	// LastVerifiedTime is when the record was found.
	LastVerifiedTime Time   `json:"lastVerifiedTime,omitzero"`
	Tags             Tags   `json:"tags,omitempty"`
	ClientToken      string `json:"clientToken,omitempty"`
}

// The statuses of a domain verification.
const (
	VerificationPending  = "PENDING"
	VerificationVerified = "VERIFIED"
	VerificationTimedOut = "VERIFICATION_TIMED_OUT"
)

// resourcePartitionLabel is the label between a resource configuration's id and the domain of resources.
const resourcePartitionLabel = "4232ccc"

// ResourceDomainSuffix ends every generated name of a resource in a region.
func ResourceDomainSuffix(region string) string {
	return resourcePartitionLabel + ".vpc-lattice-rsc." + region + ".on.aws"
}

// ResourceDomainName is the generated name of a resource in VPCs that have it by an association of its own, or of its
// group, with a service network.
func ResourceDomainName(association, configuration, region string) string {
	return association + "." + configuration + "." + ResourceDomainSuffix(region)
}

// IsWithin reports whether a domain is another one or below it.
func IsWithin(domain, other string) bool {
	return domain == other || strings.HasSuffix(domain, "."+other)
}
