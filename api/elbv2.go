package api

import "pergola/control/elbv2"

// elbv2Operations is the table of Elastic Load Balancing.
func elbv2Operations(c *elbv2.Control) []operation {
	return with(settles, elbv2Table(c), "CreateLoadBalancer")
}
