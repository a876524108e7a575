package lambda

import (
	"cmp"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/lambda"
	"pergola/control/authority"
	"pergola/lattice"
)

// AddPermission adds a statement to the policy of a function, of a version or of an alias: each has its own.
func (op *call) AddPermission(in *lambda.AddPermissionRequest) (*lambda.AddPermissionResponse, error) {
	f, name, err := op.guarded(&in.Reference)
	if err != nil {
		return nil, err
	}
	if in.FunctionURLAuthType != "" || in.ViaFunctionURL {
		return nil, invalid("Function URLs are not served here; leave out FunctionUrlAuthType and InvokedViaFunctionUrl")
	}
	p := f.Policies[name.Qualifier]
	if err := unchanged(in.RevisionID, p.Revision); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(p.Statements, func(s lambda.Statement) bool { return s.SID == in.StatementID }) {
		return nil, conflict("The statement id (%s) provided already exists. Please provide a new statement id, or remove "+
			"the existing statement.", in.StatementID)
	}
	added := lambda.Statement{
		SID: in.StatementID, Principal: in.Principal, Action: in.Action, Resource: name.ARN(), SourceARN: in.SourceARN,
		SourceAccount: in.SourceAccount, Organization: in.PrincipalOrgID, EventSourceToken: in.EventSourceToken,
	}
	if err := (&lambda.Policy{Statements: []lambda.Statement{added}}).Check(); err != nil || !isPrincipal(in.Principal) {
		return nil, invalid("The provided principal was invalid. Please check the principal and try again: %q must be *, "+
			"an account, the ARN of a user or a role, or a service such as %s", in.Principal, lambda.LatticeService)
	}
	if absent, err := authority.AbsentPrincipal(op.Tx,
		(&lambda.Policy{Statements: []lambda.Statement{added}}).Document()); err != nil || absent != "" {
		return nil, cmp.Or(err, invalid("The provided principal was invalid. Please check the principal and try again: %q "+
			"does not exist", in.Principal))
	}
	p.Statements = append(slices.Clone(p.Statements), added)
	if n := len(p.Document()); n > lambda.MaxPolicy {
		return nil, aws.Errorf("PolicyLengthExceededException", "The final policy size (%d) is bigger than the limit (%d).",
			n, lambda.MaxPolicy)
	}
	return &lambda.AddPermissionResponse{Statement: added.Document()}, op.setPolicy(f, name.Qualifier, p)
}

func isPrincipal(s string) bool {
	return s == "*" || strings.HasPrefix(s, "arn:") || len(s) == 12 && isNumber(s) || strings.HasSuffix(s, ".amazonaws.com")
}

// guarded finds the function, the version or the alias that a policy is about. The latest version has none but that of the
// function.
func (op *call) guarded(in *lambda.Reference) (*lambda.Function, lambda.Name, error) {
	f, name, err := op.about(in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, name, err
	}
	if name.Qualifier == lambda.Latest {
		return nil, name, invalid("We currently do not support adding policies for $LATEST.")
	}
	_, err = op.versionOf(op.Tx, f, name)
	return f, name, err
}

func (op *call) setPolicy(f *lambda.Function, qualifier string, p lambda.Policy) error {
	if f.Policies == nil {
		f.Policies = map[string]lambda.Policy{}
	}
	p.Revision = op.revision()
	if f.Policies[qualifier] = p; len(p.Statements) == 0 {
		delete(f.Policies, qualifier)
	}
	return op.put(f)
}

// RemovePermission removes a statement.
func (op *call) RemovePermission(in *lambda.RemovePermissionRequest) (*lattice.Empty, error) {
	f, name, err := op.guarded(&in.Reference)
	if err != nil {
		return nil, err
	}
	p := f.Policies[name.Qualifier]
	if err := unchanged(in.RevisionID, p.Revision); err != nil {
		return nil, err
	}
	kept := slices.DeleteFunc(slices.Clone(p.Statements), func(s lambda.Statement) bool { return s.SID == in.StatementID })
	if len(kept) == len(p.Statements) {
		return nil, notFound("Statement %s is not found in resource policy.", in.StatementID)
	}
	return done(op.setPolicy(f, name.Qualifier, lambda.Policy{Statements: kept}))
}

// GetPolicy returns the policy of a function, of a version or of an alias.
func (op *call) GetPolicy(in *lambda.GetPolicyRequest) (*lambda.GetPolicyResponse, error) {
	f, name, err := op.guarded(&in.Reference)
	if err != nil {
		return nil, err
	}
	p, ok := f.Policies[name.Qualifier]
	if !ok {
		return nil, notFound("The resource you requested does not exist.")
	}
	return &lambda.GetPolicyResponse{Policy: p.Document(), RevisionID: p.Revision}, nil
}
