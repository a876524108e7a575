package lattice

// A node tells the control plane three things, under keys that vanish with it: which revision of the store it serves,
// what of that it could not make, and how its targets are. The control plane's promises (ACTIVE, gone, HEALTHY) rest on
// these.

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

// Failure says why something could not be made, or not be settled.
type Failure struct {
	FailureCode    string `json:"failureCode,omitempty"`
	FailureMessage string `json:"failureMessage,omitempty"`
}

// Stage is how far the last change of a resource has come. The store has it apart from the resource: nodes bring it
// about and do not follow it.
type Stage struct {
	Status Status `json:"status,omitempty"`
	Failure
	// Until is when it ends, even if nodes have not said so; zero for never.
	Until Time `json:"until,omitzero"`
}

// StatusGone is the status of a resource that is gone, and is still described. AWS has no word for it.
const StatusGone Status = "GONE"

// Intent is what the owner of a resource wants whose changes take time, as far as the resource does not say so itself.
type Intent struct {
	// Generation counts the changes that move the status, so that each of them changes the resource.
	Generation int64 `json:"generation,omitempty"`
	// Deleting says that the resource is to go.
	Deleting bool `json:"deleting,omitempty"`
}

// The codes of failures.
const (
	// FailureOnNode is that of what a node cannot make on its host.
	FailureOnNode = "NodeFailure"
	// FailureInside is that of faults of our own: what cannot be read, compiled or settled.
	FailureInside = "InternalFailure"
)

// FailureReport is the value of FailureReportKey: what a node could not do for one object, at the revision that it
// serves.
type FailureReport struct {
	Failure
	// Revision is the one at which that was first so.
	Revision int64 `json:"revision"`
	// Pending is whether the node has not come to it yet. Then there is no failure.
	Pending bool `json:"pending,omitempty"`
}

// FailureReportKey is the key of a node's report on an object, which is named by kind and id as in the store, such as
// "loadbalancer/0123456789abcdef".
func FailureReportKey(node, object string) string {
	return NodePrefix + "failures/" + node + "/" + object
}
