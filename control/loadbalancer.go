package control

import (
	"errors"
	"fmt"

	"pergola/aws/elbv2"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

// maxGroupsOfLoadBalancer is in how many target groups a load balancer may be (user guide, "Application Load Balancers as
// targets in VPC Lattice").
const maxGroupsOfLoadBalancer = 2

// loadBalancer reads a load balancer of Elastic Load Balancing with its status, in the transaction that relies on it.
func (op *call) loadBalancer(id string) (elbv2.LoadBalancer, error) {
	return resource.ReadForeign(op.Tx, elbv2.KindLoadBalancer, id,
		func(l *elbv2.LoadBalancer) *lattice.Stage { return &l.Stage })
}

// refuseLoadBalancer says why a load balancer cannot be the one target of the group, or "". The port need not be that of
// a listener: the guide has it that traffic does not reach the load balancer then, and tools that make a listener after
// the registration could not work otherwise.
func (p *targetPlace) refuseLoadBalancer(target lattice.Target) (string, error) {
	balancer, err := p.op.loadBalancer(lattice.IDOf(target.ID))
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && balancer.ARN != target.ID:
		return "no Application Load Balancer of that ARN exists", nil
	case err != nil:
		return "", err
	case balancer.Account != lattice.AccountOf(p.group.ARN):
		return "the load balancer is not in the account of the target group", nil
	case balancer.VPC != p.vpc.ID:
		return fmt.Sprintf("the load balancer is not in %s, the VPC of the target group", p.vpc.ID), nil
	case balancer.Status == lattice.StatusCreateFailed:
		return "the load balancer could not be made: " + balancer.FailureMessage, nil
	case balancer.Status == lattice.StatusCreateInProgress:
		return "the load balancer is still provisioning; only an active load balancer can be registered", nil
	}
	known, err := targetsOf(p.op.Tx, p.group.ID)
	if err != nil {
		return "", err
	}
	for key, other := range known {
		if other.DeregisteredAt == nil && key != lattice.TargetKey(target.ID, target.Port) {
			return fmt.Sprintf("the target group has a load balancer already, %s; make another target group", key), nil
		}
	}
	if p.balancer != nil && *p.balancer != target {
		return fmt.Sprintf("a target group has one load balancer, and the request begins with %s", p.balancer.ID), nil
	}
	reason, err := p.refuseThirdGroup(balancer.ID)
	if reason == "" {
		p.balancer = &target
	}
	return reason, err
}

// refuseThirdGroup counts the target groups that a load balancer is in.
func (p *targetPlace) refuseThirdGroup(balancer string) (string, error) {
	holder, err := holderOf(p.op.Tx, balancerGroupClaim(balancer, p.group.ID))
	if err != nil || holder != "" {
		return "", err
	}
	n, err := claims.Count(p.op.Tx, balancerGroupClaim(balancer, ""))
	if n >= maxGroupsOfLoadBalancer {
		return fmt.Sprintf("the load balancer is in %d target groups, which is as many as there may be", n), err
	}
	return "", err
}

// claimLoadBalancer and releaseLoadBalancer note in which groups a load balancer is. They do nothing for targets of other
// types.
func claimLoadBalancer(tx *store.Tx, group *lattice.TargetGroup, target string) error {
	if group.Type != lattice.TargetALB {
		return nil
	}
	return claims.Put(tx, balancerGroupClaim(lattice.IDOf(target), group.ID), group.ID)
}

func releaseLoadBalancer(tx *store.Tx, group *lattice.TargetGroup, target string) {
	if group.Type == lattice.TargetALB {
		claims.Delete(tx, balancerGroupClaim(lattice.IDOf(target), group.ID))
	}
}
