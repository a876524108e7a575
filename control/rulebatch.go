package control

import (
	"errors"

	"pergola/lattice"
)

// BatchUpdateRule changes several rules of a listener at once. Only what the rules are in the end counts, so that two
// of them can exchange their priorities. A change that cannot be made is reported and leaves its rule as it was; the
// others are made nevertheless. Of two changes that ask for one priority, the first has it.
func (op *call) BatchUpdateRule(in *lattice.BatchUpdateRuleRequest) (*lattice.BatchUpdateRuleResponse, error) {
	// the batch has no IAM action of its own
	op.Action = "UpdateRule" // the batch has no IAM action of its own
	op.About(op.ruleNamed(in.ServiceIdentifier, in.ListenerIdentifier, "*"))
	service, listener, err := op.readListenerToChange(in.ServiceIdentifier, in.ListenerIdentifier)
	if err != nil {
		return nil, err
	}
	b := batch{op: op, listener: listener, changes: make([]batchChange, len(in.Rules))}
	if err := b.prepare(in.Rules); err != nil {
		return nil, err
	}
	if err := b.settlePriorities(); err != nil {
		return nil, err
	}
	if err := b.write(); err != nil {
		return nil, err
	}
	return b.answer(), op.linkGroups(service.ID)
}

// batch is a set of changes that are made together.
type batch struct {
	op       *call
	listener *lattice.Listener
	changes  []batchChange
}

// batchChange is one change and what has become of it.
type batchChange struct {
	identifier    string
	before, after *lattice.Rule
	refusal       *lattice.Error // nil as long as the change can be made
}

// prepare works out each change by itself.
func (b *batch) prepare(updates []lattice.RuleUpdate) error {
	seen := map[string]bool{}
	for i, wanted := range updates {
		change := &b.changes[i]
		change.identifier = wanted.RuleIdentifier
		var err error
		change.before, change.after, err = b.op.changedRule(b.listener, wanted)
		id := lattice.IDOf(wanted.RuleIdentifier)
		if err == nil && seen[id] {
			err = lattice.Invalid("rules", "%s is in the batch twice", id)
		}
		seen[id] = true
		if err != nil && !errors.As(err, &change.refusal) {
			return err
		}
	}
	return nil
}

// settlePriorities refuses changes until no two rules would have the same priority. A refused change leaves its rule
// at its former priority, which may refuse another one: each round refuses at least one, or is the last.
func (b *batch) settlePriorities() error {
	all, err := rulesOf(b.op.Tx, b.listener)
	if err != nil {
		return err
	}
	for again := true; again; {
		again = false
		taken := b.unchangedPriorities(all)
		for i := range b.changes {
			change := &b.changes[i]
			if change.refusal != nil {
				continue
			}
			if holder, ok := taken[change.after.Priority]; ok {
				errors.As(priorityTaken(change.after, holder), &change.refusal)
				again = true
				continue
			}
			taken[change.after.Priority] = change.after.ID
		}
	}
	return nil
}

// unchangedPriorities are the holders of the priorities that no change in force gives up.
func (b *batch) unchangedPriorities(all []lattice.Rule) map[int32]string {
	taken := map[int32]string{}
	for _, rule := range all {
		taken[rule.Priority] = rule.ID
	}
	for _, change := range b.changes {
		if change.refusal == nil {
			delete(taken, change.before.Priority)
		}
	}
	return taken
}

// write makes the changes that are in force.
func (b *batch) write() error {
	var changed []*lattice.Rule
	for _, change := range b.changes {
		if change.refusal == nil {
			changed = append(changed, change.after)
		}
	}
	return rules.Put(b.op.Call, changed...)
}

func (b *batch) answer() *lattice.BatchUpdateRuleResponse {
	answer := &lattice.BatchUpdateRuleResponse{
		Successful: []lattice.UpdateRuleResponse{}, Unsuccessful: []lattice.RuleUpdateFailure{},
	}
	for _, change := range b.changes {
		if change.refusal == nil {
			answer.Successful = append(answer.Successful, *lattice.NewUpdateRuleResponse(change.after))
			continue
		}
		answer.Unsuccessful = append(answer.Unsuccessful, lattice.RuleUpdateFailure{
			RuleIdentifier: change.identifier, FailureCode: change.refusal.Kind.String(), FailureMessage: change.refusal.Message,
		})
	}
	return answer
}
