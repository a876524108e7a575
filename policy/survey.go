package policy

import "slices"

// Survey tells of a policy, without a request.
type Survey struct {
	// Grants is whether some statement allows one of the actions that were asked about to somebody.
	Grants bool
	// Everybody is whether a statement allows one of them to everybody, on every resource and without a condition.
	Everybody bool
	// Keys are the condition keys that statements name, as written, each once.
	Keys []string
}

// Survey looks through the policy for some actions.
func (p *Policy) Survey(actions ...string) (s Survey) {
	for i := range p.statements {
		statement := &p.statements[i]
		for _, c := range statement.conditions {
			if !slices.Contains(s.Keys, c.conditionText.key) {
				s.Keys = append(s.Keys, c.conditionText.key)
			}
		}
		if statement.effect == Allow &&
			slices.ContainsFunc(actions, func(a string) bool { return statement.action.covers(a, &Request{}) }) {
			s.Grants = true
			s.Everybody = s.Everybody || statement.isForEverybody()
		}
	}
	return s
}

func (s *statement) isForEverybody() bool {
	p := s.principal
	return (p == nil || !p.not && (p.everyone || p.anyAWS)) && len(s.conditions) == 0 &&
		(s.resource == nil || !s.resource.not &&
			slices.ContainsFunc(s.resource.patterns, func(p pattern) bool { return p.form == everything }))
}
