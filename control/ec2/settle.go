package ec2

import (
	"encoding/json"
	"time"

	"pergola/aws/ec2"
	"pergola/control/operation"
	"pergola/control/settling"
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
		{Kind: ec2.KindInstance, Waits: instanceWaits, Settle: c.settleInstance},
		{Kind: ec2.KindVPC, Waits: vpcWaits, Settle: settleVPC},
	}
}

func instanceWaits(object []byte) (settling.Wait, error) {
	var i ec2.Instance
	if err := json.Unmarshal(object, &i); err != nil {
		return settling.Wait{}, err
	}
	if i.State == ec2.InstanceTerminated {
		return settling.Wait{Until: i.Terminated.Add(terminatedFor)}, nil
	}
	return settling.Wait{Nodes: i.State != ec2.InstanceRunning || i.Failure != ""}, nil
}

// settleInstance moves an instance to its next state.
func (c *Control) settleInstance(tx *store.Tx, id string, verdict settling.Verdict) error {
	instance, err := settling.Read(tx, instances.Objects, id, verdict,
		func(i *ec2.Instance) bool { return i.State != ec2.InstanceRunning })
	if instance == nil {
		return err
	}
	failure := verdict.Failure.FailureMessage
	terminate := func() {
		instance.State, instance.Terminated = ec2.InstanceTerminated, c.Now().UTC()
	}
	switch instance.State {
	case ec2.InstancePending:
		instance.State, instance.Failure = ec2.InstanceRunning, failure
		if failure != "" {
			terminate()
		}
	case ec2.InstanceShuttingDown:
		terminate()
	case ec2.InstanceRunning:
		if instance.Failure == failure {
			return nil
		}
		instance.Failure = failure
	default:
		return remove(tx, instance)
	}
	return instances.Put(operation.Within(tx, ""), instance)
}

func vpcWaits(object []byte) (settling.Wait, error) {
	var v ec2.VPC
	err := json.Unmarshal(object, &v)
	return settling.Wait{Nodes: v.Failure != ""}, err
}

// settleVPC notes why nodes cannot make a VPC, or that they can.
func settleVPC(tx *store.Tx, id string, verdict settling.Verdict) error {
	vpc, err := settling.Read(tx, vpcs.Objects, id, verdict, func(*ec2.VPC) bool { return false })
	if vpc == nil || vpc.Failure == verdict.Failure.FailureMessage {
		return err
	}
	vpc.Failure = verdict.Failure.FailureMessage
	return vpcs.Put(operation.Within(tx, ""), vpc)
}

// remove forgets a terminated instance, and its idempotency token with the last one of its reservation.
func remove(tx *store.Tx, i *ec2.Instance) error {
	instances.Delete(tx, i)
	if i.ClientToken == "" {
		return nil
	}
	all, err := instances.All(tx, i.Account)
	for _, other := range all {
		if other.Reservation == i.Reservation {
			return err
		}
	}
	launches.Delete(tx, launchKey(i.Account, i.ClientToken))
	return err
}
