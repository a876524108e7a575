package policy

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// operand is a value of a condition, ready to be compared with a value of the request.
type operand interface {
	// match reports whether the value of the request satisfies the operator, leaving negation aside. A value that
	// is not of the operator's type matches nothing.
	match(value string, r *Request) bool
	// filled is the operand as text, with variables replaced by their values.
	filled(r *Request) string
}

// comparison is what an operator does. The negated operators do the same as their counterparts and turn the outcome.
type comparison struct {
	// operand reads a value of the policy; s is variables or 0. It is nil for Null, which compares no values.
	operand func(text string, s syntax) (operand, error)
	negated bool
}

// comparisons holds every operator (IAM user guide, Condition operators).
var comparisons = map[string]comparison{
	"StringEquals":              {operand: stringOperand(0)},
	"StringNotEquals":           {operand: stringOperand(0), negated: true},
	"StringEqualsIgnoreCase":    {operand: stringOperand(ignoreCase)},
	"StringNotEqualsIgnoreCase": {operand: stringOperand(ignoreCase), negated: true},
	"StringLike":                {operand: stringOperand(wildcards)},
	"StringNotLike":             {operand: stringOperand(wildcards), negated: true},
	"NumericEquals":             {operand: numberOperand(equal)},
	"NumericNotEquals":          {operand: numberOperand(equal), negated: true},
	"NumericLessThan":           {operand: numberOperand(less)},
	"NumericLessThanEquals":     {operand: numberOperand(less | equal)},
	"NumericGreaterThan":        {operand: numberOperand(greater)},
	"NumericGreaterThanEquals":  {operand: numberOperand(greater | equal)},
	"DateEquals":                {operand: dateOperand(equal)},
	"DateNotEquals":             {operand: dateOperand(equal), negated: true},
	"DateLessThan":              {operand: dateOperand(less)},
	"DateLessThanEquals":        {operand: dateOperand(less | equal)},
	"DateGreaterThan":           {operand: dateOperand(greater)},
	"DateGreaterThanEquals":     {operand: dateOperand(greater | equal)},
	"Bool":                      {operand: boolOperand},
	"BinaryEquals":              {operand: binaryOperand},
	"IpAddress":                 {operand: addressOperand},
	"NotIpAddress":              {operand: addressOperand, negated: true},
	"ArnEquals":                 {operand: newARNPattern},
	"ArnLike":                   {operand: newARNPattern},
	"ArnNotEquals":              {operand: newARNPattern, negated: true},
	"ArnNotLike":                {operand: newARNPattern, negated: true},
	"Null":                      {},
}

// setOperator is the prefix that says how many of a key's values must satisfy the operator.
type setOperator uint8

const (
	noSet setOperator = iota
	forAllValues
	forAnyValue
)

// operator is the name of an operator, taken apart.
type operator struct {
	comparison
	set      setOperator
	ifExists bool
}

// parseOperator reads [ForAllValues:|ForAnyValue:]Name[IfExists]. Null takes neither prefix nor suffix.
func parseOperator(name string) (op operator, err error) {
	base := name
	if rest, ok := strings.CutPrefix(base, "ForAllValues:"); ok {
		op.set, base = forAllValues, rest
	} else if rest, ok := strings.CutPrefix(base, "ForAnyValue:"); ok {
		op.set, base = forAnyValue, rest
	}
	base, op.ifExists = strings.CutSuffix(base, "IfExists")
	found := false
	op.comparison, found = comparisons[base]
	switch {
	case !found:
		return op, fmt.Errorf("unknown operator %q%s", name, suggestOperator(base))
	case base == "Null" && name != base:
		return op, fmt.Errorf("%q: Null itself asks whether a key exists; write it without prefix and suffix", name)
	}
	return op, nil
}

func suggestOperator(name string) string {
	for known := range comparisons {
		if strings.EqualFold(name, known) {
			return fmt.Sprintf("; did you mean %q?", known)
		}
	}
	return "; see IAM's list of condition operators, such as StringEquals, ArnLike or IpAddress"
}

// stringOperand compares as the syntax says, and fills in variables if the document has them.
func stringOperand(how syntax) func(string, syntax) (operand, error) {
	return func(text string, s syntax) (operand, error) {
		p, err := newPattern(text, how|s)
		return &p, err
	}
}

// boolOperand takes true, false, or a variable.
func boolOperand(text string, s syntax) (operand, error) {
	isVariable := s&variables != 0 && strings.HasPrefix(text, "${")
	if !isVariable && !strings.EqualFold(text, "true") && !strings.EqualFold(text, "false") {
		return nil, fmt.Errorf("%q is neither true nor false", text)
	}
	return stringOperand(ignoreCase)(text, s)
}

// numberTest compares with a number.
type numberTest struct {
	number  decimal
	order   order
	written string
}

func numberOperand(o order) func(string, syntax) (operand, error) {
	return func(text string, _ syntax) (operand, error) {
		d, ok := parseDecimal(text)
		if !ok {
			return nil, fmt.Errorf("%q is not a number; write an integer or a decimal, without exponent", text)
		}
		return &numberTest{d, o, text}, nil
	}
}

func (t *numberTest) match(value string, _ *Request) bool {
	d, ok := parseDecimal(value)
	return ok && t.order.accepts(d.compare(t.number))
}

func (t *numberTest) filled(*Request) string { return t.written }

// dateTest compares with a point in time.
type dateTest struct {
	date    time.Time
	order   order
	written string
}

func dateOperand(o order) func(string, syntax) (operand, error) {
	return func(text string, _ syntax) (operand, error) {
		t, ok := parseDate(text)
		if !ok {
			return nil, fmt.Errorf("%q is not a date; write it like 2006-01-02T15:04:05Z, or as seconds since 1970", text)
		}
		return &dateTest{t, o, text}, nil
	}
}

func (t *dateTest) match(value string, _ *Request) bool {
	date, ok := parseDate(value)
	return ok && t.order.accepts(date.Compare(t.date))
}

func (t *dateTest) filled(*Request) string { return t.written }

// binaryTest compares bytes. The policy spells them in base64; a Context gives them as they are.
type binaryTest struct {
	bytes   string
	written string
}

func binaryOperand(text string, _ syntax) (operand, error) {
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not base64 with padding", text)
	}
	return &binaryTest{string(decoded), text}, nil
}

func (t *binaryTest) match(value string, _ *Request) bool { return value == t.bytes }

func (t *binaryTest) filled(*Request) string { return t.written }

// addressTest compares with a range of addresses.
type addressTest struct {
	prefix  netip.Prefix
	written string
}

// addressOperand takes an address or a range in CIDR notation. IPv4 inside IPv6 is refused: requests are compared in
// their IPv4 form, so such a range would match nothing.
func addressOperand(text string, _ syntax) (operand, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return nil, fmt.Errorf("%q is not an address or a range of addresses; write it like 10.0.0.0/8 or 2001:db8::/32", text)
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	if prefix.Addr().Is4In6() {
		return nil, fmt.Errorf("%q is an IPv4 address written as IPv6; write it as IPv4", text)
	}
	return &addressTest{prefix.Masked(), text}, nil
}

func (t *addressTest) match(value string, _ *Request) bool {
	address, err := netip.ParseAddr(value)
	return err == nil && t.prefix.Contains(address.Unmap())
}

func (t *addressTest) filled(*Request) string { return t.written }
