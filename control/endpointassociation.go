package control

import (
	"strings"

	"pergola/lattice"
)

// ListResourceEndpointAssociations lists the VPC endpoints that are associated with a resource configuration. There are
// none: no VPC has endpoints yet.
func (op *call) ListResourceEndpointAssociations(in *lattice.ListResourceEndpointAssociationsRequest) (
	*lattice.List[lattice.ResourceEndpointAssociationSummary], error) {
	op.Set("vpc-lattice:ResourceConfigurationArn",
		resourceConfigurations.named(op, "", in.ResourceConfigurationIdentifier))
	op.Set("vpc-lattice:VpcEndpointId", in.VPCEndpointID)
	if _, err := resourceConfigurations.read(op, "", in.ResourceConfigurationIdentifier); err != nil {
		return nil, err
	}
	scope := strings.Join([]string{lattice.IDOf(in.ResourceConfigurationIdentifier),
		lattice.IDOf(in.ResourceEndpointAssociationIdentifier), in.VPCEndpointID, in.VPCEndpointOwner}, " ")
	return paginate(op, in.Page, scope, none[lattice.ResourceEndpointAssociationSummary])
}

// DeleteResourceEndpointAssociation cuts the VPC endpoint of a consumer off a resource configuration. There is none yet
// that could be cut off.
func (op *call) DeleteResourceEndpointAssociation(in *lattice.DeleteResourceEndpointAssociationRequest) (
	*lattice.DeleteResourceEndpointAssociationResponse, error) {
	kind, id := lattice.KindResourceEndpointAssociation, lattice.IDOf(in.Identifier)
	arn := in.Identifier
	if arn == id {
		arn = op.home(op.Account).ARN(kind, id)
	}
	if err := op.May(arn, nil); err != nil {
		return nil, err
	}
	return nil, lattice.NotFoundError(kind, id)
}

// ListServiceNetworkVPCEndpointAssociations lists the VPC endpoints of a service network. There are none: no VPC has
// endpoints yet.
func (op *call) ListServiceNetworkVPCEndpointAssociations(
	in *lattice.ListServiceNetworkVPCEndpointAssociationsRequest) (
	*lattice.List[lattice.ServiceNetworkEndpointAssociation], error) {
	if _, err := serviceNetworks.read(op, "", in.ServiceNetworkIdentifier); err != nil {
		return nil, err
	}
	return paginate(op, in.Page, lattice.IDOf(in.ServiceNetworkIdentifier),
		none[lattice.ServiceNetworkEndpointAssociation])
}

// none is the source of a listing of what does not exist.
func none[S any](string, func(string, S) bool) error { return nil }
