package policy

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// result is how a value of the request compares with the values of a condition, leaving negation aside.
type result uint8

const (
	differs result = iota
	matches
	// foreign is a value that is not of the operator's type: no number, say, where numbers are compared.
	foreign
)

// operands are the values of a condition, ready to be compared with values of the request.
type operands interface {
	// match compares a value of the request with each operand.
	match(value string, r *Request) result
	// filled are the operands as text, with variables replaced by their values.
	filled(r *Request) []string
}

// comparison is what an operator does. The negated operators do the same as their counterparts and turn the outcome.
type comparison struct {
	// operands reads values of the policy; s is variables or 0. It is nil for Null, which compares no values.
	operands func(values []string, s syntax) (operands, error)
	negated  bool
}

// comparisons holds every operator (IAM user guide, Condition operators).
var comparisons = map[string]comparison{
	"StringEquals":              {operands: stringOperands(0)},
	"StringNotEquals":           {operands: stringOperands(0), negated: true},
	"StringEqualsIgnoreCase":    {operands: stringOperands(ignoreCase)},
	"StringNotEqualsIgnoreCase": {operands: stringOperands(ignoreCase), negated: true},
	"StringLike":                {operands: stringOperands(wildcards)},
	"StringNotLike":             {operands: stringOperands(wildcards), negated: true},
	"NumericEquals":             {operands: numberOperands(equal)},
	"NumericNotEquals":          {operands: numberOperands(equal), negated: true},
	"NumericLessThan":           {operands: numberOperands(less)},
	"NumericLessThanEquals":     {operands: numberOperands(less | equal)},
	"NumericGreaterThan":        {operands: numberOperands(greater)},
	"NumericGreaterThanEquals":  {operands: numberOperands(greater | equal)},
	"DateEquals":                {operands: dateOperands(equal)},
	"DateNotEquals":             {operands: dateOperands(equal), negated: true},
	"DateLessThan":              {operands: dateOperands(less)},
	"DateLessThanEquals":        {operands: dateOperands(less | equal)},
	"DateGreaterThan":           {operands: dateOperands(greater)},
	"DateGreaterThanEquals":     {operands: dateOperands(greater | equal)},
	"Bool":                      {operands: boolOperands},
	"BinaryEquals":              {operands: binaryOperands},
	"IpAddress":                 {operands: addressOperands},
	"NotIpAddress":              {operands: addressOperands, negated: true},
	"ArnEquals":                 {operands: arnOperands},
	"ArnLike":                   {operands: arnOperands},
	"ArnNotEquals":              {operands: arnOperands, negated: true},
	"ArnNotLike":                {operands: arnOperands, negated: true},
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

// texts compares with patterns.
type texts struct {
	patterns []pattern // as written
	// exact has those without wildcards and variables as a set, if they are many; others are the rest.
	exact  map[string]struct{}
	others []pattern
}

// manyExact is the number of texts from which on looking one up in a set takes less than comparing with each.
const manyExact = 8

// stringOperands compares as the syntax says, and fills in variables if the document has them.
func stringOperands(how syntax) func([]string, syntax) (operands, error) {
	return func(values []string, s syntax) (operands, error) {
		t := &texts{exact: map[string]struct{}{}}
		for _, value := range values {
			p, err := newPattern(value, how|s)
			if err != nil {
				return nil, err
			}
			if p.form == exact && !p.fold {
				t.exact[p.pieces[0].text] = struct{}{}
			} else {
				t.others = append(t.others, p)
			}
			t.patterns = append(t.patterns, p)
		}
		if len(t.exact) < manyExact {
			t.exact, t.others = nil, t.patterns
		}
		return t, nil
	}
}

func (t *texts) match(value string, r *Request) result {
	if t.exact != nil {
		r.spend(workPattern + len(value)/workSearched)
		if _, ok := t.exact[value]; ok {
			return matches
		}
	}
	for i := range t.others {
		if t.others[i].match(value, r) {
			return matches
		}
		if r.exhausted() {
			break
		}
	}
	return differs
}

func (t *texts) filled(r *Request) (all []string) {
	for i := range t.patterns {
		all = append(all, t.patterns[i].filled(r))
	}
	return all
}

// boolOperands takes true, false, or a variable.
func boolOperands(values []string, s syntax) (operands, error) {
	for _, text := range values {
		isVariable := s&variables != 0 && strings.HasPrefix(text, "${")
		if !isVariable && !strings.EqualFold(text, "true") && !strings.EqualFold(text, "false") {
			return nil, fmt.Errorf("%q is neither true nor false", text)
		}
	}
	return stringOperands(ignoreCase)(values, s)
}

// series compares with values of a type of its own. It reads a value of the request once for all operands.
type series[O, V any] struct {
	operands []O
	written  []string
	read     func(text string) (V, bool) // takes time by the length of the text
	accepts  func(operand O, value V) bool
}

// newSeries reads each of the values of the policy with operand.
func newSeries[O, V any](values []string, operand func(string) (O, error), s series[O, V]) (operands, error) {
	for _, text := range values {
		o, err := operand(text)
		if err != nil {
			return nil, err
		}
		s.operands, s.written = append(s.operands, o), append(s.written, text)
	}
	return &s, nil
}

func (s *series[O, V]) match(text string, r *Request) result {
	r.spend(workParse + len(text))
	value, ok := s.read(text)
	if !ok {
		return foreign
	}
	for _, o := range s.operands {
		r.spend(workOperand)
		if s.accepts(o, value) {
			return matches
		}
	}
	return differs
}

func (s *series[O, V]) filled(*Request) []string { return s.written }

func numberOperands(o order) func([]string, syntax) (operands, error) {
	return func(values []string, _ syntax) (operands, error) {
		return newSeries(values, func(text string) (decimal, error) {
			d, ok := parseDecimal(text)
			if !ok {
				return d, fmt.Errorf("%q is not a number; write an integer or a decimal, without exponent", text)
			}
			return d, nil
		}, series[decimal, decimal]{
			read:    parseDecimal,
			accepts: func(operand, value decimal) bool { return o.accepts(value.compare(operand)) },
		})
	}
}

func dateOperands(o order) func([]string, syntax) (operands, error) {
	return func(values []string, _ syntax) (operands, error) {
		return newSeries(values, func(text string) (time.Time, error) {
			t, ok := parseDate(text)
			if !ok {
				return t, fmt.Errorf("%q is not a date; write it like 2006-01-02T15:04:05Z, or as seconds since 1970", text)
			}
			return t, nil
		}, series[time.Time, time.Time]{
			read:    parseDate,
			accepts: func(operand, value time.Time) bool { return o.accepts(value.Compare(operand)) },
		})
	}
}

// binaryOperands compares bytes. The policy spells them in base64; a Context gives them as they are.
func binaryOperands(values []string, _ syntax) (operands, error) {
	return newSeries(values, func(text string) (string, error) {
		decoded, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return "", fmt.Errorf("%q is not base64 with padding", text)
		}
		return string(decoded), nil
	}, series[string, string]{
		read:    func(text string) (string, bool) { return text, true },
		accepts: func(operand, value string) bool { return operand == value },
	})
}

// addressOperands compares with ranges of addresses.
func addressOperands(values []string, _ syntax) (operands, error) {
	return newSeries(values, parseRange, series[netip.Prefix, netip.Addr]{
		read:    parseAddress,
		accepts: func(operand netip.Prefix, value netip.Addr) bool { return operand.Contains(value) },
	})
}

// parseRange takes an address or a range in CIDR notation. IPv4 inside IPv6 is refused: requests are compared in their
// IPv4 form, so such a range would match nothing.
func parseRange(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return prefix, fmt.Errorf("%q is not an address or a range of addresses; write it like 10.0.0.0/8 or 2001:db8::/32",
				text)
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	if prefix.Addr().Is4In6() {
		return prefix, fmt.Errorf("%q is an IPv4 address written as IPv6; write it as IPv4", text)
	}
	return prefix.Masked(), nil
}

// longestAddress is how many characters an address takes at most: IPv6 with all its digits, the last four bytes as
// IPv4.
const longestAddress = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// parseAddress reads an address of a request. One with a zone is in no range.
func parseAddress(text string) (netip.Addr, bool) {
	if len(text) > longestAddress || strings.IndexByte(text, '%') >= 0 {
		return netip.Addr{}, false
	}
	address, err := netip.ParseAddr(text)
	return address.Unmap(), err == nil
}
