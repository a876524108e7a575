package control

import (
	"net/netip"
	"slices"

	"pergola/addressing"
	"pergola/control/ownership"
	"pergola/lattice"
	"pergola/store"
)

// everyDomain stands for all domains that a preference lets through. Preferences that need no domains have it.
const everyDomain = "*"

// completeDNS checks the options for private DNS and fills in their defaults: without private DNS there are none.
func completeDNS(enabled *bool, options *lattice.DNSOptions) (*lattice.DNSOptions, error) {
	if enabled == nil || !*enabled {
		if options != nil {
			return nil, lattice.Invalid("dnsOptions", "is only supported when private DNS is enabled")
		}
		return nil, nil
	}
	var complete lattice.DNSOptions
	if options != nil {
		complete = *options
	}
	if complete.PrivateDNSPreference == "" {
		complete.PrivateDNSPreference = lattice.PreferVerified
	}
	if slices.Equal(complete.PrivateDNSSpecifiedDomains, []string{everyDomain}) {
		complete.PrivateDNSSpecifiedDomains = nil // which says what leaving it out says
	}
	specified := complete.PrivateDNSPreference == lattice.PreferSpecified ||
		complete.PrivateDNSPreference == lattice.PreferVerifiedAndSpecified
	if specified != (len(complete.PrivateDNSSpecifiedDomains) > 0) {
		return nil, lattice.Invalid("dnsOptions.privateDnsSpecifiedDomains",
			"goes with the preferences %s and %s, which need it", lattice.PreferVerifiedAndSpecified, lattice.PreferSpecified)
	}
	if !specified {
		complete.PrivateDNSSpecifiedDomains = []string{everyDomain}
	}
	return &complete, nil
}

// CreateServiceNetworkVPCAssociation lets the clients of a VPC call the services of a service network. A VPC has one
// such association at most.
func (op *call) CreateServiceNetworkVPCAssociation(
	in *lattice.CreateServiceNetworkVPCAssociationRequest) (*lattice.CreateServiceNetworkVPCAssociationResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	options, err := completeDNS(in.PrivateDNSEnabled, in.DNSOptions)
	if err != nil {
		return nil, err
	}
	op.Set("vpc-lattice:ServiceNetworkArn", serviceNetworks.named(op, "", in.ServiceNetworkIdentifier))
	op.Set("vpc-lattice:VpcId", in.VPCIdentifier)
	op.setAssociationKeys(in.SecurityGroupIDs, options)
	return respond(lattice.NewCreateServiceNetworkVPCAssociationResponse)(vpcAssociations.create(op,
		order{request: in, token: in.ClientToken, tags: in.Tags}, func() (*lattice.ServiceNetworkVPCAssociation, error) {
			return op.newVPCAssociation(in, options)
		}))
}

// setAssociationKeys sets the condition keys for what a request wants of an association.
func (op *call) setAssociationKeys(securityGroups []string, options *lattice.DNSOptions) {
	op.Set("vpc-lattice:SecurityGroupIds", securityGroups...)
	if options != nil {
		op.Set("vpc-lattice:PrivateDnsPreference", options.PrivateDNSPreference)
		op.Set("vpc-lattice:PrivateDnsSpecifiedDomains", options.PrivateDNSSpecifiedDomains...)
	}
}

func (op *call) newVPCAssociation(in *lattice.CreateServiceNetworkVPCAssociationRequest, options *lattice.DNSOptions) (*lattice.ServiceNetworkVPCAssociation, error) {
	network, err := serviceNetworks.find(op, "", in.ServiceNetworkIdentifier)
	if err != nil {
		return nil, err
	}
	vpc, err := op.findVPC(in.VPCIdentifier)
	if err != nil {
		return nil, err
	}
	if err := op.checkSecurityGroups(in.SecurityGroupIDs, vpc.ID); err != nil {
		return nil, err
	}
	address, err := freeAddress(op.Tx, vpc.ID)
	if err != nil {
		return nil, err
	}
	id, now := lattice.KindServiceNetworkVPCAssociation.NewID(op.Random), op.time()
	association := &lattice.ServiceNetworkVPCAssociation{
		ID: id, ARN: op.home(op.Account).ARN(lattice.KindServiceNetworkVPCAssociation, id),
		Status: lattice.StatusCreateInProgress, CreatedBy: op.Account, CreatedAt: now, LastUpdatedAt: now,
		ServiceNetworkID: network.ID, ServiceNetworkName: network.Name, ServiceNetworkARN: network.ARN,
		VPCID: vpc.ID, Address: address, SecurityGroupIDs: in.SecurityGroupIDs,
		PrivateDNSEnabled: in.PrivateDNSEnabled, DNSOptions: options,
		Tags: in.Tags, ClientToken: in.ClientToken,
	}
	if association.PrivateDNSEnabled == nil {
		association.PrivateDNSEnabled = new(false)
	}
	return association, nil
}

// freeAddress is the first address of a VPC that can be given to the door of a service network.
func freeAddress(tx *store.Tx, vpc string) (netip.Addr, error) {
	taken, _, err := claims.List(tx, addressClaim(vpc, ""), "", 0)
	if err != nil {
		return netip.Addr{}, err
	}
	for a := addressing.FirstDoor; a.Compare(addressing.LastDoor) <= 0; a = a.Next() {
		isIts := func(e store.Entry[string]) bool { return e.ID == addressClaim(vpc, a.String()) }
		if !slices.ContainsFunc(taken, isIts) {
			return a, nil
		}
	}
	return netip.Addr{}, lattice.ConflictError(lattice.KindServiceNetworkVPCAssociation, vpc,
		"VPC %s has no address left "+
			"from %s to %s; delete an association", vpc, addressing.FirstDoor, addressing.LastDoor)
}

// completeAddresses claims the addresses of associations from before they kept theirs, unless it has been done.
var completeAddresses = ownership.Once(claimsComplete, "vpc-address",
	ownership.Each(vpcAssociations.Objects, func(tx *store.Tx, a *lattice.ServiceNetworkVPCAssociation) error {
		hold := holdAddress(a)
		return hold.Index.Put(tx, hold.Key, hold.Value)
	}))

// GetServiceNetworkVPCAssociation describes an association.
func (op *call) GetServiceNetworkVPCAssociation(
	in *lattice.GetServiceNetworkVPCAssociationRequest) (*lattice.GetServiceNetworkVPCAssociationResponse, error) {
	return respond(lattice.NewGetServiceNetworkVPCAssociationResponse)(vpcAssociations.find(op, "", in.Identifier))
}

// UpdateServiceNetworkVPCAssociation changes what the request has of an association. Security groups can be replaced
// but never all removed: that takes a new association.
func (op *call) UpdateServiceNetworkVPCAssociation(
	in *lattice.UpdateServiceNetworkVPCAssociationRequest) (*lattice.UpdateServiceNetworkVPCAssociationResponse, error) {
	isEmpty := in.PrivateDNSEnabled == nil && in.DNSOptions == nil
	if len(in.SecurityGroupIDs) == 0 && (in.SecurityGroupIDs != nil || isEmpty) {
		return nil, lattice.Invalid("securityGroupIds", "SecurityGroupIds cannot be empty")
	}
	op.setAssociationKeys(in.SecurityGroupIDs, in.DNSOptions)
	association, err := vpcAssociations.settled(vpcAssociations.find(op, "", in.Identifier))
	if err != nil {
		return nil, err
	}
	if in.SecurityGroupIDs != nil {
		if err := op.checkSecurityGroups(in.SecurityGroupIDs, association.VPCID); err != nil {
			return nil, err
		}
		association.SecurityGroupIDs = in.SecurityGroupIDs
	}
	if err := updateDNS(association, in); err != nil {
		return nil, err
	}
	association.Status, association.LastUpdatedAt, association.Failure = lattice.StatusUpdateInProgress, op.time(),
		lattice.Failure{}
	return lattice.NewUpdateServiceNetworkVPCAssociationResponse(association),
		vpcAssociations.put(op, association)
}

// updateDNS changes private DNS. Turning it off drops its options.
func updateDNS(association *lattice.ServiceNetworkVPCAssociation, in *lattice.UpdateServiceNetworkVPCAssociationRequest) (err error) {
	options := in.DNSOptions
	if in.PrivateDNSEnabled != nil {
		association.PrivateDNSEnabled = in.PrivateDNSEnabled
	}
	if options == nil && *association.PrivateDNSEnabled {
		options = association.DNSOptions
	}
	association.DNSOptions, err = completeDNS(association.PrivateDNSEnabled, options)
	return err
}

// DeleteServiceNetworkVPCAssociation begins the deletion of an association.
func (op *call) DeleteServiceNetworkVPCAssociation(
	in *lattice.DeleteServiceNetworkVPCAssociationRequest) (*lattice.DeleteServiceNetworkVPCAssociationResponse, error) {
	association, err := vpcAssociations.settled(vpcAssociations.find(op, "", in.Identifier))
	if err != nil {
		return nil, err
	}
	association.Status, association.LastUpdatedAt = lattice.StatusDeleteInProgress, op.time()
	return lattice.NewDeleteServiceNetworkVPCAssociationResponse(association), vpcAssociations.put(op, association)
}

// dropVPCAssociation removes an association that no node knows any more.
func dropVPCAssociation(tx *store.Tx, a *lattice.ServiceNetworkVPCAssociation) error {
	vpcAssociations.Delete(tx, a)
	return nil
}

// ListServiceNetworkVPCAssociations lists the associations of a VPC, of a service network, or of both.
func (op *call) ListServiceNetworkVPCAssociations(
	in *lattice.ListServiceNetworkVPCAssociationsRequest) (*lattice.List[lattice.ServiceNetworkVPCAssociationSummary],
	error) {
	if in.VPCIdentifier == "" && in.ServiceNetworkIdentifier == "" {
		return nil, lattice.Invalid("serviceNetworkIdentifier", "give a service network or a VPC")
	}
	network := lattice.IDOf(in.ServiceNetworkIdentifier)
	if network != "" {
		if _, err := serviceNetworks.read(op, "", in.ServiceNetworkIdentifier); err != nil {
			return nil, err
		}
	}
	keep := func(a *lattice.ServiceNetworkVPCAssociation) bool {
		return (network == "" || a.ServiceNetworkID == network) && (in.VPCIdentifier == "" || a.VPCID == in.VPCIdentifier)
	}
	return paginate(op, in.Page, network+" "+in.VPCIdentifier, scan(op, vpcAssociations, "", keep,
		summarise(lattice.NewServiceNetworkVPCAssociationSummary)))
}
