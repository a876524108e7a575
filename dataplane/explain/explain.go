// Package explain tells what would become of a request, gate by gate, from the client's VPC to the target. It asks the
// same snapshot, guard and rules as the data plane, through the same functions; it has no rules of its own.
package explain

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"pergola/dataplane/access"
	"pergola/lattice"
	"pergola/policy"
	"pergola/sigv4"
	"pergola/snapshot"
)

// Question is a request that somebody might send.
type Question struct {
	// VPC is the VPC that the request comes from, and Client its address there, which may be unknown.
	VPC    string     `json:"vpc"`
	Client netip.Addr `json:"client"`
	// As is the ARN of the user, the role or the session that is taken to have signed; "" for nobody.
	As     string      `json:"as,omitempty"`
	Method string      `json:"method"`
	URL    string      `json:"url"`
	Header http.Header `json:"header,omitempty"`
}

// Verdict is how a request fares at a gate.
type Verdict string

const (
	// Passed: the request goes on.
	Passed Verdict = "ok"
	// Stopped: it ends here.
	Stopped Verdict = "STOP"
	// Skipped: the gate does not ask.
	Skipped Verdict = "skip"
)

// Gate is one gate on the way.
type Gate struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	// Detail is what decided, on one line; More says how, line by line.
	Detail string   `json:"detail"`
	More   []string `json:"more,omitempty"`
}

// Answer is the way of the request.
type Answer struct {
	Gates []Gate `json:"gates"`
	// Reason is the outcome in one line.
	Reason string `json:"reason"`
}

// World is what is asked: the state from which a node serves.
type World struct {
	Snapshot *snapshot.Snapshot
	// Guard explains who may call, and who may connect where TLS is passed through.
	Guard interface {
		Explain(r *access.Request, as string) (access.Explanation, error)
		ExplainConnection(c *access.Connection) (access.Explanation, error)
	}
	// Health is the health of the targets by target group.
	Health map[string]lattice.TargetReport
}

// ports are the ports that URLs mean when they name none, by their schemes. With tls the question is about a connection,
// and not about any request in it.
var ports = map[string]string{"http": "80", "https": "443", "tls": "443"}

// Explain follows a request on its way. The error says what is wrong with the question.
func (w World) Explain(q Question) (Answer, error) {
	address, err := url.Parse(q.URL)
	if err != nil || ports[address.Scheme] == "" || address.Host == "" {
		return Answer{}, fmt.Errorf("%q is no URL of a service; it begins with http://, https:// or tls://", q.URL)
	}
	walk := &walk{World: w, question: q, url: address}
	if err := walk.walk(); err != nil {
		return Answer{}, err
	}
	return walk.answer, nil
}

// walk is a request on its way.
type walk struct {
	World
	question Question
	url      *url.URL
	answer   Answer

	vpc      *snapshot.VPC
	listener *snapshot.Listener
	rule     *snapshot.Rule
}

func (w *walk) walk() error {
	if !w.association() || !w.name() || !w.port() {
		return nil
	}
	allowed, err := w.authorisation()
	if err != nil || !allowed {
		return err
	}
	if w.matchRule() {
		w.targets()
	}
	return nil
}

// pass notes a gate that was passed, and reports true.
func (w *walk) pass(name, format string, args ...any) bool {
	w.answer.Gates = append(w.answer.Gates, Gate{Name: name, Verdict: Passed, Detail: fmt.Sprintf(format, args...)})
	return true
}

// stop notes the gate at which the request ends, and reports false.
func (w *walk) stop(name, outcome, format string, args ...any) bool {
	detail := fmt.Sprintf(format, args...)
	w.answer.Gates = append(w.answer.Gates, Gate{Name: name, Verdict: Stopped, Detail: detail})
	w.answer.Reason = outcome + ": " + detail
	return false
}

func (w *walk) association() bool {
	w.vpc = w.Snapshot.VPCs[w.question.VPC]
	switch {
	case w.vpc == nil:
		return w.stop("association", "unreachable", "%s does not exist", w.question.VPC)
	case w.vpc.Network == nil:
		return w.stop("association", "unreachable", "%s is associated with no service network", w.vpc.ID)
	}
	return w.pass("association", "%s is associated with %s", w.vpc.ID, w.vpc.Network.ID)
}

func (w *walk) name() bool {
	service := w.vpc.Network.Service([]byte(w.url.Hostname()))
	if service == nil {
		return w.stop("name", "unreachable", "%s is no service of %s, so it does not resolve in %s", w.url.Hostname(), w.vpc.Network.ID, w.vpc.ID)
	}
	return w.pass("name", "%s is %s and resolves to %s", w.url.Hostname(), service.ID, snapshot.ServiceAddress)
}

func (w *walk) port() bool {
	number := cmp.Or(w.url.Port(), ports[w.url.Scheme])
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return w.stop("listener", "unreachable", "%s is no port", number)
	}
	w.listener = w.vpc.Network.Ports[uint16(port)].Listener([]byte(w.url.Host))
	switch {
	case w.listener == nil:
		return w.stop("listener", "unreachable", "no listener of the service is served on port %d", port)
	case w.url.Scheme == "http" && w.listener.Protocol != lattice.ProtocolHTTP:
		return w.stop("listener", "unreachable", "%s on port %d speaks TLS (%s), the request does not: ask with https://", w.listener.ID, port, w.listener.Protocol)
	case w.url.Scheme != "http" && w.listener.Protocol == lattice.ProtocolHTTP:
		return w.stop("listener", "unreachable", "%s on port %d speaks HTTP, the request TLS: ask with http://", w.listener.ID, port)
	case w.url.Scheme == "tls" && !w.passesThrough():
		return w.stop("listener", "unreachable", "%s on port %d ends TLS and serves requests: ask with https://", w.listener.ID, port)
	case w.passesThrough():
		return w.pass("listener", "%s passes TLS for %s on port %d through", w.listener.ID, w.url.Hostname(), port)
	}
	return w.pass("listener", "%s serves %s on port %d", w.listener.ID, w.listener.Protocol, port)
}

// passesThrough reports whether the listener ends no TLS: then only the connection meets the gates, whatever the request in
// it is.
func (w *walk) passesThrough() bool { return w.listener.Protocol == lattice.ProtocolTLSPassthrough }

// ask asks the guard about the request, or about the connection.
func (w *walk) ask() (access.Explanation, error) {
	if w.passesThrough() {
		return w.Guard.ExplainConnection(&access.Connection{
			VPC: w.vpc, Network: w.vpc.Network, Listener: w.listener, Client: w.question.Client,
		})
	}
	return w.Guard.Explain(&access.Request{
		VPC: w.vpc, Network: w.vpc.Network, Listener: w.listener, Client: w.question.Client, HTTP: w.signed(),
		Secure: w.url.Scheme == "https",
	}, w.question.As)
}

// authorisation asks the guard, and notes what each level found.
func (w *walk) authorisation() (bool, error) {
	x, err := w.ask()
	if err != nil {
		return false, err
	}
	if !x.Guarded {
		w.answer.Gates = append(w.answer.Gates, Gate{Name: "authorisation", Verdict: Skipped, Detail: "the auth types of the network and of the service are NONE"})
		return true, nil
	}
	w.answer.Gates = append(w.answer.Gates, w.callerGate(x))
	for _, level := range x.Levels {
		w.answer.Gates = append(w.answer.Gates, levelGate(level))
	}
	switch {
	case x.Allowed:
	case w.passesThrough():
		w.answer.Reason = "denied: the connection is closed: " + x.Refusal
	default:
		w.answer.Reason = "denied: 403 " + x.Refusal
	}
	return x.Allowed, nil
}

// signed is the request as the guard sees it.
func (w *walk) signed() sigv4.Request {
	var fields sigv4.Fields
	for _, name := range slices.Sorted(keysOf(w.question.Header)) {
		for _, value := range w.question.Header[name] {
			fields = append(fields, sigv4.Field{Name: name, Value: value})
		}
	}
	return sigv4.Request{
		Method: w.question.Method, Path: cmp.Or(w.url.EscapedPath(), "/"), RawQuery: w.url.RawQuery, Host: w.url.Host, Header: fields,
	}
}

func keysOf(header http.Header) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range header {
			if !yield(name) {
				return
			}
		}
	}
}

func (w *walk) callerGate(x access.Explanation) Gate {
	gate := Gate{Name: "signature", Verdict: Passed, Detail: "anonymous: the request carries no signature"}
	switch {
	case w.passesThrough():
		gate.Detail = "anonymous: TLS is passed through, so no signature can be seen"
	case len(x.Levels) == 0:
		gate.Verdict, gate.Detail = Stopped, x.Refusal
	case x.Caller.Principal != "":
		gate.Detail = "the caller is " + x.Caller.Principal
	}
	if x.Signature != nil {
		gate.More = strings.Split(strings.TrimRight(x.Signature.String(), "\n"), "\n")
	}
	return gate
}

// levelGate says which statement decided at a level, and why the others did not apply.
func levelGate(level policy.LevelExplanation) Gate {
	gate := Gate{Name: level.Name + " policy", Verdict: Stopped, Detail: "no policy is attached, so nothing is allowed"}
	for _, p := range level.Policies {
		for i, s := range p.Statements {
			gate.More = append(gate.More, statementLines(p.Policy, i, s)...)
		}
		switch {
		case p.Effect != level.Effect || p.Effect == policy.Silent:
		case p.Statement >= 0:
			gate.Detail = fmt.Sprintf("%s by %s", verb(level.Effect), statementName(p.Policy, p.Statement, p.Statements[p.Statement]))
		default:
			gate.Detail = fmt.Sprintf("denied: comparing the request with %s takes too long; shorten the policy or the request", p.Policy.Name)
		}
	}
	switch level.Effect {
	case policy.Allow:
		gate.Verdict = Passed
	case policy.Silent:
		if len(level.Policies) > 0 {
			gate.Detail = "no statement allows the request"
		}
	}
	return gate
}

func verb(e policy.Effect) string {
	if e == policy.Deny {
		return "denied"
	}
	return "allowed"
}

func statementName(p *policy.Policy, index int, s policy.StatementExplanation) string {
	name := fmt.Sprintf("statement %d", index+1)
	if s.Sid != "" {
		name += " (" + s.Sid + ")"
	}
	if p.Name != "" {
		name += " of " + p.Name
	}
	return name
}

// statementLines says whether a statement applies, and which of its elements do not hold.
func statementLines(p *policy.Policy, index int, s policy.StatementExplanation) []string {
	if s.Applies {
		return []string{fmt.Sprintf("%s: %v applies", statementName(p, index, s), s.Effect)}
	}
	lines := []string{fmt.Sprintf("%s: %v does not apply", statementName(p, index, s), s.Effect)}
	for _, check := range s.Checks {
		if !check.Holds {
			lines = append(lines, fmt.Sprintf("    %s %s: the policy has %s, the request %s",
				check.Element, check.Key, list(check.Policy), list(check.Request)))
		}
	}
	return lines
}

func list(values []string) string {
	if len(values) == 0 {
		return "none"
	}
	return strings.Join(values, ", ")
}

func (w *walk) matchRule() bool {
	w.rule = w.listener.Match((*request)(w))
	which := fmt.Sprintf("%s matches", w.rule.ID)
	if w.rule.Priority > 0 {
		which += fmt.Sprintf(" with priority %d", w.rule.Priority)
	} else {
		which += " as the default rule"
	}
	if status := w.rule.Action.FixedStatus; status != 0 {
		return w.stop("rule", "answered", "%s and answers %d %s", which, status, http.StatusText(status))
	}
	return w.pass("rule", "%s", which)
}

// targets says which target groups may get the request, and how their targets are.
func (w *walk) targets() {
	reachable, what := 0, "requests"
	if w.passesThrough() {
		what = "connections"
	}
	for _, share := range w.rule.Action.Forward {
		gate := Gate{Name: "target group", Verdict: Stopped, Detail: fmt.Sprintf("%s has no target that can receive requests", share.Group.ID)}
		report, usable := w.Health[share.Group.ID], 0
		for _, target := range share.Group.Targets {
			health := report[target.Key]
			gate.More = append(gate.More, strings.TrimSpace(fmt.Sprintf("%s is %s %s", target.Key, cmp.Or(health.Status, lattice.TargetInitial), health.ReasonCode)))
			if !target.Draining && (target.Address.IsValid() || target.Function != "") {
				usable++
			}
		}
		if usable > 0 && share.Weight > 0 {
			gate.Verdict = Passed
			gate.Detail = fmt.Sprintf("%s gets %d of %d %s; %d of its %d targets are healthy",
				share.Group.ID, share.Weight, w.rule.Action.TotalWeight, what, healthy(report), len(share.Group.Targets))
			reachable++
		}
		w.answer.Gates = append(w.answer.Gates, gate)
	}
	switch {
	case reachable > 0:
		w.answer.Reason = fmt.Sprintf("allowed: forwarded by %s", w.rule.ID)
	case w.passesThrough():
		w.stop("target", "closed", "no target group of the rule has a target")
	default:
		w.stop("target", "answered", "503 Service Unavailable, since no target group of the rule has a target")
	}
}

func healthy(report lattice.TargetReport) (n int) {
	for _, health := range report {
		if health.Status == lattice.TargetHealthy {
			n++
		}
	}
	return n
}

// request is what rules see of the request.
type request walk

// Method is the request's method.
func (r *request) Method() []byte { return []byte(r.question.Method) }

// Path is the path as a client sends it.
func (r *request) Path() []byte { return []byte(cmp.Or(r.url.EscapedPath(), "/")) }

// Header is the i-th value of a field; Host is one.
func (r *request) Header(name string, i int) ([]byte, bool) {
	values := r.question.Header.Values(name)
	if name == "host" {
		values = []string{r.url.Host}
	}
	if i >= len(values) {
		return nil, false
	}
	return []byte(values[i]), true
}
