package snapshot

import (
	"fmt"
	"runtime"
	"testing"

	"pergola/lattice"
)

// BenchmarkMatch is the worst case: no rule matches but the default one.
func BenchmarkMatch(b *testing.B) {
	for _, rules := range []int{1, 10, 100} {
		b.Run(fmt.Sprint("rules=", rules), func(b *testing.B) {
			changes := story()
			for i := range rules {
				changes = append(changes, aRule("svc-1", "listener-1", fmt.Sprint("rule-", i), int32(i), fmt.Sprint("/api/v1/Resource/", i, "/"), fixed(404)))
			}
			s, err := Compile(region, 1, changes)
			if err != nil {
				b.Fatal(err)
			}
			l := s.VPCs.Get("vpc-1").Doors[0].Network.Ports[80].Listener([]byte("parking.example.com"))
			r := &fixedRequest{method: []byte("GET"), path: []byte("/api/v1/resource/none")}
			b.ReportAllocs()
			for b.Loop() {
				l.Match(r)
			}
		})
	}
}

// estate is a VPC, a service network and its services, each with a listener, rules and a target group.
func estate(services, rules int) []Change {
	changes := []Change{aVPC("vpc-1"), aNetwork("sn-1"), aVPCAssociation("snva-1", "sn-1", "vpc-1", 1)}
	for i := range services {
		svc, group := fmt.Sprintf("svc-%017x", i), fmt.Sprintf("tg-%017x", i)
		changes = append(changes,
			aService(svc), aServiceAssociation(fmt.Sprintf("snsa-%017x", i), "sn-1", svc, i),
			aListener(svc, "listener-1", 80, fixed(404)),
			aGroup(group, lattice.TargetIP), aTarget(group, "10.0.0.5", 80))
		for j := range rules {
			changes = append(changes, aRule(svc, "listener-1", fmt.Sprintf("rule-%017x", j), int32(j+1), fmt.Sprint("/api/", j), forward(group)))
		}
	}
	return changes
}

func BenchmarkListener(b *testing.B) {
	s, err := Compile(region, 1, estate(2000, 0))
	if err != nil {
		b.Fatal(err)
	}
	port := s.VPCs.Get("vpc-1").Doors[0].Network.Ports[80]
	host := []byte(service(fmt.Sprintf("svc-%017x", 1234)).DNSEntry.DomainName)
	b.ReportAllocs()
	for b.Loop() {
		if port.Listener(host) == nil {
			b.Fatalf("nobody answers to %s", host)
		}
	}
}

func BenchmarkApplyOneRule(b *testing.B) {
	c := NewCompiler(region)
	if _, err := c.Apply(1, true, estate(2000, 10)); err != nil {
		b.Fatal(err)
	}
	svc := fmt.Sprintf("svc-%017x", 1234)
	added := []Change{aRule(svc, "listener-1", "rule-new", 99, "/new", forward(fmt.Sprintf("tg-%017x", 1234)))}
	removed := []Change{gone(added[0].Key)}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		change := added
		if i%2 == 1 {
			change = removed
		}
		if _, err := c.Apply(int64(i), false, change); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCompile compiles 2,000 services with 10 rules each from nothing, and reports how much memory the snapshot
// holds, and how much the Compiler holds beside it.
func BenchmarkCompile(b *testing.B) {
	changes := estate(2000, 10)
	b.ReportAllocs()
	var s *Snapshot
	var c *Compiler
	for b.Loop() {
		s, c = nil, NewCompiler(region)
		s, _ = c.Apply(1, true, changes)
	}
	both := heap()
	runtime.KeepAlive(c)
	c = nil
	alone := heap()
	runtime.KeepAlive(s)
	s = nil
	none := heap()
	b.ReportMetric(float64(alone-none)/1e6, "MB-snapshot")
	b.ReportMetric(float64(both-alone)/1e6, "MB-compiler")
	runtime.KeepAlive(changes)
}

// heap is how many bytes are live.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
