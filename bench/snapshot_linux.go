package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"pergola/aws/acm"
	"pergola/aws/ec2"
	"pergola/aws/iam"
	"pergola/aws/organizations"
	"pergola/certificate"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/snapshot"
)

// The objects of the data plane under measurement.
const (
	account      = "100000000001"
	organization = "o-bench00000"
	clientVPC    = "vpc-00000000000000001"
	targetVPC    = "vpc-00000000000000002"
	targetName   = "10.0.0.10"
	serviceID    = "svc-00000000000000001"
	networkID    = "sn-00000000000000001"
	groupID      = "tg-00000000000000001"
	listenerID   = "listener-00000000000000001"
	userName     = "caller"
	userKey      = "AKIA0000000000000001"
	userSecret   = "a/secret/of/no/use/anywhere/else/0000000"
)

// hostName is the name that clients ask every subject for.
const hostName = "bench.example"

// generatedName is the name that clients ask Pergola for over TLS, in its place: one that it certifies itself.
var generatedName = lattice.DomainName("bench", serviceID, region)

// plan is what is compiled: a service that forwards everything to a single target.
type plan struct {
	setup
	rules  int  // only the last matches; 0 leaves all to the default rule
	signed bool // every request must be signed, and three policies must allow it
}

// compile compiles the plan. Secrets are sealed by the box.
func (p plan) compile(box *sealing.Box) (*snapshot.Snapshot, error) {
	objects := p.objects()
	if p.signed {
		p.guard(objects, box)
	}
	if p.TLS {
		if err := certify(objects, box); err != nil {
			return nil, err
		}
	}
	var changes []snapshot.Change
	for key, object := range objects {
		value, err := json.Marshal(object)
		if err != nil {
			return nil, err
		}
		changes = append(changes, snapshot.Change{Key: key, Value: value})
	}
	return snapshot.Compile(region, 1, changes)
}

var home = lattice.Home{Region: region, Account: account}

// objects are the service with all that it needs.
func (p plan) objects() map[string]any {
	service := lattice.Service{
		ID: serviceID, Name: "bench", ARN: home.ARN(lattice.KindService, serviceID), AuthType: lattice.AuthNone,
		IdleTimeoutSeconds: lattice.DefaultIdleTimeoutSeconds, Status: lattice.StatusActive,
	}
	service.DNSEntry.DomainName = generatedName
	service.CustomDomainName = hostName
	group := lattice.TargetGroup{
		ID: groupID, ARN: home.ARN(lattice.KindTargetGroup, groupID), Type: lattice.TargetIP, Status: lattice.StatusActive,
		Config: &lattice.TargetGroupConfig{
			Port: 80, Protocol: lattice.TargetHTTP, ProtocolVersion: lattice.HTTP1, VPCIdentifier: targetVPC,
			HealthCheck: &lattice.HealthCheckConfig{Enabled: new(false)},
		},
	}
	if p.GRPC {
		group.Config.ProtocolVersion = lattice.GRPC
	}
	listener := lattice.Listener{
		ID: listenerID, ServiceID: serviceID, Protocol: lattice.ProtocolHTTP, Port: 80,
		DefaultRuleID: "rule-00000000000000001", DefaultAction: forward(),
	}
	if p.TLS {
		listener.Protocol, listener.Port = lattice.ProtocolHTTPS, 443
	}
	network := lattice.ServiceNetwork{ID: networkID, ARN: home.ARN(lattice.KindServiceNetwork, networkID), AuthType: lattice.AuthNone}
	objects := map[string]any{
		"vpc/" + clientVPC:                             ec2.VPC{ID: clientVPC, Account: account, CIDR: netip.MustParsePrefix("10.0.0.0/16")},
		"vpc/" + targetVPC:                             ec2.VPC{ID: targetVPC, Account: account, CIDR: netip.MustParsePrefix("10.0.0.0/16")},
		"service/" + serviceID:                         service,
		"servicenetwork/" + networkID:                  network,
		"targetgroup/" + groupID:                       group,
		"target/" + groupID + "/" + targetName + ":80": lattice.RegisteredTarget{TargetGroupID: groupID, ID: targetName, Port: 80},
		"listener/" + serviceID + "/" + listenerID:     listener,
		"servicenetworkserviceassociation/snsa-00000000000000001": lattice.ServiceNetworkServiceAssociation{
			ID: "snsa-00000000000000001", Status: lattice.StatusActive, ServiceID: serviceID, ServiceNetworkID: networkID,
		},
		"servicenetworkvpcassociation/snva-00000000000000001": lattice.ServiceNetworkVPCAssociation{
			ID: "snva-00000000000000001", Status: lattice.StatusActive, VPCID: clientVPC, ServiceNetworkID: networkID,
		},
	}
	for i := range p.rules {
		rule := p.rule(i)
		objects["rule/"+serviceID+"/"+listenerID+"/"+rule.ID] = rule
	}
	return objects
}

func forward() lattice.RuleAction {
	return lattice.RuleAction{Forward: &lattice.ForwardAction{TargetGroups: []lattice.WeightedTargetGroup{{TargetGroupIdentifier: groupID}}}}
}

// rule is a rule for a prefix of the path: the last for the path that is asked for, those before it for others.
func (p plan) rule(i int) lattice.Rule {
	prefix, action := fmt.Sprintf("/api/v1/resource-%d/", i), lattice.RuleAction{FixedResponse: &lattice.FixedResponseAction{StatusCode: 404}}
	if i == p.rules-1 {
		prefix, action = bodyPath(scenarios[0].body), forward()
	}
	return lattice.Rule{
		ID: fmt.Sprintf("rule-%017x", i+2), ServiceID: serviceID, ListenerID: listenerID, Priority: int32(i + 1), Action: action,
		Match: &lattice.RuleMatch{HTTPMatch: &lattice.HTTPMatch{PathMatch: &lattice.PathMatch{Match: lattice.PathMatchType{Prefix: &prefix}}}},
	}
}

// certify makes the built-in authority.
func certify(objects map[string]any, box *sealing.Box) error {
	der, key, err := certificate.NewAuthority(time.Now())
	objects[acm.KindAuthority+"/"+acm.AuthorityID] = acm.Authority{Certificate: der,
		SealedKey: box.SealKey(acm.AuthorityID, key)}
	return err
}

// guard makes requests need a signature of a user, and the consent of the network's policy, which asks for the
// organisation, of the service's, which asks for the user and the method, and of the user's own.
func (p plan) guard(objects map[string]any, box *sealing.Box) {
	invoke := `"Action":"vpc-lattice-svcs:Invoke","Resource":"` + home.ARN(lattice.KindService, serviceID) + `/*"`
	user := iam.User{Entity: iam.Entity{Account: account, Name: userName, Path: "/", UniqueID: "AIDA0000000000000001"}}
	user.Inline = map[string]string{"invoke": statement(invoke)}

	network := objects["servicenetwork/"+networkID].(lattice.ServiceNetwork)
	network.AuthType, network.AuthPolicy = lattice.AuthIAM, &lattice.AuthPolicy{Policy: statement(`"Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*"`,
		`"Condition":{"StringEquals":{"aws:PrincipalOrgID":"`+organization+`"}}`)}
	service := objects["service/"+serviceID].(lattice.Service)
	service.AuthType, service.AuthPolicy = lattice.AuthIAM, &lattice.AuthPolicy{Policy: statement(`"Principal":{"AWS":"arn:aws:iam::`+account+`:user/`+userName+`"}`, invoke,
		`"Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":["GET","POST"]}}`)}
	objects["servicenetwork/"+networkID], objects["service/"+serviceID] = network, service
	objects["user/"+iam.ID(account, userName)] = user
	objects["accesskey/"+userKey] = iam.AccessKey{ID: userKey, Secret: box.SealSecret(userKey, userSecret), Account: account, User: userName}
	objects["organization/"+organization] = organizations.Organization{ID: organization, Management: account, Root: organizations.Root{ID: "r-bench"}}
	objects["account/"+account] = organizations.Account{ID: account, Parent: "r-bench"}
}

// statement is a policy of one statement that allows something.
func statement(parts ...string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + strings.Join(parts, ",") + `}}`
}
