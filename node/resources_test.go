package node_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pergola/aws/ec2"
	"pergola/aws/elbv2"
	"pergola/fabric"
	"pergola/lattice"
)

// echo has an instance answer who calls, and all that its caller has sent.
func (w *world) echo(p place, port uint16) {
	w.t.Helper()
	l := must(w.Listen(w.ctx, fabric.Place{VPC: p.vpc, Instance: p.instance}, "tcp4", netip.AddrPortFrom(p.address, port)))
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				said, _ := io.ReadAll(conn) // what came before an error counts
				host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
				fmt.Fprintf(conn, "%s said %d bytes ending in %s", host, len(said), said[max(0, len(said)-3):])
			})
		}
	})
	w.t.Cleanup(func() { _ = l.Close(); serving.Wait() })
}

// gateway makes a resource gateway in the subnets of a place.
func (w *world) gateway(name string, p place, resolution string) string {
	return must(w.CreateResourceGateway(w.ctx, w.caller, &lattice.CreateResourceGatewayRequest{Name: name,
		VPCIdentifier: p.vpc, SubnetIDs: p.subnets, ResourceConfigDNSResolution: resolution})).ID
}

// resource makes a resource that is reached in a network, and returns its generated name.
func (w *world) resource(network string, in lattice.CreateResourceConfigurationRequest) (association, name string) {
	in.Type = lattice.ResourceSingle
	id := must(w.CreateResourceConfiguration(w.ctx, w.caller, &in)).ID
	association = must(w.CreateServiceNetworkResourceAssociation(w.ctx, w.caller,
		&lattice.CreateServiceNetworkResourceAssociationRequest{ServiceNetworkIdentifier: network,
			ResourceConfigurationIdentifier: id, PrivateDNSEnabled: new(true)})).ID
	w.eventually("the association is active",
		func() bool { return w.resourceAssociation(association).Status == lattice.StatusActive })
	return association, w.resourceAssociation(association).DNSEntry.DomainName
}

func (w *world) resourceAssociation(id string) *lattice.GetServiceNetworkResourceAssociationResponse {
	return must(w.GetServiceNetworkResourceAssociation(w.ctx, w.caller,
		&lattice.GetServiceNetworkResourceAssociationRequest{Identifier: id}))
}

func (w *world) gatewayOf(id string) *lattice.GetResourceGatewayResponse {
	return must(w.GetResourceGateway(w.ctx, w.caller, &lattice.GetResourceGatewayRequest{ResourceGatewayIdentifier: id}))
}

func ipOf(a netip.Addr) *lattice.ResourceConfigurationDefinition {
	return &lattice.ResourceConfigurationDefinition{IPResource: &lattice.IPResource{IPAddress: a.String()}}
}

func named(name string) *lattice.ResourceConfigurationDefinition {
	return &lattice.ResourceConfigurationDefinition{DNSResource: &lattice.DNSResource{DomainName: name}}
}

// say connects from an instance to a name, says something, ends its side, and returns what it hears.
func (w *world) say(p place, name string, port uint16, what string) (heard string, err error) {
	addresses, err := w.node.Resolve(w.ctx, p.vpc, name)
	if err != nil {
		return "", err
	}
	conn, err := w.Dial(w.ctx, fabric.Place{VPC: p.vpc, Instance: p.instance}, netip.Addr{},
		netip.AddrPortFrom(addresses[0], port))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, what); err != nil {
		return "", err
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return "", err
	}
	all, err := io.ReadAll(conn)
	return string(all), err
}

// TestResourcesAreReached has a client in one VPC reach an instance in another one with the very same addresses, on
// each fabric: by the instance's address, by a name, and on no port that the resource does not have.
func TestResourcesAreReached(t *testing.T) {
	for _, kind := range []string{fabric.Loopback, fabric.Netns} {
		t.Run(kind, func(t *testing.T) {
			w := newWorldOn(t, kind)
			network := w.network("retail")
			client, server := w.place(network), w.place(w.network("elsewhere"))
			if client.address != server.address {
				t.Fatalf("the client is %v and the server %v", client.address, server.address)
			}
			w.start()
			gateway := w.gateway("way", server, lattice.ResolveInVPC)
			w.eventually("the gateway is active", func() bool { return w.gatewayOf(gateway).Status == lattice.StatusActive })
			w.eventually("the instance runs", func() bool { return w.instanceOf(server).State.Name == "running" })
			w.echo(server, 5432)
			w.echo(server, 5440)
			w.echo(server, 9000)
			association, name := w.resource(network, lattice.CreateResourceConfigurationRequest{Name: "database",
				ResourceGatewayIdentifier: gateway, PortRanges: []string{"5432", "5435-5440"},
				ResourceConfigurationDefinition: ipOf(server.address)})
			own := map[string]bool{"10.0.0.5": true, "10.0.1.4": true} // of the gateway; the instance has 10.0.0.4
			large := strings.Repeat("x", 1<<20) + "end"
			for _, port := range []uint16{5432, 5440} {
				heard, err := w.say(client, name, port, large)
				from, rest, _ := strings.Cut(heard, " ")
				if err != nil || !own[from] || rest != fmt.Sprintf("said %d bytes ending in end", len(large)) {
					t.Errorf("port %d: heard %q, %v", port, heard, err)
				}
			}
			for port, why := range map[uint16]string{9000: "the resource does not have it", 5436: "nobody listens there"} {
				if heard, err := w.say(client, name, port, ""); heard != "" || !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("port %d, though %s: %q, %v", port, why, heard, err)
				}
			}
			if _, err := w.say(server, name, 5432, ""); err == nil {
				t.Error("a VPC that is not in the network knows the resource's name")
			}

			balancer := w.balancer(server, "web", 80)
			w.eventually("the load balancer is active", func() bool {
				state, _ := w.balancerState(balancer)
				return state == "active"
			})
			for i, of := range []string{gateway, w.gateway("public", server, "")} {
				_, byName := w.resource(network, lattice.CreateResourceConfigurationRequest{Name: fmt.Sprint("web-", i),
					ResourceGatewayIdentifier: of, PortRanges: []string{"80"},
					ResourceConfigurationDefinition: named(w.dnsNameOf(balancer))})
				if heard, err := w.say(client, byName, 80, "GET / HTTP/1.1\r\nHost: web\r\nConnection: "+
					"close\r\n\r\n"); err != nil || !strings.HasPrefix(heard, "HTTP/1.1 204") {
					t.Errorf("by a name: %q, %v", heard, err)
				}
			}

			must(w.DeleteServiceNetworkResourceAssociation(w.ctx, w.caller,
				&lattice.DeleteServiceNetworkResourceAssociationRequest{Identifier: association}))
			w.eventually("the resource is gone", func() bool {
				_, err := w.node.Resolve(w.ctx, client.vpc, name)
				return err != nil
			})
		})
	}
}

func (w *world) dnsNameOf(balancer string) string {
	return must(w.balancers.DescribeLoadBalancers(w.ctx, w.caller,
		&elbv2.DescribeLoadBalancersRequest{ARNs: []string{balancer}})).LoadBalancers[0].DNSName
}

// TestPrivateNamesOfResources has a VPC that wants them know a resource by its custom domain.
func TestPrivateNamesOfResources(t *testing.T) {
	w := newWorld(t)
	network := w.network("retail")
	client, server := w.place(network), w.place(w.network("elsewhere"))
	w.start()
	gateway := w.gateway("way", server, "")
	_, generated := w.resource(network, lattice.CreateResourceConfigurationRequest{Name: "database",
		ResourceGatewayIdentifier: gateway, PortRanges: []string{"5432"}, CustomDomainName: "db.example.com",
		ResourceConfigurationDefinition: ipOf(server.address)})
	if _, err := w.node.Resolve(w.ctx, client.vpc, "db.example.com"); err == nil {
		t.Error("a VPC without private DNS knows the custom domain")
	}
	w.eventually("the association of the VPC is active",
		func() bool { return w.associationOf(client).Status == lattice.StatusActive })
	must(w.UpdateServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.UpdateServiceNetworkVPCAssociationRequest{
		Identifier: client.association, PrivateDNSEnabled: new(true),
		DNSOptions: &lattice.DNSOptions{PrivateDNSPreference: lattice.PreferAll}}))
	w.eventually("the custom domain is known", func() bool {
		found, err := w.node.Resolve(w.ctx, client.vpc, "db.example.com")
		known, _ := w.node.Resolve(w.ctx, client.vpc, generated)
		return err == nil && len(known) == 1 && found[0] == known[0]
	})
}

// TestAGatewayThatCannotBeMadeSaysSo has a gateway fail, and be mended.
func TestAGatewayThatCannotBeMadeSaysSo(t *testing.T) {
	w := newWorld(t)
	p := w.place(w.network("retail"))
	w.start()
	w.set(func(_ context.Context, what string) error {
		if strings.Contains(what, "/rgw-") {
			return errors.New("made to fail")
		}
		return nil
	})
	gateway := w.gateway("way", p, "")
	w.eventually("the gateway has failed",
		func() bool { return w.gatewayOf(gateway).Status == lattice.StatusCreateFailed })
	w.set(nil)
	w.eventually("the gateway is mended", func() bool { return w.gatewayOf(gateway).Status == lattice.StatusActive })
	must(w.DeleteResourceGateway(w.ctx, w.caller,
		&lattice.DeleteResourceGatewayRequest{ResourceGatewayIdentifier: gateway}))
	w.eventually("the gateway is gone", func() bool {
		_, err := w.GetResourceGateway(w.ctx, w.caller,
			&lattice.GetResourceGatewayRequest{ResourceGatewayIdentifier: gateway})
		return err != nil
	})
	run := must(w.networks.RunInstances(w.ctx, w.caller, &ec2.RunInstancesRequest{SubnetID: p.subnets[0]})).Instances[0]
	if run.PrivateAddress != "10.0.0.5" {
		t.Errorf("the next instance has %s, and not the address of the gateway", run.PrivateAddress)
	}
}

// TestADoorToResourcesThatCannotBeOpened has the associations say so.
func TestADoorToResourcesThatCannotBeOpened(t *testing.T) {
	w := newWorld(t)
	network := w.network("retail")
	client, server := w.place(network), w.place(w.network("elsewhere"))
	w.start()
	w.set(fail(client.vpc + " intercept"))
	configuration := must(w.CreateResourceConfiguration(w.ctx, w.caller, &lattice.CreateResourceConfigurationRequest{
		Name: "database", Type: lattice.ResourceSingle, PortRanges: []string{"1"},
		ResourceGatewayIdentifier: w.gateway("way", server, ""), ResourceConfigurationDefinition: ipOf(server.address)})).ID
	association := must(w.CreateServiceNetworkResourceAssociation(w.ctx, w.caller,
		&lattice.CreateServiceNetworkResourceAssociationRequest{ServiceNetworkIdentifier: network,
			ResourceConfigurationIdentifier: configuration})).ID
	w.eventually("the association has failed", func() bool {
		a := w.resourceAssociation(association)
		return a.Status == lattice.StatusCreateFailed && a.FailureCode == lattice.FailureOnNode && a.FailureReason != ""
	})
	w.set(nil)
	w.eventually("the association is mended", func() bool {
		return w.resourceAssociation(association).Status == lattice.StatusActive
	})
}
