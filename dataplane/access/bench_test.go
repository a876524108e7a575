package access

import (
	"testing"

	"pergola/lattice"
	"pergola/sigv4"
)

// benchWorld has three policies with a condition each: of the service network, of the service and of the user.
func benchWorld(b testing.TB) *world {
	w := newWorld(b)
	w.network.Policy = authPolicy(b, allowAll+`,"Condition":{"StringEquals":{"vpc-lattice-svcs:SourceVpc":["vpc-0","vpc-1"]}}`)
	w.service.Policy = authPolicy(b, denyAll+`,"Condition":{"NumericEquals":{"vpc-lattice-svcs:Port":"443"}}`,
		`"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"`+serviceARN+
			`/parking/*","Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`)
	w.user.Policies[0] = identityPolicy(b, `"Effect":"Allow","Action":"vpc-lattice-svcs:*","Resource":"arn:aws:vpc-lattice:*:111122223333:service/*"`)
	w.role.Policies = w.user.Policies
	return w
}

var usual = []sigv4.Field{
	{Name: "User-Agent", Value: "bench"}, {Name: "Accept", Value: "*/*"}, {Name: "Accept-Encoding", Value: "gzip"},
	{Name: "Content-Type", Value: "application/json"},
}

const usualPath = "/parking/rates?day=1&zone=3"

func cases(b testing.TB) map[string]struct {
	guard   *Guard
	request *Request
} {
	open, w := benchWorld(b), benchWorld(b)
	open.network.AuthType, open.service.AuthType = lattice.AuthNone, lattice.AuthNone
	type one = struct {
		guard   *Guard
		request *Request
	}
	return map[string]one{
		"unguarded":  {open.guard, open.request(usualPath, usual...)},
		"anonymous":  {w.guard, w.request(usualPath, usual...)},
		"signed":     {w.guard, w.signed(alice(), usualPath, usual...)},
		"by session": {w.guard, w.signed(signerOf(w.session()), usualPath, usual...)},
	}
}

func BenchmarkAuthorize(b *testing.B) {
	for name, c := range cases(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := c.guard.Authorize(c.request); !d.Allowed {
					b.Fatal(d.Refusal)
				}
			}
		})
	}
}

// TestAllocations: a caller that may pass, passes without garbage.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what it is given")
	}
	for name, c := range cases(t) {
		allocations := testing.AllocsPerRun(100, func() {
			if d := c.guard.Authorize(c.request); !d.Allowed {
				t.Fatal(d.Refusal)
			}
		})
		if allocations != 0 {
			t.Errorf("%s: %v allocations, want 0", name, allocations)
		}
	}
}
