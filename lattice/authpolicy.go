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

type PutAuthPolicyRequest struct {
	ResourceIdentifier string `uri:"resourceIdentifier" check:"required,len=17..200,pattern=guarded"`
	Policy             string `json:"policy" check:"required,len=0..102400"`
}

type PutAuthPolicyResponse struct {
	Policy string          `json:"policy,omitempty"`
	State  AuthPolicyState `json:"state,omitempty"`
}

type GetAuthPolicyRequest struct {
	ResourceIdentifier string `uri:"resourceIdentifier" check:"required,len=17..200,pattern=guarded"`
}

// GetAuthPolicyResponse has neither policy nor times where no policy was put.
type GetAuthPolicyResponse struct {
	Policy        string          `json:"policy,omitempty"`
	State         AuthPolicyState `json:"state,omitempty"`
	CreatedAt     Time            `json:"createdAt,omitzero"`
	LastUpdatedAt Time            `json:"lastUpdatedAt,omitzero"`
}

type DeleteAuthPolicyRequest struct {
	ResourceIdentifier string `uri:"resourceIdentifier" check:"required,len=17..200,pattern=guarded"`
}
