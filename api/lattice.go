package api

import "pergola/control"

// latticeOperations is the table of VPC Lattice.
func latticeOperations(c *control.Control) []operation {
	return with(settles, latticeTable(c),
		"CreateService", "DeleteService", "CreateTargetGroup", "DeleteTargetGroup",
		"CreateServiceNetworkServiceAssociation", "DeleteServiceNetworkServiceAssociation",
		"CreateServiceNetworkVpcAssociation", "UpdateServiceNetworkVpcAssociation",
		"DeleteServiceNetworkVpcAssociation",
		"CreateResourceGateway", "UpdateResourceGateway", "DeleteResourceGateway",
		"CreateResourceConfiguration", "UpdateResourceConfiguration",
		"CreateServiceNetworkResourceAssociation", "DeleteServiceNetworkResourceAssociation",
	)
}
