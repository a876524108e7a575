package control

import (
	"fmt"
	"testing"

	"pergola/lattice"
)

// routed is a world with a service and a listener.
func routed(t *testing.T, quotas ...quotaOf) (w *world, service, listener string) {
	w = newWorld(t, quotas...)
	service = w.service("parking")
	return w, service, w.listener(service, "web", 80, answer404)
}

func TestRuleLife(t *testing.T) {
	t.Parallel()
	w, service, listener := routed(t)
	created := must(w.CreateRule(w.ctx, w.caller, &lattice.CreateRuleRequest{
		ServiceIdentifier: service, ListenerIdentifier: listener, Name: "get", Priority: 10, Match: get, Action: answer404,
	}))
	if created.Priority != 10 || created.Match.HTTPMatch.Method != "GET" {
		t.Errorf("created %+v", created)
	}
	update := func(in lattice.UpdateRuleRequest) (*lattice.UpdateRuleResponse, error) {
		in.ServiceIdentifier, in.ListenerIdentifier, in.RuleIdentifier = service, listener, created.ARN
		return w.UpdateRule(w.ctx, w.caller, &in)
	}
	if got := must(update(lattice.UpdateRuleRequest{Priority: 20})); got.Priority != 20 || got.Match == nil || got.Action.FixedResponse.StatusCode != 404 {
		t.Errorf("updated %+v", got)
	}
	if got := must(update(lattice.UpdateRuleRequest{Action: &answer500})); got.Priority != 20 || got.Action.FixedResponse.StatusCode != 500 {
		t.Errorf("updated %+v", got)
	}
	w.rule(service, listener, "old-place", 10, answer404) // the former priority is free
	_, err := update(lattice.UpdateRuleRequest{Priority: 10})
	refused(t, err, lattice.Conflict, "already has priority 10")
	_, err = update(lattice.UpdateRuleRequest{Match: &lattice.RuleMatch{HTTPMatch: &lattice.HTTPMatch{}}})
	refused(t, err, lattice.Validation, "match.httpMatch")
	must(w.DeleteRule(w.ctx, w.caller, &lattice.DeleteRuleRequest{ServiceIdentifier: service, ListenerIdentifier: listener, RuleIdentifier: created.ID}))
	w.rule(service, listener, "get", 20, answer404) // name and priority are free
}

func TestDefaultRule(t *testing.T) {
	t.Parallel()
	w, service, listener := routed(t)
	var last lattice.RuleSummary
	for _, rule := range must(w.ListRules(w.ctx, w.caller, &lattice.ListRulesRequest{ServiceIdentifier: service, ListenerIdentifier: listener})).Items {
		last = rule
	}
	if !last.IsDefault || last.Name != "default" {
		t.Fatalf("the last rule is %+v", last)
	}
	for _, identifier := range []string{last.ID, last.ARN} {
		got := must(w.GetRule(w.ctx, w.caller, &lattice.GetRuleRequest{ServiceIdentifier: service, ListenerIdentifier: listener, RuleIdentifier: identifier}))
		if !got.IsDefault || got.Action.FixedResponse.StatusCode != 404 {
			t.Errorf("got %+v", got)
		}
	}
	_, err := w.UpdateRule(w.ctx, w.caller, &lattice.UpdateRuleRequest{ServiceIdentifier: service, ListenerIdentifier: listener, RuleIdentifier: last.ID, Priority: 1})
	refused(t, err, lattice.Validation, "default rule")
	_, err = w.DeleteRule(w.ctx, w.caller, &lattice.DeleteRuleRequest{ServiceIdentifier: service, ListenerIdentifier: listener, RuleIdentifier: last.ARN})
	refused(t, err, lattice.Validation, "default rule")
	_, err = w.TagResource(w.ctx, w.caller, &lattice.TagResourceRequest{ResourceARN: last.ARN, Tags: lattice.Tags{"a": "b"}})
	refused(t, err, lattice.NotFound, last.ID)
}

func TestListRulesIsInOrderOfPriority(t *testing.T) {
	t.Parallel()
	w, service, listener := routed(t)
	for _, priority := range []int32{2000, 3, 150, 20, 1} {
		w.rule(service, listener, fmt.Sprint("at-", priority), priority, answer404)
	}
	in := &lattice.ListRulesRequest{ServiceIdentifier: service, ListenerIdentifier: listener, Page: lattice.Page{MaxResults: 2}}
	var names []string
	for {
		page := must(w.ListRules(w.ctx, w.caller, in))
		for _, rule := range page.Items {
			names = append(names, rule.Name)
		}
		if in.NextToken = page.NextToken; in.NextToken == "" {
			break
		}
	}
	if got, want := fmt.Sprint(names), "[at-1 at-3 at-20 at-150 at-2000 default]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRefusedRules(t *testing.T) {
	t.Parallel()
	w, service, listener := routed(t)
	taken := w.rule(service, listener, "get", 10, answer404)
	http := func(match lattice.HTTPMatch) lattice.RuleMatch { return lattice.RuleMatch{HTTPMatch: &match} }
	header := func(name string) lattice.RuleMatch {
		return http(lattice.HTTPMatch{HeaderMatches: []lattice.HeaderMatch{{Name: name, Match: lattice.HeaderMatchType{Exact: new("1")}}}})
	}
	for what, test := range map[string]struct {
		name     string
		priority int32
		match    lattice.RuleMatch
		action   lattice.RuleAction
		kind     lattice.ErrorKind
		says     string
	}{
		"a name that is taken":     {"get", 11, get, answer404, lattice.Conflict, "RULE with name get already exists: " + taken},
		"a priority that is taken": {"put", 10, get, answer404, lattice.Conflict, taken + " of listener " + listener + " already has priority 10"},
		"no match":                 {"put", 11, lattice.RuleMatch{}, answer404, lattice.Validation, "match.httpMatch"},
		"no condition":             {"put", 11, http(lattice.HTTPMatch{}), answer404, lattice.Validation, "match.httpMatch"},
		"no method":                {"put", 11, http(lattice.HTTPMatch{Method: "GET /"}), answer404, lattice.Validation, "is not a method"},
		"no header name":           {"put", 11, header("x y"), answer404, lattice.Validation, "headerMatches[0].name"},
		"no action":                {"put", 11, get, lattice.RuleAction{}, lattice.Validation, "exactly one"},
		"a missing target group":   {"put", 11, header("x-a"), forward(id("tg-", "none")), lattice.NotFound, "TARGET_GROUP"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := w.CreateRule(w.ctx, w.caller, &lattice.CreateRuleRequest{
				ServiceIdentifier: service, ListenerIdentifier: listener, Name: test.name, Priority: test.priority, Match: test.match, Action: test.action,
			})
			refused(t, err, test.kind, test.says)
		})
	}
}

func TestBatchUpdateRule(t *testing.T) {
	t.Parallel()
	type change struct {
		rule     string
		priority int32
	}
	for what, test := range map[string]struct {
		changes []change
		failed  string // the rules whose changes are refused, in order
		order   string // the priorities of a, b and c afterwards
	}{
		"two exchange their priorities":            {[]change{{"a", 2}, {"b", 1}}, "[]", "2 1 3"},
		"three rotate":                             {[]change{{"a", 2}, {"b", 3}, {"c", 1}}, "[]", "2 3 1"},
		"one moves to a free priority":             {[]change{{"b", 7}}, "[]", "1 7 3"},
		"a rule may stay where it is":              {[]change{{"a", 1}}, "[]", "1 2 3"},
		"one runs into a rule that stays":          {[]change{{"a", 3}, {"b", 9}}, "[a]", "1 9 3"},
		"of two that want the same the first wins": {[]change{{"a", 5}, {"b", 5}}, "[b]", "5 2 3"},
		"a refusal refuses who counted on it":      {[]change{{"b", 1}, {"a", 3}, {"c", 2}}, "[]", "3 1 2"},
		"a refusal travels":                        {[]change{{"b", 1}, {"a", 3}}, "[b a]", "1 2 3"},
		"a rule that does not exist":               {[]change{{"x", 5}, {"a", 6}}, "[x]", "6 2 3"},
		"the default rule":                         {[]change{{"default", 5}, {"a", 6}}, "[default]", "6 2 3"},
		"a rule twice":                             {[]change{{"a", 5}, {"a", 6}}, "[a]", "5 2 3"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w, service, listener := routed(t)
			ids, names := map[string]string{"x": id("rule-", "none")}, map[string]string{}
			for i, name := range []string{"a", "b", "c"} {
				ids[name] = w.rule(service, listener, name+"-rule", int32(i+1), answer404)
			}
			for _, rule := range must(w.ListRules(w.ctx, w.caller, &lattice.ListRulesRequest{ServiceIdentifier: service, ListenerIdentifier: listener})).Items {
				if rule.IsDefault {
					ids["default"] = rule.ID
				}
			}
			for name, id := range ids {
				names[id] = name
			}
			in := &lattice.BatchUpdateRuleRequest{ServiceIdentifier: service, ListenerIdentifier: listener}
			for _, c := range test.changes {
				in.Rules = append(in.Rules, lattice.RuleUpdate{RuleIdentifier: ids[c.rule], Priority: c.priority})
			}
			answer := must(w.BatchUpdateRule(w.ctx, w.caller, in))
			failed := []string{}
			for _, failure := range answer.Unsuccessful {
				failed = append(failed, names[failure.RuleIdentifier])
				if failure.FailureCode == "" || failure.FailureMessage == "" {
					t.Errorf("a failure without a reason: %+v", failure)
				}
			}
			if got := fmt.Sprint(failed); got != test.failed {
				t.Errorf("failed: %s, want %s", got, test.failed)
			}
			if len(answer.Successful)+len(answer.Unsuccessful) != len(test.changes) {
				t.Errorf("%d changes, answers %+v", len(test.changes), answer)
			}
			priority := func(rule string) int32 {
				return must(w.GetRule(w.ctx, w.caller, &lattice.GetRuleRequest{ServiceIdentifier: service, ListenerIdentifier: listener, RuleIdentifier: ids[rule]})).Priority
			}
			if got := fmt.Sprint(priority("a"), priority("b"), priority("c")); got != test.order {
				t.Errorf("priorities %s, want %s", got, test.order)
			}
		})
	}
}

func TestBatchUpdateRuleChangesActionsAndTheirTargetGroups(t *testing.T) {
	t.Parallel()
	w, service, listener := routed(t)
	vpc := w.vpc("fleet")
	old, fresh := w.group("old", vpc), w.group("fresh", vpc)
	rule := w.rule(service, listener, "get", 1, forward(old))
	answer := must(w.BatchUpdateRule(w.ctx, w.caller, &lattice.BatchUpdateRuleRequest{
		ServiceIdentifier: service, ListenerIdentifier: listener,
		Rules: []lattice.RuleUpdate{{RuleIdentifier: rule, Action: new(forward(fresh))}, {RuleIdentifier: rule, Action: &lattice.RuleAction{}}},
	}))
	if len(answer.Successful) != 1 || answer.Unsuccessful[0].FailureCode != "ValidationException" {
		t.Errorf("answer %+v", answer)
	}
	for group, want := range map[string]int{old: 0, fresh: 1} {
		if got := must(w.GetTargetGroup(w.ctx, w.caller, &lattice.GetTargetGroupRequest{TargetGroupIdentifier: group})).ServiceARNs; len(got) != want {
			t.Errorf("%s is used by %v", group, got)
		}
	}
}

func TestRacingRulesOfOnePriority(t *testing.T) {
	t.Parallel()
	w, service, listener := routed(t)
	failed := race(6, func(i int) error {
		_, err := w.CreateRule(w.ctx, w.caller, &lattice.CreateRuleRequest{
			ServiceIdentifier: service, ListenerIdentifier: listener, Name: fmt.Sprint("rule", i), Priority: 5, Match: get, Action: answer404,
		})
		return err
	})
	if len(failed) != 5 {
		t.Errorf("%d of 6 failed, want 5", len(failed))
	}
	for _, err := range failed {
		refused(t, err, lattice.Conflict, "priority 5")
	}
}
