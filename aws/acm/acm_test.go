package acm_test

import (
	"strings"
	"testing"

	"pergola/aws/acm"
)

func TestID(t *testing.T) {
	for arn, want := range map[string]string{
		"arn:aws:acm:us-west-2:100000000001:certificate/1":     "100000000001/1",
		"arn:aws-cn:acm:us-west-2:100000000001:certificate/1":  "",
		"arn:aws:acm:eu-west-1:100000000001:certificate/1":     "",
		"arn:aws:iam:us-west-2:100000000001:certificate/1":     "",
		"arn:aws:acm:us-west-2::certificate/1":                 "",
		"arn:aws:acm:us-west-2:100000000001:certificate/":      "",
		"arn:aws:acm:us-west-2:100000000001:certificate/1/2":   "",
		"arn:aws:acm:us-west-2:100000000001:certificates/1":    "",
		"arn:aws:acm:us-west-2:100000000001":                   "",
		"urn:aws:acm:us-west-2:100000000001:certificate/1":     "",
		"arn:aws:acm:us-west-2:100000000001:certificate/1:a":   "100000000001/1:a",
		"arn:aws:acm:us-west-2:100000000001/2:certificate/1/a": "",
	} {
		if id, ok := acm.ID(arn, "us-west-2"); id != want || ok != (want != "") {
			t.Errorf("%s is %q, %t, want %q", arn, id, ok, want)
		}
	}
}

// FuzzID holds that an id has one ARN: policies that name that ARN, and what refers to the certificate by it, mean all of it.
func FuzzID(f *testing.F) {
	f.Add("arn:aws:acm:us-west-2:100000000001:certificate/1")
	f.Add("arn:aws:acm:us-west-2:a/b:certificate/1")
	f.Fuzz(func(t *testing.T, arn string) {
		id, ok := acm.ID(arn, "us-west-2")
		if !ok {
			return
		}
		account, uuid, _ := strings.Cut(id, "/")
		if strings.Count(id, "/") != 1 || arn != "arn:aws:acm:us-west-2:"+account+":"+acm.Resource(uuid) {
			t.Errorf("%q is %q", arn, id)
		}
	})
}
