package ec2

import (
	"time"

	"pergola/aws/ec2"
	"pergola/control/operation"
	"pergola/control/resource"
	"pergola/control/settling"
	"pergola/lattice"
	"pergola/store"
)

// terminatedFor is how long a terminated instance is still described.
const terminatedFor = time.Minute

// Rows are the kinds of EC2 that are settled. Instances go from pending to running, and from shutting-down to
// terminated, when every live node has applied the change, and from terminated to gone after a minute. A pending
// instance that a node cannot make is terminated, with the reason (EC2 user guide, "Troubleshoot instance launch
// issues"); a running one, which it may make again, has the reason beside its state. VPCs have the reason alone.
func (c *Control) Rows() []settling.Row {
	return []settling.Row{
		instances.Row(resource.Course[ec2.Instance]{Updates: true, GivesUp: true, Drop: c.dropInstance}),
		vpcs.Row(resource.Course[ec2.VPC]{Updates: true}),
	}
}

// dropInstance terminates an instance, and removes it when its minute is over.
func (c *Control) dropInstance(tx *store.Tx, i *ec2.Instance) error {
	if i.Status == lattice.StatusGone {
		return remove(tx, i)
	}
	i.Status, i.Until = lattice.StatusGone, lattice.Time{Time: c.Now().Add(terminatedFor)}
	return instances.Put(operation.Within(tx, ""), i)
}

// remove forgets a terminated instance, and with the last one of a reservation its user data and its idempotency token.
func remove(tx *store.Tx, i *ec2.Instance) error {
	instances.Delete(tx, i)
	others, _, err := references.List(tx, i.Reservation+"/", "", 1)
	if err != nil || len(others) > 0 {
		return err
	}
	userData.Delete(tx, i.Reservation)
	if i.ClientToken != "" {
		launches.Delete(tx, launchKey(i.Account, i.ClientToken))
	}
	return nil
}
