package lattice

import (
	"fmt"
	"strconv"
	"strings"
)

// CodeRange is an inclusive range of status codes.
type CodeRange struct{ From, To int }

// The status codes that can mean health (user guide, "Health checks for your VPC Lattice target groups"; API reference
// of Elastic Load Balancing, Matcher).
const lowestCode, highestCode = 200, 499

// ParseCodes reads the codes of a Matcher: single ones and ranges, separated by commas, such as "200,202-204".
func ParseCodes(matcher string) ([]CodeRange, error) {
	var codes []CodeRange
	for part := range strings.SplitSeq(matcher, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, to := parseCode(first), parseCode(last)
		if from == 0 || to == 0 || from > to {
			return nil, fmt.Errorf("matcher %q: %q is neither a status code from %d to %d nor a range of them", matcher, part,
				lowestCode, highestCode)
		}
		codes = append(codes, CodeRange{from, to})
	}
	return codes, nil
}

// parseCode returns 0 for what is no status code that can mean health.
func parseCode(s string) int {
	code, err := strconv.ParseUint(s, 10, 16)
	if err != nil || len(s) != 3 || code < lowestCode || code > highestCode {
		return 0
	}
	return int(code)
}
