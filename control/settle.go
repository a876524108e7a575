package control

import (
	"encoding/json"
	"time"

	"pergola/control/operation"
	"pergola/control/settling"
	"pergola/lattice"
	"pergola/store"
)

// drainTime is how long a draining target is kept at most, even if nodes still use it.
const drainTime = time.Minute

// Rows are the kinds of VPC Lattice that are settled. In creation or update a resource becomes ACTIVE when every live
// node has applied its last change, and one in deletion is gone, with all that was its own. A draining target is gone
// when no node has requests with it any more, or a minute after its deregistration.
func Rows() []settling.Row {
	return []settling.Row{
		rowOf(services, dropService), rowOf(targetGroups, dropTargetGroup),
		rowOf(serviceAssociations, dropServiceAssociation), rowOf(vpcAssociations, dropVPCAssociation),
		{Kind: lattice.KindTarget.Name, Waits: drains, Settle: dropTarget},
	}
}

// rowOf is the row of a kind with a status.
func rowOf[T any](n noun[T], drop func(*store.Tx, *T) error) settling.Row {
	return settling.Row{
		Kind: n.Name, Waits: settling.StatusWaits,
		Settle: func(tx *store.Tx, path string, verdict settling.Verdict) error {
			value, err := at(tx, n, path, verdict)
			if value == nil {
				return err
			}
			status, failure := n.progress(value)
			if isDeletion(*status) {
				return drop(tx, value)
			}
			if !verdict.Judge(status, failure, n.hasUpdates()) {
				return nil
			}
			return n.Put(operation.Within(tx, ""), value)
		},
		Fail: func(tx *store.Tx, path string, verdict settling.Verdict) (bool, error) {
			value, err := at(tx, n, path, verdict)
			if value == nil {
				return false, err
			}
			status, failure := n.progress(value)
			if !isDeletion(*status) || *status == lattice.StatusDeleteFailed && *failure == verdict.Failure {
				return false, nil // what is not a deletion could not say so either
			}
			*status, *failure = lattice.StatusDeleteFailed, verdict.Failure
			return true, n.Put(operation.Within(tx, ""), value)
		},
	}
}

// hasUpdates reports whether resources of a kind are updated in the background, and so have statuses for that.
func (n noun[T]) hasUpdates() bool { return n.kind == lattice.KindServiceNetworkVPCAssociation }

func isDeletion(status lattice.Status) bool {
	return status == lattice.StatusDeleteInProgress || status == lattice.StatusDeleteFailed
}

// at reads the object that a verdict is about, and is nil if the verdict is void.
func at[T any](tx *store.Tx, n noun[T], path string, verdict settling.Verdict) (*T, error) {
	return settling.Read(tx, n.Objects, path, verdict, func(value *T) bool {
		status, _ := n.progress(value)
		return status.InProgress()
	})
}

// drains tells until when a target drains, if it does.
func drains(object []byte) (settling.Wait, error) {
	var target struct {
		DeregisteredAt *lattice.Time `json:"deregisteredAt"`
	}
	if err := json.Unmarshal(object, &target); err != nil || target.DeregisteredAt == nil {
		return settling.Wait{}, err
	}
	return settling.Wait{Nodes: true, Drains: true, Until: target.DeregisteredAt.Add(drainTime)}, nil
}

// dropTarget removes a target that has drained.
func dropTarget(tx *store.Tx, path string, verdict settling.Verdict) error {
	target, err := settling.Read(tx, targets, path, verdict, func(*lattice.RegisteredTarget) bool { return true })
	if target != nil {
		targets.Delete(tx, path)
	}
	return err
}
