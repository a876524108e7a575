package policy

import "slices"

// Policy is a compiled document. It is never changed, so any number of goroutines may ask it at once.
type Policy struct {
	// Name is what explanations and decisions call the policy.
	Name string

	statements []statement
}

// statement is a statement, compiled.
type statement struct {
	sid        string
	effect     Effect
	work       int           // of matching the principal, in steps
	principal  *principalSet // nil when the kind implies it
	action     *patternSet
	resource   *patternSet // nil when the kind implies it
	conditions []condition
}

// patternSet is Action or Resource, or its complement.
type patternSet struct {
	not      bool
	patterns []pattern
}

// Compile makes a document ready for evaluation.
func Compile(d *Document) *Policy {
	p := &Policy{Name: d.Name, statements: make([]statement, len(d.statements))}
	for i, text := range d.statements {
		p.statements[i] = compileStatement(d, text)
	}
	return p
}

func compileStatement(d *Document, text statementText) statement {
	s := statement{sid: text.sid, effect: text.effect, work: workStatement, principal: text.principal}
	if s.principal != nil {
		s.work += len(s.principal.written)
	}
	s.action = compilePatterns(text.action, wildcards|ignoreCase)
	known := syntax(0)
	if d.Version == version2012 {
		known = variables
	}
	if text.resource != nil {
		values := slices.Clone(text.resource.values)
		for i := range values {
			if d.Kind.completesARNs() {
				values[i] = completeARN(values[i])
			}
		}
		s.resource = compilePatterns(element{text.resource.not, values}, wildcards|resourceARN|known)
	}
	for _, c := range text.conditions {
		s.conditions = append(s.conditions, compileCondition(c, s.effect, known))
	}
	return s
}

// compilePatterns drops all other patterns when one of them matches everything.
func compilePatterns(e element, s syntax) *patternSet {
	set := &patternSet{not: e.not}
	for _, value := range e.values {
		p, _ := newPattern(value, s) // valid: Parse has tried it
		if p.form == everything {
			set.patterns = []pattern{p}
			break
		}
		set.patterns = append(set.patterns, p)
	}
	return set
}

// covers reports whether one of the patterns matches, or for a complement, none.
func (s *patternSet) covers(text string, r *Request) bool {
	for i := range s.patterns {
		if s.patterns[i].match(text, r) {
			return !s.not
		}
		if r.exhausted() {
			break
		}
	}
	return s.not
}

// applies reports whether everything in the statement matches. Where that would cost too much, it is taken to match if
// the statement denies, and not to if it allows.
func (s *statement) applies(r *Request) bool {
	matches := s.matches(r)
	if r.exhausted() {
		return s.effect == Deny
	}
	return matches
}

// matches looks at conditions last, as they cost most.
func (s *statement) matches(r *Request) bool {
	r.spend(s.work)
	if s.principal != nil && !s.principal.covers(&r.Principal) {
		return false
	}
	if !s.action.covers(r.Action, r) || s.resource != nil && !s.resource.covers(r.Resource, r) {
		return false
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(r) {
			return false
		}
	}
	return true
}

// Verdict is what one policy says about a request.
type Verdict struct {
	// Effect is Deny if any statement denies, otherwise Allow if any allows, otherwise Silent.
	Effect Effect
	// Statement is the position of the first statement that has this effect; -1 if the policy is silent, and if it denies
	// because the comparison would take more than MaxWork.
	Statement int
}

// Evaluate answers a request. It allocates nothing beyond what the request's Context does; only text that claims to be
// an IP address and is not makes it allocate the refusal. What would take more than MaxWork is denied.
func (p *Policy) Evaluate(r *Request) Verdict {
	r.work = 0
	return p.evaluate(r)
}

// evaluate answers within what may still be spent.
func (p *Policy) evaluate(r *Request) Verdict {
	v := Verdict{Silent, -1}
	for i := range p.statements {
		s := &p.statements[i]
		if s.effect <= v.Effect {
			continue // it would not change the verdict
		}
		applies := s.applies(r)
		if r.exhausted() {
			return Verdict{Deny, -1}
		}
		if !applies {
			continue
		}
		v = Verdict{s.effect, i}
		if v.Effect == Deny {
			break
		}
	}
	return v
}
