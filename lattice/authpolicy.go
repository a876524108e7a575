package lattice

// AuthPolicy is a policy on a service network or on a service that says who may call. It counts only while the auth
// type there is AWS_IAM.
type AuthPolicy struct {
	// Policy is the document as it was put.
	Policy        string `json:"policy"`
	CreatedAt     Time   `json:"createdAt"`
	LastUpdatedAt Time   `json:"lastUpdatedAt"`
}

// MaxAuthPolicySize is the quota on the size of an auth policy (user guide, Quotas: not adjustable), in characters other
// than white space, as IAM counts.
const MaxAuthPolicySize = 10 << 10

// AuthPolicyState says whether an auth policy counts.
type AuthPolicyState string

const (
	AuthPolicyActive   AuthPolicyState = "Active"
	AuthPolicyInactive AuthPolicyState = "Inactive"
)

// PolicyState is the state of an auth policy beside this auth type.
func (t AuthType) PolicyState() AuthPolicyState {
	if t == AuthIAM {
		return AuthPolicyActive
	}
	return AuthPolicyInactive
}
