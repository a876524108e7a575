package control

import (
	"fmt"
	"slices"

	"pergola/lattice"
	"pergola/store"
)

// checkMatch refuses a condition that holds for every request, which only the default rule may (user guide, Rule
// conditions), and names that cannot be in a request.
func checkMatch(match *lattice.RuleMatch) error {
	if match == nil {
		return nil
	}
	http := match.HTTPMatch
	if http == nil || http.Method == "" && http.PathMatch == nil && len(http.HeaderMatches) == 0 {
		return lattice.Invalid("match.httpMatch", "must have a method, a path match or a header match")
	}
	if http.Method != "" && !isToken(http.Method) {
		return lattice.Invalid("match.httpMatch.method", "%q is not a method", http.Method)
	}
	for i, header := range http.HeaderMatches {
		if !isToken(header.Name) {
			return lattice.Invalid(fmt.Sprintf("match.httpMatch.headerMatches[%d].name", i), "%q is not a header name", header.Name)
		}
	}
	return nil
}

// isToken reports whether a string can be a method or a field name (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case slices.Contains([]byte("!#$%&'*+-.^_`|~"), c):
		default:
			return false
		}
	}
	return s != ""
}

// CreateRule adds a rule to a listener. Its name and its priority must be free in the listener.
func (op *call) CreateRule(in *lattice.CreateRuleRequest) (*lattice.CreateRuleResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := checkMatch(&in.Match); err != nil {
		return nil, err
	}
	if err := checkAction("action", in.Action); err != nil {
		return nil, err
	}
	op.Set("vpc-lattice:TargetGroupArns", op.groupARNs(in.Action)...)
	parents := []string{in.ServiceIdentifier, in.ListenerIdentifier}
	rule, err := rules.create(op, order{in, in.ClientToken, in.Tags, parents},
		func() (*lattice.Rule, error) { return op.newRule(in) })
	if err != nil {
		return nil, err
	}
	return lattice.NewCreateRuleResponse(rule), op.linkGroups(rule.ServiceID)
}

func (op *call) newRule(in *lattice.CreateRuleRequest) (*lattice.Rule, error) {
	service, listener, err := op.readListenerToChange(in.ServiceIdentifier, in.ListenerIdentifier)
	if err != nil {
		return nil, err
	}
	if listener.Protocol == lattice.ProtocolTLSPassthrough {
		return nil, lattice.Invalid("listenerIdentifier", "%s is a TLS_PASSTHROUGH listener, which can only have its default rule", listener.ID)
	}
	action, err := op.admitAction("action", listener.Protocol, in.Action)
	if err != nil {
		return nil, err
	}
	id, now := lattice.KindRule.NewID(op.Random), op.time()
	return &lattice.Rule{
		ID: id, ARN: listener.ARN + "/rule/" + id, ServiceID: service.ID, ListenerID: listener.ID, Name: in.Name,
		Match: &in.Match, Priority: in.Priority, Action: action,
		CreatedAt: now, LastUpdatedAt: now, Tags: in.Tags, ClientToken: in.ClientToken,
	}, nil
}

func priorityTaken(rule *lattice.Rule, holder string) error {
	return lattice.ConflictError(lattice.KindRule, holder, "Rule %s of listener %s already has priority %d",
		holder, rule.ListenerID, rule.Priority)
}

// readListenerToChange reads a listener whose rules are to be changed and its service, which must not be going away.
func (op *call) readListenerToChange(service, listener string) (*lattice.Service, *lattice.Listener, error) {
	parent, err := services.standing(services.read(op, "", service))
	if err != nil {
		return nil, nil, err
	}
	found, err := listeners.read(op, below(parent.ID), listener)
	return parent, found, err
}

// ruleNamed is the ARN that the identifiers of a rule and of its parents stand for.
func (op *call) ruleNamed(service, listener, rule string) string {
	return rules.named(op, idsOf([]string{service, listener}), rule)
}

// findRule finds the rule that an operation is about, which may be the listener's default rule.
func (op *call) findRule(listener *lattice.Listener, identifier string) (*lattice.Rule, error) {
	standard := listener.DefaultRule()
	if identifier == standard.ID || identifier == standard.ARN {
		return &standard, op.May(standard.ARN, nil)
	}
	return rules.find(op, below(listener.ServiceID, listener.ID), identifier)
}

// findOwnRule finds a rule of a listener that is not its default rule.
func (op *call) findOwnRule(listener *lattice.Listener, identifier string) (*lattice.Rule, error) {
	rule, err := op.findRule(listener, identifier)
	if err != nil {
		return nil, err
	}
	if rule.IsDefault {
		return nil, lattice.Invalid("ruleIdentifier",
			"%s is the default rule of listener %s; it is changed by updating the listener and deleted with it", rule.ID, listener.ID)
	}
	return rule, nil
}

// GetRule describes a rule, which may be a default rule.
func (op *call) GetRule(in *lattice.GetRuleRequest) (*lattice.GetRuleResponse, error) {
	op.About(op.ruleNamed(in.ServiceIdentifier, in.ListenerIdentifier, in.RuleIdentifier))
	listener, err := op.readListener(in.ServiceIdentifier, in.ListenerIdentifier)
	if err != nil {
		return nil, err
	}
	return respond(lattice.NewGetRuleResponse)(op.findRule(listener, in.RuleIdentifier))
}

// UpdateRule changes what the request has of a rule.
func (op *call) UpdateRule(in *lattice.UpdateRuleRequest) (*lattice.UpdateRuleResponse, error) {
	change := lattice.RuleUpdate{RuleIdentifier: in.RuleIdentifier, Match: in.Match, Priority: in.Priority, Action: in.Action}
	op.About(op.ruleNamed(in.ServiceIdentifier, in.ListenerIdentifier, in.RuleIdentifier))
	service, listener, err := op.readListenerToChange(in.ServiceIdentifier, in.ListenerIdentifier)
	if err != nil {
		return nil, err
	}
	_, after, err := op.changedRule(listener, change)
	if err != nil {
		return nil, err
	}
	if err := rules.put(op, after); err != nil {
		return nil, err
	}
	return lattice.NewUpdateRuleResponse(after), op.linkGroups(service.ID)
}

// changedRule is a rule before and after a change. It writes nothing, and leaves out whether the priority is free.
func (op *call) changedRule(listener *lattice.Listener, change lattice.RuleUpdate) (before, after *lattice.Rule, err error) {
	if err := checkMatch(change.Match); err != nil {
		return nil, nil, err
	}
	var forwardsTo []string
	if change.Action != nil {
		if err := checkAction("action", *change.Action); err != nil {
			return nil, nil, err
		}
		forwardsTo = op.groupARNs(*change.Action)
	}
	op.Set("vpc-lattice:TargetGroupArns", forwardsTo...)
	if before, err = op.findOwnRule(listener, change.RuleIdentifier); err != nil {
		return nil, nil, err
	}
	after = new(*before)
	after.LastUpdatedAt = op.time()
	if change.Match != nil {
		after.Match = change.Match
	}
	if change.Priority != 0 {
		after.Priority = change.Priority
	}
	if change.Action != nil {
		after.Action, err = op.admitAction("action", listener.Protocol, *change.Action)
	}
	return before, after, err
}

// DeleteRule deletes a rule that is not a default rule.
func (op *call) DeleteRule(in *lattice.DeleteRuleRequest) (*lattice.Empty, error) {
	op.About(op.ruleNamed(in.ServiceIdentifier, in.ListenerIdentifier, in.RuleIdentifier))
	service, listener, err := op.readListenerToChange(in.ServiceIdentifier, in.ListenerIdentifier)
	if err != nil {
		return nil, err
	}
	rule, err := op.findOwnRule(listener, in.RuleIdentifier)
	if err != nil {
		return nil, err
	}
	rules.Delete(op.Tx, rule)
	return &lattice.Empty{}, op.linkGroups(service.ID)
}

// ListRules lists the rules of a listener in the order in which they are evaluated.
func (op *call) ListRules(in *lattice.ListRulesRequest) (*lattice.List[lattice.RuleSummary], error) {
	listener, err := op.readListener(in.ServiceIdentifier, in.ListenerIdentifier)
	if err != nil {
		return nil, err
	}
	inOrder := func(after string, yield func(string, lattice.RuleSummary) bool) error {
		all, err := rulesOf(op.Tx, listener)
		for _, rule := range append(all, listener.DefaultRule()) {
			if key := evaluationKey(&rule); key > after && !yield(key, *lattice.NewRuleSummary(&rule)) {
				break
			}
		}
		return err
	}
	return paginate(op, in.Page, listeners.Head(listener).Path, inOrder)
}

// rulesOf are the rules of a listener in order of priority, without the default rule.
func rulesOf(tx *store.Tx, listener *lattice.Listener) ([]lattice.Rule, error) {
	entries, _, err := rules.Objects.List(tx, below(listener.ServiceID, listener.ID), "", 0)
	all := make([]lattice.Rule, len(entries))
	for i, entry := range entries {
		all[i] = entry.Value
	}
	slices.SortFunc(all, func(a, b lattice.Rule) int { return int(a.Priority - b.Priority) })
	return all, err
}

// evaluationKey sorts like the order in which rules are evaluated.
func evaluationKey(rule *lattice.Rule) string {
	if rule.IsDefault {
		return "default" // letters follow digits
	}
	return fmt.Sprintf("%04d", rule.Priority)
}
