package functions

import (
	"strings"
	"testing"
)

func TestEndpointsOfElsewhere(t *testing.T) {
	for endpoint, good := range map[string]bool{
		"https://lambda.us-west-2.amazonaws.com": true, "http://127.0.0.1:9000/": true,
		"": false, "lambda.us-west-2.amazonaws.com": false, "ftp://a": false, "http://": false, "http://a?b": false, "http://a#b": false,
		"https://me:s3cret@a":   false, // which would be in the log with each failure
		"https://me:s3cret@a b": false,
	} {
		e, err := NewElsewhere(endpoint, Credentials{})
		if (err == nil) != good {
			t.Errorf("%q: %v", endpoint, err)
		}
		if err == nil {
			_ = e.Close()
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
}
