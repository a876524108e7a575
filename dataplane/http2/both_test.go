package http2

import (
	"testing"

	"pergola/dataplane/http1"
)

func TestClientAndServerAgree(t *testing.T) {
	h := serve(t, Config{}, nil, echo)
	c := dial(t, h.address, Config{}, nil)
	for range 3 {
		var r http1.Response
		s := open(t, c)
		n, err := getOn(s, "/100000?q=1", &r)
		if err != nil || r.Status != 200 || n != 100000 {
			t.Fatalf("got %d bytes, %v, %+v", n, err, r)
		}
		if got := string(r.Get("x-target")); got != "/100000?q=1" {
			t.Errorf("the target arrived as %q", got)
		}
		if got := string(r.Get("x-host")); got != "service.example" {
			t.Errorf("the host arrived as %q", got)
		}
		s.Close()
	}
}
