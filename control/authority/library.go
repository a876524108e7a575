package authority

import (
	"encoding/json"
	"sync"

	"pergola/aws/iam"
	"pergola/policy"
)

// shelf is how many compiled policies are kept.
const shelf = 1024

// library keeps policies that have been compiled. What it keeps depends on the documents alone and so is never stale.
type library struct {
	builtIn map[string]string // the documents of the built-in policies by ARN

	mu       sync.Mutex
	compiled map[entry]*policy.Policy
}

// entry is all that a compiled policy is made of.
type entry struct {
	name, document string
	kind           policy.Kind
	ids            string // of the principals of a trust policy, in JSON
}

func newLibrary() *library {
	l := &library{builtIn: map[string]string{}, compiled: map[entry]*policy.Policy{}}
	for _, p := range iam.AWSManaged() {
		l.builtIn[p.ARN()] = p.Document()
	}
	return l
}

// compile returns the policy of a document that is in force. One that cannot be read denies everything.
func (l *library) compile(name, document string, kind policy.Kind) *policy.Policy {
	return l.keep(entry{name: name, document: document, kind: kind}, nil)
}

// compileTrust returns the trust policy of a role. One that cannot be read trusts nobody.
func (l *library) compileTrust(role *iam.Role) *policy.Policy {
	ids, _ := json.Marshal(role.Trusted) // strings, in order of their keys
	return l.keep(entry{"trust policy of " + role.ARN(), role.Trust, policy.Trust, string(ids)}, role.Trusted)
}

func (l *library) keep(e entry, ids map[string]string) *policy.Policy {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.compiled[e]; p != nil {
		return p
	}
	read := policy.ReadStored
	if e.kind == policy.Trust {
		read = func(name, document string, _ policy.Kind) (*policy.Policy, error) {
			return policy.ReadTrust(name, document, ids)
		}
	}
	p, _ := read(e.name, e.document, e.kind) // the node tells of those that cannot be read
	if len(l.compiled) >= shelf {
		clear(l.compiled)
	}
	l.compiled[e] = p
	return p
}

func (l *library) compileAll(name string, documents []string, kind policy.Kind) []*policy.Policy {
	all := make([]*policy.Policy, len(documents))
	for i, document := range documents {
		all[i] = l.compile(name, document, kind)
	}
	return all
}
