package elbv2

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"pergola/aws"
	resources "pergola/aws/ec2"
	"pergola/aws/elbv2"
	"pergola/control"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

// codeTarget is the code of errors about targets.
const codeTarget = "InvalidTarget"

// maxTargets is the default of how many targets a target group may have (Elastic Load Balancing, "Quotas for your
// Application Load Balancers").
const maxTargets = 1000

// resolve spells a target as the store does: with its port, and an address in its shortest form.
func resolve(g *elbv2.TargetGroup, t elbv2.TargetDescription) elbv2.Target {
	if address, err := netip.ParseAddr(t.ID); err == nil && g.Type == elbv2.TargetIP {
		t.ID = address.String()
	}
	return elbv2.Target{ID: t.ID, Port: cmp.Or(t.Port, g.Port)}
}

// RegisterTargets adds targets to a target group, all or none. What is registered already stays.
func (op *call) RegisterTargets(in *elbv2.TargetsRequest) error {
	g, err := targetGroups.find(op, in.ARN)
	if err != nil {
		return err
	}
	vpc, err := vpcs.Get(op.Tx, g.VPC)
	if errors.Is(err, store.ErrNotFound) {
		return aws.Errorf(codeTarget, "%s, the VPC of the target group, does not exist any more", g.VPC)
	}
	if err != nil {
		return err
	}
	for _, given := range in.Targets {
		target := resolve(g, given)
		if slices.Contains(g.Targets, target) {
			continue
		}
		if err := op.checkTarget(g, vpc, target.ID); err != nil {
			return err
		}
		g.Targets = append(g.Targets, target)
	}
	if err := op.Quotas.Room(elbv2.QuotaTargets, len(g.Targets)); err != nil {
		return err
	}
	return targetGroups.Put(op.Call, g)
}

// checkTarget refuses what cannot be a target of a group.
func (op *call) checkTarget(g *elbv2.TargetGroup, vpc resources.VPC, id string) error {
	if g.Type == elbv2.TargetIP {
		address, err := netip.ParseAddr(id)
		switch {
		case err != nil || !address.Is4():
			return aws.Errorf("ValidationError", "'%s' is not an IPv4 address", id)
		case !vpc.CIDR.Contains(address):
			return aws.Errorf(codeTarget, "The IP address '%s' is not within %s, the addresses of %s; nothing else can be reached from there", id, vpc.CIDR, vpc.ID)
		}
		return nil
	}
	instance, err := op.instance(id)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return err
	case err != nil || instance.Account != op.Account:
		return aws.Errorf(codeTarget, "The following targets do not exist: '%s'", id)
	case instance.VPC != g.VPC:
		return aws.Errorf(codeTarget, "The following targets are not in the target group VPC '%s': '%s'", g.VPC, id)
	case instance.State() != resources.InstanceRunning:
		return aws.Errorf(codeTarget, "The following targets are not in a running state and cannot be registered: '%s'", id)
	}
	return nil
}

// instance reads an instance with its status.
func (op *call) instance(id string) (resources.Instance, error) {
	return resource.ReadForeign(op.Tx, resources.KindInstance, id,
		func(i *resources.Instance) *lattice.Stage { return &i.Stage })
}

// DeregisterTargets takes targets out of a target group. They get no new request; those in flight end as they would. A
// target without a port stands for all ports that it is registered with. One that is not registered is out already (API
// reference, DeregisterTargets).
func (op *call) DeregisterTargets(in *elbv2.TargetsRequest) error {
	g, err := targetGroups.find(op, in.ARN)
	if err != nil {
		return err
	}
	for _, given := range in.Targets {
		gone := resolve(g, given)
		g.Targets = slices.DeleteFunc(g.Targets, func(t elbv2.Target) bool {
			return t.ID == gone.ID && (given.Port == 0 || t.Port == given.Port)
		})
	}
	return targetGroups.Put(op.Call, g)
}

// DescribeTargetHealth tells the health of the targets of a group, or of some of them, as the nodes see it.
func (op *call) DescribeTargetHealth(
	in *elbv2.DescribeTargetHealthRequest) (*elbv2.DescribeTargetHealthResponse, error) {
	g, err := targetGroups.read(op, in.ARN)
	if err != nil {
		return nil, err
	}
	users, err := op.usersOf(g)
	if err != nil {
		return nil, err
	}
	reports, err := control.TargetReports(op.Ctx, op.Store, g.ID)
	if err != nil {
		return nil, err
	}
	wanted := g.Targets
	if len(in.Targets) > 0 {
		wanted = nil
		for _, given := range in.Targets {
			wanted = append(wanted, resolve(g, given))
		}
	}
	descriptions, err := each(wanted, func(target elbv2.Target) (elbv2.TargetHealthDescription, error) {
		health, err := op.healthOf(g, target, len(users) > 0)
		if health.State == "" {
			health = reported(target.Key(), reports)
		}
		d := elbv2.TargetHealthDescription{Target: elbv2.TargetDescription{ID: target.ID, Port: target.Port}, Health: health}
		if d.CheckPort = portOf(g.HealthCheck); d.CheckPort == trafficPort {
			d.CheckPort = strconv.Itoa(int(target.Port))
		}
		return d, err
	})
	return &elbv2.DescribeTargetHealthResponse{Descriptions: descriptions}, err
}

// healthOf is the health of a target as far as it follows from what the control plane knows, or zero.
func (op *call) healthOf(g *elbv2.TargetGroup, target elbv2.Target, inUse bool) (elbv2.TargetHealth, error) {
	unused := func(reason, description string) (elbv2.TargetHealth, error) {
		return elbv2.TargetHealth{State: "unused", Reason: reason, Description: description}, nil
	}
	switch {
	case !slices.Contains(g.Targets, target):
		return unused("Target.NotRegistered", "Target is not registered to the target group")
	case !inUse:
		return unused("Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
	case g.Type == elbv2.TargetInstance:
		instance, err := op.instance(target.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && instance.State() != resources.InstanceRunning {
			return unused("Target.InvalidState", "Target is in the stopped or terminated state")
		}
		return elbv2.TargetHealth{}, err
	}
	return elbv2.TargetHealth{}, nil
}

// reported is the health of a target as the nodes report it. Where they disagree the worst counts.
func reported(key string, reports []lattice.TargetReport) elbv2.TargetHealth {
	worst := elbv2.TargetHealth{State: "initial", Reason: "Elb.RegistrationInProgress", Description: "Target registration is in progress"}
	severity := map[lattice.TargetStatus]int{lattice.TargetHealthy: 1, lattice.TargetInitial: 2, lattice.TargetUnhealthy: 3}
	described := map[lattice.TargetStatus]elbv2.TargetHealth{
		lattice.TargetHealthy:   {State: "healthy"},
		lattice.TargetInitial:   {State: "initial", Reason: "Elb.InitialHealthChecking", Description: "Initial health checks in progress"},
		lattice.TargetUnhealthy: {State: "unhealthy", Reason: "Target.FailedHealthChecks", Description: "Health checks failed"},
	}
	seen := 0
	for _, report := range reports {
		if status := report[key].Status; severity[status] > seen {
			worst, seen = described[status], severity[status]
		}
	}
	return worst
}
