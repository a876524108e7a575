package lambda

// The types of invocation.
const (
	InvokeAndWait = "RequestResponse"
	InvokeEvent   = "Event"
	InvokeDryRun  = "DryRun"
)
