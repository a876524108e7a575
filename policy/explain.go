package policy

import "math"

// Explanation is everything that a policy found when it looked at a request.
type Explanation struct {
	// Policy is the one that was asked.
	Policy *Policy
	// Verdict is the same as Evaluate gives.
	Verdict
	// Statements holds every statement, in the document's order; none if the policy denies because the comparison would
	// take more than MaxWork.
	Statements []StatementExplanation
}

// StatementExplanation is how one statement compares with a request.
type StatementExplanation struct {
	// Sid is the statement's identifier, or "".
	Sid string
	// Effect is what the statement says to requests that it applies to.
	Effect Effect
	// Applies is true when every check holds.
	Applies bool
	// Checks holds the statement's elements: principal, action, resource, then one for each condition key.
	Checks []Check
}

// Check is how one element of a statement compares with a request.
type Check struct {
	// Element is the element as written: "Principal", "NotAction", or an operator such as "ForAnyValue:StringLike".
	Element string
	// Key is the condition key as written; "" for the other elements.
	Key string
	// Policy holds the values of the policy, variables replaced by what the request gives for them.
	Policy []string
	// Request holds the values of the request; none if it does not have the key.
	Request []string
	// Holds is whether the element is satisfied.
	Holds bool
}

// Explain answers as Evaluate does, and says why. It looks at everything, even where the outcome is known.
func (p *Policy) Explain(r *Request) Explanation {
	r.work = 0
	return p.explain(r)
}

// explain answers within what may still be spent, and then looks at everything without that bound.
func (p *Policy) explain(r *Request) Explanation {
	e := Explanation{Policy: p, Verdict: p.evaluate(r)}
	if r.exhausted() {
		return e
	}
	spent := r.work
	defer func() { r.work = spent }()
	r.work = math.MinInt
	for i := range p.statements {
		e.Statements = append(e.Statements, p.statements[i].explain(r))
	}
	return e
}

func (s *statement) explain(r *Request) StatementExplanation {
	e := StatementExplanation{Sid: s.sid, Effect: s.effect, Applies: true}
	if s.principal != nil {
		e.add(Check{
			Element: elementName("Principal", s.principal.not),
			Policy:  s.principal.written,
			Request: r.Principal.names(),
			Holds:   s.principal.covers(&r.Principal),
		})
	}
	e.add(s.action.explain("Action", r.Action, r))
	if s.resource != nil {
		e.add(s.resource.explain("Resource", r.Resource, r))
	}
	for i := range s.conditions {
		e.add(s.conditions[i].explain(r))
	}
	return e
}

func (e *StatementExplanation) add(c Check) {
	e.Checks = append(e.Checks, c)
	e.Applies = e.Applies && c.Holds
}

func elementName(name string, not bool) string {
	if not {
		return "Not" + name
	}
	return name
}

func (s *patternSet) explain(name, text string, r *Request) Check {
	c := Check{Element: elementName(name, s.not), Request: []string{text}, Holds: s.covers(text, r)}
	for i := range s.patterns {
		c.Policy = append(c.Policy, s.patterns[i].filled(r))
	}
	return c
}

func (c *condition) explain(r *Request) Check {
	check := Check{Element: c.conditionText.operator, Key: c.conditionText.key, Policy: c.values, Holds: c.holds(r)}
	if c.operands != nil {
		check.Policy = c.operands.filled(r)
	}
	for i := 0; ; i++ {
		value, ok := r.value(&c.key, i)
		if !ok {
			return check
		}
		check.Request = append(check.Request, value)
	}
}
