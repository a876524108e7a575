package policy

import (
	"slices"
	"testing"
)

// TestNamedPrincipals finds users and roles in documents of every form, and gives some of them other names.
func TestNamedPrincipals(t *testing.T) {
	const ada, work = "arn:aws:iam::111122223333:user/team/ada", "arn:aws:iam::111122223333:role/risk"
	names := map[string]string{ada: "AIDA1", work: "AROA1"}
	for _, c := range []struct {
		document string
		named    []string
		renamed  string
	}{
		{`{"Statement":{"Principal":"*"}}`, nil, `{"Statement":{"Principal":"*"}}`},
		{`{"Statement":{"Principal":"` + ada + `"}}`, []string{ada}, `{"Statement":{"Principal":"AIDA1"}}`},
		{`{"Statement":[{"Principal":{"AWS":"` + work + `"}}, {"Principal":{"AWS":["` + ada + `" , "` + work + `"]}}]}`, []string{work, ada},
			`{"Statement":[{"Principal":{"AWS":"AROA1"}}, {"Principal":{"AWS":["AIDA1" , "AROA1"]}}]}`},
		{`{"Statement":{"Principal":{"AWS":"arn:aws:iam::111122223333:role\/risk"},"Sid":"é"}}`, []string{work}, `{"Statement":{"Principal":{"AWS":"AROA1"},"Sid":"é"}}`},
		{`{"Statement":{"Principal":{"AWS":["111122223333","arn:aws:sts::111122223333:assumed-role/risk/one"],"Service":"ec2.amazonaws.com"}}}`, nil,
			`{"Statement":{"Principal":{"AWS":["111122223333","arn:aws:sts::111122223333:assumed-role/risk/one"],"Service":"ec2.amazonaws.com"}}}`},
		{`{"Statement":{"Principal":{"AWS":"` + work + `"},"Condition":{"ArnLike":{"aws:PrincipalArn":"` + work + `"}}}}`, []string{work},
			`{"Statement":{"Principal":{"AWS":"AROA1"},"Condition":{"ArnLike":{"aws:PrincipalArn":"` + work + `"}}}}`},
		{`{"Statement":[{"Effect":"Allow"}, 7]}`, nil, `{"Statement":[{"Effect":"Allow"}, 7]}`},
		{`{}`, nil, `{}`},
		{`{`, nil, `{`},
	} {
		if got := NamedPrincipals(c.document); !slices.Equal(got, c.named) {
			t.Errorf("%s names %v, want %v", c.document, got, c.named)
		}
		if got := RenamePrincipals(c.document, names); got != c.renamed {
			t.Errorf("%s becomes %s, want %s", c.document, got, c.renamed)
		}
	}
}

// TestTrustByUniqueID reads a trust policy that knows some of whom it names by their unique ids.
func TestTrustByUniqueID(t *testing.T) {
	const account = "111122223333"
	ada, work := "arn:aws:iam::"+account+":user/ada", "arn:aws:iam::"+account+":role/risk"
	document := `{"Statement":{"Effect":"Allow","Principal":{"AWS":["` + ada + `","` + work + `"]},"Action":"sts:AssumeRole"}}`
	session := "arn:aws:sts::" + account + ":assumed-role/risk/one"
	for _, c := range []struct {
		ids  map[string]string
		who  Principal
		want Effect
	}{
		{nil, Principal{Type: User, Account: account, ARN: ada, ID: "AIDA2"}, Allow},
		{map[string]string{ada: "AIDA1"}, Principal{Type: User, Account: account, ARN: ada, ID: "AIDA1"}, Allow},
		{map[string]string{ada: "AIDA1"}, Principal{Type: User, Account: account, ARN: ada, ID: "AIDA2"}, Silent},
		{map[string]string{ada: "AIDA1"}, Principal{Type: User, Account: account, ARN: ada + "lovelace", ID: "AIDA1"}, Allow},
		{map[string]string{ada: "AIDA1"}, Principal{Type: AssumedRole, Account: account, ARN: session, RoleARN: work, ID: "AROA2:one"}, Allow},
		{map[string]string{work: "AROA1"}, Principal{Type: AssumedRole, Account: account, ARN: session, RoleARN: work, ID: "AROA1:one"}, Allow},
		{map[string]string{work: "AROA1"}, Principal{Type: AssumedRole, Account: account, ARN: session, RoleARN: work, ID: "AROA2:one"}, Silent},
		{map[string]string{work: "AROA1"}, Principal{Type: AssumedRole, Account: account, ARN: session, RoleARN: work}, Silent},
	} {
		p, err := ReadTrust("p", document, c.ids)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Evaluate(&Request{Principal: c.who, Action: "sts:AssumeRole", Resource: "arn:aws:iam::1:role/r"}).Effect; got != c.want {
			t.Errorf("with %v, %s %s: %v, want %v", c.ids, c.who.ARN, c.who.ID, got, c.want)
		}
	}
}
