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

// arns are the operands of ArnEquals, ArnLike and their negations.
type arns []arnPattern

// arnPattern is what ArnLike compares with: the six parts separately (IAM user guide, Condition operators, ARN).
type arnPattern struct {
	whole string // of one without wildcards and variables, whose parts are equal if the whole is
	parts [arnParts]pattern
}

func arnOperands(values []string, s syntax) (operands, error) {
	all := make(arns, len(values))
	for i, text := range values {
		if err := all[i].read(text, s); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// read takes the pattern apart. A text that ends with * may stop early.
func (a *arnPattern) read(text string, s syntax) error {
	parts := splitARN(text)
	if len(parts) < arnParts && !strings.HasSuffix(text, "*") {
		return fmt.Errorf("%q has %d of the six parts of an ARN; write arn:partition:service:region:account:resource, or "+
			"end it with *",
			text, len(parts))
	}
	if first := parts[0]; first != "arn" && first != "*" {
		return fmt.Errorf("%q is not an ARN; it begins with arn", text)
	}
	if !strings.ContainsAny(text, "*?$") {
		a.whole = text
		return nil
	}
	for len(parts) < arnParts {
		parts = append(parts, "*")
	}
	for i, text := range parts {
		p, err := newPattern(text, wildcards|s)
		if err != nil {
			return err
		}
		a.parts[i] = p
	}
	return nil
}

func (all arns) match(value string, r *Request) result {
	r.spend(len(all))
	for i := range all {
		if all[i].whole != "" && all[i].whole == value {
			return matches
		}
	}
	r.spend(workParse + len(value)/workScanned)
	parts, ok := partsOfARN(value)
	if !ok {
		return foreign
	}
	for i := range all {
		if all[i].whole == "" && all[i].match(&parts, r) {
			return matches
		}
		if r.exhausted() {
			break
		}
	}
	return differs
}

// partsOfARN takes apart an ARN, which names nothing that holds a colon but its resource.
func partsOfARN(value string) (parts [arnParts]string, ok bool) {
	for i := range arnParts - 1 {
		end := strings.IndexByte(value, ':')
		if end < 0 {
			return parts, false
		}
		parts[i], value = value[:end], value[end+1:]
	}
	parts[arnParts-1] = value
	return parts, parts[0] == "arn"
}

func (a *arnPattern) match(parts *[arnParts]string, r *Request) bool {
	for i := range parts {
		if !a.parts[i].match(parts[i], r) {
			return false
		}
	}
	return true
}

func (all arns) filled(r *Request) (texts []string) {
	for i := range all {
		text := all[i].whole
		if text == "" {
			parts := make([]string, arnParts)
			for j := range parts {
				parts[j] = all[i].parts[j].filled(r)
			}
			text = strings.Join(parts, ":")
		}
		texts = append(texts, text)
	}
	return texts
}
