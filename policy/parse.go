package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Parse reads a policy document of a kind, and refuses what IAM refuses (IAM user guide, Grammar). The error is an
// *Error that holds everything that is wrong. maxSize limits the document's characters other than white space, which is
// how IAM counts; 0 sets no limit beside MaxBytes and MaxValues. All limits are looked at before the document is read.
func Parse(document []byte, kind Kind, maxSize int) (*Document, error) {
	return ParseFor("", document, kind, maxSize)
}

// ParseFor is Parse for a policy that only the actions of one service can be about, by its prefix: an auth policy, or
// with "sts" a trust policy. It refuses other actions, and in a policy of a resource also canonical user ids, by which
// nobody calls.
func ParseFor(service string, document []byte, kind Kind, maxSize int) (*Document, error) {
	p := parser{problems: problems{source: document}, kind: kind, service: service}
	if size := sizeOf(p.source); maxSize > 0 && size > maxSize {
		p.add(position{}, "the policy has %d characters without white space, the limit is %d; join statements or "+
			"shorten patterns", size, maxSize)
		return nil, p.err()
	}
	root := readJSON(&p.problems)
	if root == nil {
		return nil, p.err()
	}
	d := p.document(root)
	if err := p.err(); err != nil {
		return nil, err
	}
	return d, nil
}

// MaxSession is how many characters the document may have that a session is begun with, white space included (STS API
// reference, AssumeRole, Policy).
const MaxSession = 2048

// ParseSession is Parse for the session policy of a request. It refuses a document beyond MaxSession before it is read.
func ParseSession(document string) (*Document, error) {
	if len(document) > utf8.UTFMax*MaxSession || utf8.RuneCountInString(document) > MaxSession {
		p := problems{}
		p.add(position{}, "the session policy has more than %d characters; shorten it, or name managed policies", MaxSession)
		return nil, p.err()
	}
	return Parse([]byte(document), Session, 0)
}

func sizeOf(document []byte) (size int) {
	for _, c := range string(document) {
		if !unicode.IsSpace(c) {
			size++
		}
	}
	return size
}

// parser checks the tree of a document and takes from it what it says. It goes on after a problem, so that the reader
// learns of all of them at once.
type parser struct {
	problems
	kind    Kind
	syntax  syntax // variables, if the version has them
	service string // whose actions alone the policy can be about; "" for any
}

func (p *parser) document(root *node) *Document {
	if !p.object(root, "Version", "Id", "Statement") {
		return nil
	}
	d := &Document{Kind: p.kind, Version: p.version(root)}
	if d.Version == version2012 {
		p.syntax = variables
	}
	if id := root.member("Id"); id != nil {
		d.ID = p.text(id)
		if !p.kind.namesPrincipals() {
			p.add(id.position, "%s has no Id; remove it", p.kind)
		}
	}
	d.statements = p.statements(root)
	return d
}

func (p *parser) version(root *node) string {
	n := root.member("Version")
	switch {
	case n == nil && p.kind == ServiceControl:
		p.add(root.position, "%s needs a Version; add \"Version\": %q", p.kind, version2012)
		return version2012
	case n == nil:
		return version2008
	case n.text == version2012, n.text == version2008 && p.kind != ServiceControl:
		return n.text
	}
	p.add(n.position, "the version is not supported; write %q", version2012)
	return version2012
}

func (p *parser) statements(root *node) (all []statementText) {
	n := root.member("Statement")
	if n == nil {
		p.add(root.position, "the policy has no Statement; add one")
		return nil
	}
	items := []*node{n}
	if n.shape == jsonList {
		items = n.items
	}
	if len(items) == 0 {
		p.add(n.position, "the policy has no statement; add one")
	}
	seen := map[string]bool{}
	for _, item := range items {
		if !p.object(item, "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition") {
			continue
		}
		s := p.statement(item)
		if s.sid != "" && seen[s.sid] {
			p.add(item.member("Sid").position, "the Sid %q is used twice; every statement needs its own, or none", s.sid)
		}
		seen[s.sid] = true
		all = append(all, s)
	}
	return all
}

func (p *parser) statement(n *node) (s statementText) {
	s.sid = p.sid(n.member("Sid"))
	s.effect = p.effect(n)
	s.principal = p.principal(n, s.effect)
	if action := p.element(n, "Action", p.checkAction); action != nil {
		s.action = *action
	}
	if p.kind == Trust {
		p.forbid(n, "Resource", "a trust policy is about the role that it is attached to; remove the element")
		p.forbid(n, "NotResource", "a trust policy is about the role that it is attached to; remove the element")
	} else {
		s.resource = p.element(n, "Resource", func(text string) error { return checkResource(text, p.kind, p.syntax) })
	}
	if condition := n.member("Condition"); condition != nil {
		s.conditions = p.conditions(condition)
	}
	return s
}

// sid checks a statement's identifier. IAM's own policies take letters and digits only; those of other services are
// not so strict (IAM user guide, Sid).
func (p *parser) sid(n *node) string {
	if n == nil {
		return ""
	}
	sid := p.text(n)
	switch {
	case p.kind != Resource && strings.ContainsFunc(sid, func(r rune) bool { return !isWord(r, "") }):
		p.add(n.position, "a Sid in %s takes the letters A-Z and a-z and the digits 0-9 only, not %q", p.kind, sid)
	case strings.ContainsFunc(sid, unicode.IsControl):
		p.add(n.position, "the Sid holds control characters; remove them")
	}
	return sid
}

func (p *parser) effect(n *node) Effect {
	e := n.member("Effect")
	switch {
	case e == nil:
		p.add(n.position, "the statement has no Effect; add \"Effect\": \"Allow\" or \"Deny\"")
	case e.shape == jsonString && e.text == "Allow":
		return Allow
	case e.shape == jsonString && e.text == "Deny":
		return Deny
	default:
		p.add(e.position, "the Effect is \"Allow\" or \"Deny\", in this spelling")
	}
	return Silent
}

// element reads Action or Resource or its Not form; a statement has exactly one of the two.
func (p *parser) element(n *node, name string, check func(string) error) *element {
	plain, not := n.member(name), n.member("Not"+name)
	switch {
	case plain == nil && not == nil:
		p.add(n.position, "the statement has no %s; add one", name)
		return nil
	case plain != nil && not != nil:
		p.add(not.position, "the statement has both %s and Not%s; keep one", name, name)
		return nil
	case plain != nil:
		return &element{values: p.checked(plain, check)}
	}
	return &element{not: true, values: p.checked(not, check)}
}

// checkAction refuses the actions that the policy cannot be about. IAM takes no "*" in a trust policy.
func (p *parser) checkAction(text string) error {
	if err := checkAction(text); err != nil || p.service == "" {
		return err
	}
	prefix, _, _ := strings.Cut(text, ":")
	switch {
	case strings.EqualFold(prefix, p.service), p.kind == Resource && prefix == "*":
		return nil
	case p.kind == Trust:
		return fmt.Errorf("%q is not an action that a trust policy can be about; write %s:AssumeRole or the like",
			text, p.service)
	}
	return fmt.Errorf("%q can never be asked for here; write %s: with the name of an action, or *", text, p.service)
}

// checkAction takes "*", "*:*", and a service's prefix with a pattern for its actions.
func checkAction(text string) error {
	prefix, name, ok := strings.Cut(text, ":")
	switch {
	case text == "*" || text == "*:*":
		return nil
	case !ok || name == "":
		return fmt.Errorf("%q is not an action; write prefix:Name, such as vpc-lattice-svcs:Invoke", text)
	case prefix == "" || strings.ContainsFunc(prefix, func(r rune) bool { return !isWord(r, "-") }):
		return fmt.Errorf("%q begins with no service prefix; it takes letters, digits and hyphens, and no wildcards", text)
	case strings.ContainsFunc(name, func(r rune) bool { return !isWord(r, "-_.*?") }):
		return fmt.Errorf("%q is not the name of an action; it takes letters, digits and the wildcards * and ?", text)
	}
	return nil
}

// isWord reports whether r is a letter from A to Z in either case, a digit, or one of the others.
func isWord(r rune, others string) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune(others, r)
}

// principal reads Principal or NotPrincipal.
func (p *parser) principal(n *node, effect Effect) *principalSet {
	plain, not := n.member("Principal"), n.member("NotPrincipal")
	if !p.kind.namesPrincipals() {
		p.forbid(n, "Principal", p.kind.String()+" applies to whom it is attached to; remove the element")
		p.forbid(n, "NotPrincipal", p.kind.String()+" applies to whom it is attached to; remove the element")
		return nil
	}
	switch {
	case plain == nil && not == nil:
		p.add(n.position, "%s says whom it is about; add a Principal, \"*\" for everyone", p.kind)
		return nil
	case plain != nil && not != nil:
		p.add(not.position, "the statement has both Principal and NotPrincipal; keep one")
		return nil
	case plain != nil:
		return p.principals(plain)
	}
	s := p.principals(not)
	s.not = true
	switch {
	case p.kind == Trust:
		p.add(not.position, "a trust policy cannot have NotPrincipal; use a condition ArnNotEquals on aws:PrincipalArn")
	case effect == Allow:
		p.add(not.position, "NotPrincipal cannot allow; use it with \"Effect\": \"Deny\", or name the principals")
	case s.everyone || s.anyAWS:
		p.add(not.position, "NotPrincipal \"*\" is about nobody; remove the statement")
	}
	return s
}

// principalKinds are the keys of a map of principals.
var principalKinds = []string{"AWS", "Service", "Federated", "CanonicalUser"}

// principals reads "*", the short form of one AWS principal, or the map of principals.
func (p *parser) principals(n *node) *principalSet {
	s := new(principalSet)
	switch {
	case n.shape == jsonString && n.text == "*":
		s.everyone, s.written = true, []string{"*"}
	case n.shape == jsonString:
		p.addPrincipal(s, "AWS", n)
	case !p.object(n, principalKinds...):
	case len(n.members) == 0:
		p.add(n.position, "no principal is named; use \"*\" for everyone")
	}
	for _, kind := range principalKinds {
		if value := n.member(kind); value != nil {
			for _, item := range p.list(value) {
				p.addPrincipal(s, kind, item)
			}
		}
	}
	return s
}

func (p *parser) addPrincipal(s *principalSet, kind string, n *node) {
	if kind == "CanonicalUser" && p.kind == Resource && p.service != "" {
		p.add(n.position, "nobody calls %s with a canonical user id; name the account, the user or the role", p.service)
	}
	if err := s.add(kind, n.text); err != nil {
		p.add(n.position, "%s", err)
	}
}

// conditions reads a condition block: operators, below each its keys, below each its values.
func (p *parser) conditions(n *node) (all []conditionText) {
	if n.shape != jsonObject {
		p.add(n.position, "the Condition is an object of operators, not %s", n.shape)
		return nil
	}
	for _, m := range n.members {
		op, err := parseOperator(m.name)
		switch {
		case err != nil:
			p.add(m.position, "%s", err)
		case m.value.shape != jsonObject || len(m.value.members) == 0:
			p.add(m.value.position, "%s needs an object of condition keys with at least one key", m.name)
		default:
			all = append(all, p.keys(m.name, op, m.value)...)
		}
	}
	return all
}

func (p *parser) keys(name string, op operator, n *node) (all []conditionText) {
	seen, spelt := map[string]bool{}, map[string]bool{}
	for _, m := range n.members {
		lower := strings.ToLower(m.name)
		if err := checkKey(m.name); err != nil {
			p.add(m.position, "%q is no condition key: %s", m.name, err)
		}
		if seen[lower] && !spelt[m.name] {
			p.add(m.position, "%q is here twice, as keys are the same in either case; join their values in a list", m.name)
		}
		seen[lower], spelt[m.name] = true, true
		all = append(all, conditionText{name, m.name, p.operands(op, m.value)})
	}
	return all
}

// operands reads the values of a condition key: one, or a list of at least one. Numbers and booleans need no quotes.
func (p *parser) operands(op operator, n *node) (values []string) {
	items := []*node{n}
	if n.shape == jsonList {
		items = n.items
	}
	if len(items) == 0 {
		p.add(n.position, "the key has no value to compare with; add one, or remove the key")
	}
	for _, item := range items {
		if item.shape != jsonString && item.shape != jsonNumber && item.shape != jsonBool {
			p.add(item.position, "a value of a condition is a string, a number or a boolean, not %s", item.shape)
			continue
		}
		if err := checkOperand(op, item.text, p.syntax); err != nil {
			p.add(item.position, "%s", err)
		}
		values = append(values, item.text)
	}
	return values
}

func checkOperand(op operator, value string, s syntax) (err error) {
	switch {
	case op.operands != nil:
		_, err = op.operands([]string{value}, s)
	case !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false"):
		err = errors.New(`the values of Null are "true", for a key that is absent, and "false", for one that is there`)
	}
	return err
}

// object reports whether n is an object. It refuses names other than the known ones, but goes on.
func (p *parser) object(n *node, known ...string) bool {
	if n.shape != jsonObject {
		p.add(n.position, "this must be an object, not %s", n.shape)
		return false
	}
	for _, m := range n.members {
		if slices.Contains(known, m.name) || p.full() {
			continue
		}
		hint := "known are " + strings.Join(known, ", ")
		if i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, m.name) }); i >= 0 {
			hint = fmt.Sprintf("did you mean %q?", known[i])
		}
		p.add(m.position, "unknown element %q; %s", m.name, hint)
	}
	return true
}

func (p *parser) forbid(n *node, name, message string) {
	for _, m := range n.members {
		if m.name == name {
			p.add(m.position, "%s is not for this kind of policy: %s", name, message)
		}
	}
}

// text takes a string.
func (p *parser) text(n *node) string {
	if n.shape != jsonString {
		p.add(n.position, "this must be a string, not %s", n.shape)
	}
	return n.text
}

// list takes a string or a list of at least one string, and returns the strings.
func (p *parser) list(n *node) (strings []*node) {
	items := []*node{n}
	if n.shape == jsonList {
		items = n.items
	}
	if len(items) == 0 {
		p.add(n.position, "the list is empty; add a value")
	}
	for _, item := range items {
		if item.shape != jsonString {
			p.add(item.position, "this must be a string, not %s", item.shape)
			continue
		}
		strings = append(strings, item)
	}
	return strings
}

// checked takes a list of strings that must all pass the check.
func (p *parser) checked(n *node, check func(string) error) (values []string) {
	for _, item := range p.list(n) {
		if err := check(item.text); err != nil {
			p.add(item.position, "%s", err)
		}
		values = append(values, item.text)
	}
	return values
}
