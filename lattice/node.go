package lattice

// A node tells the control plane two things, under keys that vanish with it: which revision of the store it serves,
// and how its targets are. The control plane's promises (ACTIVE, gone, HEALTHY) rest on these.

// NodePrefix begins the keys of all reports of nodes.
const NodePrefix = "node/"

// NodeReport is the value of NodeReportKey.
type NodeReport struct {
	// Applied is the revision of the store from which the node serves.
	Applied int64 `json:"applied"`
}

// NodeReportKey is the key of a node's report.
func NodeReportKey(node string) string { return NodePrefix + "report/" + node }

// TargetReport is the value of TargetReportKey: the health of a target group's targets by target key, as one node
// sees it.
type TargetReport map[string]TargetHealth

// TargetReportKey is the key of a node's report on a target group.
func TargetReportKey(targetGroupID, node string) string {
	return TargetReportPrefix(targetGroupID) + node
}

// TargetReportPrefix begins the keys of all reports on a target group.
func TargetReportPrefix(targetGroupID string) string {
	return NodePrefix + "targets/" + targetGroupID + "/"
}
