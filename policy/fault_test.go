package policy

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestFault_C5_WhatIsOpenGrantsLess holds that a condition of no certain meaning does not hold where a statement
// allows, and holds where one denies. The cases are those of conditions.txt with "deny-only".
func TestFault_C5_WhatIsOpenGrantsLess(t *testing.T) {
	open := 0
	for _, row := range table(t, "conditions.txt") {
		if row.cells[3] != "deny-only" {
			continue
		}
		open++
		r := &Request{Action: "a:b", Resource: "*", Context: withKey(t, Values{}, row.cells[2])}
		block := fmt.Sprintf(`{%q: {"t:k": %s}}`, row.cells[0], row.cells[1])
		if got := compile(t, document("Allow", block), Identity).Evaluate(r).Effect; got != Silent {
			t.Errorf("conditions.txt:%d: %v allows", row.line, row.cells)
		}
		if got := compile(t, document("Deny", block), Identity).Evaluate(r).Effect; got != Deny {
			t.Errorf("conditions.txt:%d: %v does not deny", row.line, row.cells)
		}
	}
	if open < 40 {
		t.Errorf("%d cases are too few", open)
	}
}

// values has n values, each made from its number, for a key.
type values func(i int) string

func (f values) Value(key Key, i int) (string, bool) {
	const n = 27_000
	if key.Name() != "t:k" || i >= n {
		return "", false
	}
	return f(i), true
}

// work is what one evaluation costs, and its effect.
func work(t testing.TB, document string, kind Kind, r *Request) (int, Effect) {
	t.Helper()
	p := compile(t, document, kind)
	return r.work, p.Evaluate(r).Effect
}

// TestFault_A7_ManyValuesAreLinear asks a key of 27,000 values, as a query of 54 KB has them.
func TestFault_A7_ManyValuesAreLinear(t *testing.T) {
	many := func(format string, n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(format, i))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	same, different := values(func(int) string { return "1" }),
		values(func(i int) string { return string(rune('0' + i%10)) })
	for _, c := range []struct {
		condition string
		context   Context
		want      Effect
	}{
		{`{"ForAllValues:StringEquals": {"t:k": "1"}}`, same, Allow},
		{`{"ForAllValues:StringEquals": {"t:k": "2"}}`, same, Silent},
		{`{"ForAllValues:StringEquals": {"t:k": ` + many(`"%d"`, 1500) + `}}`, different, Allow},
		{`{"ForAllValues:StringNotEquals": {"t:k": ` + many(`"x%d"`, 1500) + `}}`, different, Allow},
		{`{"ForAnyValue:StringEquals": {"t:k": ` + many(`"x%d"`, 1500) + `}}`, different, Silent},
		{`{"StringEquals": {"t:k": "1"}}`, same, Silent},
		{`{"StringNotEquals": {"t:k": "2"}}`, same, Silent},
		{`{"Null": {"t:k": "false"}}`, same, Allow},
		{`{"StringEquals": {"t:other": "${t:k}"}}`, same, Silent},
	} {
		r := &Request{Action: "a:b", Resource: "*", Context: c.context}
		if _, got := work(t, document("Allow", c.condition), Identity, r); got != c.want || r.exhausted() {
			t.Errorf("%.80s: %s after %d steps, want %s", c.condition, got, r.work, c.want)
		}
	}
}

// TestFault_A8_WildcardsAreLinear matches patterns whose wildcards can be shared out in more ways than can be tried.
func TestFault_A8_WildcardsAreLinear(t *testing.T) {
	stars, tail := strings.Repeat("*?", 12), strings.Repeat("a", 30)
	arn := "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdef0"
	long := arn + "/" + strings.Repeat("a", 55_000)
	for _, c := range []struct {
		pattern, resource string
		want              bool
	}{
		{"arn:aws:vpc-lattice:*:" + stars + "*:service/x", arn, false},
		{"arn:aws:vpc-lattice:*:" + stars + "*:service/*", arn, true},
		{"arn:aws:vpc-lattice:" + stars + ":" + stars + ":service/*", arn, false}, // a region has less than 12 characters
		{"arn:aws:vpc-lattice:*?*?*:*:service/x", long, false},
		{"arn:aws:vpc-lattice:*:*:service/*?*?*?*?*?*?*?*b", long, false},
		{"arn:aws:vpc-lattice:*:*:service/*?*?*?*?*?*?*?*a", long, true},
		{"arn:aws:vpc-lattice:*:*:*" + strings.Repeat("a*", 3_000) + "b", long, false},
		{"arn:aws:vpc-lattice:*:*:*" + strings.Repeat("a*", 3_000), long, true},
		{"arn:aws:vpc-lattice:*:*:service/*" + strings.Repeat("a", 3_000) + "b", long, false},
		{"arn:aws:vpc-lattice:*:*:service/*a?a?b*", long, false},
		{"arn:aws:vpc-lattice:*:*:service/" + strings.Repeat("?", 2_000) + "*", long, true},
		{"arn:aws:vpc-lattice:*:*:service/*" + strings.Repeat("?", 2_000), arn, false},
		{"arn:aws:vpc-lattice:*:*:*v${t:a}?", arn, false},
		{arn + "*a?", arn, false},
		{"arn:aws:vpc-lattice:*:*:*${t:b}?*", arn, false},
		{"arn:aws:vpc-lattice:*:*:*f0${t:b, ''}?*", arn, false},
		{"arn:aws:vpc-lattice:*:*:*${t:b, ''}?x*", arn, false},
		{"arn:aws:vpc-lattice:*:*:service/*" + strings.Repeat("?", 2_000), long, true},
		{"arn:aws:vpc-lattice:*:*:service/*${t:a}*${t:a}*${t:a}b", long, false},
		{"arn:aws:vpc-lattice:*:*:service/*${t:a}*${t:a}*${t:a}", long, true},
		{"arn:aws:vpc-lattice:*:*:*:*:*:*:*:*:*:*:*x", long + strings.Repeat(":", 1_000), false},
		{"arn:aws:vpc-lattice:*:*:" + stars + tail, long, true},
	} {
		r := &Request{Action: "a:b", Resource: c.resource, Context: Values{"t:a": {"aaaa"}, "t:c": {"c"}}}
		document := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": %q}}`,
			c.pattern)
		if _, got := work(t, document, Identity, r); (got == Allow) != c.want || r.exhausted() {
			t.Errorf("%.80s and %.80s: %s after %d steps, want %v", c.pattern, c.resource, got, r.work, c.want)
		}
	}
}

// TestWhatTakesTooLongIsDenied holds that every way to ask says so, also about what comes after.
func TestWhatTakesTooLongIsDenied(t *testing.T) {
	c := costly()["many values, patterns"]
	endless, allow := compile(t, c.document, Identity), compile(t, document("Allow", ""), Identity)
	r := *c.request
	r.Principal = principals(t)["bob"]
	if got, want := endless.Evaluate(&r), (Verdict{Deny, -1}); got != want {
		t.Errorf("Evaluate says %v", got)
	}
	if e := endless.Explain(&r); e.Effect != Deny || e.Statements != nil {
		t.Errorf("Explain says %+v", e)
	}
	a := Access{Resource: []Level{{"network", []*Policy{allow, endless}}, {"service", []*Policy{allow}}},
		Identity: []*Policy{allow}}
	agreeAccess(t, &a, &r)
	d, levels := a.Explain(&r)
	if want := (Decision{Deny, "network", endless, -1}); d != want || levels[1].Effect != Allow ||
		levels[2].Effect != Allow {
		t.Errorf("%+v, %+v", d, levels)
	}
	if got := d.Message(&r); !strings.HasSuffix(got,
		"because comparing the request with a network-based policy takes too long") {
		t.Error(got)
	}
}

// TestFault_A9_BoundsComeBeforeReading refuses what is beyond them, also where it is no JSON that a reader would take.
func TestFault_A9_BoundsComeBeforeReading(t *testing.T) {
	names := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"n%d":1,`, i)
		}
		return `{"Statement":{"Effect":"Allow","Condition":{"StringEquals":{` + strings.TrimSuffix(b.String(), ",") + `}}}}`
	}
	for what, c := range map[string]struct{ document, want string }{
		"names":        {names(8_000), "more than 4096 values"},
		"values":       {`{"Statement":[` + strings.Repeat("1,", 5_000) + `1]}`, "more than 4096 values"},
		"objects":      {`[` + strings.Repeat("[],", 3_000) + `[]]`, "more than 4096 values"},
		"no JSON":      {strings.Repeat(",", 5_000), "more than 4096 values"},
		"bytes":        {`{"Statement":"` + strings.Repeat("x", MaxBytes) + `"}`, "131088 bytes, the limit is 131072"},
		"white space":  {strings.Repeat(" ", MaxBytes+1), "131073 bytes, the limit is 131072"},
		"depth":        {strings.Repeat("[", MaxBytes), "nested so deep"},
		"depth hidden": {`{"a\\":"\"[[[[[[[[[[[[[[[","b":[[[[[[[[1]]]]]]]]}`, "nested so deep"},
	} {
		_, err := Parse([]byte(c.document), Session, 0)
		if err == nil || !strings.Contains(err.Error(), c.want) || len(err.(*Error).Problems) != 1 {
			t.Errorf("%s: %.200v", what, err)
		}
		if NamedPrincipals(c.document) != nil {
			t.Errorf("%s: has principals", what)
		}
	}
	if _, err := Parse([]byte(names(4_000)), Session, 0); err == nil || len(err.Error()) > 100_000 {
		t.Errorf("%.200v", err)
	}
	if _, err := Parse([]byte(`{"Statement":"`+strings.Repeat("[", MaxBytes/2)+`"}`), Session, 0); err == nil ||
		strings.Contains(err.Error(), "deep") {
		t.Errorf("brackets in text: %.200v", err)
	}
}

// TestFault_A9_SessionPolicies have 2,048 characters at most, not bytes.
func TestFault_A9_SessionPolicies(t *testing.T) {
	of := func(n int) string {
		text := document("Allow", "")
		return text + strings.Repeat(" ", n-len(text))
	}
	if _, err := ParseSession(of(MaxSession)); err != nil {
		t.Error(err)
	}
	accents := strings.Replace(of(MaxSession), "*", "arn:aws:s3:::\u00e9", 1)
	accented := strings.Replace(of(MaxSession-20), `"Resource": "*"`, `"Resource": "arn:aws:s3:::éééééé"`, 1)
	if _, err := ParseSession(accented); err != nil {
		t.Error(err)
	}
	for _, document := range []string{of(MaxSession + 1), strings.Repeat("\xff", MaxBytes),
		strings.Repeat("é", MaxSession+1), accents + "  "} {
		if _, err := ParseSession(document); err == nil || !strings.Contains(err.Error(), "more than 2048 characters") {
			t.Errorf("%.100q: %v", document, err)
		}
	}
}

// TestReadingIsLinear holds that twice the document takes twice the memory, with names that are long and with many.
func TestReadingIsLinear(t *testing.T) {
	memory := func(document string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = Parse([]byte(document), Identity, 0)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for what, build := range map[string]func(n int) string{
		"names under long names": func(n int) string {
			return `{"` + strings.Repeat("x", 30*n) + `":{"a":[` + strings.Repeat("1,", n) + `1]}}`
		},
		"literals": func(n int) string {
			return `{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::` + strings.Repeat("$", 30*n) + `"}}`
		},
		"wildcards": func(n int) string {
			return `{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::` + strings.Repeat("?*a", 10*n) + `"}}`
		},
	} {
		small, large := memory(build(1_000)), memory(build(2_000))
		if large > 3*small {
			t.Errorf("%s: %d bytes, and %d for twice as much", what, small, large)
		}
	}
}

// TestFault_C4_ActionsOfOneService holds what trust policies and auth policies may be about; invalid.txt has what not.
func TestFault_C4_ActionsOfOneService(t *testing.T) {
	const statement = `{"Statement":{"Effect":"Allow","Principal":"*","Action":%q%s}}`
	for _, action := range []string{"sts:AssumeRole", "STS:assumerole", "sts:*", "sts:AssumeRole*", "sts:TagSession"} {
		if _, err := ParseFor("sts", fmt.Appendf(nil, statement, action, ""), Trust, 0); err != nil {
			t.Error(err)
		}
	}
	for _, action := range []string{"*", "*:*", "vpc-lattice-svcs:Invoke", "VPC-Lattice-svcs:in*", "vpc-lattice-svcs:*"} {
		if _, err := ParseFor("vpc-lattice-svcs", fmt.Appendf(nil, statement, action, `,"Resource":"*"`), Resource,
			0); err != nil {
			t.Error(err)
		}
	}
	for _, action := range []string{"s3:GetObject", "*", "sts", "iam:*"} {
		if _, err := ParseFor("sts", fmt.Appendf(nil, statement, action, ""), Trust, 0); err == nil {
			t.Errorf("%s: a trust policy is taken", action)
		}
	}
}
