package estate

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"pergola/addressing"
	"pergola/deployment"
	"pergola/fabric"
	"pergola/fabric/packetfilter"
	"pergola/internal/testenv"
)

// gate is one of the gates between a client and a target: what closes it and what opens it again.
type gate struct {
	name        string
	vpc         testenv.VPC
	drop        packetfilter.Drop // at which packets are counted
	close, open func()
	behind      bool   // behind VPC Lattice, so that clients hear of it
	cure        string // is part of what explain says to do
}

// TestGates closes each gate on the way from a client to a target, and opens it again: clients hear nothing, or that
// VPC Lattice hears nothing from the target; the packets are counted where they were dropped; all else goes on.
func TestGates(t *testing.T) {
	for _, kind := range []string{fabric.Loopback, fabric.Netns} {
		t.Run(kind, func(t *testing.T) {
			if kind == fabric.Netns {
				skipWithoutNamespaces(t)
			}
			e := newEstateOn(t, testenv.StartIn(t, deployment.Config{Dir: t.TempDir(), NoSync: true, Network: kind}))
			targets := e.makeSecurityGroup(e.owners, "targets")
			target := e.RunInstance(e.owners, "10.20.1.10", targets)
			e.Serve(target, 8080, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Connection", "close") // so that each request meets the gates
			}))
			s := e.makeService("enrichment", only(e.makeGroup("enrichment", nil, target)))
			for _, g := range e.gates(target.ID, targets) {
				t.Run(g.name, func(t *testing.T) { e.closeAndOpen(t, s, g) })
			}
		})
	}
}

func skipWithoutNamespaces(t *testing.T) {
	t.Helper()
	f, err := fabric.Open(fabric.Config{Kind: fabric.Netns, StateDir: t.TempDir()})
	if err != nil {
		t.Skip("not here: ", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// gates are all gates, in the order of the way.
func (e *estate) gates(target, targets string) []gate {
	all := url.Values{"IpPermissions.1.IpProtocol": {"-1"}, "IpPermissions.1.IpRanges.1.CidrIp": {"0.0.0.0/0"}}
	lattice := url.Values{"IpPermissions.1.IpProtocol": {"tcp"}, "IpPermissions.1.FromPort": {"8080"},
		"IpPermissions.1.ToPort": {"8080"}, "IpPermissions.1.IpRanges.1.CidrIp": {addressing.ServiceNetworks.String()}}
	members := url.Values{"IpPermissions.1.IpProtocol": {"tcp"}, "IpPermissions.1.FromPort": {"80"},
		"IpPermissions.1.ToPort": {"80"}, "IpPermissions.1.Groups.1.GroupId": {e.clients.Group}}
	association, callers := e.guardAssociation()
	e.Rule("AuthorizeSecurityGroupIngress", callers, members)
	e.Rule("AuthorizeSecurityGroupIngress", targets, lattice)
	return []gate{
		{"egress of the client's group", e.clients,
			packetfilter.Drop{Gate: packetfilter.EgressGroups, At: e.client.ID},
			func() { e.Rule("RevokeSecurityGroupEgress", e.clients.Group, all) },
			func() { e.Rule("AuthorizeSecurityGroupEgress", e.clients.Group, all) }, false,
			"authorize-security-group-egress --group-id " + e.clients.Group},
		e.entry("outbound ACL of the client's subnet", e.clients, packetfilter.OutboundACL, "80", "80", false),
		e.entry("inbound ACL of the client's subnet", e.clients, packetfilter.InboundACL, "1024", "65535", false),
		{"group of the association", e.clients,
			packetfilter.Drop{Gate: packetfilter.AssociationGroups, At: association},
			func() { e.Rule("RevokeSecurityGroupIngress", callers, members) },
			func() { e.Rule("AuthorizeSecurityGroupIngress", callers, members) }, false,
			"authorize-security-group-ingress --group-id " + callers},
		e.entry("inbound ACL of the target's subnet", e.owners, packetfilter.InboundACL, "8080", "8080", true),
		{"ingress of the target's group", e.owners, packetfilter.Drop{Gate: packetfilter.IngressGroups, At: target},
			func() { e.Rule("RevokeSecurityGroupIngress", targets, lattice) },
			func() { e.Rule("AuthorizeSecurityGroupIngress", targets, lattice) }, true,
			"authorize-security-group-ingress --group-id " + targets},
		e.entry("outbound ACL of the target's subnet", e.owners, packetfilter.OutboundACL, "1024", "65535", true),
	}
}

func (e *estate) ec2(action string, parameters url.Values, out any) {
	e.t.Helper()
	if out == nil {
		out = &struct{}{}
	}
	if err := e.API.Query(e.t.Context(), "ec2", action, parameters, out); err != nil {
		e.t.Fatal(err)
	}
}

func (e *estate) makeSecurityGroup(vpc testenv.VPC, name string) (id string) {
	var made struct {
		ID string `xml:"groupId"`
	}
	e.ec2("CreateSecurityGroup", url.Values{"VpcId": {vpc.ID}, "GroupName": {name}, "GroupDescription": {name}}, &made)
	return made.ID
}

// guardAssociation gives the association of the clients' VPC a security group.
func (e *estate) guardAssociation() (association, group string) {
	group = e.makeSecurityGroup(e.clients, "callers")
	listed := must(e.Lattice.ListServiceNetworkVpcAssociations(e.t.Context(),
		&vpclattice.ListServiceNetworkVpcAssociationsInput{VpcIdentifier: &e.clients.ID}))(e.t)
	association = *listed.Items[0].Id
	must(e.Lattice.UpdateServiceNetworkVpcAssociation(e.t.Context(),
		&vpclattice.UpdateServiceNetworkVpcAssociationInput{ServiceNetworkVpcAssociationIdentifier: &association,
			SecurityGroupIds: []string{group}}))(e.t)
	e.Eventually("the association has its group", func() bool {
		got := must(e.Lattice.GetServiceNetworkVpcAssociation(e.t.Context(), &vpclattice.GetServiceNetworkVpcAssociationInput{
			ServiceNetworkVpcAssociationIdentifier: &association,
		}))(e.t)
		return got.Status == types.ServiceNetworkVpcAssociationStatusActive
	})
	return association, group
}

// entry is a gate that an entry of a VPC's default ACL closes, for some ports of TCP.
func (e *estate) entry(name string, vpc testenv.VPC, at packetfilter.Gate, from, to string, behind bool) gate {
	var acls struct {
		ID string `xml:"networkAclSet>item>networkAclId"`
	}
	e.ec2("DescribeNetworkAcls", url.Values{"Filter.1.Name": {"vpc-id"}, "Filter.1.Value.1": {vpc.ID}}, &acls)
	egress := "false"
	if at == packetfilter.OutboundACL {
		egress = "true"
	}
	entry := url.Values{"NetworkAclId": {acls.ID}, "RuleNumber": {"90"}, "Egress": {egress}}
	denied := maps.Clone(entry)
	for key, value := range map[string]string{"RuleAction": "deny", "Protocol": "6", "CidrBlock": "0.0.0.0/0",
		"PortRange.From": from, "PortRange.To": to} {
		denied.Set(key, value)
	}
	return gate{name, vpc, packetfilter.Drop{Gate: at, At: acls.ID, Rule: "90"},
		func() { e.ec2("CreateNetworkAclEntry", denied, nil) }, func() { e.ec2("DeleteNetworkAclEntry", entry, nil) }, behind,
		"create-network-acl-entry --network-acl-id " + acls.ID}
}

func (e *estate) closeAndOpen(t *testing.T, s service, g gate) {
	if err := e.tryCall(s, whenOpen); err != nil {
		t.Fatalf("while it is open: %v", err)
	}
	before := e.dropped(t, g)
	g.close()
	switch err := e.tryCall(s, whenClosed); {
	case g.behind && !errors.Is(err, errUnavailable):
		t.Errorf("closed, the service says: %v", err)
	case !g.behind && !isSilence(err):
		t.Errorf("closed, the client hears: %v", err)
	}
	if e.dropped(t, g) == before {
		t.Errorf("no packet was counted at %+v", g.drop)
	}
	if _, err := e.client.Lookup(t.Context(), s.domain); err != nil {
		t.Errorf("meanwhile the resolver says: %v", err)
	}
	e.explains(t, s, g)
	g.open()
	if err := e.tryCall(s, whenOpen); err != nil {
		t.Errorf("opened again: %v", err)
	}
}

// explains checks that explain names the gate that is closed, how many packets it has dropped, and what opens it.
func (e *estate) explains(t *testing.T, s service, g gate) {
	t.Helper()
	reason, all := e.explained(e.client, s.url("/"))
	if strings.HasPrefix(reason, "unreachable: ") == g.behind {
		t.Errorf("the reason is %q", reason)
	}
	for _, want := range []string{"the " + string(g.drop.Gate) + ": ", "dropped there so far)", g.cure} {
		if !strings.Contains(all, want) {
			t.Errorf("explain does not say %q:\n%s", want, all)
		}
	}
}

// errUnavailable is what a service answers whose target does not.
var errUnavailable = errors.New("503 Service Unavailable")

// isSilence reports whether a call ended because nobody answered.
func isSilence(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// How long a connection has to come about: where a gate is closed it never does, and where all are open the host may be
// busy.
const (
	whenClosed = time.Second
	whenOpen   = 20 * time.Second
)

// tryCall calls a service by a new connection.
func (e *estate) tryCall(s service, within time.Duration) error {
	client := e.client.Client()
	defer client.CloseIdleConnections()
	transport := client.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		return dial(ctx, network, address)
	}
	response, err := client.Get(s.url("/"))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusServiceUnavailable:
		return errUnavailable
	}
	return errors.New(response.Status)
}

// dropped is how many packets a gate has dropped.
func (e *estate) dropped(t *testing.T, g gate) uint64 {
	t.Helper()
	drops, err := e.Fabric().Drops(g.vpc.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range drops {
		if d.Gate == g.drop.Gate && d.At == g.drop.At && d.Rule == g.drop.Rule {
			return d.Packets
		}
	}
	return 0
}

// TestAClosedGateIsUnhealthy has a health check that the target's security group does not let in: the target is
// unhealthy, and healthy once it does.
func TestAClosedGateIsUnhealthy(t *testing.T) {
	e := newEstate(t)
	group := e.makeSecurityGroup(e.owners, "closed")
	target := e.RunInstance(e.owners, "10.20.1.10", group)
	e.Serve(target, 8080, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	enabled, path, interval, timeout, twice := true, "/", int32(5), int32(1), int32(2)
	id := e.makeGroup("enrichment", &types.HealthCheckConfig{Enabled: &enabled, Path: &path,
		HealthCheckIntervalSeconds: &interval, HealthCheckTimeoutSeconds: &timeout,
		HealthyThresholdCount: &twice}, target)
	e.makeService("enrichment", only(id))
	is := func(status types.TargetStatus) {
		t.Helper()
		e.Eventually("the target is "+string(status), func() bool {
			listed := must(e.Lattice.ListTargets(t.Context(), &vpclattice.ListTargetsInput{TargetGroupIdentifier: &id}))(t)
			return listed.Items[0].Status == status
		})
	}
	is(types.TargetStatusUnhealthy)
	e.Rule("AuthorizeSecurityGroupIngress", group, url.Values{"IpPermissions.1.IpProtocol": {"tcp"},
		"IpPermissions.1.FromPort": {"8080"}, "IpPermissions.1.ToPort": {"8080"},
		"IpPermissions.1.IpRanges.1.CidrIp": {netip.PrefixFrom(addressing.Source, 32).String()}})
	is(types.TargetStatusHealthy)
}

// TestGatesOfResources has a resource whose security group lets in its gateway alone, and closes the group of the
// association of the client's VPC, and opens it again.
func TestGatesOfResources(t *testing.T) {
	for _, kind := range []string{fabric.Loopback, fabric.Netns} {
		t.Run(kind, func(t *testing.T) {
			if kind == fabric.Netns {
				skipWithoutNamespaces(t)
			}
			e := newEstateOn(t, testenv.StartIn(t, deployment.Config{Dir: t.TempDir(), NoSync: true, Network: kind}))
			_, callers := e.guardAssociation()
			way, database := e.makeSecurityGroup(e.owners, "way"), e.makeSecurityGroup(e.owners, "database")
			port := url.Values{"IpPermissions.1.IpProtocol": {"tcp"}, "IpPermissions.1.FromPort": {"5432"},
				"IpPermissions.1.ToPort": {"5432"}}
			fromWay, fromClients := maps.Clone(port), maps.Clone(port)
			fromWay.Set("IpPermissions.1.Groups.1.GroupId", way)
			fromClients.Set("IpPermissions.1.Groups.1.GroupId", e.clients.Group)
			e.Rule("AuthorizeSecurityGroupIngress", database, fromWay)
			server := e.RunInstance(e.owners, "10.20.1.10", database)
			e.Serve(server, 5432, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			name := e.resourceAt(server.Address, way)
			url := "http://" + name + ":5432/"
			call := func(within time.Duration) error {
				client := e.client.Client()
				client.Timeout = within
				defer client.CloseIdleConnections()
				response, err := client.Get(url)
				if err != nil {
					return err
				}
				return response.Body.Close()
			}
			for _, state := range []string{"closed at first", "open", "closed again"} {
				if state == "open" {
					e.Rule("AuthorizeSecurityGroupIngress", callers, fromClients)
					if err := call(whenOpen); err != nil {
						t.Errorf("open: %v", err)
					}
					e.explainsResource(t, name, database, fromWay)
					e.Rule("RevokeSecurityGroupIngress", callers, fromClients)
				} else if err := call(whenClosed); !isSilence(err) {
					t.Errorf("%s: the client hears %v", state, err)
				}
			}
		})
	}
}

// explainsResource asks explain about a resource that can be reached, then about one whose own group is closed, about a
// port that it does not have and about no resource.
func (e *estate) explainsResource(t *testing.T, name, database string, fromWay url.Values) {
	t.Helper()
	says := func(url, reason, cure string) {
		t.Helper()
		got, all := e.explained(e.client, url)
		if !strings.HasPrefix(got, reason) || !strings.Contains(all, cure) {
			t.Errorf("%s: want %q and %q, got\n%s", url, reason, cure, all)
		}
	}
	says("tcp://"+name+":5432", "allowed: carried to rcfg-", "ok gateway")
	says("tcp://"+name+":5433", "unreachable: connections to port 5433 are reset", "update-resource-configuration")
	says("tcp://other.example:5432", "unreachable: other.example is no resource of "+e.network,
		"create-service-network-resource-association")
	e.Rule("RevokeSecurityGroupIngress", database, fromWay)
	says("tcp://"+name+":5432", "reset: rgw-", "authorize-security-group-ingress --group-id "+database)
	e.Rule("AuthorizeSecurityGroupIngress", database, fromWay)
}

// resourceAt makes a resource of port 5432 of an address in the owners' VPC, behind a gateway in a security group, and
// associates it with the network. It returns its name.
func (e *estate) resourceAt(address netip.Addr, group string) (name string) {
	e.t.Helper()
	ctx := e.t.Context()
	gateway := must(e.Lattice.CreateResourceGateway(ctx, &vpclattice.CreateResourceGatewayInput{Name: aws.String("way"),
		VpcIdentifier: &e.owners.ID, SubnetIds: []string{e.owners.Subnet}, SecurityGroupIds: []string{group}}))(e.t)
	text := address.String()
	resource := must(e.Lattice.CreateResourceConfiguration(ctx, &vpclattice.CreateResourceConfigurationInput{
		Name: aws.String("database"), Type: types.ResourceConfigurationTypeSingle, PortRanges: []string{"5432"},
		ResourceGatewayIdentifier: gateway.Id,
		ResourceConfigurationDefinition: &types.ResourceConfigurationDefinitionMemberIpResource{
			Value: types.IpResource{IpAddress: &text}}}))(e.t)
	association := must(e.Lattice.CreateServiceNetworkResourceAssociation(ctx,
		&vpclattice.CreateServiceNetworkResourceAssociationInput{ServiceNetworkIdentifier: &e.network,
			ResourceConfigurationIdentifier: resource.Id}))(e.t)
	e.Eventually("the resource is associated", func() bool {
		got := must(e.Lattice.GetServiceNetworkResourceAssociation(ctx, &vpclattice.GetServiceNetworkResourceAssociationInput{
			ServiceNetworkResourceAssociationIdentifier: association.Id}))(e.t)
		if got.DnsEntry != nil {
			name = *got.DnsEntry.DomainName
		}
		return got.Status == types.ServiceNetworkResourceAssociationStatusActive
	})
	return name
}
