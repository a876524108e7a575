package policy

import "fmt"

// ReadStored compiles a document that is in force. One that cannot be read becomes Refusal, and the error says so: had it
// been left out, what it denies would have become allowed.
func ReadStored(name, document string, kind Kind) (*Policy, error) {
	return inForce(name, document, kind, nil)
}

// ReadTrust is ReadStored for a trust policy. Of the users and roles that it names, those whose unique ids are given by
// their ARNs are known by their ids: another that has the ARN is not meant (IAM user guide, "AWS JSON policy elements:
// Principal", Role principals).
func ReadTrust(name, document string, ids map[string]string) (*Policy, error) {
	return inForce(name, document, Trust, ids)
}

func inForce(name, document string, kind Kind, ids map[string]string) (*Policy, error) {
	parsed, err := Parse([]byte(document), kind, 0)
	if err != nil {
		return Refusal(name, kind), fmt.Errorf("%s denies everything because it cannot be read: %w", name, err)
	}
	if ids != nil {
		parsed.byUniqueID(ids)
	}
	parsed.Name = name
	return Compile(parsed), nil
}

// Refusal is a policy that denies everything to everyone. It stands for one that should be there and is not: what that
// one would deny is not known.
func Refusal(name string, kind Kind) *Policy {
	elements := map[Kind]string{Resource: `"Principal":"*","Resource":"*"`, Trust: `"Principal":"*"`}[kind]
	if elements == "" {
		elements = `"Resource":"*"`
	}
	document := `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*",` + elements + `}}`
	parsed, _ := Parse([]byte(document), kind, 0) // which a test holds for every kind
	parsed.Name = name
	return Compile(parsed)
}
