package node

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"pergola/containment"
	"pergola/dataplane/explain"
	"pergola/fabric"
	"pergola/fabric/packetfilter"
	"pergola/snapshot"
)

// Explain tells what would become of a request from an instance, or from a VPC. All of it is told of one snapshot.
func (n *Node) Explain(from string, question explain.Question) (answer explain.Answer, err error) {
	err = containment.Do(n.log, "explaining a request", func() error {
		answer, err = n.explain(n.plane.Snapshot(), from, question)
		return err
	}, "from", from)
	return answer, err
}

func (n *Node) explain(current *snapshot.Snapshot, from string, question explain.Question) (explain.Answer, error) {
	vpc, err := vpcOf(current, from)
	if err != nil {
		return explain.Answer{}, err
	}
	question.VPC = vpc.ID
	for _, instance := range vpc.Instances {
		if instance.ID == from {
			question.Client = fabric.ClientAddress(instance.Address)
		}
	}
	answer, err := n.world(current).Explain(question)
	if err != nil {
		return answer, fmt.Errorf("explain: %w", err)
	}
	return answer, nil
}

// Examine looks for what would stop requests, or let pass what nobody may have meant to.
func (n *Node) Examine() (findings []explain.Finding, err error) {
	err = containment.Do(n.log, "examining the deployment", func() error {
		if current := n.plane.Snapshot(); current != nil {
			findings = n.world(current).Examine(time.Now())
		}
		return nil
	})
	return findings, err
}

func (n *Node) world(current *snapshot.Snapshot) explain.World {
	return explain.World{
		Snapshot: current, Guard: n.guard, Health: n.targets.Report(), Connect: n.connect,
		ConnectResource: n.connectResource,
		Judge:           n.fabric.Judge, Dropped: n.dropped,
		Last: func(group, key string) explain.Check { return explain.Check(n.targets.Last(group, key)) },
	}
}

// dropped are the packets that a VPC's filter has dropped; none if they cannot be read.
func (n *Node) dropped(vpc string) []packetfilter.Drop {
	drops, err := n.fabric.Drops(vpc)
	if err != nil {
		n.log.Warn("the packets that were dropped could not be counted", "vpc", vpc, "error", err)
	}
	return drops
}

// connectTime is how long explain waits for a target to be connected to.
const connectTime = time.Second

// connect connects to an address in a VPC as requests do, and leaves at once.
func (n *Node) connect(vpc string, address netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	conn, err := n.dial(ctx, vpc, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// connectResource connects to a resource as its gateway does, and leaves at once.
func (n *Node) connectResource(r *snapshot.Resource, port uint16) error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	conn, err := n.dialResource(ctx, r, port)
	if err != nil {
		return err
	}
	return conn.Close()
}

// current is the snapshot to serve by.
func (n *Node) current() *snapshot.Snapshot { return n.plane.Snapshot() }
