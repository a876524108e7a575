package explain

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"pergola/fabric/packetfilter"
	"pergola/snapshot"
)

// toResource follows a connection to a resource.
func (w *walk) toResource() {
	if !w.association() {
		return
	}
	reach := w.resourceName()
	if reach == nil || !w.resourcePort(reach) {
		return
	}
	port := w.portNumber()
	if w.packets(netip.AddrPortFrom(reach.Address, port)) && w.gateway(reach, port) {
		w.answer.Reason = fmt.Sprintf("allowed: carried to %s by %s", reach.ID, reach.Gateway.ID)
	}
}

// portNumber is the port of the URL; 0 where that has none.
func (w *walk) portNumber() uint16 {
	port, _ := strconv.ParseUint(w.url.Port(), 10, 16)
	return uint16(port)
}

func (w *walk) resourceName() *snapshot.Reach {
	reach, _ := w.vpc.ReachNamed([]byte(w.url.Hostname()))
	if reach == nil {
		w.cure("associate the resource: aws vpc-lattice create-service-network-resource-association "+
			"--service-network-identifier %s --resource-configuration-identifier RESOURCE", w.vpc.Doors[0].Network.ID)
		w.cure("a custom domain name needs private DNS at the association with the resource and at that of the VPC, whose " +
			"preference may ask for a verified domain")
		w.stop("name", "unreachable", "%s is no resource of %s, so it does not resolve in %s", w.url.Hostname(), w.networks(),
			w.vpc.ID)
		return nil
	}
	w.pass("name", "%s is %s and resolves to %s", w.url.Hostname(), reach.ID, reach.Address)
	return reach
}

func (w *walk) resourcePort(reach *snapshot.Reach) bool {
	port, ranges := w.portNumber(), make([]string, len(reach.Ports))
	for i, of := range reach.Ports {
		ranges[i] = strconv.Itoa(int(of.First))
		if of.Last != of.First {
			ranges[i] += "-" + strconv.Itoa(int(of.Last))
		}
	}
	if port == 0 || !reach.HasPort(port) {
		w.cure("take the port in: aws vpc-lattice update-resource-configuration --resource-configuration-identifier %s "+
			"--port-ranges %s PORT", reach.ID, strings.Join(ranges, " "))
		return w.stop("port", "unreachable", "connections to port %s are reset: %s has %s", w.url.Port(), reach.ID,
			strings.Join(ranges, ", "))
	}
	return w.pass("port", "%s has port %d", reach.ID, port)
}

// gateway tells whether the gateway can connect to the resource.
func (w *walk) gateway(reach *snapshot.Reach, port uint16) bool {
	where := fmt.Sprintf("%s in %s", reach.Gateway.ID, reach.Gateway.VPC)
	vpc := w.Snapshot.VPCs.Get(reach.Gateway.VPC)
	if reach.Target.IsValid() && w.Judge != nil && vpc != nil && len(reach.Gateway.Addresses) > 0 {
		from, to := reach.Gateway.Addresses[0], netip.AddrPortFrom(reach.Target, port)
		if steps := w.Judge(vpc.ID, from, to); !packetfilter.Passed(steps) {
			last := steps[len(steps)-1]
			for _, cure := range curesOf(vpc, last, from, to) {
				w.cure("%s", cure)
			}
			return w.stop("gateway", "reset", "%s gets no answer from %v: %s", where, to, w.dropped(vpc, last))
		}
	}
	if w.ConnectResource != nil {
		if err := w.ConnectResource(reach.Resource, port); err != nil {
			w.cure("start what serves %s; to see what listens there: pergola exec INSTANCE -- ss -ltn", reach.ID)
			return w.stop("gateway", "reset", "%s cannot connect: %v", where, err)
		}
	}
	return w.pass("gateway", "%s connects to %s", where, reach.ID)
}
