package loadbalancer

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"pergola/aws/elbv2"
	"pergola/dataplane/proxy"
	"pergola/dataplane/target"
	"pergola/sigv4"
	"pergola/snapshot"
)

// picker lets the proxy choose among the targets of a load balancer.
type picker struct{ targets *target.Set }

// Pick returns the target of a group that is next to receive a request.
func (p picker) Pick(group *snapshot.TargetGroup, tried ...netip.AddrPort) (proxy.Target, bool) {
	return p.targets.Pick(group, tried...)
}

// terms are what becomes of a request: a fixed response, or the way to a target group that is chosen by weight.
func (b *balancer) terms(asked proxy.Asked) proxy.Terms {
	now := b.current.Load()
	listener := listenerAt(now.LoadBalancer, asked.Arrival.Port)
	switch {
	case listener == nil: // it is being closed
		return proxy.Terms{}
	case listener.Fixed != nil:
		return proxy.Terms{Fixed: &proxy.Fixed{
			Status: listener.Fixed.Status, ContentType: listener.Fixed.ContentType, Body: listener.Fixed.Body,
		}}
	}
	return proxy.Terms{
		Group: choose(listener, rand.IntN), Patience: now.IdleTimeout,
		Header: header(asked, now.LoadBalancer, listener),
	}
}

func listenerAt(l *snapshot.LoadBalancer, port uint16) *snapshot.BalancerListener {
	for i := range l.Listeners {
		if l.Listeners[i].Port == port {
			return &l.Listeners[i]
		}
	}
	return nil
}

// choose chooses a target group by weight, or nil when all weights are 0 or no group is left. below draws a number from 0
// to one less than its argument.
func choose(l *snapshot.BalancerListener, below func(int) int) *snapshot.TargetGroup {
	if l.TotalWeight == 0 {
		return nil
	}
	n := below(l.TotalWeight)
	for _, share := range l.Forward {
		if n -= share.Weight; n < 0 {
			return share.Group
		}
	}
	return nil
}

// The fields that tell a target who has asked, and how.
const (
	forwardedFor   = "x-forwarded-for"
	forwardedPort  = "x-forwarded-port"
	forwardedProto = "x-forwarded-proto"
)

// header is what a target is told: who has asked, and how (user guide for Application Load Balancers, "HTTP headers").
// All else goes on as it came, but what is about the client's connection.
func header(asked proxy.Asked, l *snapshot.LoadBalancer, at *snapshot.BalancerListener) sigv4.Fields {
	fields := sigv4.Fields{{Name: "host", Value: string(asked.Host)}}
	var before []string
	for _, f := range asked.All() {
		name := strings.ReplaceAll(strings.ToLower(string(f.Name)), "_", "-") // which are one to some targets
		switch {
		case f.Hop || name == "host" || name == forwardedPort || name == forwardedProto:
		case name != forwardedFor:
			fields = append(fields, sigv4.Field{Name: string(f.Name), Value: string(f.Value)})
		case strings.EqualFold(string(f.Name), forwardedFor):
			before = append(before, string(f.Value))
		}
	}
	fields = append(fields,
		sigv4.Field{Name: forwardedPort, Value: strconv.Itoa(int(at.Port))},
		sigv4.Field{Name: forwardedProto, Value: strings.ToLower(string(at.Protocol))})
	switch l.ForwardedFor {
	case elbv2.ForwardedForRemove:
	case elbv2.ForwardedForPreserve:
		for _, value := range before {
			fields = append(fields, sigv4.Field{Name: forwardedFor, Value: value})
		}
	default:
		all := append(slices.DeleteFunc(before, func(value string) bool { return value == "" }), client(asked.Client, l))
		fields = append(fields, sigv4.Field{Name: forwardedFor, Value: strings.Join(all, ", ")})
	}
	return fields
}

// client is the address of the client of a request, with its port if the load balancer is to tell it.
func client(at netip.AddrPort, l *snapshot.LoadBalancer) string {
	switch {
	case !at.IsValid():
		return "unknown" // RFC 7239 §6.2
	case l.ForwardedClientPort:
		return at.String()
	}
	return at.Addr().String()
}
