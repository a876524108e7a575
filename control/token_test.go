package control

import (
	"fmt"
	"testing"

	"pergola/lattice"
)

// TestClientTokens repeats the creation of each kind with the same and with another request.
func TestClientTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network, vpc, service := w.network("retail"), w.vpc("fleet"), w.service("parking")
	listener := w.listener(service, "web", 80, answer404)
	gateway := w.gateway("way", vpc)
	resource, place := w.resource("database", gateway), w.gatewayOf("another", vpc)
	for what, create := range map[string]func(token, variant string) (id, status any, err error){
		"service network": func(token, variant string) (any, any, error) {
			got, err := w.CreateServiceNetwork(w.ctx, w.caller, &lattice.CreateServiceNetworkRequest{Name: "net-" + variant, ClientToken: token})
			return answerOf(got, err, func() (any, any) { return got.ID, nil })
		},
		"service": func(token, variant string) (any, any, error) {
			got, err := w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "app-" + variant, ClientToken: token})
			return answerOf(got, err, func() (any, any) { return got.ID, got.Status })
		},
		"listener": func(token, variant string) (any, any, error) {
			got, err := w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{ServiceIdentifier: service, Name: "api-" + variant, Protocol: lattice.ProtocolHTTPS, DefaultAction: answer404, ClientToken: token})
			return answerOf(got, err, func() (any, any) { return got.ID, nil })
		},
		"rule": func(token, variant string) (any, any, error) {
			got, err := w.CreateRule(w.ctx, w.caller, &lattice.CreateRuleRequest{ServiceIdentifier: service, ListenerIdentifier: listener, Name: "get-" + variant, Priority: 1, Match: get, Action: answer404, ClientToken: token})
			return answerOf(got, err, func() (any, any) { return got.ID, nil })
		},
		"target group": func(token, variant string) (any, any, error) {
			got, err := w.CreateTargetGroup(w.ctx, w.caller, &lattice.CreateTargetGroupRequest{Name: "fleet-" + variant, Type: lattice.TargetLambda, ClientToken: token})
			return answerOf(got, err, func() (any, any) { return got.ID, got.Status })
		},
		"service association": func(token, variant string) (any, any, error) {
			got, err := w.CreateServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkServiceAssociationRequest{ServiceIdentifier: service, ServiceNetworkIdentifier: network, Tags: lattice.Tags{"variant": variant}, ClientToken: token})
			return answerOf(got, err, func() (any, any) { return got.ID, got.Status })
		},
		"VPC association": func(token, variant string) (any, any, error) {
			got, err := w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkVPCAssociationRequest{VPCIdentifier: vpc, ServiceNetworkIdentifier: network, Tags: lattice.Tags{"variant": variant}, ClientToken: token})
			return answerOf(got, err, func() (any, any) { return got.ID, got.Status })
		},
		"resource gateway": func(token, variant string) (any, any, error) {
			in := *place
			in.Name, in.ClientToken = "way-"+variant, token
			got, err := w.CreateResourceGateway(w.ctx, w.caller, &in)
			return answerOf(got, err, func() (any, any) { return got.ID, got.Status })
		},
		"resource configuration": func(token, variant string) (any, any, error) {
			in := single("resource-"+variant, gateway)
			in.ResourceConfigurationDefinition, in.ClientToken = named("db.example.com", ""), token
			got, err := w.CreateResourceConfiguration(w.ctx, w.caller, in)
			return answerOf(got, err, func() (any, any) { return got.ID, got.Status })
		},
		"resource association": func(token, variant string) (any, any, error) {
			got, err := w.CreateServiceNetworkResourceAssociation(w.ctx, w.caller,
				&lattice.CreateServiceNetworkResourceAssociationRequest{ResourceConfigurationIdentifier: resource,
					ServiceNetworkIdentifier: network, Tags: lattice.Tags{"variant": variant}, ClientToken: token})
			return answerOf(got, err, func() (any, any) { return got.ID, got.Status })
		},
		"domain verification": func(token, variant string) (any, any, error) {
			got, err := w.StartDomainVerification(w.ctx, w.caller, &lattice.StartDomainVerificationRequest{DomainName: variant +
				".example.com", ClientToken: token})
			return answerOf(got, err, func() (any, any) { return got.ID, nil })
		},
	} {
		first, _, err := create("same token", "a")
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		w.settleNow()
		again, status, err := create("same token", "a")
		if err != nil || again != first {
			t.Errorf("%s: the repetition made %v (%v), want %v", what, again, err, first)
		}
		if status != nil && status != lattice.StatusActive {
			t.Errorf("%s: the repetition says %v, want what is now", what, status)
		}
		_, _, err = create("same token", "b")
		if e := refused(t, err, lattice.Conflict, "client token"); e.ResourceID != first {
			t.Errorf("%s: the conflict is with %s, want %v", what, e.ResourceID, first)
		}
		_, _, err = create("", "a")
		refused(t, err, lattice.Conflict, "") // without a token it is another creation
	}
}

func answerOf(got any, err error, f func() (any, any)) (any, any, error) {
	if err != nil {
		return nil, nil, err
	}
	id, status := f()
	return id, status, nil
}

func TestClientTokensAreFreedByDeletionAndBelongToAnAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := &lattice.CreateServiceNetworkRequest{Name: "retail", ClientToken: "a/b c"}
	first := must(w.CreateServiceNetwork(w.ctx, w.caller, in)).ID
	w.caller = callerOf(other)
	if foreign := must(w.CreateServiceNetwork(w.ctx, w.caller, in)).ID; foreign == first {
		t.Error("a token of another account was answered")
	}
	w.caller = callerOf(account)
	must(w.DeleteServiceNetwork(w.ctx, w.caller, &lattice.DeleteServiceNetworkRequest{ServiceNetworkIdentifier: first}))
	in.Name = "other"
	if second := must(w.CreateServiceNetwork(w.ctx, w.caller, in)).ID; second == first {
		t.Error("the token of a deleted service network was answered")
	}
}

func TestRacingRepetitionsCreateOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := make([]string, 6)
	failed := race(len(ids), func(i int) error {
		got, err := w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "parking", ClientToken: "token"})
		if err == nil {
			ids[i] = got.ID
		}
		return err
	})
	if len(failed) > 0 {
		t.Fatal(failed)
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Fatal(fmt.Sprint("several were made: ", ids))
		}
	}
}
