package elbv2_test

import (
	"testing"

	nouns "pergola/aws/elbv2"
	"pergola/control/elbv2"
	"pergola/control/settling"
	"pergola/lattice"
	"pergola/store"
)

func TestFault_A1_LoadBalancersThatCannotBeMadeHaveFailed(t *testing.T) {
	w := newWorld(t)
	l := w.balancer(w.place(), "shop")
	row := elbv2.Rows()[0]
	settle := func(reason string) {
		t.Helper()
		w.write(func(tx *store.Tx) error {
			entries, _, err := store.NewStatusKind[lattice.Stage](nouns.KindLoadBalancer).List(tx, "", "", 0)
			if err != nil {
				return err
			}
			return row.Settle(tx, entries[0].ID, settling.Verdict{Revision: entries[0].Revision,
				Failure: lattice.Failure{FailureMessage: reason}})
		})
	}
	for _, step := range []struct{ fails, state string }{
		{"the port is taken", "failed"}, {"", "active"}, {"the port is taken", "active_impaired"}, {"", "active"},
	} {
		settle(step.fails)
		got := must(w, w.DescribeLoadBalancers, nouns.DescribeLoadBalancersRequest{ARNs: []string{l.ARN}}).LoadBalancers[0]
		if got.State != step.state || got.Reason != step.fails {
			t.Errorf("with the failure %q it is %s for %q, want %s", step.fails, got.State, got.Reason, step.state)
		}
	}
	settle("the port is taken")
	must(w, w.DeleteLoadBalancer, nouns.LoadBalancerRequest{ARN: l.ARN})
}
