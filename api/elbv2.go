package api

import "pergola/control/elbv2"

// elbv2Operations is the table of Elastic Load Balancing, version 2015-12-01.
func elbv2Operations(c *elbv2.Control) []operation {
	return []operation{
		settles(action("CreateLoadBalancer", c.CreateLoadBalancer)),
		action("DescribeLoadBalancers", c.DescribeLoadBalancers),
		action("DeleteLoadBalancer", c.DeleteLoadBalancer),
		action("DescribeLoadBalancerAttributes", c.DescribeLoadBalancerAttributes),
		action("ModifyLoadBalancerAttributes", c.ModifyLoadBalancerAttributes),
		action("SetSecurityGroups", c.SetSecurityGroups),
		action("DescribeCapacityReservation", c.DescribeCapacityReservation),

		action("CreateListener", c.CreateListener),
		action("DescribeListeners", c.DescribeListeners),
		action("ModifyListener", c.ModifyListener),
		action("DeleteListener", c.DeleteListener),
		action("DescribeListenerAttributes", c.DescribeListenerAttributes),
		action("ModifyListenerAttributes", c.ModifyListenerAttributes),
		action("DescribeListenerCertificates", c.DescribeListenerCertificates),
		action("DescribeRules", c.DescribeRules),

		action("CreateTargetGroup", c.CreateTargetGroup),
		action("DescribeTargetGroups", c.DescribeTargetGroups),
		action("ModifyTargetGroup", c.ModifyTargetGroup),
		action("DeleteTargetGroup", c.DeleteTargetGroup),
		action("DescribeTargetGroupAttributes", c.DescribeTargetGroupAttributes),
		action("ModifyTargetGroupAttributes", c.ModifyTargetGroupAttributes),

		action("RegisterTargets", c.RegisterTargets),
		action("DeregisterTargets", c.DeregisterTargets),
		action("DescribeTargetHealth", c.DescribeTargetHealth),

		action("AddTags", c.AddTags),
		action("RemoveTags", c.RemoveTags),
		action("DescribeTags", c.DescribeTags),
	}
}
