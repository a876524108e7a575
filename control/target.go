package control

import (
	"errors"
	"fmt"
	"net/netip"

	"pergola/addressing"
	"pergola/aws/ec2"
	"pergola/aws/lambda"
	"pergola/lattice"
	"pergola/store"
)

// The codes of TargetFailure.
const (
	failureInvalid  = "InvalidTarget"
	failureNotFound = "TargetNotFound"
)

// targetsOf are the targets of a group by their keys, draining ones included.
func targetsOf(tx *store.Tx, group string) (map[string]lattice.RegisteredTarget, error) {
	entries, _, err := targets.List(tx, below(group), "", 0)
	of := make(map[string]lattice.RegisteredTarget, len(entries))
	for _, entry := range entries {
		of[entry.Value.Key()] = entry.Value
	}
	return of, err
}

func putTarget(tx *store.Tx, target lattice.RegisteredTarget) error {
	return targets.Put(tx, below(target.TargetGroupID)+target.Key(), target)
}

// resolve spells a target as the store does: with its port, and an address in its shortest form.
func resolve(group *lattice.TargetGroup, target lattice.Target) lattice.Target {
	if target.Port == 0 {
		target.Port = group.Config.Port
	}
	if address, err := netip.ParseAddr(target.ID); err == nil && group.Type == lattice.TargetIP {
		target.ID = address.String()
	}
	return target
}

// RegisterTargets adds targets to a group (user guide, Register targets). A target that is registered already stays,
// and one that is draining comes back. Each target that cannot be added is reported; the others are added.
func (op *call) RegisterTargets(in *lattice.RegisterTargetsRequest) (*lattice.RegisterTargetsResponse, error) {
	group, err := targetGroups.settled(targetGroups.find(op, "", in.TargetGroupIdentifier))
	if err != nil {
		return nil, err
	}
	place, err := op.placeOf(group)
	if err != nil {
		return nil, err
	}
	answer, err := eachTarget(group, in.Targets, failureInvalid, place.refusal)
	if err != nil {
		return nil, err
	}
	return answer, errors.Join(op.register(group, answer.Successful), place.permit())
}

// eachTarget sorts the targets of a request into those that refusal has nothing against and the others. A target that
// is in the request twice is refused the second time.
func eachTarget(group *lattice.TargetGroup, given []lattice.Target, code string, refusal func(lattice.Target) (string, error)) (*lattice.RegisterTargetsResponse, error) {
	answer := &lattice.RegisterTargetsResponse{Successful: []lattice.Target{}, Unsuccessful: []lattice.TargetFailure{}}
	seen := map[lattice.Target]bool{}
	for _, target := range given {
		target = resolve(group, target)
		reason, err := refusal(target)
		if err != nil {
			return nil, err
		}
		if seen[target] {
			reason = "the target is in the request twice"
		}
		seen[target] = true
		if reason == "" {
			answer.Successful = append(answer.Successful, target)
			continue
		}
		answer.Unsuccessful = append(answer.Unsuccessful, lattice.TargetFailure{
			ID: target.ID, Port: target.Port, FailureCode: code, FailureMessage: reason,
		})
	}
	return answer, nil
}

// register writes targets that have been found good. Draining targets do not count against the quota.
func (op *call) register(group *lattice.TargetGroup, good []lattice.Target) error {
	known, err := targetsOf(op.Tx, group.ID)
	if err != nil {
		return err
	}
	active := 0
	for _, target := range known {
		if target.DeregisteredAt == nil {
			active++
		}
	}
	for _, target := range good {
		before, ok := known[lattice.TargetKey(target.ID, target.Port)]
		if ok && before.DeregisteredAt == nil {
			continue
		}
		active++
		if limit := op.limit(lattice.QuotaTargets); active > limit {
			return lattice.QuotaTargets.Exceeded(lattice.KindTarget, limit)
		}
		registered := lattice.RegisteredTarget{TargetGroupID: group.ID, ID: target.ID, Port: target.Port, RegisteredAt: op.time()}
		if err := errors.Join(putTarget(op.Tx, registered), claimLoadBalancer(op.Tx, group, target.ID)); err != nil {
			return err
		}
	}
	return nil
}

// targetPlace is where the targets of a group must be.
type targetPlace struct {
	op      *call
	group   *lattice.TargetGroup
	vpc     ec2.VPC      // zero for functions
	taken   string       // the function that a group of functions has, or ""
	subnets []ec2.Subnet // of the VPC, for groups of type IP
	// permitted is the function of the request that was found good, with the permission that it lacked; nil if it lacked none.
	permitted *lambda.Function
	// balancer is the load balancer of the request that was found good, for groups of type ALB.
	balancer *lattice.Target
}

func (op *call) placeOf(group *lattice.TargetGroup) (*targetPlace, error) {
	p := &targetPlace{op: op, group: group}
	var err error
	if group.Type == lattice.TargetInstance || group.Type == lattice.TargetIP {
		if err := op.mayDescribe("Subnets"); err != nil {
			return nil, err
		}
	}
	if group.Type == lattice.TargetInstance {
		if err := op.mayDescribe("Instances"); err != nil {
			return nil, err
		}
	}
	if group.Type != lattice.TargetLambda {
		if p.vpc, err = op.findVPC(group.Config.VPCIdentifier); err != nil {
			return nil, err
		}
	}
	if group.Type == lattice.TargetLambda {
		return p, p.findFunction()
	}
	if group.Type == lattice.TargetIP {
		p.subnets, err = op.subnetsOf(group.Config.VPCIdentifier)
	}
	return p, err
}

// refusal says why a target cannot be registered, or "".
func (p *targetPlace) refusal(target lattice.Target) (string, error) {
	switch p.group.Type {
	case lattice.TargetInstance:
		return p.refuseInstance(target.ID)
	case lattice.TargetIP:
		return p.refuseAddress(target.ID), nil
	case lattice.TargetLambda:
		return p.refuseFunction(target)
	default:
		return p.refuseLoadBalancer(target)
	}
}

func (p *targetPlace) refuseInstance(id string) (string, error) {
	instance, err := p.op.instance(id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "the instance does not exist", nil
	case err != nil:
		return "", err
	case instance.Account != p.op.Account:
		return "the instance is not in the account of the target group", nil
	case instance.VPC != p.vpc.ID:
		return fmt.Sprintf("the instance is not in %s, the VPC of the target group", p.vpc.ID), nil
	case instance.State() != ec2.InstanceRunning:
		return fmt.Sprintf("the instance is %s; only a running instance can be registered", instance.State()), nil
	}
	return "", nil
}

func (p *targetPlace) refuseAddress(id string) string {
	address, err := netip.ParseAddr(id)
	switch {
	case err != nil || address.Zone() != "" || address.Is4In6():
		return "the id is not an IP address"
	case address.Is4() != (p.group.Config.IPAddressType == ipv4):
		return "the target group has the IP address type " + p.group.Config.IPAddressType
	case !p.vpc.CIDR.Contains(address):
		return fmt.Sprintf("the address is not in %s, the addresses of %s", p.vpc.CIDR, p.vpc.ID)
	}
	for _, subnet := range p.subnets {
		if !subnet.CIDR.Contains(address) {
			continue
		}
		if addressing.IsReserved(subnet.CIDR, address) {
			return "the address is reserved: the first four and the last of a subnet belong to the VPC"
		}
		return ""
	}
	return "the address is in no subnet of " + p.vpc.ID
}

// DeregisterTargets takes targets out of a group. They get no new request and drain. Targets that are not registered
// are reported.
func (op *call) DeregisterTargets(in *lattice.DeregisterTargetsRequest) (*lattice.DeregisterTargetsResponse, error) {
	group, err := targetGroups.settled(targetGroups.find(op, "", in.TargetGroupIdentifier))
	if err != nil {
		return nil, err
	}
	known, err := targetsOf(op.Tx, group.ID)
	if err != nil {
		return nil, err
	}
	answer, err := eachTarget(group, in.Targets, failureNotFound, func(target lattice.Target) (string, error) {
		if _, ok := known[lattice.TargetKey(target.ID, target.Port)]; !ok {
			return "the target is not registered", nil
		}
		return "", nil
	})
	if err != nil {
		return nil, err
	}
	return (*lattice.DeregisterTargetsResponse)(answer), op.deregister(group, known, answer.Successful)
}

func (op *call) deregister(group *lattice.TargetGroup, known map[string]lattice.RegisteredTarget, gone []lattice.Target) error {
	now := op.time()
	for _, target := range gone {
		registered := known[lattice.TargetKey(target.ID, target.Port)]
		if registered.DeregisteredAt != nil {
			continue
		}
		registered.DeregisteredAt = &now
		releaseLoadBalancer(op.Tx, group, target.ID)
		if err := putTarget(op.Tx, registered); err != nil {
			return err
		}
	}
	return nil
}
