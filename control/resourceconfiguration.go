package control

import (
	"encoding/binary"
	"io"
	"net/netip"
	"slices"

	"pergola/addressing"
	"pergola/lattice"
	"pergola/store"
)

// CreateResourceConfiguration makes a resource behind a gateway known, or a group for such resources. The gateway may
// still be in creation.
func (op *call) CreateResourceConfiguration(
	in *lattice.CreateResourceConfigurationRequest) (*lattice.CreateResourceConfigurationResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	request := *in
	if in.ResourceConfigurationDefinition != nil { // its defaults are filled in below
		request.ResourceConfigurationDefinition = cloneDefinition(in.ResourceConfigurationDefinition)
	}
	if err := checkConfiguration(&request); err != nil {
		return nil, err
	}
	configuration, err := resourceConfigurations.create(op, order{request: in, token: in.ClientToken, tags: in.Tags},
		func() (*lattice.ResourceConfiguration, error) { return op.newConfiguration(&request) })
	if err != nil {
		return nil, err
	}
	answer := lattice.NewCreateResourceConfigurationResponse(configuration)
	answer.FailureReason = configuration.FailureMessage
	return answer, nil
}

// cloneDefinition copies a definition as far as defaults are filled in.
func cloneDefinition(d *lattice.ResourceConfigurationDefinition) *lattice.ResourceConfigurationDefinition {
	clone := *d
	if d.DNSResource != nil {
		name := *d.DNSResource
		clone.DNSResource = &name
	}
	return &clone
}

func (op *call) newConfiguration(
	in *lattice.CreateResourceConfigurationRequest) (*lattice.ResourceConfiguration, error) {
	id, now := lattice.KindResourceConfiguration.NewID(op.Random), op.time()
	configuration := &lattice.ResourceConfiguration{
		ID: id, ARN: op.home(op.Account).ARN(lattice.KindResourceConfiguration, id), Name: in.Name, Type: in.Type,
		Status: lattice.StatusCreateInProgress, ResourceConfigurationDefinition: in.ResourceConfigurationDefinition,
		PortRanges: in.PortRanges, Protocol: in.Protocol, CustomDomainName: in.CustomDomainName, GroupDomain: in.GroupDomain,
		AllowAssociationToShareableServiceNetwork: in.AllowAssociationToShareableServiceNetwork,
		CreatedAt: now, LastUpdatedAt: now, Tags: in.Tags, ClientToken: in.ClientToken,
	}
	if configuration.Protocol == "" {
		configuration.Protocol = lattice.ResourceTCP
	}
	place := op.joinGateway
	if in.Type == lattice.ResourceChild {
		place = op.joinGroup
	}
	if err := place(configuration, in); err != nil {
		return nil, err
	}
	var err error
	if in.Type == lattice.ResourceSingle || in.Type == lattice.ResourceChild || in.Type == lattice.ResourceARN {
		configuration.Address, err = op.freeResourceAddress()
	}
	return configuration, err
}

// joinGateway puts a configuration behind its gateway.
func (op *call) joinGateway(c *lattice.ResourceConfiguration, in *lattice.CreateResourceConfigurationRequest) error {
	gateway, err := resourceGateways.standing(resourceGateways.read(op, "", in.ResourceGatewayIdentifier))
	if err != nil {
		return err
	}
	inVPC := gateway.ResourceConfigDNSResolution == lattice.ResolveInVPC
	switch {
	case c.Type == lattice.ResourceARN && inVPC:
		return lattice.Invalid(memberGateway,
			"%s resolves names %s, and a resource configuration of type %s needs a gateway that resolves them %s",
			gateway.ID, lattice.ResolveInVPC, c.Type, lattice.ResolvePublic)
	case c.Type == lattice.ResourceCIDR && !inVPC:
		return lattice.Invalid(memberGateway,
			"%s resolves names %s, and a resource configuration of type %s needs a gateway that resolves them %s",
			gateway.ID, lattice.ResolvePublic, c.Type, lattice.ResolveInVPC)
	}
	c.ResourceGatewayID = gateway.ID
	if c.AllowAssociationToShareableServiceNetwork == nil && c.Type != lattice.ResourceCIDR {
		c.AllowAssociationToShareableServiceNetwork = new(true)
	}
	if in.DomainVerificationIdentifier == "" {
		return nil
	}
	verification, err := domainVerifications.read(op, "", in.DomainVerificationIdentifier)
	if err != nil {
		return err
	}
	domain := c.CustomDomainName + c.GroupDomain // a type takes one of them
	if !lattice.IsWithin(domain, verification.DomainName) {
		return lattice.Invalid(memberVerification, "%s is for %s, in which %s is not", verification.ID,
			verification.DomainName, domain)
	}
	c.DomainVerificationID, c.DomainVerificationARN = verification.ID, verification.ARN
	return nil
}

// joinGroup puts a child into its group, whose gateway and verification it has.
func (op *call) joinGroup(c *lattice.ResourceConfiguration, in *lattice.CreateResourceConfigurationRequest) error {
	group, err := resourceConfigurations.standing(
		resourceConfigurations.read(op, "", in.ResourceConfigurationGroupIdentifier))
	if err != nil {
		return err
	}
	switch {
	case group.Type != lattice.ResourceGroup:
		return lattice.Invalid(memberGroup, "%s is of type %s, and not a group", group.ID, group.Type)
	case c.CustomDomainName != "" && group.GroupDomain != "" &&
		(c.CustomDomainName == group.GroupDomain || !lattice.IsWithin(c.CustomDomainName, group.GroupDomain)):
		return lattice.Invalid(memberCustomDomain, "%s is not a subdomain of %s, the domain of the group", c.CustomDomainName,
			group.GroupDomain)
	}
	c.ResourceConfigurationGroupID, c.ResourceGatewayID = group.ID, group.ResourceGatewayID
	c.DomainVerificationID, c.DomainVerificationARN = group.DomainVerificationID, group.DomainVerificationARN
	return nil
}

// freeResourceAddress finds an address that no resource of the deployment has. It looks from a random one on, so that
// an address that a client still remembers is not given to another resource at once.
func (op *call) freeResourceAddress() (netip.Addr, error) {
	var random [4]byte
	if _, err := io.ReadFull(op.Random, random[:]); err != nil {
		return netip.Addr{}, err
	}
	n := addressing.Size(addressing.Resources) - 2
	start := binary.BigEndian.Uint32(random[:]) % n
	for i := range n {
		address := addressing.Nth(addressing.Resources, 1+(start+i)%n)
		holder, err := holderOf(op.Tx, resourceAddressClaim(address.String()))
		if err != nil || holder == "" {
			return address, err
		}
	}
	return netip.Addr{}, lattice.ConflictError(lattice.KindResourceConfiguration, "",
		"all addresses from %v to %v are resources' already; delete a resource configuration", addressing.FirstResource,
		addressing.LastResource)
}

// GetResourceConfiguration describes a resource configuration.
func (op *call) GetResourceConfiguration(
	in *lattice.GetResourceConfigurationRequest) (*lattice.GetResourceConfigurationResponse, error) {
	configuration, err := resourceConfigurations.find(op, "", in.ResourceConfigurationIdentifier)
	if err != nil {
		return nil, err
	}
	answer := lattice.NewGetResourceConfigurationResponse(configuration)
	answer.FailureReason = configuration.FailureMessage
	answer.DomainVerificationStatus, err = verificationStatus(op.Tx, configuration.DomainVerificationID)
	return answer, err
}

// UpdateResourceConfiguration changes what the request has of a resource configuration. Associations that there are
// stay.
func (op *call) UpdateResourceConfiguration(
	in *lattice.UpdateResourceConfigurationRequest) (*lattice.UpdateResourceConfigurationResponse, error) {
	configuration, err := resourceConfigurations.settled(
		resourceConfigurations.find(op, "", in.ResourceConfigurationIdentifier))
	if err != nil {
		return nil, err
	}
	of := resourceTypes[configuration.Type]
	takes := func(name string, isGiven bool) error {
		if isGiven && !slices.Contains(slices.Concat(of.needs, of.takes), name) {
			return unexpected(name, configuration.Type)
		}
		return nil
	}
	for name, isGiven := range map[string]bool{memberDefinition: in.ResourceConfigurationDefinition != nil,
		memberPorts: in.PortRanges != nil, memberAllow: in.AllowAssociationToShareableServiceNetwork != nil} {
		if err := takes(name, isGiven); err != nil {
			return nil, err
		}
	}
	if in.ResourceConfigurationDefinition != nil {
		definition := cloneDefinition(in.ResourceConfigurationDefinition)
		if err := checkDefinition(configuration.Type, definition); err != nil {
			return nil, err
		}
		configuration.ResourceConfigurationDefinition = definition
	}
	if in.PortRanges != nil {
		if len(in.PortRanges) == 0 {
			return nil, missing(memberPorts, configuration.Type)
		}
		if err := checkPorts(in.PortRanges); err != nil {
			return nil, err
		}
		configuration.PortRanges = in.PortRanges
	}
	if in.AllowAssociationToShareableServiceNetwork != nil {
		configuration.AllowAssociationToShareableServiceNetwork = in.AllowAssociationToShareableServiceNetwork
	}
	configuration.Status, configuration.LastUpdatedAt, configuration.Failure = lattice.StatusUpdateInProgress, op.time(),
		lattice.Failure{}
	return lattice.NewUpdateResourceConfigurationResponse(configuration), resourceConfigurations.put(op, configuration)
}

// DeleteResourceConfiguration begins the deletion of a resource configuration that is in no service network any more,
// and has no children.
func (op *call) DeleteResourceConfiguration(in *lattice.DeleteResourceConfigurationRequest) (*lattice.Empty, error) {
	configuration, err := resourceConfigurations.find(op, "", in.ResourceConfigurationIdentifier)
	if err != nil {
		return nil, err
	}
	for _, used := range []struct{ set, by string }{
		{resourceNetworkClaim(configuration.ID, ""), "service network(s) associated"},
		{groupChildClaim(configuration.ID, ""), "child resource configuration(s)"},
	} {
		n, err := claims.Count(op.Tx, used.set)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			return nil, lattice.ConflictError(lattice.KindResourceConfiguration, configuration.ID,
				"ResourceConfiguration %s has %s", configuration.ID, used.by)
		}
	}
	if configuration.Status != lattice.StatusDeleteInProgress {
		configuration.Status, configuration.LastUpdatedAt = lattice.StatusDeleteInProgress, op.time()
		err = resourceConfigurations.put(op, configuration)
	}
	return &lattice.Empty{}, err
}

// dropConfiguration removes a resource configuration that no node knows any more.
func dropConfiguration(tx *store.Tx, c *lattice.ResourceConfiguration) error {
	resourceConfigurations.Delete(tx, c)
	return nil
}

// ListResourceConfigurations lists the resource configurations of the account: all, or those behind a gateway, of a
// group, or with a domain verification.
func (op *call) ListResourceConfigurations(
	in *lattice.ListResourceConfigurationsRequest) (*lattice.List[lattice.ResourceConfigurationSummary], error) {
	gateway, group := lattice.IDOf(in.ResourceGatewayIdentifier), lattice.IDOf(in.ResourceConfigurationGroupIdentifier)
	verification := lattice.IDOf(in.DomainVerificationIdentifier)
	keep := func(c *lattice.ResourceConfiguration) bool {
		return (gateway == "" || c.ResourceGatewayID == gateway) &&
			(group == "" || c.ResourceConfigurationGroupID == group) &&
			(verification == "" || c.DomainVerificationID == verification)
	}
	return paginate(op, in.Page, gateway+" "+group+" "+verification, scan(op, resourceConfigurations, "", keep,
		summarise(lattice.NewResourceConfigurationSummary)))
}
