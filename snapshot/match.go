package snapshot

// match is the compiled condition of a rule.
type match struct{}
