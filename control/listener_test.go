package control

import (
	"fmt"
	"strings"
	"testing"

	"pergola/lattice"
)

func TestListenerLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service, group := w.service("parking"), w.group("fleet", w.vpc("fleet"))
	created := must(w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{
		ServiceIdentifier: service, Name: "web", Protocol: lattice.ProtocolHTTPS, DefaultAction: forward(group),
	}))
	if created.Port != 443 || created.ServiceID != service || *created.DefaultAction.Forward.TargetGroups[0].Weight != 100 {
		t.Errorf("created %+v", created)
	}
	if want := created.ServiceARN + "/listener/" + created.ID; created.ARN != want {
		t.Errorf("ARN %s, want %s", created.ARN, want)
	}
	updated := must(w.UpdateListener(w.ctx, w.caller, &lattice.UpdateListenerRequest{
		ServiceIdentifier: created.ServiceARN, ListenerIdentifier: created.ARN, DefaultAction: answer500,
	}))
	if updated.DefaultAction.FixedResponse.StatusCode != 500 || updated.DefaultAction.Forward != nil {
		t.Errorf("updated %+v", updated)
	}
	get := &lattice.GetListenerRequest{ServiceIdentifier: service, ListenerIdentifier: created.ID}
	if got := must(w.GetListener(w.ctx, w.caller, get)); got.DefaultAction.FixedResponse.StatusCode != 500 {
		t.Errorf("got %+v", got)
	}
	if listed := must(w.ListListeners(w.ctx, w.caller, &lattice.ListListenersRequest{ServiceIdentifier: service})).Items; len(listed) != 1 || listed[0].ID != created.ID {
		t.Errorf("listed %+v", listed)
	}
	must(w.DeleteListener(w.ctx, w.caller, &lattice.DeleteListenerRequest{ServiceIdentifier: service, ListenerIdentifier: created.ID}))
	_, err := w.GetListener(w.ctx, w.caller, get)
	refused(t, err, lattice.NotFound, created.ID)
	w.listener(service, "web", 443, answer404) // name and port are free again
}

func TestDeleteListenerFreesItsRulesAndTargetGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	service, group := w.service("parking"), w.group("fleet", vpc)
	w.settleNow()
	before := len(w.keys())
	listener := w.listener(service, "web", 80, answer404)
	must(w.CreateRule(w.ctx, w.caller, &lattice.CreateRuleRequest{
		ServiceIdentifier: service, ListenerIdentifier: listener, Name: "get", Priority: 1, Match: get, Action: forward(group), ClientToken: "of the rule",
	}))
	must(w.DeleteListener(w.ctx, w.caller, &lattice.DeleteListenerRequest{ServiceIdentifier: service, ListenerIdentifier: listener}))
	if left := w.keys(); len(left) != before {
		t.Errorf("left behind: %v", left)
	}
}

func TestRefusedListeners(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quotaOf{lattice.QuotaListeners, 3})
	vpc := w.vpc("fleet")
	plain, named := w.service("plain"), w.serviceWithDomain("named", "parking.example.com")
	web := w.listener(plain, "web", 80, answer404)
	http, gone := w.group("http", vpc), w.group("gone", vpc)
	tcp := w.groupOf("tcp", lattice.TargetIP, lattice.TargetGroupConfig{VPCIdentifier: vpc, Protocol: lattice.TargetTCP, Port: 9000})
	taken := w.group("taken", vpc)
	w.listener(w.service("owner"), "web", 80, forward(taken))
	w.settleNow()
	must(w.DeleteTargetGroup(w.ctx, w.caller, &lattice.DeleteTargetGroupRequest{TargetGroupIdentifier: gone}))
	for what, test := range map[string]struct {
		service  string
		protocol lattice.Protocol
		name     string
		port     int32
		action   lattice.RuleAction
		kind     lattice.ErrorKind
		says     string
	}{
		"a service that does not exist": {id("svc-", "none"), "HTTP", "api", 81, answer404, lattice.NotFound, "SERVICE"},
		"a name that is taken":          {plain, "HTTP", "web", 81, answer404, lattice.Conflict, "LISTENER with name web already exists"},
		"a port that is taken":          {plain, "HTTPS", "api", 80, answer404, lattice.Conflict, web + " of service " + plain + " already listens on port 80"},
		"a default port that is taken":  {plain, "HTTP", "api", 0, answer404, lattice.Conflict, "port 80"},
		"no action":                     {plain, "HTTP", "api", 81, lattice.RuleAction{}, lattice.Validation, "exactly one"},
		"two actions":                   {plain, "HTTP", "api", 81, lattice.RuleAction{Forward: forward(http).Forward, FixedResponse: answer404.FixedResponse}, lattice.Validation, "exactly one"},
		"an unsupported response":       {plain, "HTTP", "api", 81, lattice.RuleAction{FixedResponse: &lattice.FixedResponseAction{StatusCode: 503}}, lattice.Validation, "404 and 500"},
		"no target group":               {plain, "HTTP", "api", 81, forward(), lattice.Validation, "must name a target group"},
		"a target group twice":          {plain, "HTTP", "api", 81, forward(http, http), lattice.Validation, "targetGroups[1]"},
		"a missing target group":        {plain, "HTTP", "api", 81, forward(id("tg-", "none")), lattice.NotFound, "TARGET_GROUP"},
		"a target group being deleted":  {plain, "HTTP", "api", 81, forward(gone), lattice.Conflict, "DELETE_IN_PROGRESS"},
		"another service's group":       {plain, "HTTP", "api", 81, forward(taken), lattice.Conflict, "already used by service"},
		"TCP behind HTTP":               {plain, "HTTP", "api", 81, forward(tcp), lattice.Validation, "only a TLS_PASSTHROUGH listener"},
		"TCP behind HTTPS":              {plain, "HTTPS", "api", 81, forward(tcp), lattice.Validation, "only a TLS_PASSTHROUGH listener"},
		"TLS without a custom domain":   {plain, "TLS_PASSTHROUGH", "tls", 0, forward(tcp), lattice.Validation, "custom domain name"},
		"TLS with a fixed response":     {named, "TLS_PASSTHROUGH", "tls", 0, answer404, lattice.Validation, "can only forward"},
		"TLS to HTTP targets":           {named, "TLS_PASSTHROUGH", "tls", 0, forward(http), lattice.Validation, "protocol TCP"},
	} {
		t.Run(what, func(t *testing.T) {
			before := len(w.keys())
			_, err := w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{
				ServiceIdentifier: test.service, Protocol: test.protocol, Name: test.name, Port: test.port, DefaultAction: test.action,
			})
			refused(t, err, test.kind, test.says)
			if len(w.keys()) != before {
				t.Error("the refused listener left something behind")
			}
		})
	}
	unweighted := forward(http, taken)
	unweighted.Forward.TargetGroups[1].Weight = nil
	_, err := w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{ServiceIdentifier: plain, Protocol: "HTTPS", Name: "api", DefaultAction: unweighted})
	if e := refused(t, err, lattice.Validation, "weight"); e.Fields[0].Name != "defaultAction.forward.targetGroups[1].weight" {
		t.Errorf("the field is %s", e.Fields[0].Name)
	}
}

func TestTLSPassthrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	tcp := w.groupOf("tcp", lattice.TargetIP, lattice.TargetGroupConfig{VPCIdentifier: vpc, Protocol: lattice.TargetTCP, Port: 9000})
	service := w.serviceWithDomain("named", "parking.example.com")
	listener := must(w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{
		ServiceIdentifier: service, Protocol: lattice.ProtocolTLSPassthrough, Name: "tls", DefaultAction: forward(tcp),
	}))
	if listener.Port != 443 {
		t.Errorf("port %d, want 443", listener.Port)
	}
	_, err := w.CreateRule(w.ctx, w.caller, &lattice.CreateRuleRequest{
		ServiceIdentifier: service, ListenerIdentifier: listener.ID, Name: "get", Priority: 1, Match: get, Action: forward(tcp),
	})
	refused(t, err, lattice.Validation, "only have its default rule")
}

func TestQuotasOfAService(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quotaOf{lattice.QuotaServiceTargetGroups, 2}, quotaOf{lattice.QuotaRules, 2})
	vpc, service := w.vpc("fleet"), w.service("parking")
	var groups []string
	for i := range 3 {
		groups = append(groups, w.group(fmt.Sprint("fleet-", i), vpc))
	}
	web := w.listener(service, "web", 80, forward(groups[0], groups[1]))
	w.listener(service, "api", 81, forward(groups[0]))
	_, err := w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{ServiceIdentifier: service, Name: "more", Protocol: lattice.ProtocolHTTP, Port: 82, DefaultAction: answer404})
	refused(t, err, lattice.QuotaExceeded, "L-D64E952E")
	_, err = w.UpdateListener(w.ctx, w.caller, &lattice.UpdateListenerRequest{ServiceIdentifier: service, ListenerIdentifier: web, DefaultAction: forward(groups...)})
	refused(t, err, lattice.QuotaExceeded, "L-3DEC3B9F")
	must(w.UpdateListener(w.ctx, w.caller, &lattice.UpdateListenerRequest{ServiceIdentifier: service, ListenerIdentifier: web, DefaultAction: forward(groups[0], groups[2])}))
	w.rule(service, web, "one", 1, answer404)
	w.rule(service, web, "two", 2, answer404)
	_, err = w.CreateRule(w.ctx, w.caller, &lattice.CreateRuleRequest{ServiceIdentifier: service, ListenerIdentifier: web, Name: "three", Priority: 3, Match: get, Action: answer404})
	refused(t, err, lattice.QuotaExceeded, "L-CF78395E")
}

func TestTargetGroupsSayWhoUsesThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service, group := w.service("parking"), w.group("fleet", w.vpc("fleet"))
	users := func() []string {
		got := must(w.GetTargetGroup(w.ctx, w.caller, &lattice.GetTargetGroupRequest{TargetGroupIdentifier: group})).ServiceARNs
		listed := must(w.ListTargetGroups(w.ctx, w.caller, &lattice.ListTargetGroupsRequest{})).Items[0].ServiceARNs
		if fmt.Sprint(got) != fmt.Sprint(listed) || got == nil {
			t.Errorf("got %v, listed %v", got, listed)
		}
		return got
	}
	if got := users(); len(got) != 0 {
		t.Errorf("used by %v at first", got)
	}
	arn := must(w.GetTargetGroup(w.ctx, w.caller, &lattice.GetTargetGroupRequest{TargetGroupIdentifier: group})).ARN
	listener := must(w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{
		ServiceIdentifier: service, Name: "web", Protocol: lattice.ProtocolHTTP, DefaultAction: forward(arn),
	}))
	if given := listener.DefaultAction.Forward.TargetGroups[0].TargetGroupIdentifier; given != group {
		t.Errorf("the target group is echoed as %s, want its id", given)
	}
	if got := users(); len(got) != 1 || !strings.HasSuffix(got[0], service) {
		t.Errorf("used by %v", got)
	}
	must(w.UpdateListener(w.ctx, w.caller, &lattice.UpdateListenerRequest{ServiceIdentifier: service, ListenerIdentifier: listener.ID, DefaultAction: answer404}))
	if got := users(); len(got) != 0 {
		t.Errorf("still used by %v", got)
	}
	w.listener(w.service("other"), "web", 80, forward(group)) // and another service may have it now
}

func TestParentsMustAgree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := w.service("first"), w.service("second")
	listener := w.listener(first, "web", 80, answer404)
	rule := w.rule(first, listener, "get", 1, answer404)
	api := w.listener(first, "api", 81, answer404)
	_, err := w.GetListener(w.ctx, w.caller, &lattice.GetListenerRequest{ServiceIdentifier: second, ListenerIdentifier: listener})
	refused(t, err, lattice.NotFound, listener)
	arn := must(w.GetRule(w.ctx, w.caller, &lattice.GetRuleRequest{ServiceIdentifier: first, ListenerIdentifier: listener, RuleIdentifier: rule})).ARN
	for _, in := range []lattice.GetRuleRequest{
		{ServiceIdentifier: first, ListenerIdentifier: api, RuleIdentifier: rule},
		{ServiceIdentifier: first, ListenerIdentifier: api, RuleIdentifier: arn},
		{ServiceIdentifier: first, ListenerIdentifier: listener, RuleIdentifier: strings.Replace(arn, listener, api, 1)},
		{ServiceIdentifier: first, ListenerIdentifier: listener, RuleIdentifier: strings.Replace(arn, first, second, 1)},
	} {
		_, err := w.GetRule(w.ctx, w.caller, &in)
		refused(t, err, lattice.NotFound, rule)
	}
}
