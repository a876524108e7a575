package packetfilter_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	pf "pergola/fabric/packetfilter"
)

var (
	everything = pf.Traffic{Protocol: pf.AllProtocols}
	web        = pf.Traffic{Protocol: 6, From: 80, To: 80}
)

func to(prefix string) pf.Peer { return pf.Peer{Prefix: netip.MustParsePrefix(prefix)} }

// group has rules without ids, which get those of their places.
func group(id string, rules ...pf.Rule) *pf.Group {
	for i := range rules {
		rules[i].ID = fmt.Sprintf("%s-%d", id, i)
	}
	return &pf.Group{ID: id, Rules: rules}
}

func ingress(t pf.Traffic, p pf.Peer) pf.Rule { return pf.Rule{Traffic: t, Peer: p} }
func egress(t pf.Traffic, p pf.Peer) pf.Rule  { return pf.Rule{Egress: true, Traffic: t, Peer: p} }

// estate has two subnets with hosts a, b in the one and c in the other, and a door; tests add rules.
func estate(groups map[string][]pf.Rule, acl []pf.ACLRule) *pf.Filter {
	f := &pf.Filter{
		Lists: []*pf.List{{ID: "pl-lattice", Prefixes: []netip.Prefix{netip.MustParsePrefix("169.254.171.0/24")}}},
		ACLs:  []*pf.ACL{{ID: "acl-1", Rules: acl}},
		Subnets: []pf.Subnet{{ID: "subnet-1", Prefixes: prefixes("10.0.1.0/24", "fd00:1::/64")},
			{ID: "subnet-2", Prefixes: prefixes("10.0.2.0/24", "fd00:2::/64")}},
		Interfaces: []pf.Interface{{ID: "a", Addresses: addresses("10.0.1.10", "fd00:1::10")},
			{ID: "b", Addresses: addresses("10.0.1.11", "fd00:1::11")},
			{ID: "c", Addresses: addresses("10.0.2.10", "fd00:2::10")}},
		Doors: []pf.Door{{ID: "snva", Addresses: addresses("169.254.171.1", "fd00:ec2:80::a9fe:ab01")}},
	}
	if acl != nil {
		f.Subnets[0].ACL = "acl-1"
	}
	for id, rules := range groups {
		f.Groups = append(f.Groups, group(id, rules...))
		for i := range f.Interfaces {
			if strings.Contains(id, f.Interfaces[i].ID) {
				f.Interfaces[i].Groups = append(f.Interfaces[i].Groups, id)
			}
		}
		if strings.Contains(id, "snv") {
			f.Doors[0].Groups = append(f.Doors[0].Groups, id)
		}
	}
	return f
}

func prefixes(all ...string) (p []netip.Prefix) {
	for _, s := range all {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func addresses(all ...string) (a []netip.Addr) {
	for _, s := range all {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}

func tcp(from, to string) pf.Flow { return flow(6, from, to) }

func flow(protocol uint8, from, to string) pf.Flow {
	return pf.Flow{Protocol: protocol, From: netip.MustParseAddrPort(from), To: netip.MustParseAddrPort(to)}
}

func acl(number int, egress, deny bool, t pf.Traffic, prefix string) pf.ACLRule {
	return pf.ACLRule{Number: number, Egress: egress, Deny: deny, Traffic: t, Prefix: netip.MustParsePrefix(prefix)}
}

// TestVerdicts has a row for each thing that the documentation says of security groups and network ACLs. Groups are
// named sg- and the letters of the interfaces that have them.
func TestVerdicts(t *testing.T) {
	type groups = map[string][]pf.Rule
	all := ingress(everything, to("0.0.0.0/0"))
	out := egress(everything, to("0.0.0.0/0"))
	high := pf.Traffic{Protocol: 6, From: 1024, To: 65535}
	for name, c := range map[string]struct {
		groups groups
		acl    []pf.ACLRule
		flow   pf.Flow
		want   string // the gate that drops it, what it is, and its rule; or the last rule that let it pass
	}{
		"no group filters nothing": {nil, nil, tcp("10.0.1.10:999", "10.0.2.10:80"), "passed"},
		"a group without rules lets none in": {groups{"sg-c": nil}, nil, tcp("10.0.1.10:999", "10.0.2.10:80"),
			"ingress of the target's security groups c "},
		"nor out": {groups{"sg-a": nil}, nil, tcp("10.0.1.10:999", "10.0.2.10:80"),
			"egress of the client's security groups a "},
		"rules of all groups add up": {groups{"sg-c": nil, "sg-c2": {all}}, nil, tcp("10.0.1.10:999", "10.0.2.10:80"),
			"passed sg-c2-0"},
		"ports are a range": {groups{"sg-c": {ingress(pf.Traffic{Protocol: 6, From: 80, To: 90}, to("10.0.0.0/8"))}},
			nil, tcp("10.0.1.10:999", "10.0.2.10:90"), "passed sg-c-0"},
		"and end": {groups{"sg-c": {ingress(pf.Traffic{Protocol: 6, From: 80, To: 90}, to("10.0.0.0/8"))}},
			nil, tcp("10.0.1.10:999", "10.0.2.10:91"), "ingress of the target's security groups c "},
		"another protocol": {groups{"sg-c": {ingress(web, to("0.0.0.0/0"))}}, nil,
			flow(17, "10.0.1.10:999", "10.0.2.10:80"), "ingress of the target's security groups c "},
		"a protocol without ports": {groups{"sg-c": {ingress(pf.Traffic{Protocol: 50, From: 7}, to("0.0.0.0/0"))}}, nil,
			flow(50, "10.0.1.10:0", "10.0.2.10:0"), "passed sg-c-0"},
		"any ICMP": {groups{"sg-c": {ingress(pf.ICMP(1, -1, -1), to("0.0.0.0/0"))}}, nil,
			flow(1, "10.0.1.10:1", "10.0.2.10:2048"), "passed sg-c-0"},
		"a type of ICMP": {groups{"sg-c": {ingress(pf.ICMP(1, 8, -1), to("0.0.0.0/0"))}}, nil,
			flow(1, "10.0.1.10:1", "10.0.2.10:2049"), "passed sg-c-0"},
		"another code of ICMP": {groups{"sg-c": {ingress(pf.ICMP(1, 8, 0), to("0.0.0.0/0"))}}, nil,
			flow(1, "10.0.1.10:1", "10.0.2.10:2049"), "ingress of the target's security groups c "},
		"IPv4 for all is not IPv6": {groups{"sg-c": {all}}, nil, tcp("[fd00:1::10]:999", "[fd00:2::10]:80"),
			"ingress of the target's security groups c "},
		"IPv6 for all": {groups{"sg-c": {ingress(everything, to("::/0"))}}, nil,
			tcp("[fd00:1::10]:999", "[fd00:2::10]:80"), "passed sg-c-0"},
		"a group as source": {groups{"sg-c": {ingress(web, pf.Peer{Group: "sg-a"})}, "sg-a": {out}}, nil,
			tcp("10.0.1.10:999", "10.0.2.10:80"), "passed sg-c-0"},
		"who is not in it": {groups{"sg-c": {ingress(web, pf.Peer{Group: "sg-a"})}, "sg-a": {out}}, nil,
			tcp("10.0.1.11:999", "10.0.2.10:80"), "ingress of the target's security groups c "},
		"a group's own members": {groups{"sg-ac": {ingress(everything, pf.Peer{Group: "sg-ac"}),
			out}}, nil, tcp("10.0.1.10:999", "10.0.2.10:80"), "passed sg-ac-0"},
		"the client's group cannot be named for VPC Lattice": {groups{"sg-c": {ingress(web, pf.Peer{Group: "sg-a"})},
			"sg-a": {out}}, nil, tcp("169.254.171.9:999", "10.0.2.10:80"), "ingress of the target's security groups c "},
		"its prefix list can": {groups{"sg-c": {ingress(web, pf.Peer{List: "pl-lattice"})}}, nil,
			tcp("169.254.171.9:999", "10.0.2.10:80"), "passed sg-c-0"},
		"a client needs the list too": {groups{"sg-a": {egress(web, pf.Peer{List: "pl-lattice"})}}, nil,
			tcp("10.0.1.10:999", "169.254.171.1:443"), "egress of the client's security groups a "},
		"the association judges clients": {groups{"sg-snv": {ingress(web, to("10.0.2.0/24"))}}, nil,
			tcp("10.0.1.10:999", "169.254.171.1:80"), "security groups of the association snva "},
		"its outbound rules mean nothing": {groups{"sg-snv": {ingress(web, to("10.0.0.0/16"))}}, nil,
			tcp("10.0.1.10:999", "169.254.171.1:80"), "passed sg-snv-0"},
		"an IPv4 address within IPv6": {groups{"sg-snv": {ingress(web, to("10.0.1.0/24"))}}, nil,
			tcp("[fd00:ec2:81::10.0.1.10]:999", "[fd00:ec2:80::a9fe:ab01]:80"), "passed sg-snv-0"},
		"the resolver is never filtered": {groups{"sg-a": nil}, []pf.ACLRule{}, flow(17, "10.0.1.10:999", "10.0.0.2:53"),
			"passed"},
		"the metadata neither": {groups{"sg-a": nil}, []pf.ACLRule{}, tcp("10.0.1.10:999", "169.254.169.254:80"), "passed"},

		"an ACL without rules denies": {nil, []pf.ACLRule{}, tcp("10.0.1.10:999", "10.0.2.10:80"),
			"outbound network ACL acl-1 *"},
		"but not within its subnet": {nil, []pf.ACLRule{}, tcp("10.0.1.10:999", "10.0.1.11:80"), "passed"},
		"the service network is outside": {nil, []pf.ACLRule{}, tcp("10.0.1.10:999", "169.254.171.1:80"),
			"outbound network ACL acl-1 *"},
		"inbound too": {nil, []pf.ACLRule{}, tcp("169.254.171.9:999", "10.0.1.10:80"),
			"inbound network ACL acl-1 *"},
		"the lowest number decides": {nil, []pf.ACLRule{acl(100, false, false, everything, "0.0.0.0/0"),
			acl(90, false, true, web, "10.0.2.0/24")}, tcp("10.0.2.10:999", "10.0.1.10:80"), "inbound network ACL acl-1 90"},
		"later rules count for the others": {nil, []pf.ACLRule{acl(100, false, false, everything, "0.0.0.0/0"),
			acl(90, false, true, web, "10.0.2.0/24"), acl(100, true, false, everything, "0.0.0.0/0")},
			tcp("169.254.171.9:999", "10.0.1.10:80"), "passed 100"},
		"answers need a rule": {nil, []pf.ACLRule{acl(100, false, false, everything, "0.0.0.0/0"),
			acl(100, true, false, web, "0.0.0.0/0")}, tcp("10.0.2.10:1999", "10.0.1.10:80"),
			"answer: outbound network ACL acl-1 *"},
		"for their ports": {nil, []pf.ACLRule{acl(100, false, false, web, "0.0.0.0/0"),
			acl(100, true, false, high, "0.0.0.0/0")}, tcp("10.0.2.10:1999", "10.0.1.10:80"), "passed 100"},
		"of an echo, too": {nil,
			[]pf.ACLRule{acl(100, false, false, pf.ICMP(1, 8, -1), "0.0.0.0/0"), acl(100, true, false, pf.ICMP(1, 0, -1),
				"0.0.0.0/0")}, flow(1, "10.0.2.10:1", "10.0.1.10:2048"), "passed 100"},
		"IPv6 has rules of its own": {nil, []pf.ACLRule{acl(100, false, false, everything, "0.0.0.0/0")},
			tcp("[fd00:2::10]:1999", "[fd00:1::10]:80"), "inbound network ACL acl-1 *"},
		"groups come before the ACL of their way out": {groups{"sg-a": nil}, []pf.ACLRule{},
			tcp("10.0.1.10:999", "10.0.2.10:80"), "egress of the client's security groups a "},
		"and after that of the way in": {groups{"sg-a": nil}, []pf.ACLRule{}, tcp("10.0.2.10:999", "10.0.1.10:80"),
			"inbound network ACL acl-1 *"},
	} {
		m, err := pf.NewModel(estate(c.groups, c.acl), pf.Router{Unfiltered: addresses("10.0.0.2", "169.254.169.254"),
			Embedded: prefixes("fd00:ec2:80::/96", "fd00:ec2:81::/96")})
		if err != nil {
			t.Fatal(err)
		}
		steps := m.Connection(c.flow)
		got := "passed"
		if len(steps) > 0 {
			last := steps[len(steps)-1]
			got = string(last.Gate) + " " + last.At + " " + last.Rule
			if last.Answer {
				got = "answer: " + got
			}
			if last.Passed {
				got = "passed " + last.Rule
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A filter that nobody could enforce is refused, with the thing that is wrong.
func TestBrokenFiltersAreRefused(t *testing.T) {
	for wrong, spoil := range map[string]func(f *pf.Filter){
		"sg-none":   func(f *pf.Filter) { f.Interfaces[0].Groups = []string{"sg-none"} },
		"acl-none":  func(f *pf.Filter) { f.Subnets[0].ACL = "acl-none" },
		"10.0.1.10": func(f *pf.Filter) { f.Doors[0].Addresses = f.Interfaces[0].Addresses },
		"sg-twice":  func(f *pf.Filter) { f.Groups = []*pf.Group{group("sg-twice"), group("sg-twice")} },
		"17 groups": func(f *pf.Filter) {
			f.Groups = []*pf.Group{group("sg-1")}
			f.Interfaces[0].Groups = slices.Repeat([]string{"sg-1"}, 17)
		},
		"161 rules":    func(f *pf.Filter) { f.ACLs[0].Rules = make([]pf.ACLRule, 161) },
		"prefix list ": func(f *pf.Filter) { f.Lists = append(f.Lists, &pf.List{ID: "pl-lattice"}) },
	} {
		f := estate(nil, nil)
		spoil(f)
		if _, err := pf.NewModel(f, pf.Router{}); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
