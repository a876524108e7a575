package organizations

//go:generate go run pergola/internal/generate shapes model.json

// APIVersion is the version of the API in model.json. The shapes that are served are in shapes.go.
const APIVersion = "2016-11-28"

// TargetPrefix begins the names of operations in the header X-Amz-Target.
const TargetPrefix = "AWSOrganizationsV20161128"

// ServiceControlPolicy is the one type of policy that is served.
const ServiceControlPolicy = "SERVICE_CONTROL_POLICY"

// The types of what the tree is made of.
const (
	TypeRoot    = "ROOT"
	TypeUnit    = "ORGANIZATIONAL_UNIT"
	TypeAccount = "ACCOUNT"
)
