package explain

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"pergola/fabric/packetfilter"
	"pergola/lattice"
	"pergola/snapshot"
)

// Check is the last health check of a target.
type Check struct {
	// At is when its last health check ended; zero if none has.
	At time.Time
	// Err is what that met; nil if it passed.
	Err error
	// Avoided says that requests could not connect to the target, and go to others until they can.
	Avoided bool
}

// asked is how many targets of a group are tried, where none is healthy.
const asked = 3

// targets says which target groups may get the request, how their targets are, and what becomes of it there.
func (w *walk) targets() {
	var open, shut []string // groups that requests can come through, and why others let none
	for _, share := range w.rule.Action.Forward {
		problem := w.targetGroup(share)
		if problem == "" {
			open = append(open, share.Group.ID)
		} else {
			shut = append(shut, problem)
		}
	}
	switch {
	case len(open) > 0 && w.failing > 0:
		w.answer.Reason = fmt.Sprintf("allowed: forwarded by %s, but %d of %d %s fail: %s",
			w.rule.ID, w.failing, w.rule.Action.TotalWeight, w.what(), strings.Join(shut, "; "))
	case len(open) > 0 && w.doubt != "":
		w.answer.Reason = fmt.Sprintf("allowed: forwarded by %s, although %s", w.rule.ID, w.doubt)
	case len(open) > 0:
		w.answer.Reason = fmt.Sprintf("allowed: forwarded by %s", w.rule.ID)
	case w.refused && w.passesThrough():
		w.answer.Reason = "closed: " + strings.Join(shut, "; ")
	case w.refused:
		w.answer.Reason = "answered: 503 Service Unavailable, since " + strings.Join(shut, "; ")
	case w.passesThrough():
		w.stop("target", "closed", "no target group of the rule has a target")
	default:
		w.stop("target", "answered", "503 Service Unavailable, since no target group of the rule has a target")
	}
}

// what passes.
func (w *walk) what() string {
	if w.passesThrough() {
		return "connections"
	}
	return "requests"
}

// targetGroup tells how a target group is, and returns why no request comes through it, "" if one does.
func (w *walk) targetGroup(share snapshot.WeightedTargetGroup) (problem string) {
	group := share.Group
	gate := Gate{Name: "target group", Verdict: Stopped,
		Detail: fmt.Sprintf("%s has no target that can receive requests", group.ID)}
	defer func() { w.answer.Gates = append(w.answer.Gates, gate) }()
	var usable []snapshot.Target
	well := 0
	for _, t := range group.Targets {
		health := w.Health[group.ID][t.Key]
		gate.More = append(gate.More, w.targetLine(group, t, health))
		if t.Draining || !t.Address.IsValid() && t.Function == "" {
			continue
		}
		usable = append(usable, t)
		if health.Status == lattice.TargetHealthy {
			well++
		}
	}
	if len(usable) == 0 {
		w.failing += share.Weight
		w.cure("register a target: aws vpc-lattice register-targets --target-group-identifier %s --targets id=…", group.ID)
		return gate.Detail
	}
	if share.Weight == 0 {
		gate.Detail = fmt.Sprintf("%s has the weight 0, so it gets no %s", group.ID, w.what())
		return gate.Detail
	}
	gate.Verdict = Passed
	gate.Detail = fmt.Sprintf("%s gets %d of %d %s; %d of its %d targets are healthy",
		group.ID, share.Weight, w.rule.Action.TotalWeight, w.what(), well, len(group.Targets))
	if well > 0 || group.Type == lattice.TargetLambda {
		return ""
	}
	if group.HealthCheck != nil {
		w.doubt = "no target of " + group.ID + " is healthy"
		gate.Detail += ": none is, so all of them get some (the group fails open)"
		w.cureHealth(group)
	}
	if problem = w.unreachable(group, usable); problem != "" {
		gate.Verdict = Stopped
		w.failing += share.Weight
		w.refused = true
	}
	return problem
}

// targetLine is how a target is, and what its last check met.
func (w *walk) targetLine(group *snapshot.TargetGroup, t snapshot.Target, health lattice.TargetHealth) string {
	line := strings.TrimSpace(fmt.Sprintf("%s is %s %s", t.Key, cmp.Or(health.Status, lattice.TargetInitial),
		health.ReasonCode))
	if problem, cures := w.blocked(group, t.Address); problem != "" {
		line += "; " + problem
		for _, cure := range cures {
			w.cure("%s", cure)
		}
	}
	if w.Last == nil {
		return line
	}
	last := w.Last(group.ID, t.Key)
	switch {
	case last.Err != nil:
		line += ": the last health check met: " + last.Err.Error()
	case last.At.IsZero() && group.HealthCheck != nil && health.Status == lattice.TargetInitial:
		line += ": it was not checked yet"
	}
	if last.Avoided {
		line += "; it is avoided, since a request could not connect to it"
	}
	return line
}

// unreachable reports why no connection can be made to any of the targets of a group; "" if one can, or nobody knows.
func (w *walk) unreachable(group *snapshot.TargetGroup, targets []snapshot.Target) (problem string) {
	if w.Connect == nil {
		return ""
	}
	var met []string
	silent := false
	for _, t := range targets[:min(asked, len(targets))] {
		err := w.Connect(group.VPC, t.Address)
		if err == nil {
			return ""
		}
		met = append(met, fmt.Sprintf("%s: %v", t.Address, err))
		_, dropped := errors.AsType[*packetfilter.DroppedError](err)
		silent = silent || dropped
	}
	if len(targets) > asked {
		return "" // there are others
	}
	if !silent { // else the cure is another
		w.cureConnection(group, targets[0].Address)
	}
	return fmt.Sprintf("no connection to a target of %s can be made (%s)", group.ID, strings.Join(met, "; "))
}

// cureHealth is what to look at where no target is healthy.
func (w *walk) cureHealth(group *snapshot.TargetGroup) {
	h := group.HealthCheck
	port := "the port of each target"
	if h.Port != 0 {
		port = fmt.Sprintf("port %d", h.Port)
	}
	w.cure("how its targets are: aws vpc-lattice list-targets --target-group-identifier %s", group.ID)
	w.cure("they are asked for %s by %s on %s; if that is wrong: aws vpc-lattice update-target-group "+
		"--target-group-identifier %s --health-check enabled=true,protocol=%s,path=%s",
		cmp.Or(h.Path, "a connection"), h.Protocol, port, group.ID, h.Protocol, cmp.Or(h.Path, "/"))
}

// cureConnection is what to look at where no target can be connected to.
func (w *walk) cureConnection(group *snapshot.TargetGroup, address netip.AddrPort) {
	where := group.VPC
	if vpc := w.Snapshot.VPCs.Get(group.VPC); vpc != nil {
		for _, instance := range vpc.Instances {
			if instance.Address == address.Addr() {
				where = instance.ID
			}
		}
	}
	w.cure("start the server, on %s and not on 127.0.0.1; to see what listens there: pergola exec %s -- ss -ltn",
		address, where)
}
