package api

import "pergola/control"

// latticeOperations is the table of VPC Lattice, version 2022-11-30. A test joins it with the published model.
func latticeOperations(c *control.Control) []operation {
	return []operation{
		rest("CreateServiceNetwork", "POST", "/servicenetworks", 201, c.CreateServiceNetwork),
		rest("GetServiceNetwork", "GET", "/servicenetworks/{serviceNetworkIdentifier}", 200, c.GetServiceNetwork),
		rest("UpdateServiceNetwork", "PATCH", "/servicenetworks/{serviceNetworkIdentifier}", 200, c.UpdateServiceNetwork),
		rest("DeleteServiceNetwork", "DELETE", "/servicenetworks/{serviceNetworkIdentifier}", 204, c.DeleteServiceNetwork),
		rest("ListServiceNetworks", "GET", "/servicenetworks", 200, c.ListServiceNetworks),

		settles(rest("CreateService", "POST", "/services", 201, c.CreateService)),
		rest("GetService", "GET", "/services/{serviceIdentifier}", 200, c.GetService),
		rest("UpdateService", "PATCH", "/services/{serviceIdentifier}", 200, c.UpdateService),
		settles(rest("DeleteService", "DELETE", "/services/{serviceIdentifier}", 200, c.DeleteService)),
		rest("ListServices", "GET", "/services", 200, c.ListServices),

		rest("CreateListener", "POST", "/services/{serviceIdentifier}/listeners", 201, c.CreateListener),
		rest("GetListener", "GET", "/services/{serviceIdentifier}/listeners/{listenerIdentifier}", 200, c.GetListener),
		rest("UpdateListener", "PATCH", "/services/{serviceIdentifier}/listeners/{listenerIdentifier}", 200, c.UpdateListener),
		rest("DeleteListener", "DELETE", "/services/{serviceIdentifier}/listeners/{listenerIdentifier}", 204, c.DeleteListener),
		rest("ListListeners", "GET", "/services/{serviceIdentifier}/listeners", 200, c.ListListeners),

		rest("CreateRule", "POST", "/services/{serviceIdentifier}/listeners/{listenerIdentifier}/rules", 201, c.CreateRule),
		rest("GetRule", "GET", "/services/{serviceIdentifier}/listeners/{listenerIdentifier}/rules/{ruleIdentifier}", 200, c.GetRule),
		rest("UpdateRule", "PATCH", "/services/{serviceIdentifier}/listeners/{listenerIdentifier}/rules/{ruleIdentifier}", 200, c.UpdateRule),
		rest("BatchUpdateRule", "PATCH", "/services/{serviceIdentifier}/listeners/{listenerIdentifier}/rules", 200, c.BatchUpdateRule),
		rest("DeleteRule", "DELETE", "/services/{serviceIdentifier}/listeners/{listenerIdentifier}/rules/{ruleIdentifier}", 204, c.DeleteRule),
		rest("ListRules", "GET", "/services/{serviceIdentifier}/listeners/{listenerIdentifier}/rules", 200, c.ListRules),

		settles(rest("CreateTargetGroup", "POST", "/targetgroups", 201, c.CreateTargetGroup)),
		rest("GetTargetGroup", "GET", "/targetgroups/{targetGroupIdentifier}", 200, c.GetTargetGroup),
		rest("UpdateTargetGroup", "PATCH", "/targetgroups/{targetGroupIdentifier}", 200, c.UpdateTargetGroup),
		settles(rest("DeleteTargetGroup", "DELETE", "/targetgroups/{targetGroupIdentifier}", 200, c.DeleteTargetGroup)),
		rest("ListTargetGroups", "GET", "/targetgroups", 200, c.ListTargetGroups),
		rest("RegisterTargets", "POST", "/targetgroups/{targetGroupIdentifier}/registertargets", 200, c.RegisterTargets),
		rest("DeregisterTargets", "POST", "/targetgroups/{targetGroupIdentifier}/deregistertargets", 200, c.DeregisterTargets),
		rest("ListTargets", "POST", "/targetgroups/{targetGroupIdentifier}/listtargets", 200, c.ListTargets),

		settles(rest("CreateServiceNetworkServiceAssociation", "POST", "/servicenetworkserviceassociations", 200,
			c.CreateServiceNetworkServiceAssociation)),
		rest("GetServiceNetworkServiceAssociation", "GET", "/servicenetworkserviceassociations/{serviceNetworkServiceAssociationIdentifier}", 200, c.GetServiceNetworkServiceAssociation),
		settles(rest("DeleteServiceNetworkServiceAssociation", "DELETE",
			"/servicenetworkserviceassociations/{serviceNetworkServiceAssociationIdentifier}", 200,
			c.DeleteServiceNetworkServiceAssociation)),
		rest("ListServiceNetworkServiceAssociations", "GET", "/servicenetworkserviceassociations", 200, c.ListServiceNetworkServiceAssociations),

		settles(rest("CreateServiceNetworkVpcAssociation", "POST", "/servicenetworkvpcassociations", 200,
			c.CreateServiceNetworkVPCAssociation)),
		rest("GetServiceNetworkVpcAssociation", "GET", "/servicenetworkvpcassociations/{serviceNetworkVpcAssociationIdentifier}", 200, c.GetServiceNetworkVPCAssociation),
		settles(rest("UpdateServiceNetworkVpcAssociation", "PATCH",
			"/servicenetworkvpcassociations/{serviceNetworkVpcAssociationIdentifier}", 200,
			c.UpdateServiceNetworkVPCAssociation)),
		settles(rest("DeleteServiceNetworkVpcAssociation", "DELETE",
			"/servicenetworkvpcassociations/{serviceNetworkVpcAssociationIdentifier}", 200,
			c.DeleteServiceNetworkVPCAssociation)),
		rest("ListServiceNetworkVpcAssociations", "GET", "/servicenetworkvpcassociations", 200, c.ListServiceNetworkVPCAssociations),

		rest("PutAuthPolicy", "PUT", "/authpolicy/{resourceIdentifier}", 200, c.PutAuthPolicy),
		rest("GetAuthPolicy", "GET", "/authpolicy/{resourceIdentifier}", 200, c.GetAuthPolicy),
		rest("DeleteAuthPolicy", "DELETE", "/authpolicy/{resourceIdentifier}", 204, c.DeleteAuthPolicy),

		rest("TagResource", "POST", "/tags/{resourceArn}", 200, c.TagResource),
		rest("UntagResource", "DELETE", "/tags/{resourceArn}", 200, c.UntagResource),
		rest("ListTagsForResource", "GET", "/tags/{resourceArn}", 200, c.ListTagsForResource),
	}
}
