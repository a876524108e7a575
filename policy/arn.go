package policy

import (
	"fmt"
	"strings"
)

// checkResource refuses what cannot be a resource in a policy of the kind.
func checkResource(text string, kind Kind, s syntax) error {
	_, err := newPattern(text, wildcards|resourceARN|s)
	switch {
	case err != nil:
		return err
	case text == "*":
		return nil
	case strings.HasPrefix(text, "arn:"):
		return checkResourceARN(text, kind)
	case kind == Resource && strings.HasPrefix(text, "*"):
		return nil // "*/rates": the guide of VPC Lattice allows any pattern over the whole ARN
	}
	return fmt.Errorf("%q is neither an ARN nor \"*\"", text)
}

func checkResourceARN(text string, kind Kind) error {
	parts := splitARN(text)
	switch {
	case len(parts) < arnParts && !kind.completesARNs() && !strings.HasSuffix(text, "*"):
		return fmt.Errorf("%q has %d of the six parts of an ARN; write arn:partition:service:region:account:resource, or end it with *",
			text, len(parts))
	case parts[1] == "":
		return fmt.Errorf("%q names no partition; it is usually aws", text)
	case len(parts) > 2 && (parts[2] == "" || strings.ContainsAny(parts[2], "*?")):
		return fmt.Errorf("%q must name one service after the partition, without wildcards", text)
	}
	return nil
}

// arnParts is how many parts an ARN has: arn, partition, service, region, account, resource. Only the last may hold
// colons of its own.
const arnParts = 6

// splitARN splits text at colons that are not inside a variable.
func splitARN(text string) (parts []string) {
	start, inside := 0, false
	for i := 0; i < len(text) && len(parts) < arnParts-1; i++ {
		switch {
		case strings.HasPrefix(text[i:], "${"):
			inside = true
		case text[i] == '}':
			inside = false
		case text[i] == ':' && !inside:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// completeARN adds the parts that an ARN lacks, as wildcards. A * at the end covers them already.
func completeARN(text string) string {
	if !strings.HasPrefix(text, "arn:") || strings.HasSuffix(text, "*") {
		return text
	}
	return text + strings.Repeat(":*", arnParts-len(splitARN(text)))
}

// arnPattern is what ArnLike compares with: the six parts separately (IAM user guide, Condition operators, ARN).
type arnPattern struct {
	parts [arnParts]pattern
}

// newARNPattern is the operand of ArnEquals, ArnLike and their negations. A text that ends with * may stop early.
func newARNPattern(text string, s syntax) (operand, error) {
	parts := splitARN(text)
	if len(parts) < arnParts && !strings.HasSuffix(text, "*") {
		return nil, fmt.Errorf("%q has %d of the six parts of an ARN; write arn:partition:service:region:account:resource, or end it with *",
			text, len(parts))
	}
	if first := parts[0]; first != "arn" && first != "*" {
		return nil, fmt.Errorf("%q is not an ARN; it begins with arn", text)
	}
	if !strings.ContainsAny(text, "*?$") {
		return stringOperand(0)(text, 0) // without wildcards and variables the parts are equal if the whole is
	}
	for len(parts) < arnParts {
		parts = append(parts, "*")
	}
	a := new(arnPattern)
	for i, text := range parts {
		p, err := newPattern(text, wildcards|s)
		if err != nil {
			return nil, err
		}
		a.parts[i] = p
	}
	return a, nil
}

func (a *arnPattern) match(value string, r *Request) bool {
	last := arnParts - 1
	for i := range a.parts[:last] {
		before, after, ok := strings.Cut(value, ":")
		if !ok || !a.parts[i].match(before, r) {
			return false
		}
		value = after
	}
	return a.parts[last].match(value, r)
}

func (a *arnPattern) filled(r *Request) string {
	parts := make([]string, arnParts)
	for i := range a.parts {
		parts[i] = a.parts[i].filled(r)
	}
	return strings.Join(parts, ":")
}
