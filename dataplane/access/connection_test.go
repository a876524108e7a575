package access

import (
	"net/netip"
	"strings"
	"testing"

	"pergola/lattice"
	"pergola/policy"
	"pergola/snapshot"
)

// connection is a TLS connection to a listener that passes it through.
func (w *world) connection() *Connection {
	return &Connection{
		VPC: w.vpc, Network: w.network, Client: netip.MustParseAddr("10.20.1.10"),
		Listener: &snapshot.Listener{Service: w.service, Port: 443, Protocol: lattice.ProtocolTLSPassthrough},
	}
}

// connecting is a statement about connections.
func connecting(effect, resource, principal, condition string) string {
	statement := `"Effect":"` + effect + `","Action":"vpc-lattice-svcs:Connect","Resource":"` + resource + `","Principal":` + principal
	if condition != "" {
		statement += `,"Condition":{` + condition + `}`
	}
	return statement
}

func TestWhoMayConnect(t *testing.T) {
	anyone := connecting("Allow", "*", `"*"`, "")
	for _, tt := range []struct {
		name      string
		statement string // of the service's policy
		allowed   bool
	}{
		{"anyone", anyone, true},
		{"whoever may invoke", allowAll, false},
		{"to the service", connecting("Allow", serviceARN, `{"AWS":"*"}`, ""), true},
		{"to its paths", connecting("Allow", serviceARN+"/*", `"*"`, ""), false},
		{"any action", strings.Replace(anyone, "Connect", "*", 1), true},
		{"a role", connecting("Allow", "*", `{"AWS":"`+roleARN+`"}`, ""), false},
		{"an account", connecting("Allow", "*", `{"AWS":"`+account+`"}`, ""), false},
		{"allowed and denied", anyone + `},{` + connecting("Deny", serviceARN, `"*"`, ""), false},

		{"by port", connecting("Allow", "*", `"*"`, `"NumericEquals":{"vpc-lattice-svcs:Port":443}`), true},
		{"by another port", connecting("Allow", "*", `"*"`, `"NumericEquals":{"vpc-lattice-svcs:Port":80}`), false},
		{"by network", connecting("Allow", "*", `"*"`, `"ArnEquals":{"vpc-lattice-svcs:ServiceNetworkArn":"`+networkARN+`"}`), true},
		{"by service", connecting("Allow", "*", `"*"`, `"ArnEquals":{"vpc-lattice-svcs:ServiceArn":"`+serviceARN+`"}`), true},
		{"by VPC", connecting("Allow", "*", `"*"`, `"StringEquals":{"vpc-lattice-svcs:SourceVpc":"vpc-1"}`), true},
		{"by the VPC's account", connecting("Allow", "*", `"*"`, `"StringEquals":{"vpc-lattice-svcs:SourceVpcOwnerAccount":"444455556666"}`), true},
		{"by address", connecting("Allow", "*", `"*"`, `"IpAddress":{"aws:SourceIp":"10.20.0.0/16"}`), true},
		{"by another address", connecting("Allow", "*", `"*"`, `"IpAddress":{"aws:SourceIp":"10.30.0.0/16"}`), false},
		{"by time", connecting("Allow", "*", `"*"`, `"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}`), true},
		{"by transport", connecting("Allow", "*", `"*"`, `"Bool":{"aws:SecureTransport":"true"}`), true},
		{"by the service's tag", connecting("Allow", "*", `"*"`, `"StringEquals":{"aws:ResourceTag/team":"parking"}`), true},
		{"for whoever is anonymous", connecting("Allow", "*", `"*"`, `"StringEquals":{"aws:PrincipalType":"Anonymous"}`), true},
		{"for an organisation", connecting("Allow", "*", `"*"`, `"StringEquals":{"aws:PrincipalOrgID":"o-1"}`), false},

		// What a request says has no value.
		{"by method", connecting("Allow", "*", `"*"`, `"StringLike":{"vpc-lattice-svcs:RequestMethod":"*"}`), false},
		{"by path", connecting("Allow", "*", `"*"`, `"StringLike":{"vpc-lattice-svcs:RequestPath":"*"}`), false},
		{"by header", connecting("Allow", "*", `"*"`, `"StringLike":{"vpc-lattice-svcs:RequestHeader/host":"*"}`), false},
		{"by query", connecting("Allow", "*", `"*"`, `"StringLike":{"vpc-lattice-svcs:RequestQueryString/a":"*"}`), false},
		{"by agent", connecting("Allow", "*", `"*"`, `"StringLike":{"aws:UserAgent":"*"}`), false},
		{"by referer", connecting("Allow", "*", `"*"`, `"StringLike":{"aws:Referer":"*"}`), false},
		{"without a path", connecting("Allow", "*", `"*"`, `"Null":{"vpc-lattice-svcs:RequestPath":"true","vpc-lattice-svcs:RequestHeader/host":"true"}`), true},
	} {
		w := newWorld(t)
		w.service.Tags = snapshot.NewTags(map[string]string{"team": "parking"})
		w.network.Policy = authPolicy(t, anyone)
		w.service.Policy = authPolicy(t, tt.statement)
		d := w.guard.AuthorizeConnection(w.connection())
		if d.Allowed != tt.allowed || d.Caller.Principal != "" || d.Err != nil {
			t.Errorf("%s: %+v, want %v", tt.name, d, tt.allowed)
		}
		x, err := w.guard.ExplainConnection(w.connection())
		if err != nil || !x.Guarded || x.Allowed != d.Allowed || x.Refusal != d.Refusal || len(x.Levels) != 2 || x.Signature != nil {
			t.Errorf("%s: explained by %+v, %v", tt.name, x, err)
		}
	}
}

func TestRefusedConnections(t *testing.T) {
	text := func(why string) string {
		return "AccessDeniedException: User: anonymous is not authorized to perform: vpc-lattice-svcs:Connect on resource: " + serviceARN + " " + why
	}
	anyone := connecting("Allow", "*", `"*"`, "")
	for _, tt := range []struct {
		name             string
		network, service []string
		by               DeniedBy
		refusal          string
	}{
		{"neither level knows connections", []string{allowAll}, []string{allowAll}, DeniedByNetwork, text("because no network-based policy allows the vpc-lattice-svcs:Connect action")},
		{"the service does not", []string{anyone}, []string{allowAll}, DeniedByService, text("because no service-based policy allows the vpc-lattice-svcs:Connect action")},
		{"the service has no policy", []string{anyone}, nil, DeniedByService, text("because no service-based policy allows the vpc-lattice-svcs:Connect action")},
		{"the network denies", []string{anyone, connecting("Deny", "*", `"*"`, "")}, []string{anyone}, DeniedByNetwork, text("with an explicit deny in a network-based policy")},
	} {
		w := newWorld(t)
		attach := func(statements []string) *policy.Policy {
			if statements == nil {
				return nil
			}
			return authPolicy(t, statements...)
		}
		w.network.Policy, w.service.Policy = attach(tt.network), attach(tt.service)
		if d := w.guard.AuthorizeConnection(w.connection()); d.Allowed || d.DeniedBy != tt.by || d.Refusal != tt.refusal {
			t.Errorf("%s: %q by %s, want %q by %s", tt.name, d.Refusal, d.DeniedBy, tt.refusal, tt.by)
		}
	}
}

func TestConnectionsAreNotAskedAboutWhereNobodyAsks(t *testing.T) {
	w := newWorld(t)
	w.network.AuthType, w.service.AuthType = lattice.AuthNone, lattice.AuthNone
	w.network.Policy, w.service.Policy = nil, nil
	if d := w.guard.AuthorizeConnection(w.connection()); !d.Allowed {
		t.Errorf("%+v", d)
	}
}
