package estate

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"pergola/internal/apiclient"
)

// zoneChange is what answers say of a change.
type zoneChange struct {
	Zone   string `xml:"HostedZone>Id"`
	ID     string `xml:"ChangeInfo>Id"`
	Status string `xml:"ChangeInfo>Status"`
}

// zones calls an operation of Route 53 that makes a change.
func (e *estate) zones(method, path, body string) (made zoneChange) {
	e.t.Helper()
	type raw struct {
		XMLName xml.Name `xml:"Request"`
		Body    string   `xml:",innerxml"`
	}
	var in any
	if body != "" {
		in = raw{Body: body}
	}
	if err := e.API.Zones(e.t.Context(), method, path, in, &made); err != nil {
		e.t.Fatal(err)
	}
	return made
}

// inSync waits until every node serves a change.
func (e *estate) inSync(change zoneChange) {
	e.t.Helper()
	e.Eventually("the change is in sync", func() bool { return e.zones("GET", change.ID, "").Status == "INSYNC" })
}

// privateZone makes a private zone of a VPC.
func (e *estate) privateZone(name, vpc string) (path string) {
	e.t.Helper()
	made := e.zones("POST", "/hostedzone", fmt.Sprintf("<Name>%s</Name><CallerReference>%s</CallerReference><VPC>"+
		"<VPCRegion>us-west-2</VPCRegion><VPCId>%s</VPCId></VPC>", name, name, vpc))
	e.inSync(made)
	return made.Zone
}

// record is a change of a record set.
func record(action, name, typ, rest string) string {
	return fmt.Sprintf("<ChangeBatch><Changes><Change><Action>%s</Action><ResourceRecordSet><Name>%s</Name><Type>%s</Type>%s"+
		"</ResourceRecordSet></Change></Changes></ChangeBatch>", action, name, typ, rest)
}

// value is the one record of a set.
func value(v string) string {
	return "<TTL>5</TTL><ResourceRecords><ResourceRecord><Value>" + v + "</Value></ResourceRecord></ResourceRecords>"
}

// TestServicesAreCalledByNamesOfHostedZones calls a service with a custom domain name by an alias and by a CNAME record
// of a private zone, and by its name alone where the zone does not count. A change that is in sync holds for the next
// call.
func TestServicesAreCalledByNamesOfHostedZones(t *testing.T) {
	e := newEstate(t)
	s := e.makeServiceAs(&vpclattice.CreateServiceInput{Name: aws.String("shop"),
		CustomDomainName: aws.String("shop.corp.test")},
		types.ListenerProtocolHttp,
		&types.RuleActionMemberFixedResponse{Value: types.FixedResponseAction{StatusCode: aws.Int32(404)}})
	described := must(e.Lattice.GetService(t.Context(), &vpclattice.GetServiceInput{ServiceIdentifier: &s.id}))(t)
	reached := func(name string) bool {
		request := must(http.NewRequest("GET", "http://"+name+"/", nil))(t)
		request.Host, request.Close = "shop.corp.test", true
		client := e.client.Client()
		defer client.CloseIdleConnections()
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusNotFound
	}
	zone := e.privateZone("corp.test", e.clients.ID)
	if !reached("shop.corp.test") {
		t.Error("the zone counts in a VPC without host names")
	}
	if err := e.API.Query(t.Context(), "ec2", "ModifyVpcAttribute", url.Values{"VpcId": {e.clients.ID},
		"EnableDnsHostnames.Value": {"true"}}, nil); err != nil {
		t.Fatal(err)
	}
	if reached("shop.corp.test") {
		t.Error("a custom domain name resolves that the private zone does not have")
	}
	alias := fmt.Sprintf("<AliasTarget><HostedZoneId>%s</HostedZoneId><DNSName>%s</DNSName><EvaluateTargetHealth>false"+
		"</EvaluateTargetHealth></AliasTarget>", *described.DnsEntry.HostedZoneId, s.domain)
	for i := range 20 {
		e.inSync(e.zones("POST", zone+"/rrset/", record("CREATE", "shop.corp.test", "A", alias)))
		e.inSync(e.zones("POST", zone+"/rrset", record("UPSERT", "*.corp.test", "CNAME", value("shop.corp.test"))))
		for _, name := range []string{"shop.corp.test", fmt.Sprintf("a%d.corp.test", i), s.domain} {
			if !reached(name) {
				t.Fatalf("round %d: %s does not lead to the service", i, name)
			}
		}
		e.inSync(e.zones("POST", zone+"/rrset", record("DELETE", "shop.corp.test", "A", alias)))
		if reached("shop.corp.test") {
			t.Fatalf("round %d: a name resolves that is gone", i)
		}
	}
	var refused *apiclient.Error
	if err := e.API.Zones(t.Context(), "DELETE", zone, nil, nil); !errors.As(err, &refused) ||
		refused.Code != "HostedZoneNotEmpty" {
		t.Errorf("the zone with a record: %v", err)
	}
	e.zones("POST", zone+"/rrset", record("DELETE", "*.corp.test", "CNAME", value("shop.corp.test")))
	e.inSync(e.zones("DELETE", zone, ""))
	if !reached("shop.corp.test") {
		t.Error("the custom domain name does not resolve after the zone is gone")
	}
}

// TestADomainIsVerifiedByAPublicZone has a record of a public zone of the management account prove a domain.
func TestADomainIsVerifiedByAPublicZone(t *testing.T) {
	e := newEstate(t)
	started := must(e.Lattice.StartDomainVerification(t.Context(), &vpclattice.StartDomainVerificationInput{
		DomainName: aws.String("corp.test")}))(t)
	made := e.zones("POST", "/hostedzone", "<Name>corp.test</Name><CallerReference>1</CallerReference>")
	e.zones("POST", made.Zone+"/rrset", record("CREATE", *started.TxtMethodConfig.Name+".corp.test", "TXT",
		value(`&quot;`+*started.TxtMethodConfig.Value+`&quot;`)))
	e.Eventually("the domain is verified", func() bool {
		got := must(e.Lattice.GetDomainVerification(t.Context(), &vpclattice.GetDomainVerificationInput{
			DomainVerificationIdentifier: started.Id}))(t)
		return got.Status == types.VerificationStatusVerified
	})
}
