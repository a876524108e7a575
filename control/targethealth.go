package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"pergola/lattice"
	"pergola/store"
)

// ListTargets lists the targets of a group, or some of them, with their health as the nodes see it.
func (op *call) ListTargets(in *lattice.ListTargetsRequest) (*lattice.List[lattice.TargetSummary], error) {
	group, err := targetGroups.read(op, "", in.TargetGroupIdentifier)
	if err != nil {
		return nil, err
	}
	health, err := op.healthOf(group)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, target := range in.Targets {
		target = resolve(group, target)
		wanted[lattice.TargetKey(target.ID, target.Port)] = true
	}
	return paginate(op, in.Page, group.ID, func(after string, yield func(string, lattice.TargetSummary) bool) error {
		entries, _, err := targets.List(op.Tx, below(group.ID), after, 0)
		for _, entry := range entries {
			target := entry.Value
			if len(wanted) > 0 && !wanted[target.Key()] {
				continue
			}
			is := health.of(target)
			if !yield(entry.ID, *lattice.NewTargetSummary(&target, &is)) {
				break
			}
		}
		return err
	})
}

// groupHealth is what is known of the targets of a group.
type groupHealth struct {
	group   *lattice.TargetGroup
	inUse   bool // requests can reach the group
	reports []lattice.TargetReport
}

func (op *call) healthOf(group *lattice.TargetGroup) (*groupHealth, error) {
	service, err := holderOf(op.Tx, groupServiceClaim(group.ID))
	if err != nil {
		return nil, err
	}
	h := &groupHealth{group: group}
	if service != "" {
		associated, err := claims.Count(op.Tx, serviceNetworkClaim(service, ""))
		if err != nil {
			return nil, err
		}
		h.inUse = associated > 0
	}
	h.reports, err = TargetReports(op.Ctx, op.Store, group.ID)
	return h, err
}

// of is the health of a target: first what follows from the control plane's own knowledge, then what the nodes say.
// Where they disagree the worst counts. UNUSED counts least: it only says that a node has no part in the group.
func (h *groupHealth) of(target lattice.RegisteredTarget) lattice.TargetHealth {
	switch {
	case target.DeregisteredAt != nil:
		return lattice.TargetHealth{Status: lattice.TargetDraining, ReasonCode: lattice.ReasonDeregistrationProgress}
	case h.group.Type == lattice.TargetLambda || h.group.Type == lattice.TargetALB:
		return lattice.TargetHealth{Status: lattice.TargetUnavailable, ReasonCode: lattice.ReasonHealthCheckNotSupported}
	case !h.inUse:
		return lattice.TargetHealth{Status: lattice.TargetUnused, ReasonCode: lattice.ReasonTargetGroupNotInUse}
	}
	worst := h.unreported()
	severity := map[lattice.TargetStatus]int{
		lattice.TargetUnused: 1, lattice.TargetHealthy: 2, lattice.TargetUnavailable: 3,
		lattice.TargetInitial: 4, lattice.TargetUnhealthy: 5,
	}
	reported := 0
	for _, report := range h.reports {
		if health := report[target.Key()]; severity[health.Status] > reported {
			worst, reported = health, severity[health.Status]
		}
	}
	return worst
}

// unreported is the health of a target that no node has reported yet.
func (h *groupHealth) unreported() lattice.TargetHealth {
	if check := h.group.Config.HealthCheck; check != nil && check.Enabled != nil && *check.Enabled {
		return lattice.TargetHealth{Status: lattice.TargetInitial, ReasonCode: lattice.ReasonHealthCheckInProgress}
	}
	return lattice.TargetHealth{Status: lattice.TargetUnavailable, ReasonCode: lattice.ReasonHealthCheckNotSupported}
}

// errRead ends the following of reports once they have been read.
var errRead = errors.New("read")

// TargetReports reads what the live nodes have reported of a target group. Reports live under leases, which transactions
// cannot read; the first that a follower gets is all there is, and that is enough.
func TargetReports(ctx context.Context, from *store.Store, group string) (reports []lattice.TargetReport, err error) {
	err = from.Follow(ctx, "lease/"+lattice.TargetReportPrefix(group), func(batch store.Batch) error {
		for _, change := range batch.Changes {
			var report lattice.TargetReport
			if err := json.Unmarshal(change.Value, &report); err != nil {
				return fmt.Errorf("report %s: %w", change.Key, err)
			}
			reports = append(reports, report)
		}
		return errRead
	})
	if errors.Is(err, errRead) {
		return reports, nil
	}
	return nil, err
}
