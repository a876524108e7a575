package node

import (
	"fmt"

	"pergola/dataplane/explain"
	"pergola/fabric"
	"pergola/snapshot"
)

// Explain tells what would become of a request from an instance, or from a VPC.
func (n *Node) Explain(from string, question explain.Question) (explain.Answer, error) {
	vpc, err := n.VPCOf(from)
	if err != nil {
		return explain.Answer{}, err
	}
	question.VPC = vpc
	current := n.plane.Snapshot()
	for _, instance := range current.VPCs[vpc].Instances {
		if instance.ID == from {
			question.Client = fabric.ClientAddress(instance.Address)
		}
	}
	answer, err := explain.World{Snapshot: current, Guard: n.guard, Health: n.targets.Report()}.Explain(question)
	if err != nil {
		return answer, fmt.Errorf("explain: %w", err)
	}
	return answer, nil
}

// current is the snapshot to serve by.
func (n *Node) current() *snapshot.Snapshot { return n.plane.Snapshot() }
