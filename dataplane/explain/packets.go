package explain

import (
	"fmt"
	"net/netip"
	"strconv"

	"pergola/addressing"
	"pergola/fabric/packetfilter"
	"pergola/snapshot"
)

// entry is where the client connects to for the listener.
func (w *walk) entry() netip.AddrPort { return netip.AddrPortFrom(w.door.IPv4()[0], w.listener.Port) }

// packets tells whether the client can connect to an address of the door, or of a resource.
func (w *walk) packets(to netip.AddrPort) bool {
	const name = "packets"
	if w.Judge == nil {
		return true
	}
	if !w.question.Client.IsValid() {
		w.answer.Gates = append(w.answer.Gates, Gate{Name: name, Verdict: Skipped,
			Detail: "which packets pass depends on the client, which is not known of a VPC as a whole: give an " +
				"instance to --from"})
		return true
	}
	steps := w.Judge(w.vpc.ID, w.question.Client, to)
	passed := packetfilter.Passed(steps)
	if passed {
		w.pass(name, "%v can connect to %v", w.question.Client, to)
	} else {
		last := steps[len(steps)-1]
		w.stop(name, "unreachable", "%v gets no answer from %v: %s", w.question.Client, to, w.dropped(w.vpc, last))
		for _, cure := range curesOf(w.vpc, last, w.question.Client, to) {
			w.cure("%s", cure)
		}
	}
	gate := &w.answer.Gates[len(w.answer.Gates)-1]
	for _, step := range steps {
		gate.More = append(gate.More, step.String())
	}
	return passed
}

// dropped tells where a packet is dropped, and how many have been there.
func (w World) dropped(vpc *snapshot.VPC, at packetfilter.Step) string {
	text := "dropped at the " + at.String()
	if w.Dropped == nil {
		return text
	}
	for _, d := range w.Dropped(vpc.ID) {
		if d.Gate == at.Gate && d.At == at.At && d.Rule == at.Rule {
			text += fmt.Sprintf(" (%d dropped there so far)", d.Packets)
		}
	}
	return text
}

// source is where VPC Lattice comes from, in every VPC.
var source = addressing.Source

// curesOf is what lets packets pass that a step drops.
func curesOf(vpc *snapshot.VPC, at packetfilter.Step, from netip.Addr, to netip.AddrPort) []string {
	switch at.Gate {
	case packetfilter.EgressGroups:
		return []string{fmt.Sprintf("let it out: aws ec2 authorize-security-group-egress --group-id %s --ip-permissions %s",
			groupOf(vpc, at.At), permission(to.Port(), to.Addr()))}
	case packetfilter.IngressGroups, packetfilter.AssociationGroups:
		return []string{fmt.Sprintf("let it in: aws ec2 authorize-security-group-ingress --group-id %s --ip-permissions %s",
			groupOf(vpc, at.At), permission(to.Port(), from))}
	case packetfilter.InboundACL, packetfilter.OutboundACL:
		return curesOfACL(at, from, to)
	}
	return nil
}

// groupOf is the first security group of an interface or of an association.
func groupOf(vpc *snapshot.VPC, id string) string {
	for _, i := range vpc.Filter.Interfaces {
		if i.ID == id && len(i.Groups) > 0 {
			return i.Groups[0]
		}
	}
	for _, d := range vpc.Filter.Doors {
		if d.ID == id && len(d.Groups) > 0 {
			return d.Groups[0]
		}
	}
	return "GROUP"
}

// permission is an argument for a rule of a security group: a port and a peer, all of VPC Lattice if it is of that.
func permission(port uint16, peer netip.Addr) string {
	return fmt.Sprintf("IpProtocol=tcp,FromPort=%d,ToPort=%d,IpRanges=[{CidrIp=%v}]", port, port, around(peer))
}

func around(peer netip.Addr) netip.Prefix {
	if addressing.ServiceNetworks.Contains(peer) {
		return addressing.ServiceNetworks
	}
	return netip.PrefixFrom(peer, peer.BitLen())
}

// The ports from which clients connect, as the guide opens them in network ACLs.
const clientPorts = "From=1024,To=65535"

// curesOfACL say which entry of a network ACL is to blame, or is missing.
func curesOfACL(at packetfilter.Step, from netip.Addr, to netip.AddrPort) []string {
	outbound := at.Gate == packetfilter.OutboundACL
	way, peer, ports := "--ingress", from, fmt.Sprintf("From=%d,To=%d", to.Port(), to.Port())
	if outbound {
		way = "--egress"
	}
	if outbound != at.Answer {
		peer = to.Addr()
	}
	if at.Answer {
		ports = clientPorts
	}
	below := "NUMBER"
	if n, err := strconv.Atoi(at.Rule); err == nil && n > 1 {
		below = strconv.Itoa(n - 1)
	}
	return []string{
		"the entries; the lowest that matches decides, also about answers: aws ec2 describe-network-acls " +
			"--network-acl-ids " + at.At,
		fmt.Sprintf("let it pass: aws ec2 create-network-acl-entry --network-acl-id %s %s --rule-number %s --protocol tcp "+
			"--port-range %s --cidr-block %v --rule-action allow", at.At, way, below, ports, around(peer)),
	}
}
