package elbv2

import (
	"pergola/aws/elbv2"
	"pergola/control/resource"
	"pergola/control/settling"
)

// Rows are the kinds that are settled: load balancers are provisioning until every live node has made them.
func Rows() []settling.Row {
	return []settling.Row{loadBalancers.Row(resource.Course[elbv2.LoadBalancer]{Updates: true})}
}
