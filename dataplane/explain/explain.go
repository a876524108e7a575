// Package explain tells what would become of a request, gate by gate, from the client's VPC to the target. It asks the
// same snapshot, guard and rules as the data plane, through the same functions; it has no rules of its own.
package explain

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"pergola/dataplane/access"
	"pergola/dataplane/http1"
	"pergola/fabric/packetfilter"
	"pergola/lattice"
	"pergola/policy"
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
	// Cures are what to do about it, or to look at, a line each: commands where there are some.
	Cures []string `json:"cures,omitempty"`
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
	// Last tells what was found out last about a target of a group. Nil is for those who do not know.
	Last func(group, key string) Check
	// Connect tries to connect to an address in a VPC, as requests would. Nil is for those who cannot.
	Connect func(vpc string, address netip.AddrPort) error
	// ConnectResource tries the same with a resource, from its gateway.
	ConnectResource func(r *snapshot.Resource, port uint16) error
	// Judge tells what becomes of the packets from an address to a TCP port in a VPC, and Dropped which ones were dropped
	// there so far. Nil is for those who do not know.
	Judge   func(vpc string, from netip.Addr, to netip.AddrPort) []packetfilter.Step
	Dropped func(vpc string) []packetfilter.Drop
}

// ports are the ports that URLs mean when they name none, by their schemes. With tls the question is about a connection,
// and not about any request in it; with tcp it is about one to a resource.
var ports = map[string]string{"http": "80", "https": "443", "tls": "443", "tcp": "0"}

// Explain follows a request on its way. The error says what is wrong with the question.
func (w World) Explain(q Question) (Answer, error) {
	address, err := url.Parse(q.URL)
	if err != nil || ports[address.Scheme] == "" || address.Host == "" {
		return Answer{}, fmt.Errorf("%q is no URL of a service or a resource; it begins with http://, https://, "+
			"tls:// or tcp://", q.URL)
	}
	walk := &walk{World: w, question: q, url: address}
	if address.Scheme == "tcp" {
		walk.toResource()
		return walk.answer, nil
	}
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
	door     *snapshot.Door // through which the name is reached
	service  *snapshot.Service
	listener *snapshot.Listener
	rule     *snapshot.Rule
	request  http1.Request
	header   access.Header // as the target gets it
	open     bool          // nobody asks who calls
	failing  int           // the weight of target groups through which no request comes
	refused  bool          // by the targets of one of these
	doubt    string        // why a request that is forwarded may fail all the same
}

func (w *walk) walk() error {
	if !w.association() || !w.name() || !w.port() || !w.packets(w.entry()) || !w.passesThrough() && !w.read() {
		return nil
	}
	allowed, err := w.authorisation()
	if err != nil || !allowed {
		return err
	}
	if w.matchRule() {
		w.targets()
	}
	if w.open && len(w.answer.Cures) == 0 {
		w.cureOpen()
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
	w.vpc = w.Snapshot.VPCs.Get(w.question.VPC)
	switch {
	case w.vpc == nil:
		return w.stop("association", "unreachable", "%s does not exist", w.question.VPC)
	case len(w.vpc.Doors) == 0:
		w.cureAssociation()
		return w.stop("association", "unreachable", "%s is associated with no service network", w.vpc.ID)
	}
	return w.pass("association", "%s is associated with %s", w.vpc.ID, w.networks())
}

// networks names the service networks that the VPC reaches, in the order in which names are looked for in them.
func (w *walk) networks() string {
	ids := make([]string, len(w.vpc.Doors))
	for i, door := range w.vpc.Doors {
		ids[i] = door.Network.ID
	}
	return strings.Join(ids, " and ")
}

// name finds the door that the resolver answers with.
func (w *walk) name() bool {
	w.door, w.service = w.vpc.DoorTo([]byte(w.url.Hostname()))
	if w.door == nil {
		w.cureName()
		return w.stop("name", "unreachable", "%s is no service of %s, so it does not resolve in %s", w.url.Hostname(),
			w.networks(), w.vpc.ID)
	}
	where := ""
	if len(w.vpc.Doors) > 1 {
		where = " in " + w.door.Network.ID
	}
	return w.pass("name", "%s is %s%s and resolves to %s", w.url.Hostname(), w.service.ID, where, addresses(w.door))
}

// addresses are those that the resolver tells for a door.
func addresses(door *snapshot.Door) string {
	texts := make([]string, 0, 1)
	for _, a := range door.IPv4() {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, " and ")
}

func (w *walk) port() bool {
	number := cmp.Or(w.url.Port(), ports[w.url.Scheme])
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return w.stop("listener", "unreachable", "%s is no port", number)
	}
	w.listener = w.door.Port(uint16(port)).Listener([]byte(w.url.Host))
	switch {
	case w.listener == nil:
		w.curePort(w.service)
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

// passesThrough reports whether the listener ends no TLS: then only the connection meets the gates, and not the request
// in it.
func (w *walk) passesThrough() bool { return w.listener.Protocol == lattice.ProtocolTLSPassthrough }

// ask asks the guard about the request, or about the connection.
func (w *walk) ask() (access.Explanation, error) {
	if w.passesThrough() {
		return w.Guard.ExplainConnection(&access.Connection{
			VPC: w.vpc, Network: w.door.Network, Listener: w.listener, Client: w.question.Client,
		})
	}
	return w.askAs(string(w.request.Path), w.question.As)
}

// askAs asks about the request with a path, signed by somebody.
func (w *walk) askAs(path, as string) (access.Explanation, error) {
	signed := w.signed()
	signed.Path = path
	return w.Guard.Explain(&access.Request{
		VPC: w.vpc, Network: w.door.Network, Listener: w.listener, Client: w.question.Client, HTTP: signed,
		Passed: w.header.Fields, Secure: w.url.Scheme == "https",
	}, as)
}

// authorisation asks the guard, and notes what each level found.
func (w *walk) authorisation() (bool, error) {
	x, err := w.ask()
	if err != nil {
		return false, err
	}
	if !x.Guarded {
		w.answer.Gates = append(w.answer.Gates, Gate{Name: "authorisation", Verdict: Skipped, Detail: "the auth types of the network and of the service are NONE"})
		w.open = true
		return true, nil
	}
	w.answer.Gates = append(w.answer.Gates, w.callerGate(x))
	for _, level := range x.Levels {
		w.answer.Gates = append(w.answer.Gates, w.levelGate(level))
	}
	w.warn(x)
	w.cureRefusal(x)
	switch {
	case x.Allowed:
	case w.unsigned(x) && signingCounts(x):
		w.answer.Reason = "denied: the request is not signed: 403 " + x.Refusal
	case w.passesThrough():
		w.answer.Reason = "denied: the connection is closed: " + x.Refusal
	default:
		w.answer.Reason = "denied: 403 " + x.Refusal
	}
	return x.Allowed, nil
}

// warn adds to the gates of the levels what their Denies miss.
func (w *walk) warn(x access.Explanation) {
	lines := w.misses(x)
	if len(lines) == 0 {
		return
	}
	last := &w.answer.Gates[len(w.answer.Gates)-1]
	last.More = append(last.More, lines...)
	w.cure("paths are compared as they are sent: allow exact paths rather than deny patterns " +
		"(docs/authorisation.md, \"Paths\")")
}

// unsigned reports whether the request could have a signature and has none.
func (w *walk) unsigned(x access.Explanation) bool {
	return !w.passesThrough() && x.Signature == nil && w.question.As == ""
}

// cureRefusal says what to do about a refusal: first about the signature, then about the policies.
func (w *walk) cureRefusal(x access.Explanation) {
	switch {
	case x.Allowed:
		return
	case len(x.Levels) == 0:
		w.cureSignature(x.Refusal)
		return
	case w.unsigned(x):
		w.cureSigning()
	}
	w.curePolicy(x)
}

func (w *walk) callerGate(x access.Explanation) Gate {
	gate := Gate{Name: "signature", Verdict: Passed, Detail: "the request is not signed, so its caller is anonymous"}
	switch {
	case w.passesThrough():
		gate.Detail = "anonymous: TLS is passed through, so no signature can be seen"
	case len(x.Levels) == 0:
		gate.Verdict, gate.Detail = Stopped, x.Refusal
		if scope := x.Signature.Scope; scope.Service != "" {
			gate.Detail = fmt.Sprintf("the signature is for the service %s in the region %s, and not good: %s", scope.Service,
				scope.Region, x.Refusal)
		}
	case x.Caller.Principal != "":
		gate.Detail = "the caller is " + x.Caller.Principal
	}
	if x.Signature != nil {
		gate.More = strings.Split(strings.TrimRight(x.Signature.String(), "\n"), "\n")
	}
	return gate
}

// levelGate says which statement decided at a level, and why the others did not apply.
func (w *walk) levelGate(level policy.LevelExplanation) Gate {
	gate := Gate{Name: level.Name + " policy", Verdict: Stopped, Detail: "no policy is attached, so nothing is allowed"}
	for _, p := range level.Policies {
		for i, s := range p.Statements {
			gate.More = append(gate.More, w.statementLines(p.Policy, i, s)...)
		}
		switch {
		case p.Effect != level.Effect || p.Effect == policy.Silent:
		case p.Statement >= 0:
			gate.Detail = fmt.Sprintf("%s by %s", verb(level.Effect), statementName(p.Policy, p.Statement, p.Statements[p.Statement]))
		default:
			gate.Detail = fmt.Sprintf("denied: comparing the request with %s takes too long; shorten the policy or the request",
				p.Policy.Name)
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
func (w *walk) statementLines(p *policy.Policy, index int, s policy.StatementExplanation) (lines []string) {
	if s.Applies {
		lines = append(lines, fmt.Sprintf("%s: %v applies", statementName(p, index, s), s.Effect))
	} else {
		lines = append(lines, fmt.Sprintf("%s: %v does not apply", statementName(p, index, s), s.Effect))
	}
	for _, check := range s.Checks {
		if !check.Holds {
			lines = append(lines, fmt.Sprintf("    %s %s: the policy has %s, the request %s",
				check.Element, check.Key, list(check.Policy), list(check.Request)))
		}
		if strings.EqualFold(check.Key, "aws:SourceIp") {
			lines = append(lines, "    "+w.sourceIP())
		}
	}
	return lines
}

// sourceIP is a word on a key that is often taken for another.
func (w *walk) sourceIP() string {
	known := "the address of the client in its VPC, " + w.question.Client.String()
	if !w.question.Client.IsValid() {
		known = "the address of the client in its VPC, which is not known of a VPC as a whole: give an instance to --from"
	}
	w.cure("to mean a VPC, use vpc-lattice-svcs:SourceVpc, which is %s here: addresses of different VPCs may be the same",
		w.vpc.ID)
	return "aws:SourceIp is " + known + "; vpc-lattice-svcs:SourceVpc is " + w.vpc.ID
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
		w.cureRule()
		return w.stop("rule", "answered", "%s and answers %d %s", which, status, http.StatusText(status))
	}
	return w.pass("rule", "%s", which)
}
