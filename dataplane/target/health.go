package target

import (
	"pergola/lattice"
	"pergola/snapshot"
)

// health is what the checks so far say of a target.
type health struct {
	status lattice.TargetStatus // INITIAL, HEALTHY or UNHEALTHY
	streak int                  // how many results in a row have contradicted status
}

// unjudged is the health of a target before its first check.
func unjudged() health { return health{status: lattice.TargetInitial} }

// record takes in a result and reports whether the status changed. One success makes a new target healthy; otherwise it
// takes as many contrary results in a row as the threshold says (user guide, "Health check settings"). The guide says
// nothing of a new target that fails: it, too, is given its threshold before it is called unhealthy.
func (h *health) record(passed bool, settings *snapshot.HealthCheck) (changed bool) {
	says, threshold := lattice.TargetUnhealthy, settings.UnhealthyThreshold
	switch {
	case passed && h.status == lattice.TargetInitial:
		says, threshold = lattice.TargetHealthy, 1
	case passed:
		says, threshold = lattice.TargetHealthy, settings.HealthyThreshold
	}
	if h.status == says {
		h.streak = 0
		return false
	}
	if h.streak++; h.streak < threshold {
		return false
	}
	*h = health{status: says}
	return true
}

func (h *health) report() lattice.TargetHealth {
	report := lattice.TargetHealth{Status: h.status}
	switch h.status {
	case lattice.TargetInitial:
		report.ReasonCode = lattice.ReasonHealthCheckInProgress
	case lattice.TargetUnhealthy:
		report.ReasonCode = lattice.ReasonHealthCheckFailed
	}
	return report
}
