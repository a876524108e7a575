// Package lambda holds the nouns of Lambda: functions with their versions, aliases and policies, and the requests and
// responses of the API, version 2015-03-31. It is as large as functions that are targets need: code comes as a zip file
// and runs on the runtimes that bring their own program, provided.al2 and provided.al2023.
package lambda

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"pergola/lattice"
)

//go:generate go run pergola/internal/generate shapes model.json

// The kinds under which the store keeps these nouns: functions by ID, versions and aliases by ID below their function.
const (
	KindFunction = "function"
	KindVersion  = "functionversion"
	KindAlias    = "functionalias"
)

// Latest is the version of a function that can still be changed.
const Latest = "$LATEST"

// ID is where the store keeps a function, and with a version or an alias behind its function's name, one of these. Names
// are case-sensitive.
func ID(account string, names ...string) string { return account + "/" + strings.Join(names, "/") }

// VersionOrder is a version's number in the form in which the store keeps versions, so that they are in the order of
// their numbers. It is false for what is no number of a version as they are written, from 1 and without leading zeros: a
// version has one name.
func VersionOrder(number string) (string, bool) {
	n, err := strconv.ParseUint(number, 10, 63)
	return fmt.Sprintf("%019d", n), err == nil && number == strconv.FormatUint(n, 10) && n > 0
}

// Function is a function with what all its versions share.
type Function struct {
	Account string `json:"account"`
	Name    string `json:"name"`
	// Latest is the version $LATEST.
	Latest Version `json:"latest"`
	// LastVersion is the number of the newest version that was published; numbers are never used again.
	LastVersion int64 `json:"lastVersion,omitempty"`
	// Policies say who else may invoke the function, each for one qualifier, and "" for the function without any.
	Policies map[string]Policy `json:"policies,omitempty"`
	// Concurrency is how many invocations may go on at once; nil leaves that to the deployment, and 0 allows none.
	Concurrency *int32            `json:"concurrency,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// Version is a function's code and configuration.
type Version struct {
	// Number is $LATEST, or a number that counts from 1.
	Number      string `json:"number"`
	Runtime     string `json:"runtime"`
	Role        string `json:"role"`
	Handler     string `json:"handler"`
	Description string `json:"description,omitempty"`
	Timeout     int32  `json:"timeout"` // in seconds
	Memory      int32  `json:"memory"`  // in MiB
	Ephemeral   int32  `json:"ephemeral"`
	// Environment are the function's own variables. The store has them in SealedEnvironment: a JSON object, sealed for the
	// function's ARN with the deployment's key.
	Environment       map[string]string `json:"-"`
	SealedEnvironment []byte            `json:"sealedEnvironment,omitempty"`
	// Logging is nil where the defaults hold. It is described, and changes nothing.
	Logging *LoggingConfig `json:"logging,omitempty"`
	// Architecture is x86_64 or arm64.
	Architecture string `json:"architecture"`
	// CodeSHA256 is that of the zip file, in hexadecimal, and CodeSize its length in bytes.
	CodeSHA256 string       `json:"codeSha256"`
	CodeSize   int64        `json:"codeSize"`
	Modified   lattice.Time `json:"modified"`
	// Revision changes with each change of the version.
	Revision string `json:"revision"`
}

// Alias is a name for a version, which can be given to another one.
type Alias struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Description string `json:"description,omitempty"`
	Revision    string `json:"revision"`
}

// The limits and defaults of a function (Lambda developer guide, "Lambda quotas").
const (
	DefaultTimeout = 3
	DefaultMemory  = 128
	// DefaultEphemeral is the size of the temporary directory, in MiB.
	DefaultEphemeral = 512
	// MaxEnvironment is how large all variables may be together, as JSON in bytes.
	MaxEnvironment = 4 << 10
	// MaxPolicy is how long a policy may be, in bytes.
	MaxPolicy = 20 << 10
	// MaxPayload is how long the payload of an invocation or of a response may be, in bytes.
	MaxPayload = 6 << 20
	// MaxZip is how long a zip file may be, in bytes, and MaxUnpacked how much it may contain.
	MaxZip      = 50 << 20
	MaxUnpacked = 250 << 20
)

// Name is how a caller names a function, as far as it was given: all but Function may be "".
type Name struct{ Region, Account, Function, Qualifier string }

// nameForm is the model's pattern, with the parts that ParseName takes from it.
var nameForm = regexp.MustCompile(`^(?:arn:aws[a-zA-Z-]*:lambda:)?(?:([a-z]{2}(?:-[a-z]+)+-\d):)?(?:(\d{12}):)?(?:function:)?([a-zA-Z0-9_-]+)(?::(\$LATEST|[a-zA-Z0-9_-]+))?$`)

// ParseName takes apart a function's name, its partial ARN (123456789012:function:NAME) or its ARN, each with or without
// a qualifier behind a colon: a version or an alias.
func ParseName(s string) (Name, error) {
	parts := nameForm.FindStringSubmatch(s)
	if parts == nil || len(parts[3]) > 64 {
		return Name{}, fmt.Errorf("%q names no function; give a name of at most 64 letters, digits, - and _, or an ARN", s)
	}
	return Name{parts[1], parts[2], parts[3], parts[4]}, nil
}

// ParseARN takes apart the whole ARN of a function, with or without a qualifier.
func ParseARN(s string) (Name, error) {
	name, err := ParseName(s)
	if err != nil || !strings.HasPrefix(s, "arn:") || name.Region == "" || name.Account == "" || !strings.Contains(s, ":function:") {
		return Name{}, fmt.Errorf("%q is not the ARN of a function; it looks like arn:aws:lambda:REGION:ACCOUNT:function:NAME, with :ALIAS or :VERSION at its end if need be", s)
	}
	return name, nil
}

// ARN is the ARN of the function, with the qualifier if there is one.
func (n Name) ARN() string {
	resource := "function:" + n.Function
	if n.Qualifier != "" {
		resource += ":" + n.Qualifier
	}
	return lattice.ARN{Service: "lambda", Region: n.Region, Account: n.Account, Resource: resource}.String()
}

// Unqualified is the name without its qualifier.
func (n Name) Unqualified() Name {
	n.Qualifier = ""
	return n
}
