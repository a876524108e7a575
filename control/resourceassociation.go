package control

import (
	"strings"

	"pergola/lattice"
	"pergola/store"
)

// CreateServiceNetworkResourceAssociation makes a resource, or all resources of a group, reachable in a service
// network. The resource may still be in creation.
func (op *call) CreateServiceNetworkResourceAssociation(
	in *lattice.CreateServiceNetworkResourceAssociationRequest) (
	*lattice.CreateServiceNetworkResourceAssociationResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	op.Set("vpc-lattice:ResourceConfigurationArn",
		resourceConfigurations.named(op, "", in.ResourceConfigurationIdentifier))
	op.Set("vpc-lattice:ServiceNetworkArn", serviceNetworks.named(op, "", in.ServiceNetworkIdentifier))
	return respond(lattice.NewCreateServiceNetworkResourceAssociationResponse)(resourceAssociations.create(op,
		order{request: in, token: in.ClientToken, tags: in.Tags},
		func() (*lattice.ServiceNetworkResourceAssociation, error) { return op.newResourceAssociation(in) }))
}

func (op *call) newResourceAssociation(
	in *lattice.CreateServiceNetworkResourceAssociationRequest) (*lattice.ServiceNetworkResourceAssociation, error) {
	network, err := serviceNetworks.find(op, "", in.ServiceNetworkIdentifier)
	if err != nil {
		return nil, err
	}
	c, err := resourceConfigurations.standing(resourceConfigurations.find(op, "", in.ResourceConfigurationIdentifier))
	if err != nil {
		return nil, err
	}
	allowed := c.AllowAssociationToShareableServiceNetwork
	switch {
	case c.Type == lattice.ResourceChild:
		return nil, lattice.Invalid("resourceConfigurationIdentifier",
			"%s is of type %s, which is associated with service networks by its group, %s", c.ID,
			c.Type, c.ResourceConfigurationGroupID)
	case c.Type == lattice.ResourceCIDR:
		return nil, lattice.Invalid("resourceConfigurationIdentifier",
			"%s is of type %s, which cannot be in a service network",
			c.ID, c.Type)
	case allowed != nil && !*allowed && *sharingOr(network.SharingConfig).Enabled:
		return nil, lattice.Invalid("resourceConfigurationIdentifier",
			"%s must not be associated with a service network that can be shared, as %s can; set %s, or make a service "+
				"network with sharingConfig.enabled false",
			c.ID, network.ID, memberAllow)
	}
	id, now := lattice.KindServiceNetworkResourceAssociation.NewID(op.Random), op.time()
	association := &lattice.ServiceNetworkResourceAssociation{
		ID: id, ARN: op.home(op.Account).ARN(lattice.KindServiceNetworkResourceAssociation, id),
		Status: lattice.StatusCreateInProgress, CreatedBy: op.Account, CreatedAt: now, LastUpdatedAt: now,
		ResourceConfigurationID: c.ID, ResourceConfigurationName: c.Name, ResourceConfigurationARN: c.ARN,
		ServiceNetworkID: network.ID, ServiceNetworkName: network.Name, ServiceNetworkARN: network.ARN,
		PrivateDNSEnabled: in.PrivateDNSEnabled, Tags: in.Tags, ClientToken: in.ClientToken,
	}
	switch {
	case c.Type == lattice.ResourceARN:
		association.PrivateDNSEnabled = new(true) // it cannot be turned off
	case in.PrivateDNSEnabled == nil:
		association.PrivateDNSEnabled = new(false)
	}
	association.DNSEntry, association.PrivateDNSEntry = op.namesOf(association, c)
	return association, nil
}

// namesOf are the names of a resource by its association: the generated one, which a group does not have, and the
// custom domain where private DNS is on.
func (op *call) namesOf(a *lattice.ServiceNetworkResourceAssociation,
	c *lattice.ResourceConfiguration) (generated, private *lattice.DNSEntry) {
	if c.Type != lattice.ResourceGroup {
		generated = &lattice.DNSEntry{DomainName: lattice.ResourceDomainName(a.ID, c.ID, op.Region),
			HostedZoneID: lattice.HostedZoneID(lattice.ResourceDomainSuffix(op.Region))}
	}
	if *a.PrivateDNSEnabled && c.CustomDomainName != "" {
		private = &lattice.DNSEntry{DomainName: c.CustomDomainName}
	}
	return generated, private
}

// GetServiceNetworkResourceAssociation describes an association.
func (op *call) GetServiceNetworkResourceAssociation(in *lattice.GetServiceNetworkResourceAssociationRequest) (
	*lattice.GetServiceNetworkResourceAssociationResponse, error) {
	association, err := resourceAssociations.find(op, "", in.Identifier)
	if err != nil {
		return nil, err
	}
	answer := lattice.NewGetServiceNetworkResourceAssociationResponse(association)
	answer.FailureReason = association.FailureMessage
	configuration, err := resourceConfigurations.Objects.Get(op.Tx, association.ResourceConfigurationID)
	if err != nil {
		return nil, err // it is there as long as the association is
	}
	answer.DomainVerificationStatus, err = verificationStatus(op.Tx, configuration.DomainVerificationID)
	return answer, err
}

// DeleteServiceNetworkResourceAssociation begins the deletion of an association.
func (op *call) DeleteServiceNetworkResourceAssociation(in *lattice.DeleteServiceNetworkResourceAssociationRequest) (
	*lattice.DeleteServiceNetworkResourceAssociationResponse, error) {
	association, err := resourceAssociations.settled(resourceAssociations.find(op, "", in.Identifier))
	if err != nil {
		return nil, err
	}
	association.Status, association.LastUpdatedAt = lattice.StatusDeleteInProgress, op.time()
	return lattice.NewDeleteServiceNetworkResourceAssociationResponse(association),
		resourceAssociations.put(op, association)
}

// dropResourceAssociation removes an association that no node knows any more.
func dropResourceAssociation(tx *store.Tx, a *lattice.ServiceNetworkResourceAssociation) error {
	resourceAssociations.Delete(tx, a)
	return nil
}

// ListServiceNetworkResourceAssociations lists the associations of a resource, of a service network, or of both. With
// the children of groups, each child follows the association of its group, under the association's id.
func (op *call) ListServiceNetworkResourceAssociations(in *lattice.ListServiceNetworkResourceAssociationsRequest) (
	*lattice.List[lattice.ServiceNetworkResourceAssociationSummary], error) {
	network, of := lattice.IDOf(in.ServiceNetworkIdentifier), lattice.IDOf(in.ResourceConfigurationIdentifier)
	if network == "" && of == "" {
		return nil, lattice.Invalid("serviceNetworkIdentifier", "give a service network or a resource configuration")
	}
	if network != "" {
		if _, err := serviceNetworks.read(op, "", in.ServiceNetworkIdentifier); err != nil {
			return nil, err
		}
	}
	if of != "" {
		if _, err := resourceConfigurations.read(op, "", in.ResourceConfigurationIdentifier); err != nil {
			return nil, err
		}
	}
	keep := func(a *lattice.ServiceNetworkResourceAssociation) bool {
		return (network == "" || a.ServiceNetworkID == network) && (of == "" || a.ResourceConfigurationID == of)
	}
	from := scan(op, resourceAssociations, "", keep, summarise(lattice.NewServiceNetworkResourceAssociationSummary))
	scope := network + " " + of
	if in.IncludeChildren {
		from, scope = op.withChildren(from), scope+" children"
	}
	return paginate(op, in.Page, scope, from)
}

// withChildren has each association of a group followed by those of its children. The key of a child's is that of the
// group's, a slash, and the child's id.
func (op *call) withChildren(
	groups source[lattice.ServiceNetworkResourceAssociationSummary],
) source[lattice.ServiceNetworkResourceAssociationSummary] {
	return func(after string, yield func(string, lattice.ServiceNetworkResourceAssociationSummary) bool) error {
		var failed error
		more := true
		if group, child, _ := strings.Cut(after, "/"); group != "" {
			association, err := resourceAssociations.Objects.Get(op.Tx, group)
			if err != nil {
				return lattice.Invalid("nextToken", "is of an association that is gone; begin again without one")
			}
			more, failed = op.children(*lattice.NewServiceNetworkResourceAssociationSummary(&association), child, yield)
			after = group
		}
		if failed != nil || !more {
			return failed
		}
		err := groups(after, func(key string, a lattice.ServiceNetworkResourceAssociationSummary) bool {
			if !yield(key, a) {
				return false
			}
			more, failed = op.children(a, "", yield)
			return more && failed == nil
		})
		if failed != nil {
			return failed
		}
		return err
	}
}

// children yields the associations of the children of a group, after one of them. Other types have none.
func (op *call) children(of lattice.ServiceNetworkResourceAssociationSummary, after string,
	yield func(string, lattice.ServiceNetworkResourceAssociationSummary) bool) (more bool, err error) {
	set := groupChildClaim(of.ResourceConfigurationID, "")
	if after != "" {
		after = set + after
	}
	entries, _, err := claims.List(op.Tx, set, after, 0)
	if err != nil {
		return false, err
	}
	for _, entry := range entries {
		child, err := resourceConfigurations.Objects.Get(op.Tx, lattice.IDOf(entry.ID))
		if err != nil {
			return false, err
		}
		item := of
		item.ResourceConfigurationID, item.ResourceConfigurationARN, item.ResourceConfigurationName = child.ID, child.ARN,
			child.Name
		item.DNSEntry, item.PrivateDNSEntry = op.namesOf(
			&lattice.ServiceNetworkResourceAssociation{ID: of.ID, PrivateDNSEnabled: of.PrivateDNSEnabled}, &child)
		if !yield(of.ID+"/"+child.ID, item) {
			return false, nil
		}
	}
	return true, nil
}
