package policy

import (
	"slices"
	"testing"
)

func TestSurvey(t *testing.T) {
	const invoke = "vpc-lattice-svcs:Invoke"
	for _, test := range []struct {
		name, statement   string
		grants, everybody bool
		keys              []string
	}{
		{"open", `"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"`, true, true, nil},
		{"open by another spelling", `"Effect":"Allow","Principal":{"AWS":"*"},"Action":"vpc-lattice-svcs:*","Resource":"*"`,
			true, true, nil},
		{"conditional", `"Effect":"Allow","Principal":"*","Action":"*","Resource":"*",
			"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"},"StringLike":{"aws:PrincipalOrgID":"o-*"}}`,
			true, false, []string{"aws:PrincipalOrgID"}},
		{"for one path", `"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:vpc-lattice:*:*:service/*/pay"`,
			true, false, nil},
		{"for one caller", `"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*"`, true, false,
			nil},
		{"of another service", `"Effect":"Allow","Principal":"*","Action":"vpc-lattice:*","Resource":"*"`, false, false, nil},
		{"that denies", `"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"`, false, false, nil},
	} {
		got := compile(t, `{"Version":"2012-10-17","Statement":[{`+test.statement+`}]}`, Resource).Survey(invoke)
		if got.Grants != test.grants || got.Everybody != test.everybody || !slices.Equal(got.Keys, test.keys) {
			t.Errorf("a statement %s: got %+v", test.name, got)
		}
	}
}
