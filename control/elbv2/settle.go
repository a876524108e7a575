package elbv2

import "pergola/control/settling"

// Rows are the kinds that are settled: load balancers are provisioning until every live node has made them.
func Rows() []settling.Row { return []settling.Row{loadBalancers.Row(true, nil)} }
