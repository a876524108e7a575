package control

import (
	"cmp"
	"fmt"
	"slices"

	"pergola/lattice"
	"pergola/store"
)

// singleWeight is the weight of a forward action's only target group when the request gives none.
const singleWeight = 100

// checkAction refuses an action that no content of the store can make right (user guide, Rule action).
func checkAction(field string, action lattice.RuleAction) error {
	switch {
	case (action.Forward == nil) == (action.FixedResponse == nil):
		return lattice.Invalid(field, "must have exactly one of forward and fixedResponse")
	case action.FixedResponse != nil:
		if code := action.FixedResponse.StatusCode; code != 404 && code != 500 {
			return lattice.Invalid(field+".fixedResponse.statusCode", "%d is not supported; the fixed responses are 404 and 500", code)
		}
		return nil
	}
	return checkForward(field+".forward", action)
}

func checkForward(field string, action lattice.RuleAction) error {
	groups := action.Forward.TargetGroups
	if len(groups) == 0 {
		return lattice.Invalid(field+".targetGroups", "must name a target group")
	}
	ids := action.TargetGroupIDs()
	for i, group := range groups {
		name := fmt.Sprintf("%s.targetGroups[%d]", field, i)
		if slices.Contains(ids[:i], ids[i]) {
			return lattice.Invalid(name+".targetGroupIdentifier", "%s is in the action twice", ids[i])
		}
		if len(groups) > 1 && group.Weight == nil {
			return lattice.Invalid(name+".weight", "is required when an action forwards to several target groups")
		}
	}
	return nil
}

// completed spells an action as it is kept: target groups by their ids, and the only one with its default weight.
func completed(action lattice.RuleAction) lattice.RuleAction {
	if action.Forward == nil {
		return action
	}
	groups := slices.Clone(action.Forward.TargetGroups)
	for i, id := range action.TargetGroupIDs() {
		groups[i].TargetGroupIdentifier = id
		if groups[i].Weight == nil {
			groups[i].Weight = new(int32(singleWeight)) // checkForward lets no other go without
		}
	}
	return lattice.RuleAction{Forward: &lattice.ForwardAction{TargetGroups: groups}}
}

// admitAction checks an action against the listener that is to have it and the target groups that it forwards to, and
// returns it with every default filled in.
func (op *call) admitAction(field string, protocol lattice.Protocol, action lattice.RuleAction) (lattice.RuleAction, error) {
	if protocol == lattice.ProtocolTLSPassthrough && action.Forward == nil {
		return action, lattice.Invalid(field, "a TLS_PASSTHROUGH listener can only forward, to target groups with protocol TCP")
	}
	if action.Forward != nil {
		for i, group := range action.Forward.TargetGroups {
			group, err := targetGroups.standing(targetGroups.read(op, "", group.TargetGroupIdentifier))
			if err != nil {
				return action, err
			}
			if problem := mismatch(protocol, group); problem != "" {
				name := fmt.Sprintf("%s.forward.targetGroups[%d].targetGroupIdentifier", field, i)
				return action, lattice.Invalid(name, "%s: %s", group.ID, problem)
			}
		}
	}
	return completed(action), nil
}

// groupARNs are the target groups that an action forwards to, as a condition key has them.
func (op *call) groupARNs(action lattice.RuleAction) []string {
	var arns []string
	for _, group := range action.TargetGroupIDs() {
		arns = append(arns, targetGroups.named(op, "", group))
	}
	return arns
}

// mismatch says why a listener cannot forward to a target group, or "" (user guide: TLS listeners, Routing
// configuration). Which versions of HTTP go together is decided for each request: a client of an HTTP listener may
// speak either.
func mismatch(protocol lattice.Protocol, group *lattice.TargetGroup) string {
	isTCP := group.Config.Protocol == lattice.TargetTCP
	switch {
	case protocol == lattice.ProtocolTLSPassthrough && !isTCP:
		return "a TLS_PASSTHROUGH listener can only forward to target groups with protocol TCP"
	case protocol != lattice.ProtocolTLSPassthrough && isTCP:
		return "only a TLS_PASSTHROUGH listener can forward to a target group with protocol TCP"
	}
	return ""
}

// linkGroups brings the claims on target groups in line with the actions that a service now has. Two services cannot
// use one target group, and one service not more than its quota of them.
func (op *call) linkGroups(service string) error {
	used, err := groupsOf(op.Tx, service)
	if err != nil {
		return err
	}
	linked, err := linkedGroups(op.Tx, service)
	if err != nil {
		return err
	}
	for _, group := range linked {
		if !slices.Contains(used, group) {
			unlinkGroup(op.Tx, service, group)
		}
	}
	for _, group := range used {
		if slices.Contains(linked, group) {
			continue
		}
		if limit := op.limit(lattice.QuotaServiceTargetGroups); len(used) > limit {
			return lattice.QuotaServiceTargetGroups.Exceeded(lattice.KindTargetGroup, limit)
		}
		if err := op.linkGroup(service, group); err != nil {
			return err
		}
	}
	return nil
}

// groupsOf are the target groups that the actions of a service forward to.
func groupsOf(tx *store.Tx, service string) ([]string, error) {
	var groups []string
	own, _, err := listeners.Objects.List(tx, below(service), "", 0)
	for _, listener := range own {
		groups = append(groups, listener.Value.DefaultAction.TargetGroupIDs()...)
	}
	if err != nil {
		return nil, err
	}
	others, _, err := rules.Objects.List(tx, below(service), "", 0)
	for _, rule := range others {
		groups = append(groups, rule.Value.Action.TargetGroupIDs()...)
	}
	slices.Sort(groups)
	return slices.Compact(groups), err
}

// linkedGroups are the target groups that a service has claims on.
func linkedGroups(tx *store.Tx, service string) ([]string, error) {
	entries, _, err := claims.List(tx, serviceGroupClaim(service, ""), "", 0)
	groups := make([]string, len(entries))
	for i, entry := range entries {
		groups[i] = lattice.IDOf(entry.ID)
	}
	return groups, err
}

func (op *call) linkGroup(service, group string) error {
	own := hold(groupServiceClaim(group), service, func(holder string) error {
		return lattice.ConflictError(lattice.KindTargetGroup, group, "Target group %s is already used by service %s", group,
			holder)
	})
	return cmp.Or(own.Take(op.Call), hold(serviceGroupClaim(service, group), service, nil).Take(op.Call))
}

func unlinkGroup(tx *store.Tx, service, group string) {
	claims.Delete(tx, groupServiceClaim(group))
	claims.Delete(tx, serviceGroupClaim(service, group))
}

// unlinkGroups gives up all claims of a service on target groups.
func unlinkGroups(tx *store.Tx, service string) error {
	linked, err := linkedGroups(tx, service)
	for _, group := range linked {
		unlinkGroup(tx, service, group)
	}
	return err
}
