package packetfilter_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	pf "pergola/fabric/packetfilter"
)

// BenchmarkRequest is a connection with a request and its answer, where the client's and the target's groups have so
// many rules, of prefixes and of other groups; "ratio" is what it costs beside one with a single rule, the medians of
// both taken in turns.
func BenchmarkRequest(b *testing.B) {
	for _, c := range []struct {
		name             string
		prefixes, others int
	}{{"no-filter", -1, 0}, {"1", 1, 0}, {"1000", 1000, 0}, {"300-groups", 1, 300}} {
		b.Run(c.name, func(b *testing.B) {
			single, many := requester(b, 1, 0), requester(b, c.prefixes, c.others)
			requests := []func() error{single, many}
			var took [2][]time.Duration
			for n := 0; b.Loop(); n++ {
				for turn := range 2 {
					i := (n + turn) % 2
					start := time.Now()
					if err := requests[i](); err != nil {
						b.Fatal(err)
					}
					took[i] = append(took[i], time.Since(start))
				}
			}
			b.ReportMetric(median(took[1])/median(took[0]), "ratio")
		})
	}
}

func median(of []time.Duration) float64 {
	slices.Sort(of)
	return float64(of[len(of)/2])
}

// requester makes requests in a lab of its own.
func requester(b *testing.B, prefixes, others int) func() error {
	l := newLab(b, 2)
	if prefixes >= 0 {
		must(b, l.enforcer.Apply(manyRules(l, prefixes, others)))
	}
	address := net.TCPAddrFromAddrPort(netip.AddrPortFrom(l.hosts[1].addresses[0], 80))
	var at *net.TCPListener
	must(b, l.hosts[1].run(func() (err error) { at, err = net.ListenTCP("tcp", address); return err }))
	b.Cleanup(func() { at.Close() })
	go func() {
		for {
			conn, err := at.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(conn, conn); conn.Close() }()
		}
	}()
	request := func() error {
		conn, err := net.DialTimeout("tcp", address.String(), 10*time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.(*net.TCPConn).SetLinger(0) // keeps no port
		fmt.Fprint(conn, "request")
		_, err = io.ReadFull(conn, make([]byte, 7))
		return err
	}
	return func() error { return l.hosts[0].run(request) }
}

// manyRules gives both hosts five groups with so many rules in each direction, the last of them the one that allows.
func manyRules(l *lab, prefixes, others int) *pf.Filter {
	f := &pf.Filter{}
	var ids []string
	for n := range 5 {
		g := &pf.Group{ID: fmt.Sprintf("sg-%d", n)}
		for i := n; i < prefixes-1; i += 5 {
			traffic := pf.Traffic{Protocol: unix.IPPROTO_TCP, From: uint16(1000 + i), To: uint16(1000 + i)}
			peer := to(fmt.Sprintf("10.%d.%d.0/24", 1+i/250, i%250))
			g.Rules = append(g.Rules, ingress(traffic, peer), egress(traffic, peer))
		}
		for i := n; i < others; i += 5 {
			peer := pf.Peer{Group: fmt.Sprintf("sg-other-%d", i)}
			g.Rules = append(g.Rules, ingress(everything, peer), egress(everything, peer))
			f.Groups = append(f.Groups, &pf.Group{ID: peer.Group})
		}
		if n == 4 {
			g.Rules = append(g.Rules, ingress(web, to("10.0.0.0/16")), egress(web, to("10.0.0.0/16")))
		}
		for i := range g.Rules {
			g.Rules[i].ID = fmt.Sprintf("%s-%d", g.ID, i)
		}
		f.Groups, ids = append(f.Groups, g), append(ids, g.ID)
	}
	for i, h := range l.hosts {
		f.Interfaces = append(f.Interfaces, pf.Interface{ID: fmt.Sprintf("i-%d", i), Addresses: h.addresses[:2], Groups: ids})
	}
	return f
}

// BenchmarkChange applies a change of one rule in each of so many groups, of 1,000.
func BenchmarkChange(b *testing.B) {
	for _, changed := range []int{1, 1000} {
		b.Run(fmt.Sprint(changed), func(b *testing.B) {
			l := newLab(b, 2)
			groups := manyGroups(1000, 0)
			version := 0
			for b.Loop() {
				b.StopTimer()
				version++
				groups = append(manyGroups(changed, version%200), groups[changed:]...)
				f := wearing(l, groups[0], false)
				f.Groups = groups
				f.Lists = []*pf.List{{ID: "pl-1", Prefixes: []netip.Prefix{netip.MustParsePrefix("169.254.171.0/24")}}}
				b.StartTimer()
				must(b, l.enforcer.Apply(f))
			}
		})
	}
}
