package control

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pergola/control/operation"
	"pergola/lattice"
	"pergola/store"
)

// TestFault_D6_TargetGroupsReadAsTheyWereMade has nothing come back that tools would take for a change.
func TestFault_D6_TargetGroupsReadAsTheyWereMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	for name, test := range map[string]struct {
		kind        lattice.TargetGroupType
		given, want string
	}{
		"instances": {lattice.TargetInstance, `{"port":80,"protocol":"HTTP","healthCheck":{"enabled":false}}`,
			`"ipAddressType":"IPV4"`},
		"instances-by-tcp": {lattice.TargetInstance, `{"port":9000,"protocol":"TCP"}`,
			`{"port":9000,"protocol":"TCP","ipAddressType":"IPV4","vpcIdentifier":"` + vpc + `"}`},
		"addresses-by-tcp": {lattice.TargetIP, `{"port":9000,"protocol":"TCP"}`,
			`{"port":9000,"protocol":"TCP","ipAddressType":"IPV4","vpcIdentifier":"` + vpc + `"}`},
		"tcp-without-check": {lattice.TargetIP, `{"port":9000,"protocol":"TCP","healthCheck":{"enabled":false}}`,
			`"healthCheck":{"enabled":false}}`},
		"ipv6": {lattice.TargetIP, `{"port":80,"protocol":"HTTP","ipAddressType":"IPV6"}`, `"ipAddressType":"IPV6"`},
	} {
		config := parseConfig(t, test.given)
		config.VPCIdentifier = vpc
		group := w.groupOf(name, test.kind, *config)
		got := must(json.Marshal(must(w.GetTargetGroup(w.ctx, w.caller,
			&lattice.GetTargetGroupRequest{TargetGroupIdentifier: group})).Config))
		if !strings.Contains(string(got), test.want) {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

// TestFault_D6_TCPGroupsTakeHealthChecksLater wants a group without a health check to work with all operations.
func TestFault_D6_TCPGroupsTakeHealthChecksLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network := w.network("retail")
	service := must(w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "parking",
		CustomDomainName: "parking.example.com"})).ID
	group := w.groupOf("fleet", lattice.TargetIP, lattice.TargetGroupConfig{VPCIdentifier: w.vpc("fleet"),
		Protocol: lattice.TargetTCP, Port: 9000})
	must(w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{
		ServiceIdentifier: service, Name: "pass", Protocol: lattice.ProtocolTLSPassthrough, Port: 443,
		DefaultAction: forward(group),
	}))
	w.associate(network, service)
	w.settleNow()
	w.register(group, lattice.Target{ID: "10.0.1.10"})
	if got := w.health(group)["10.0.1.10:9000"]; got != "UNAVAILABLE HealthCheckNotSupported" {
		t.Errorf("a target without health checks is %s", got)
	}
	update := func(check lattice.HealthCheckConfig) *lattice.HealthCheckConfig {
		return must(w.UpdateTargetGroup(w.ctx, w.caller, &lattice.UpdateTargetGroupRequest{TargetGroupIdentifier: group,
			HealthCheck: check})).Config.HealthCheck
	}
	if got := update(lattice.HealthCheckConfig{Enabled: new(false)}); got == nil || *got.Enabled || got.Path != "" {
		t.Errorf("switched off: %+v", got)
	}
	if got := update(lattice.HealthCheckConfig{Enabled: new(true), Protocol: lattice.TargetHTTP,
		ProtocolVersion: lattice.HTTP1}); got.Path != "/" || got.HealthyThresholdCount != 5 {
		t.Errorf("switched on: %+v", got)
	}
}

// TestFault_D7_DefaultsAreShown wants what the service says of itself although nobody has asked for it.
func TestFault_D7_DefaultsAreShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network := w.network("retail")
	if got := must(w.GetServiceNetwork(w.ctx, w.caller,
		&lattice.GetServiceNetworkRequest{ServiceNetworkIdentifier: network})).SharingConfig; got == nil ||
		got.Enabled == nil || !*got.Enabled {
		t.Errorf("the sharing of a service network is %+v", got)
	}
	private := must(w.CreateServiceNetwork(w.ctx, w.caller, &lattice.CreateServiceNetworkRequest{Name: "private",
		SharingConfig: &lattice.SharingConfig{Enabled: new(false)}}))
	if got := must(w.GetServiceNetwork(w.ctx, w.caller,
		&lattice.GetServiceNetworkRequest{ServiceNetworkIdentifier: private.ID})).SharingConfig; *got.Enabled ||
		*private.SharingConfig.Enabled {
		t.Errorf("the sharing of a private service network is %+v", got)
	}
	for _, preference := range []string{"", "ALL_DOMAINS", "VERIFIED_DOMAINS_ONLY"} {
		for _, domains := range [][]string{nil, {"*"}} {
			association := must(w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller,
				&lattice.CreateServiceNetworkVPCAssociationRequest{
					ServiceNetworkIdentifier: network, VPCIdentifier: w.vpc("clients" + preference + string(rune('a'+len(domains)))),
					PrivateDNSEnabled: new(true),
					DNSOptions:        &lattice.DNSOptions{PrivateDNSPreference: preference, PrivateDNSSpecifiedDomains: domains},
				}))
			got := must(w.GetServiceNetworkVPCAssociation(w.ctx, w.caller,
				&lattice.GetServiceNetworkVPCAssociationRequest{Identifier: association.ID})).DNSOptions
			if !slices.Equal(got.PrivateDNSSpecifiedDomains, []string{"*"}) {
				t.Errorf("%q with %v: %+v", preference, domains, got)
			}
			w.settleNow()
			updated := must(w.UpdateServiceNetworkVPCAssociation(w.ctx, w.caller,
				&lattice.UpdateServiceNetworkVPCAssociationRequest{Identifier: association.ID,
					PrivateDNSEnabled: new(true)})).DNSOptions
			if !slices.Equal(updated.PrivateDNSSpecifiedDomains, []string{"*"}) {
				t.Errorf("%q updated: %+v", preference, updated)
			}
		}
	}
}

// TestFault_D13_TargetGroupsComeBackByTheirIDs gives target groups by their ARNs to everything that has an action.
func TestFault_D13_TargetGroupsComeBackByTheirIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service, group := w.service("parking"), w.group("fleet", w.vpc("fleet"))
	arn := must(w.GetTargetGroup(w.ctx, w.caller, &lattice.GetTargetGroupRequest{TargetGroupIdentifier: group})).ARN
	want := func(what string, action lattice.RuleAction) {
		t.Helper()
		if got := action.Forward.TargetGroups[0].TargetGroupIdentifier; got != group {
			t.Errorf("%s has the target group %s, want %s", what, got, group)
		}
	}
	listener := must(w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{ServiceIdentifier: service,
		Name: "web", Protocol: lattice.ProtocolHTTP, DefaultAction: forward(arn)}))
	want("a new listener", listener.DefaultAction)
	updated := must(w.UpdateListener(w.ctx, w.caller, &lattice.UpdateListenerRequest{ServiceIdentifier: service,
		ListenerIdentifier: listener.ID, DefaultAction: forward(arn)}))
	want("an updated listener", updated.DefaultAction)
	got := must(w.GetListener(w.ctx, w.caller, &lattice.GetListenerRequest{ServiceIdentifier: service,
		ListenerIdentifier: listener.ID}))
	want("a listener", got.DefaultAction)
	action := forward(arn)
	rule := must(w.CreateRule(w.ctx, w.caller, &lattice.CreateRuleRequest{ServiceIdentifier: service,
		ListenerIdentifier: listener.ID, Name: "get", Priority: 10, Match: get, Action: action}))
	want("a new rule", rule.Action)
	want("an updated rule", must(w.UpdateRule(w.ctx, w.caller, &lattice.UpdateRuleRequest{ServiceIdentifier: service,
		ListenerIdentifier: listener.ID, RuleIdentifier: rule.ID, Action: &action})).Action)
	batch := must(w.BatchUpdateRule(w.ctx, w.caller, &lattice.BatchUpdateRuleRequest{ServiceIdentifier: service,
		ListenerIdentifier: listener.ID, Rules: []lattice.RuleUpdate{{RuleIdentifier: rule.ID, Action: &action}}}))
	want("a rule of a batch", batch.Successful[0].Action)
	want("a rule", must(w.GetRule(w.ctx, w.caller, &lattice.GetRuleRequest{ServiceIdentifier: service,
		ListenerIdentifier: listener.ID, RuleIdentifier: rule.ID})).Action)
	if action.Forward.TargetGroups[0].TargetGroupIdentifier != arn {
		t.Error("the request itself was changed")
	}
}

// TestFault_D16_TargetsAreUnusedWithoutAServiceNetwork holds what docs/choices.md says, at each step of a service's
// life.
func TestFault_D16_TargetsAreUnusedWithoutAServiceNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network, service, group := w.network("retail"), w.service("parking"), w.group("fleet", w.vpc("fleet"))
	w.settleNow()
	w.register(group, lattice.Target{ID: "10.0.1.10"})
	status := func(when, want string) {
		t.Helper()
		if got := w.health(group)["10.0.1.10:80"]; got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	status("without a listener", "UNUSED TargetGroupNotInUse")
	w.listener(service, "web", 80, forward(group))
	status("without a service network", "UNUSED TargetGroupNotInUse")
	association := w.associate(network, service)
	status("in a service network", "INITIAL HealthCheckInProgress")
	w.settleNow()
	must(w.DeleteServiceNetworkServiceAssociation(w.ctx, w.caller,
		&lattice.DeleteServiceNetworkServiceAssociationRequest{Identifier: association}))
	w.settleNow()
	status("out of the service network", "UNUSED TargetGroupNotInUse")
}

// TestFault_D1_AListenerOfManyRulesCanBeDeleted deletes more rules than one transaction may delete one by one, with the
// idempotency tokens that SDKs give to each.
func TestFault_D1_AListenerOfManyRulesCanBeDeleted(t *testing.T) {
	t.Parallel()
	w, service, listener := routed(t)
	first := w.rule(service, listener, "first", 1, answer404)
	const many, batch = 5000, 500
	for from := 0; from < many; from += batch {
		w.write(func(tx *store.Tx) error {
			for i := from; i < from+batch; i++ {
				rule := lattice.Rule{
					ID: id("rule-", fmt.Sprint(i)), ServiceID: service, ListenerID: listener, Name: fmt.Sprint("r", i),
					Priority: int32(i + 2),
					ARN: w.home(account).ARN(lattice.KindRule, service+"/listener/"+listener+"/rule/"+
						id("rule-", fmt.Sprint(i))), ClientToken: fmt.Sprint("t", i),
					Action: answer404,
				}
				token := account + "/rule/" + below(service, listener) + rule.ClientToken
				if err := store.NewIndex("token").Put(tx, token, "x "+below(service, listener)+rule.ID); err != nil {
					return err
				}
				if err := rules.Objects.Put(tx, below(service, listener)+rule.ID, rule); err != nil {
					return err
				}
			}
			return nil
		})
	}
	must(w.DeleteListener(w.ctx, w.caller, &lattice.DeleteListenerRequest{ServiceIdentifier: service,
		ListenerIdentifier: listener}))
	for _, key := range w.keys() {
		if strings.Contains(key, "/rule") {
			t.Fatalf("%s is left of %d rules and %v", key, many, first)
		}
	}
}

// TestFault_D1_TooMuchIsSaid has what no transaction can do refused with the reason, and not with the advice to try
// again.
func TestFault_D1_TooMuchIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	much := func(op *call, _ *lattice.Empty) (*lattice.Empty, error) {
		for i := range 5000 {
			if err := claims.Put(op.Tx, fmt.Sprint("many/", i), ""); err != nil {
				return nil, err
			}
		}
		return &lattice.Empty{}, op.May("*", nil)
	}
	request := operation.Request{Caller: w.caller, Action: "CreateService"}
	_, err := operation.Do(w.ctx, w.Service, request, much, &lattice.Empty{})
	refused(t, err, lattice.Validation, "ask for less at a time")
}

// TestFault_D4_OthersCostNothing counts what listings read while another account has a lot.
func TestFault_D4_OthersCostNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("mine")
	vpc := w.vpc("fleet")
	w.group("fleet", vpc)
	cost := func() store.Reads {
		before := w.Store.Reads()
		if got := must(w.ListServices(w.ctx, w.caller, &lattice.ListServicesRequest{})).Items; len(got) != 1 {
			t.Errorf("listed %v", got)
		}
		if got := must(w.ListTargetGroups(w.ctx, w.caller, &lattice.ListTargetGroupsRequest{})).Items; len(got) != 1 {
			t.Errorf("listed %v", got)
		}
		after := w.Store.Reads()
		return store.Reads{Requests: after.Requests - before.Requests, Keys: after.Keys - before.Keys}
	}
	alone := cost()
	mine := w.caller
	w.caller = callerOf(other)
	for i := range 30 {
		w.service(fmt.Sprint("theirs-", i))
	}
	w.caller = mine
	if got := cost(); got != alone {
		t.Errorf("with another account's services it reads %+v, before %+v", got, alone)
	}
}

// TestFault_D4_OlderStoresAreCompleted lists what was made before there was the index.
func TestFault_D4_OlderStoresAreCompleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(func(tx *store.Tx) error {
		for i := range 120 {
			object := lattice.Service{ID: id("svc-", fmt.Sprint(i)), Name: fmt.Sprint("old-", i), Status: lattice.StatusActive}
			object.ARN = w.home(account).ARN(lattice.KindService, object.ID)
			if err := services.Objects.Put(tx, object.ID, object); err != nil {
				return err
			}
		}
		return nil
	})
	if got := must(w.ListServices(w.ctx, w.caller,
		&lattice.ListServicesRequest{Page: lattice.Page{MaxResults: 100}})); len(got.Items) != 100 || got.NextToken == "" {
		t.Errorf("the first page has %d services", len(got.Items))
	}
}
