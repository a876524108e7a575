package policy

import (
	"slices"
	"strings"
)

// Request is one question to a policy, asked by one goroutine at a time. It is not kept.
type Request struct {
	// Principal is who asks.
	Principal Principal
	// Action is what is to be done, such as "vpc-lattice-svcs:Invoke".
	Action string
	// Resource is the ARN of what it is done to, or "*" for an action that has no resource type.
	Resource string
	// Context answers the condition keys. Nil answers none.
	Context Context

	work int // spent on the decision, in steps
}

// Context answers the condition keys of one request.
type Context interface {
	// Value returns the key's value number i, counted from 0, and false when there is none. A key without a value 0
	// is absent from the request. A policy asks for the values of a key in order and stops at the first false, so an
	// answer that has to be searched for can go on where the last one ended.
	//
	// Evaluate allocates nothing as long as Value does not: a data plane answers from a struct that lives as long as
	// its connection, and a switch over Key.Name().
	Value(key Key, i int) (value string, ok bool)
}

// Values is a Context made of a map. Names are in lower case, as a Key is.
type Values map[string][]string

// Value looks the key up.
func (v Values) Value(key Key, i int) (string, bool) {
	values := v[key.text]
	if i >= len(values) {
		return "", false
	}
	return values[i], true
}

// Key is the name of a condition key. Names are compared without regard to case (IAM user guide, Condition), so a Key
// is in lower case.
type Key struct {
	text      string
	cut       int // length of Name
	principal principalKey
}

// NewKey is the key that a policy names so.
func NewKey(name string) Key {
	text := strings.ToLower(name)
	start := strings.IndexByte(text, ':') + 1
	cut := len(text)
	if slash := strings.IndexByte(text[start:], '/'); slash >= 0 {
		cut = start + slash
	}
	return Key{text, cut, principalKey(slices.Index(principalKeys[:], text) + 1)}
}

// String is the whole name: "aws:principaltag/team".
func (k Key) String() string { return k.text }

// Name is the name up to the first slash after the prefix: "aws:principaltag".
func (k Key) Name() string { return k.text[:k.cut] }

// Part is what follows that slash, for families of keys such as tags, headers and query parameters: "team".
func (k Key) Part() string {
	if k.cut == len(k.text) {
		return ""
	}
	return k.text[k.cut+1:]
}

// value answers a key from the principal if it follows from it, and from the context otherwise.
func (r *Request) value(key *Key, i int) (string, bool) {
	switch {
	case key.principal != 0:
		return r.Principal.value(key.principal, i)
	case r.Context == nil:
		return "", false
	}
	return r.Context.Value(*key, i)
}

// isNull reports whether a key has no value worth the name: it is absent, or all it has is one empty string (IAM user
// guide, Condition operators: Null, and the note on ForAllValues).
func (r *Request) isNull(key *Key) bool {
	value, ok := r.value(key, 0)
	if !ok || value != "" {
		return !ok
	}
	_, more := r.value(key, 1)
	return !more
}

// single returns the value of a key that can stand for a variable: it has exactly one, which is not empty (IAM user
// guide, Variables: multivalued keys cannot be variables; a key without a value is null).
func (r *Request) single(key *Key) (string, bool) {
	value, ok := r.value(key, 0)
	if !ok || value == "" {
		return "", false
	}
	_, more := r.value(key, 1)
	return value, !more
}
