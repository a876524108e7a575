package policy

import (
	"errors"
	"strings"
)

// condition is one key of a condition block, compiled.
type condition struct {
	conditionText
	operator
	key      Key
	all      bool // every value of the key must satisfy the operator, instead of any
	operands []operand
	accepts  [2]bool // for Null: whether a key that is there, and one that is not, satisfies
}

// compileCondition turns a condition of a statement with the given effect into what is evaluated.
//
// IAM leaves open what an operator without ForAllValues or ForAnyValue does with a key that has several values. Here
// the statement then grants as little as it can: to allow, every value must satisfy the operator; to deny, one is
// enough. For a key with one value there is no difference.
func compileCondition(c conditionText, effect Effect, s syntax) condition {
	op, _ := parseOperator(c.operator) // valid, as all that follows: Parse has tried it
	compiled := condition{conditionText: c, operator: op, key: NewKey(c.key)}
	compiled.all = op.set == forAllValues || op.set == noSet && effect == Allow
	for _, value := range c.values {
		if op.operand == nil {
			compiled.accepts[nullIndex(strings.EqualFold(value, "true"))] = true
			continue
		}
		o, _ := op.operand(value, s)
		compiled.operands = append(compiled.operands, o)
	}
	return compiled
}

func nullIndex(isNull bool) int {
	if isNull {
		return 1
	}
	return 0
}

// holds reports whether the request satisfies the condition.
func (c *condition) holds(r *Request) bool {
	if c.operand == nil {
		return c.accepts[nullIndex(r.isNull(&c.key))]
	}
	value, ok := r.value(&c.key, 0)
	if !ok {
		return c.holdsAbsent()
	}
	if c.set == forAllValues && value == "" && r.isNull(&c.key) {
		return true // a single empty value is an empty set
	}
	for i := 1; ok; i++ {
		if c.satisfies(value, r) != c.all {
			return !c.all
		}
		value, ok = r.value(&c.key, i)
	}
	return c.all
}

// holdsAbsent is the outcome for a key that the request does not have (IAM user guide, Condition operators, and Set
// operators for multivalued context keys): IfExists is satisfied, ForAllValues too, ForAnyValue is not; and otherwise
// nothing equals what is not there, so the negated operators are satisfied.
func (c *condition) holdsAbsent() bool {
	switch {
	case c.ifExists || c.set == forAllValues:
		return true
	case c.set == forAnyValue:
		return false
	}
	return c.negated
}

// satisfies compares one value of the request: with a plain operator it must match one of the policy's values, with a
// negated one it must match none.
func (c *condition) satisfies(value string, r *Request) bool {
	for _, o := range c.operands {
		if o.match(value, r) {
			return !c.negated
		}
	}
	return c.negated
}

// checkKey refuses what cannot be the name of a condition key. The prefix is that of a service, or the host name and
// path of an identity provider.
func checkKey(name string) error {
	prefix, rest, _ := strings.Cut(name, ":")
	if prefix == "" || rest == "" || strings.ContainsFunc(prefix, func(r rune) bool { return !isWord(r, "-._/") }) {
		return errNoKey
	}
	return nil
}

var errNoKey = errors.New("a condition key is written prefix:name, such as aws:PrincipalOrgID")
