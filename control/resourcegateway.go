package control

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"pergola/aws"
	resources "pergola/aws/ec2"
	"pergola/control/ec2"
	"pergola/lattice"
	"pergola/store"
)

// gatewayResident is a resource gateway as EC2 knows it.
func gatewayResident(g *lattice.ResourceGateway) ec2.Resident {
	return ec2.Resident{ID: g.ID, SecurityGroups: g.SecurityGroupIDs}
}

// CreateResourceGateway makes a gateway with an address in each of some subnets of a VPC.
func (op *call) CreateResourceGateway(
	in *lattice.CreateResourceGatewayRequest) (*lattice.CreateResourceGatewayResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := checkGateway(in); err != nil {
		return nil, err
	}
	op.Set("vpc-lattice:VpcId", in.VPCIdentifier)
	gateway, err := resourceGateways.create(op, order{request: in, token: in.ClientToken, tags: in.Tags},
		func() (*lattice.ResourceGateway, error) { return op.newGateway(in) })
	if err != nil {
		return nil, err
	}
	answer := lattice.NewCreateResourceGatewayResponse(gateway)
	answer.VPCIdentifier = gateway.VPCID
	return answer, nil
}

// checkGateway refuses what no VPC can have. The model lets a gateway be without a VPC, but those are the ones that AWS
// services make for themselves.
func checkGateway(in *lattice.CreateResourceGatewayRequest) error {
	switch {
	case in.VPCIdentifier == "":
		return lattice.Invalid("vpcIdentifier", "is required")
	case len(in.SubnetIDs) == 0:
		return lattice.Invalid("subnetIds", "is required: a gateway has an address in one subnet at least")
	case in.IPAddressType != "" && in.IPAddressType != ipv4:
		return lattice.Invalid("ipAddressType",
			"is %s, for which all subnets need IPv6 addresses; the subnets of this deployment have IPv4 addresses only, so "+
				"leave it out or use %s",
			in.IPAddressType, ipv4)
	}
	return nil
}

func (op *call) newGateway(in *lattice.CreateResourceGatewayRequest) (*lattice.ResourceGateway, error) {
	vpc, err := op.findVPC(in.VPCIdentifier)
	if err != nil {
		return nil, err
	}
	places, err := op.subnetsFor(in.SubnetIDs, vpc.ID)
	if err != nil {
		return nil, err
	}
	groups, err := op.gatewayGroups(in.SecurityGroupIDs, vpc.ID)
	if err != nil {
		return nil, err
	}
	id, now := lattice.KindResourceGateway.NewID(op.Random), op.time()
	gateway := &lattice.ResourceGateway{
		ID: id, ARN: op.home(op.Account).ARN(lattice.KindResourceGateway, id), Name: in.Name,
		Status: lattice.StatusCreateInProgress, VPCID: vpc.ID, SubnetIDs: in.SubnetIDs, SecurityGroupIDs: groups,
		IPAddressType: ipv4, IPv4AddressesPerEni: in.IPv4AddressesPerEni,
		ResourceConfigDNSResolution: in.ResourceConfigDNSResolution,
		CreatedAt:                   now, LastUpdatedAt: now, Tags: in.Tags, ClientToken: in.ClientToken,
	}
	if gateway.IPv4AddressesPerEni == 0 {
		gateway.IPv4AddressesPerEni = lattice.DefaultIPv4AddressesPerEni
	}
	if gateway.ResourceConfigDNSResolution == "" {
		gateway.ResourceConfigDNSResolution = lattice.ResolvePublic
	}
	for _, place := range places {
		address, err := moveIn(op.Tx, gateway, place)
		if err != nil {
			return nil, err
		}
		gateway.Nodes = append(gateway.Nodes, lattice.GatewayNode{SubnetID: place.ID, Address: address})
	}
	return gateway, nil
}

// moveIn gives a gateway an address in a subnet.
func moveIn(tx *store.Tx, gateway *lattice.ResourceGateway, subnet *resources.Subnet) (netip.Addr, error) {
	address, err := gatewayResident(gateway).MoveIn(tx, subnet)
	var refused *aws.Error
	if errors.As(err, &refused) {
		return address, lattice.Invalid("subnetIds", "%s", refused.Message)
	}
	return address, err
}

// subnetsFor reads the subnets of a new gateway, which are of one VPC.
func (op *call) subnetsFor(ids []string, vpc string) ([]*resources.Subnet, error) {
	if err := op.mayDescribe("Subnets"); err != nil {
		return nil, err
	}
	var all []*resources.Subnet
	for i, id := range ids {
		field := fmt.Sprintf("subnetIds[%d]", i)
		if slices.Contains(ids[:i], id) {
			return nil, lattice.Invalid(field, "%s is in the list twice", id)
		}
		subnet, err := subnets.Get(op.Tx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil, lattice.NotFoundError(lattice.Kind{Name: resources.KindSubnet, ResourceType: "SUBNET"}, id)
		case err != nil:
			return nil, err
		case subnet.VPC != vpc:
			return nil, lattice.Invalid(field, "%s is not a subnet of %s", id, vpc)
		}
		all = append(all, &subnet)
	}
	return all, nil
}

// gatewayGroups are the security groups of a gateway: those that are asked for, or the VPC's default one.
func (op *call) gatewayGroups(ids []string, vpc string) ([]string, error) {
	if len(ids) == 0 {
		id, err := ec2.DefaultGroup(op.Tx, vpc)
		return []string{id}, err
	}
	return ids, op.checkSecurityGroups(ids, vpc)
}

// GetResourceGateway describes a gateway.
func (op *call) GetResourceGateway(
	in *lattice.GetResourceGatewayRequest) (*lattice.GetResourceGatewayResponse, error) {
	return respond(lattice.NewGetResourceGatewayResponse)(resourceGateways.find(op, "", in.ResourceGatewayIdentifier))
}

// UpdateResourceGateway changes the security groups of a gateway, all of them at once, and who resolves names behind
// it.
func (op *call) UpdateResourceGateway(
	in *lattice.UpdateResourceGatewayRequest) (*lattice.UpdateResourceGatewayResponse, error) {
	op.Set("vpc-lattice:SecurityGroupIds", in.SecurityGroupIDs...)
	gateway, err := resourceGateways.settled(resourceGateways.find(op, "", in.ResourceGatewayIdentifier))
	if err != nil {
		return nil, err
	}
	if in.SecurityGroupIDs != nil {
		groups, err := op.gatewayGroups(in.SecurityGroupIDs, gateway.VPCID)
		if err != nil {
			return nil, err
		}
		if err := gatewayResident(gateway).Regroup(op.Tx, groups); err != nil {
			return nil, err
		}
		gateway.SecurityGroupIDs = groups
	}
	if in.ResourceConfigDNSResolution != "" {
		if err := op.admitResolution(gateway, in.ResourceConfigDNSResolution); err != nil {
			return nil, err
		}
		gateway.ResourceConfigDNSResolution = in.ResourceConfigDNSResolution
	}
	gateway.Status, gateway.LastUpdatedAt, gateway.Failure = lattice.StatusUpdateInProgress, op.time(), lattice.Failure{}
	return lattice.NewUpdateResourceGatewayResponse(gateway), resourceGateways.put(op, gateway)
}

// admitResolution refuses a way to resolve names that does not go with what is behind the gateway: ranges of addresses
// need IN_VPC, and what AWS services run needs PUBLIC.
func (op *call) admitResolution(gateway *lattice.ResourceGateway, resolution string) error {
	refused := lattice.ResourceARN
	if resolution == lattice.ResolvePublic {
		refused = lattice.ResourceCIDR
	}
	n, err := claims.Count(op.Tx, gatewayConfigurationClaim(gateway.ID, refused, ""))
	if n > 0 {
		return lattice.ConflictError(lattice.KindResourceGateway, gateway.ID,
			"Resource gateway %s has resource configurations of type %s, with which resourceConfigDnsResolution cannot be %s",
			gateway.ID, refused, resolution)
	}
	return err
}

// DeleteResourceGateway begins the deletion of a gateway behind which there are no resource configurations any more.
func (op *call) DeleteResourceGateway(
	in *lattice.DeleteResourceGatewayRequest) (*lattice.DeleteResourceGatewayResponse, error) {
	gateway, err := resourceGateways.find(op, "", in.ResourceGatewayIdentifier)
	if err != nil {
		return nil, err
	}
	for _, kind := range []string{lattice.ResourceSingle, lattice.ResourceGroup, lattice.ResourceARN,
		lattice.ResourceCIDR} {
		n, err := claims.Count(op.Tx, gatewayConfigurationClaim(gateway.ID, kind, ""))
		if err != nil {
			return nil, err
		}
		if n > 0 {
			return nil, lattice.ConflictError(lattice.KindResourceGateway, gateway.ID,
				"Resource gateway %s has resource configuration(s) associated", gateway.ID)
		}
	}
	if gateway.Status != lattice.StatusDeleteInProgress {
		gateway.Status, gateway.LastUpdatedAt = lattice.StatusDeleteInProgress, op.time()
		err = resourceGateways.put(op, gateway)
	}
	return lattice.NewDeleteResourceGatewayResponse(gateway), err
}

// dropGateway removes a gateway that no node knows any more, and gives its addresses back.
func dropGateway(tx *store.Tx, gateway *lattice.ResourceGateway) error {
	for _, node := range gateway.Nodes {
		gatewayResident(gateway).MoveOut(tx, gateway.VPCID, node.SubnetID, node.Address)
	}
	resourceGateways.Delete(tx, gateway)
	return nil
}

// ListResourceGateways lists the gateways of the account.
func (op *call) ListResourceGateways(
	in *lattice.ListResourceGatewaysRequest) (*lattice.List[lattice.ResourceGatewaySummary], error) {
	return list(op, in.Page, resourceGateways, "", func(g *lattice.ResourceGateway) *lattice.ResourceGatewaySummary {
		summary := lattice.NewResourceGatewaySummary(g)
		summary.VPCIdentifier = g.VPCID
		return summary
	})
}
