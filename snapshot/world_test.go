package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pergola/aws/acm"
	"pergola/aws/ec2"
	"pergola/aws/elbv2"
	"pergola/aws/route53"
	"pergola/lattice"
)

const region = "us-west-2"

// put is the change that writes an object.
func put(key string, object any) Change {
	value, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return Change{key, value}
}

// gone is the change that deletes an object.
func gone(key string) Change { return Change{Key: key} }

func at(second int) lattice.Time {
	return lattice.Time{Time: time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC)}
}

func arnOf(k lattice.Kind, id string) string {
	return lattice.Home{Region: region, Account: "111122223333"}.ARN(k, id)
}

func aNetwork(id string) Change {
	return put("servicenetwork/"+id, lattice.ServiceNetwork{ID: id, ARN: arnOf(lattice.KindServiceNetwork, id), AuthType: lattice.AuthNone})
}

func service(id string) lattice.Service {
	return lattice.Service{
		ID: id, ARN: arnOf(lattice.KindService, id), Name: "n" + id, AuthType: lattice.AuthNone,
		IdleTimeoutSeconds: 60, Status: lattice.StatusActive,
		DNSEntry: lattice.DNSEntry{DomainName: lattice.DomainName("n"+id, id, region)},
	}
}

func aService(id string) Change { return put("service/"+id, service(id)) }

func namedService(id, custom string) Change {
	s := service(id)
	s.CustomDomainName = custom
	return put("service/"+id, s)
}

func certificateARN(id string) string {
	return "arn:aws:acm:" + region + ":111122223333:certificate/" + id
}

// aCertificate is one whose contents say which version of it this is.
func aCertificate(id, version string) Change {
	return put("certificate/111122223333/"+id, acm.Certificate{
		ARN: certificateARN(id), Chain: [][]byte{[]byte("leaf " + version), []byte("issuer")}, SealedKey: []byte("key " + version),
	})
}

func anAuthority(version string) Change {
	return put("certificateauthority/built-in", acm.Authority{Certificate: []byte("authority " + version), SealedKey: []byte("key " + version)})
}

// certifiedService is a service with a custom domain name and a certificate.
func certifiedService(id, custom, certificate string) Change {
	s := service(id)
	s.CustomDomainName, s.CertificateARN = custom, certificateARN(certificate)
	return put("service/"+id, s)
}

func fixed(status int32) lattice.RuleAction {
	return lattice.RuleAction{FixedResponse: &lattice.FixedResponseAction{StatusCode: status}}
}

// forward forwards to groups with the weights 1, 2, 3 …, or without a weight to a single one.
func forward(groups ...string) lattice.RuleAction {
	f := &lattice.ForwardAction{}
	for i, id := range groups {
		weight := new(int32(i + 1))
		if len(groups) == 1 {
			weight = nil
		}
		f.TargetGroups = append(f.TargetGroups, lattice.WeightedTargetGroup{TargetGroupIdentifier: id, Weight: weight})
	}
	return lattice.RuleAction{Forward: f}
}

func listener(service, id string, port int32, action lattice.RuleAction) lattice.Listener {
	return lattice.Listener{
		ID: id, ServiceID: service, Protocol: lattice.ProtocolHTTP, Port: port,
		DefaultAction: action, DefaultRuleID: "rule-default-" + id,
	}
}

func aListener(service, id string, port int32, action lattice.RuleAction) Change {
	return put("listener/"+service+"/"+id, listener(service, id, port, action))
}

func pathPrefix(path string) *lattice.RuleMatch {
	return &lattice.RuleMatch{HTTPMatch: &lattice.HTTPMatch{PathMatch: &lattice.PathMatch{Match: lattice.PathMatchType{Prefix: &path}}}}
}

func aRule(service, listener, id string, priority int32, path string, action lattice.RuleAction) Change {
	return put("rule/"+service+"/"+listener+"/"+id, lattice.Rule{
		ID: id, ServiceID: service, ListenerID: listener, Priority: priority, Match: pathPrefix(path), Action: action,
	})
}

func aGroup(id string, kind lattice.TargetGroupType) Change {
	return put("targetgroup/"+id, lattice.TargetGroup{
		ID: id, ARN: arnOf(lattice.KindTargetGroup, id), Type: kind, Status: lattice.StatusActive,
		Config: &lattice.TargetGroupConfig{Port: 80, Protocol: lattice.TargetHTTP, ProtocolVersion: lattice.HTTP1, VPCIdentifier: "vpc-1"},
	})
}

func aTarget(group, id string, port int32) Change {
	return put(fmt.Sprintf("target/%s/%s:%d", group, id, port), lattice.RegisteredTarget{TargetGroupID: group, ID: id, Port: port})
}

func serviceAssociation(id, network, service string, second int) lattice.ServiceNetworkServiceAssociation {
	return lattice.ServiceNetworkServiceAssociation{
		ID: id, Status: lattice.StatusActive, ServiceNetworkID: network, ServiceID: service, CreatedAt: at(second),
	}
}

func aServiceAssociation(id, network, service string, second int) Change {
	return put("servicenetworkserviceassociation/"+id, serviceAssociation(id, network, service, second))
}

func vpcAssociation(id, network, vpc string, second int) lattice.ServiceNetworkVPCAssociation {
	return lattice.ServiceNetworkVPCAssociation{
		ID: id, Status: lattice.StatusActive, ServiceNetworkID: network, VPCID: vpc, CreatedAt: at(second),
	}
}

func aVPCAssociation(id, network, vpc string, second int) Change {
	return put("servicenetworkvpcassociation/"+id, vpcAssociation(id, network, vpc, second))
}

func aVPC(id string) Change {
	return put("vpc/"+id, ec2.VPC{ID: id, Account: "111122223333", CIDR: netip.MustParsePrefix("10.0.0.0/16")})
}

func anInstance(id, vpc, address string, status lattice.Status) Change {
	return put("instance/"+id, ec2.Instance{ID: id, VPC: vpc, Address: netip.MustParseAddr(address),
		Intent: lattice.Intent{Deleting: status != lattice.StatusActive}})
}

func aGroupedInstance(id, vpc, address string, groups ...string) Change {
	return put("instance/"+id, ec2.Instance{ID: id, VPC: vpc, Address: netip.MustParseAddr(address),
		SecurityGroups: slices.Compact(slices.Sorted(slices.Values(groups)))})
}

// aSecurityGroup lets in HTTP from a prefix list, everything from a group and pings from a range, and everything out.
// That of the id sg-0 is the default one of its VPC.
func aSecurityGroup(id, vpc, list, group string) Change {
	g := ec2.SecurityGroup{ID: id, VPC: vpc, Name: "named-" + id,
		Ingress: []ec2.Permission{
			{ID: "sgr-1-" + id, Protocol: "tcp", FromPort: 80, ToPort: 81, PrefixList: list},
			{ID: "sgr-2-" + id, Protocol: "-1", FromPort: -1, ToPort: -1, Group: group},
			{ID: "sgr-3-" + id, Protocol: "icmp", FromPort: 8, ToPort: -1, CIDR: "10.0.0.0/8"},
		},
		Egress: []ec2.Permission{{ID: "sgr-4-" + id, Protocol: "-1", FromPort: -1, ToPort: -1, CIDR: "0.0.0.0/0"}}}
	if id == "sg-0" {
		g.Name = ec2.DefaultSecurityGroup
	}
	return put("securitygroup/"+id, g)
}

func aPrefixList(id string, blocks ...string) Change {
	l := ec2.PrefixList{ID: id, Family: "IPv4"}
	for _, block := range blocks {
		l.Entries = append(l.Entries, ec2.PrefixListEntry{CIDR: block})
	}
	return put("prefixlist/"+id, l)
}

// anACL denies one port and lets all else in.
func anACL(id, vpc string, port int32) Change {
	all := netip.MustParsePrefix("0.0.0.0/0")
	return put("networkacl/"+id, ec2.ACL{ID: id, VPC: vpc, Ingress: []ec2.ACLEntry{
		{Number: 90, Protocol: "6", CIDR: all, FromPort: port, ToPort: port},
		{Number: 100, Protocol: "-1", Allow: true, CIDR: all, FromPort: -1, ToPort: -1}}})
}

func aSubnet(id, vpc, acl string) Change {
	return put("subnet/"+id, ec2.Subnet{ID: id, VPC: vpc, CIDR: netip.MustParsePrefix("10.0.0.0/24"), ACL: acl})
}

func balancerARN(id string) string {
	return "arn:aws:elasticloadbalancing:us-west-2:111122223333:loadbalancer/app/pay/" + id
}

// aBalancer has a listener on port 80 that forwards to groups, and one for HTTPS that shows certificate 1.
func aBalancer(id, vpc string, groups ...string) Change {
	l := elbv2.LoadBalancer{
		ID: id, ARN: balancerARN(id), DNSName: "Internal-" + id + ".elb.amazonaws.com", VPC: vpc,
		Nodes: []elbv2.Node{{Address: netip.MustParseAddr("10.0.1.4")}, {Address: netip.MustParseAddr("10.0.2.4")}},
		Listeners: []elbv2.Listener{
			{Protocol: lattice.ProtocolHTTP, Port: 80}, {Protocol: lattice.ProtocolHTTPS, Port: 443, Certificate: certificateARN("1")},
		},
	}
	for i, group := range groups {
		l.Listeners[0].Action.Forward = append(l.Listeners[0].Action.Forward, elbv2.Share{TargetGroup: group, Weight: int32(i + 1)})
	}
	return put("loadbalancer/"+id, l)
}

// aBalancerGroup has instances as targets.
func aBalancerGroup(id string, instances ...string) Change {
	g := elbv2.TargetGroup{
		ID: id, VPC: "vpc-1", Type: elbv2.TargetInstance, Protocol: lattice.TargetHTTP,
		HealthCheck: elbv2.HealthCheck{Protocol: lattice.TargetHTTP, Path: "/up", IntervalSeconds: 30, TimeoutSeconds: 6, HealthyThreshold: 5, UnhealthyThreshold: 2, Codes: "200-299"},
	}
	for _, instance := range instances {
		g.Targets = append(g.Targets, elbv2.Target{ID: instance, Port: 8080})
	}
	return put("loadbalancertargetgroup/"+id, g)
}

// aZone is a hosted zone: a private one where it is given VPCs.
func aZone(id, name string, second int, vpcs ...string) Change {
	return put("hostedzone/"+id, route53.HostedZone{ID: id, Account: "111122223333", Name: route53.Name(name + "."),
		Private: len(vpcs) > 0, VPCs: vpcs, Created: at(second).Time})
}

// aRecord is a record set of a zone with one value; a value that begins with an arrow is the name that it is an alias
// of.
func aRecord(zone, name, typ, value string) Change {
	return aWeightedRecord(zone, name, typ, value, "", 0)
}

func aWeightedRecord(zone, name, typ, value, identifier string, weight int64) Change {
	parsed, err := route53.ParseName(name)
	if err != nil {
		panic(err)
	}
	r := route53.RecordSet{Zone: zone, Name: parsed, Type: typ, Identifier: identifier, TTL: 60, Values: []string{value}}
	if identifier != "" {
		r.Weight = &weight
	}
	if target, ok := strings.CutPrefix(value, "→"); ok {
		r.Values, r.Alias = nil, &route53.Alias{Zone: zone, Name: route53.Name(target + ".")}
	}
	return put("recordset/"+r.Path(), r)
}

// aDNSVPC is a VPC whose resolver answers from private zones.
func aDNSVPC(id string, support, hostnames bool) Change {
	return put("vpc/"+id, ec2.VPC{ID: id, Account: "111122223333", CIDR: netip.MustParsePrefix("10.0.0.0/16"),
		DNSSupport: support, DNSHostnames: hostnames})
}

// story is a VPC that is associated with a service network, in which a service answers that forwards to a group of
// one instance.
func story() []Change {
	return []Change{
		aVPC("vpc-1"),
		anInstance("i-1", "vpc-1", "10.0.0.5", lattice.StatusActive),
		aNetwork("sn-1"),
		aVPCAssociation("snva-1", "sn-1", "vpc-1", 1),
		namedService("svc-1", "Parking.Example.com"),
		aServiceAssociation("snsa-1", "sn-1", "svc-1", 2),
		aListener("svc-1", "listener-1", 80, fixed(404)),
		aRule("svc-1", "listener-1", "rule-1", 10, "/pay", forward("tg-1")),
		aGroup("tg-1", lattice.TargetInstance),
		aTarget("tg-1", "i-1", 8080),
	}
}

// build compiles the story and then the further changes, all at once.
func build(t *testing.T, more ...Change) *Snapshot {
	t.Helper()
	s, err := Compile(region, 1, append(story(), more...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dump(t testing.TB, s *Snapshot) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.Dump(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
