package apimodel

import (
	_ "embed" // the table of rules
	"strings"
)

// written is a line for each pattern of a published model that has a rule of package api: the rule, and the pattern.
// Patterns that mean the same share a rule, and so a message; and Go cannot read all of them.
//
//go:embed rules.txt
var written string

// rules are the rules by their patterns.
var rules = func() map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(written) {
		rule, pattern, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		all[pattern] = rule
	}
	return all
}()
