package elbv2

import (
	"strconv"
	"strings"
	"testing"
)

// FuzzAreCodes holds that a matcher that is accepted has nothing but codes within the limits.
func FuzzAreCodes(f *testing.F) {
	for _, matcher := range []string{"200", "200,202", "200-299", "200-199", "", ",", "-", "499-500", "2e2", "+200"} {
		f.Add(matcher)
	}
	f.Fuzz(func(t *testing.T, matcher string) {
		if !areCodes(matcher) {
			return
		}
		for _, code := range strings.FieldsFunc(matcher, func(r rune) bool { return r == ',' || r == '-' }) {
			if n, err := strconv.Atoi(code); err != nil || n < lowestCode || n > highestCode {
				t.Errorf("%q is accepted", matcher)
			}
		}
	})
}

// FuzzParts holds that the parts of an ARN make up the ARN.
func FuzzParts(f *testing.F) {
	f.Add("arn:aws:elasticloadbalancing:us-west-2:100000000001:loadbalancer/app/shop/50dc6c495c0c9188")
	f.Add("arn:aws:elasticloadbalancing:::loadbalancer/app//")
	f.Fuzz(func(t *testing.T, arn string) {
		if of, ok := parts(arn, "loadbalancer/app", 2); ok && !strings.HasSuffix(arn, ":loadbalancer/app/"+strings.Join(of, "/")) {
			t.Errorf("%q has the parts %q", arn, of)
		}
	})
}
