package control

import (
	"regexp"
	"strings"
	"testing"

	"pergola/lattice"
)

func TestCreateServiceAnswersWithItsDomainName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	created := must(w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "parking"}))
	want := "parking-" + strings.TrimPrefix(created.ID, "svc-") + ".7d67968.vpc-lattice-svcs.us-west-2.on.aws"
	if created.DNSEntry.DomainName != want {
		t.Errorf("domain name %s, want %s", created.DNSEntry.DomainName, want)
	}
	if !regexp.MustCompile(`^Z[0-9A-V]{20}$`).MatchString(created.DNSEntry.HostedZoneID) {
		t.Errorf("hosted zone id %q", created.DNSEntry.HostedZoneID)
	}
	if lattice.HostedZoneID("eu-west-1") == created.DNSEntry.HostedZoneID ||
		lattice.HostedZoneID(lattice.DomainSuffix(region)) != created.DNSEntry.HostedZoneID {
		t.Error("the hosted zone id must depend on the region only")
	}
	if created.Status != lattice.StatusCreateInProgress || created.AuthType != lattice.AuthNone || created.IdleTimeoutSeconds != 60 {
		t.Errorf("created %+v", created)
	}
}

func TestUpdateServiceChangesWhatIsGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service := must(w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{
		Name: "parking", AuthType: lattice.AuthIAM, CustomDomainName: "parking.example.com", CertificateARN: w.certificate("1", "parking.example.com"), IdleTimeoutSeconds: 90,
	})).ID
	update := func(in lattice.UpdateServiceRequest) (*lattice.UpdateServiceResponse, error) {
		in.ServiceIdentifier = service
		return w.UpdateService(w.ctx, w.caller, &in)
	}
	_, err := update(lattice.UpdateServiceRequest{IdleTimeoutSeconds: 120})
	refused(t, err, lattice.Conflict, "Invalid resource status for this operation, resource id "+service+", status: CREATE_IN_PROGRESS")
	w.settleNow()
	if got := must(update(lattice.UpdateServiceRequest{IdleTimeoutSeconds: 120})); got.IdleTimeoutSeconds != 120 || got.AuthType != lattice.AuthIAM || got.CertificateARN == "" {
		t.Errorf("updated %+v", got)
	}
	if got := must(update(lattice.UpdateServiceRequest{CertificateARN: new(""), AuthType: lattice.AuthNone})); got.CertificateARN != "" || got.AuthType != lattice.AuthNone || got.IdleTimeoutSeconds != 120 {
		t.Errorf("updated %+v", got)
	}
	if got := must(w.GetService(w.ctx, w.caller, &lattice.GetServiceRequest{ServiceIdentifier: service})); got.Status != lattice.StatusActive {
		t.Errorf("an updated service is %s", got.Status)
	}
}

func TestDeleteServiceTakesEverythingOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	before := len(w.keys())
	network, service, group := w.network("retail"), w.service("parking"), w.group("fleet", vpc)
	listener := must(w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{
		ServiceIdentifier: service, Name: "web", Protocol: lattice.ProtocolHTTP, DefaultAction: forward(group), ClientToken: "of the listener",
	})).ID
	must(w.CreateRule(w.ctx, w.caller, &lattice.CreateRuleRequest{
		ServiceIdentifier: service, ListenerIdentifier: listener, Name: "get", Priority: 1, Match: get, Action: forward(group), ClientToken: "of the rule",
	}))
	association := w.associate(network, service)
	w.settleNow()
	remove := func() (*lattice.DeleteServiceResponse, error) {
		return w.DeleteService(w.ctx, w.caller, &lattice.DeleteServiceRequest{ServiceIdentifier: service})
	}
	_, err := remove()
	refused(t, err, lattice.Conflict, service+" has service network(s) associated")
	must(w.DeleteServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.DeleteServiceNetworkServiceAssociationRequest{Identifier: association}))
	w.settleNow()
	for range 2 { // the second answers like the first
		if got := must(remove()); got.Status != lattice.StatusDeleteInProgress || got.ID != service {
			t.Errorf("deleted %+v", got)
		}
	}
	_, err = w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{ServiceIdentifier: service, Name: "late", Protocol: lattice.ProtocolHTTPS, DefaultAction: answer404})
	refused(t, err, lattice.Conflict, "DELETE_IN_PROGRESS")
	_, err = w.CreateServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkServiceAssociationRequest{ServiceIdentifier: service, ServiceNetworkIdentifier: network})
	refused(t, err, lattice.Conflict, "DELETE_IN_PROGRESS")
	_, err = w.DeleteListener(w.ctx, w.caller, &lattice.DeleteListenerRequest{ServiceIdentifier: service, ListenerIdentifier: listener})
	refused(t, err, lattice.Conflict, "DELETE_IN_PROGRESS")
	_, err = w.DeleteTargetGroup(w.ctx, w.caller, &lattice.DeleteTargetGroupRequest{TargetGroupIdentifier: group})
	refused(t, err, lattice.Conflict, "used by service "+service) // a node may still forward to it
	w.settleNow()
	_, err = w.GetService(w.ctx, w.caller, &lattice.GetServiceRequest{ServiceIdentifier: service})
	refused(t, err, lattice.NotFound, service)
	must(w.DeleteTargetGroup(w.ctx, w.caller, &lattice.DeleteTargetGroupRequest{TargetGroupIdentifier: group}))
	must(w.DeleteServiceNetwork(w.ctx, w.caller, &lattice.DeleteServiceNetworkRequest{ServiceNetworkIdentifier: network}))
	w.settleNow()
	if left := w.keys(); len(left) != before {
		t.Errorf("left behind: %v", left)
	}
}

func TestCustomDomainNames(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, good := range map[string]bool{
		"parking.example.com":               true,
		"a-1.b":                             true,
		"xn--bcher-kva.example":             true,
		long + ".example":                   true,
		long + "a.example":                  false,
		strings.Repeat(long+".", 4) + "com": false,
		"parking":                           false,
		"Parking.example.com":               false,
		"parking.example.com.":              false,
		".example.com":                      false,
		"*.example.com":                     false,
		"-parking.example.com":              false,
		"parking-.example.com":              false,
		"parking_1.example.com":             false,
		"parking example.com":               false,
		"pärking.example.com":               false,
		"parking..example.com":              false,
		strings.Repeat("a.", 126) + "b":     true,
	} {
		if err := checkDomainName("customDomainName", name); (err == nil) != good {
			t.Errorf("%q: %v, want good %v", name, err, good)
		}
	}
	w := newWorld(t)
	_, err := w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "parking", CustomDomainName: "Parking.example.com"})
	refused(t, err, lattice.Validation, "customDomainName")
}

func FuzzCheckDomainName(f *testing.F) {
	for _, seed := range []string{"parking.example.com", "a", "-.b", "a..b", "é.com"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if checkDomainName("name", name) != nil {
			return
		}
		if name != strings.ToLower(name) || len(name) > longestDomainName || strings.ContainsAny(name, " /:*") {
			t.Errorf("%q was accepted", name)
		}
	})
}
