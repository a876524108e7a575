package control

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"pergola/lattice"
)

// resourceType says which members a request for a resource configuration may have, and which it needs, by its type
// (API reference, CreateResourceConfiguration). All may have tags, a token, and TCP as their protocol.
type resourceType struct {
	needs, takes []string
	// definition is the one member that the definition has; dnsResource stands for ipResource too.
	definition string
}

// The members that depend on the type, by their names in the API.
const (
	memberGateway      = "resourceGatewayIdentifier"
	memberGroup        = "resourceConfigurationGroupIdentifier"
	memberDefinition   = "resourceConfigurationDefinition"
	memberPorts        = "portRanges"
	memberAllow        = "allowAssociationToShareableServiceNetwork"
	memberCustomDomain = "customDomainName"
	memberGroupDomain  = "groupDomain"
	memberVerification = "domainVerificationIdentifier"
)

var resourceTypes = map[string]resourceType{
	lattice.ResourceSingle: {needs: []string{memberGateway, memberDefinition, memberPorts},
		takes: []string{memberAllow, memberCustomDomain, memberVerification}, definition: "dnsResource"},
	lattice.ResourceGroup: {needs: []string{memberGateway},
		takes: []string{memberAllow, memberGroupDomain, memberVerification}},
	lattice.ResourceChild: {needs: []string{memberGroup, memberDefinition, memberPorts},
		takes: []string{memberCustomDomain}, definition: "dnsResource"},
	lattice.ResourceARN: {needs: []string{memberGateway, memberDefinition}, takes: []string{memberAllow},
		definition: "arnResource"},
	lattice.ResourceCIDR: {needs: []string{memberGateway, memberDefinition, memberPorts}, definition: "cidrResource"},
}

// given are the members that depend on the type and are in a request, in the order in which they are looked at.
func given(in *lattice.CreateResourceConfigurationRequest) (names []string) {
	for _, member := range []struct {
		name  string
		isSet bool
	}{
		{memberGateway, in.ResourceGatewayIdentifier != ""}, {memberGroup, in.ResourceConfigurationGroupIdentifier != ""},
		{memberDefinition, in.ResourceConfigurationDefinition != nil}, {memberPorts, len(in.PortRanges) > 0},
		{memberAllow, in.AllowAssociationToShareableServiceNetwork != nil}, {memberCustomDomain, in.CustomDomainName != ""},
		{memberGroupDomain, in.GroupDomain != ""}, {memberVerification, in.DomainVerificationIdentifier != ""},
	} {
		if member.isSet {
			names = append(names, member.name)
		}
	}
	return names
}

// checkConfiguration refuses what no content of the store can make right.
func checkConfiguration(in *lattice.CreateResourceConfigurationRequest) error {
	of, has := resourceTypes[in.Type], given(in)
	for _, name := range has {
		if !slices.Contains(of.needs, name) && !slices.Contains(of.takes, name) {
			return unexpected(name, in.Type)
		}
	}
	for _, name := range of.needs {
		if !slices.Contains(has, name) {
			return missing(name, in.Type)
		}
	}
	switch {
	case in.Protocol == lattice.ResourceTCPUDP && in.Type != lattice.ResourceCIDR:
		return lattice.Invalid("protocol", "%s is only supported by resource configurations of type %s",
			lattice.ResourceTCPUDP, lattice.ResourceCIDR)
	case in.DomainVerificationIdentifier != "" && in.CustomDomainName == "" && in.GroupDomain == "":
		name := memberCustomDomain
		if in.Type == lattice.ResourceGroup {
			name = memberGroupDomain
		}
		return lattice.Invalid(memberVerification, "goes with %s", name)
	}
	for field, domain := range map[string]string{memberCustomDomain: in.CustomDomainName,
		memberGroupDomain: in.GroupDomain} {
		if domain == "" {
			continue
		}
		if err := checkDomainName(field, domain); err != nil {
			return err
		}
	}
	if err := checkPorts(in.PortRanges); err != nil {
		return err
	}
	return checkDefinition(in.Type, in.ResourceConfigurationDefinition)
}

// checkPorts refuses texts that are neither ports nor ranges, and ranges that overlap.
func checkPorts(ranges []string) error {
	var taken [1 << 16]bool
	for i, text := range ranges {
		first, last, ok := lattice.ParsePortRange(text)
		if !ok {
			return lattice.Invalid(memberPorts+"["+strconv.Itoa(i)+"]",
				"%q is no port and no range of ports from 1 to 65535, such as 443 or 8000-8080", text)
		}
		for port := int(first); port <= int(last); port++ {
			if taken[port] {
				return lattice.Invalid(memberPorts+"["+strconv.Itoa(i)+"]", "port %d is in two ranges", port)
			}
			taken[port] = true
		}
	}
	return nil
}

// privateRanges are the ones in which the IPv4 address of a resource is (user guide, "Resource definition").
var privateRanges = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
}

// checkDefinition refuses a definition that is not one of its type; nil is none. It fills in its defaults.
func checkDefinition(kind string, d *lattice.ResourceConfigurationDefinition) error {
	if d == nil {
		return nil
	}
	single := resourceTypes[kind].definition == "dnsResource"
	switch {
	case d.IPResource != nil && single:
		return checkIPResource(d.IPResource.IPAddress)
	case d.DNSResource != nil && single:
		return checkDNSResource(d.DNSResource)
	case d.ARNResource != nil && kind == lattice.ResourceARN:
		return checkARNResource(d.ARNResource.ARN)
	case d.CIDRResource != nil && kind == lattice.ResourceCIDR:
		return checkRanges(d.CIDRResource.CIDRRanges)
	}
	for name, isSet := range map[string]bool{"ipResource": d.IPResource != nil, "dnsResource": d.DNSResource != nil,
		"arnResource": d.ARNResource != nil, "cidrResource": d.CIDRResource != nil} {
		if isSet {
			return unexpected(name, kind)
		}
	}
	return missing(resourceTypes[kind].definition, kind)
}

func checkIPResource(text string) error {
	const field = memberDefinition + ".ipResource.ipAddress"
	address, err := netip.ParseAddr(text)
	switch {
	case err != nil || address.Zone() != "":
		return lattice.Invalid(field, "%q is no IP address", text)
	case !address.Is4():
		return lattice.Invalid(field,
			"is an IPv6 address, which no gateway of this deployment can reach; give an IPv4 address")
	case !slices.ContainsFunc(privateRanges, func(p netip.Prefix) bool { return p.Contains(address) }):
		return lattice.Invalid(field, "%s is not a private address, of %v", text, privateRanges)
	}
	return nil
}

func checkDNSResource(d *lattice.DNSResource) error {
	const field = memberDefinition + ".dnsResource"
	switch d.IPAddressType {
	case "":
		d.IPAddressType = ipv4
	case ipv4:
	default:
		return lattice.Invalid(field+".ipAddressType", "%s is not supported, since gateways have IPv4 addresses only; use %s",
			d.IPAddressType, ipv4)
	}
	return checkDomainName(field+".domainName", strings.ToLower(d.DomainName))
}

// checkARNResource refuses all but databases of Amazon RDS: no other service has resources of this type.
func checkARNResource(text string) error {
	arn, err := lattice.ParseARN(text)
	isDatabase := strings.HasPrefix(arn.Resource, "db:") || strings.HasPrefix(arn.Resource, "cluster:")
	if err != nil || arn.Service != "rds" || !isDatabase {
		return lattice.Invalid(memberDefinition+".arnResource.arn",
			"%q is not the ARN of a DB instance or a DB cluster of Amazon RDS", text)
	}
	return nil
}

// reservedRanges are in no part of a network (API reference, CidrResource).
var reservedRanges = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
}

func checkRanges(ranges []string) error {
	for i, text := range ranges {
		field := memberDefinition + ".cidrResource.cidrRanges[" + strconv.Itoa(i) + "]"
		block, err := netip.ParsePrefix(text)
		if err != nil || block != block.Masked() {
			return lattice.Invalid(field, "%q is no range of addresses given by its first one, such as 10.0.0.0/16", text)
		}
		if block.Bits() == 0 {
			if len(ranges) > 1 {
				return lattice.Invalid(field, "%s stands for the whole network, and so has to be the only range", text)
			}
			continue
		}
		for _, reserved := range reservedRanges {
			if block.Overlaps(reserved) {
				return lattice.Invalid(field, "%s has addresses of %v, which are reserved", text, reserved)
			}
		}
	}
	return nil
}
