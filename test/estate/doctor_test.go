package estate

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"pergola/operator"
)

// TestDoctor finds nothing wrong with a sound estate, and tells each of the faults of a broken one once.
func TestDoctor(t *testing.T) {
	e := newEstate(t)
	e.guardAssociation()
	target := e.target("10.20.1.10", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	sound := e.makeGroup("sound", nil, target)
	s := e.makeServiceAs(&vpclattice.CreateServiceInput{Name: aws.String("orders"), AuthType: types.AuthTypeAwsIam},
		types.ListenerProtocolHttp, only(sound))
	policy := func(statement string) {
		must(e.Lattice.PutAuthPolicy(t.Context(), &vpclattice.PutAuthPolicyInput{ResourceIdentifier: &s.id,
			Policy: aws.String(`{"Version":"2012-10-17","Statement":[{"Principal":"*","Action":"*","Resource":"*",` +
				statement + `}]}`)}))(t)
	}
	policy(`"Effect":"Allow","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}`)
	e.findings(t, map[string]string{})

	closed := e.RunInstance(e.owners, "10.20.1.20", e.makeSecurityGroup(e.owners, "closed"))
	unreachable, empty := e.makeGroup("unreachable", nil, closed), e.makeGroup("empty", nil)
	rule := func(name string, priority int32, path string, action types.RuleAction) (id string) {
		return *must(e.Lattice.CreateRule(t.Context(), &vpclattice.CreateRuleInput{ServiceIdentifier: &s.id,
			ListenerIdentifier: &s.listener, Name: &name, Priority: &priority, Action: action,
			Match: &types.RuleMatchMemberHttpMatch{Value: types.HttpMatch{
				PathMatch: &types.PathMatch{Match: &types.PathMatchTypeMemberPrefix{Value: path}}}}}))(t).Id
	}
	rule("first", 10, "/pay", only(unreachable))
	shadowed := rule("second", 20, "/pay/now", only(empty))
	policy(`"Effect":"Deny","Condition":{"StringEquals":{"aws:SourceVpce":"vpce-1"}}`)
	second := e.MakeVPC("10.30.0.0/16")
	open := e.associateVPC(second)
	alone := *must(e.Lattice.CreateService(t.Context(), &vpclattice.CreateServiceInput{Name: aws.String("alone"),
		AuthType: types.AuthTypeAwsIam}))(t).Id
	e.findings(t, map[string]string{
		s.id + " no statement":    "put-auth-policy --resource-identifier " + s.id,
		s.id + " aws:SourceVpce":  "put-auth-policy --resource-identifier " + s.id,
		unreachable + " dropped":  "authorize-security-group-ingress --group-id",
		empty + " has no target":  "register-targets --target-group-identifier " + empty,
		shadowed + " never":       "update-rule --rule-identifier " + shadowed,
		open + " security group":  "--service-network-vpc-association-identifier " + open,
		alone + " nowhere":        "create-service-network-service-association",
		alone + " no auth policy": "put-auth-policy --resource-identifier " + alone,
	})
}

// findings waits until the doctor finds the wanted faults and no other: by the id and a part of the problem, a part of
// the cures. Nodes may hear of the last change a moment after its answer.
func (e *estate) findings(t *testing.T, want map[string]string) {
	t.Helper()
	var wrong []string
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(strings.Join(wrong, "\n"))
		}
	})
	e.Eventually("the doctor finds what is wrong", func() bool {
		found, err := e.Examine(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wrong = compareFindings(found, want)
		return len(wrong) == 0
	})
}

// compareFindings tells how findings differ from what is wanted.
func compareFindings(found []operator.Finding, want map[string]string) (wrong []string) {
	left := map[string]bool{}
	for _, f := range found {
		left[f.About+": "+f.Problem] = true
	}
	for which, cure := range want {
		about, problem, _ := strings.Cut(which, " ")
		times := 0
		for _, f := range found {
			if f.About == about && strings.Contains(f.Problem, problem) {
				times++
				delete(left, f.About+": "+f.Problem)
				if !strings.Contains(strings.Join(f.Cures, "\n"), cure) {
					wrong = append(wrong, fmt.Sprintf("%s: the cures are %q, without %q", which, f.Cures, cure))
				}
			}
		}
		if times != 1 {
			wrong = append(wrong, fmt.Sprintf("%s is found %d times", which, times))
		}
	}
	for more := range left {
		wrong = append(wrong, "more is found: "+more)
	}
	return wrong
}
