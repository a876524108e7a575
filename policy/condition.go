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
	allows   bool // the statement allows, and does not deny
	operands operands
	accepts  [2]bool // for Null: whether a key that is there, and one that is not, satisfies
}

// compileCondition turns a condition of a statement with the given effect into what is evaluated.
//
// IAM leaves open what a condition means in three cases. The statement then grants as little as it can: a condition
// whose meaning is open does not hold where the statement allows, and holds where it denies. They are
//
//   - an operator without ForAllValues or ForAnyValue and a key that has several values. To deny, it is enough that one
//     of them satisfies the operator;
//   - ForAnyValue with IfExists and a key that is absent, for which the one is not satisfied and the other is;
//   - a negated operator and a value that is not of its type, such as a word for NumericNotEquals.
func compileCondition(c conditionText, effect Effect, s syntax) condition {
	op, _ := parseOperator(c.operator) // valid, as all that follows: Parse has tried it
	compiled := condition{conditionText: c, operator: op, key: NewKey(c.key), allows: effect == Allow}
	if op.operands != nil {
		compiled.operands, _ = op.operands(c.values, s)
		return compiled
	}
	for _, value := range c.values {
		compiled.accepts[nullIndex(strings.EqualFold(value, "true"))] = true
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
	r.spend(workValue)
	if c.operands == nil {
		return c.accepts[nullIndex(r.isNull(&c.key))]
	}
	value, ok := r.value(&c.key, 0)
	if !ok {
		return c.holdsAbsent()
	}
	if c.set == forAllValues && value == "" && r.isNull(&c.key) {
		return true // a single empty value is an empty set
	}
	all := c.set == forAllValues || c.set == noSet && c.allows
	for i := 1; c.satisfies(value, r) == all; i++ {
		r.spend(workValue)
		if value, ok = r.value(&c.key, i); !ok || r.exhausted() {
			return all
		}
		if c.set == noSet && c.allows {
			return false
		}
	}
	return !all
}

// holdsAbsent is the outcome for a key that the request does not have (IAM user guide, Condition operators, and Set
// operators for multivalued context keys): IfExists is satisfied, ForAllValues too, ForAnyValue is not; and otherwise
// nothing equals what is not there, so the negated operators are satisfied.
func (c *condition) holdsAbsent() bool {
	switch {
	case c.set == forAnyValue:
		return c.ifExists && !c.allows
	case c.ifExists || c.set == forAllValues:
		return true
	}
	return c.negated
}

// satisfies compares one value of the request: with a plain operator it must match one of the policy's values, with a
// negated one it must match none.
func (c *condition) satisfies(value string, r *Request) bool {
	found := c.operands.match(value, r)
	if found == foreign && c.negated {
		return !c.allows
	}
	return (found == matches) != c.negated
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
