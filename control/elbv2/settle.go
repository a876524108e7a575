package elbv2

import (
	"pergola/aws/elbv2"
	"pergola/control/operation"
	"pergola/control/settling"
	"pergola/store"
)

// Rows are the kinds that are settled: load balancers are provisioning until every live node has made them.
func Rows() []settling.Row {
	return []settling.Row{{Kind: elbv2.KindLoadBalancer, Waits: settling.StatusWaits, Settle: settle}}
}

func settle(tx *store.Tx, path string, verdict settling.Verdict) error {
	l, err := settling.Read(tx, loadBalancers.Objects, path, verdict,
		func(l *elbv2.LoadBalancer) bool { return l.Status.InProgress() })
	if l == nil || !verdict.Judge(&l.Status, &l.Failure, true) {
		return err
	}
	return loadBalancers.Put(operation.Within(tx, ""), l)
}
