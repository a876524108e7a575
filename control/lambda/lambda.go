// Package lambda keeps the functions of a deployment: their code and configuration, versions, aliases and policies. It
// decides who may invoke them, callers of the API and VPC Lattice alike, and has package functions run them.
//
// Package api has already enforced the check tags of the requests before an operation here is called. Every change is one
// transaction, which asks for permission in it. Code is not in the store but in the data directory, by its SHA-256.
//
// # Choices where the documentation is silent
//
//   - A function is Active as soon as it was created, and every update Successful: there is nothing to wait for.
//   - A function runs in the process that has its code. With an etcd of one's own and several processes, that is the one
//     that took the code.
//   - Permission is asked for the function, and for its version or alias where the request names one.
//   - What asks for something that is not served, such as layers or a VPC, is refused rather than ignored.
package lambda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/aws/lambda"
	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/control/resource"
	"pergola/functions"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/store"
)

// Runner runs functions.
type Runner interface {
	// Invoke runs a function and returns what came of it.
	Invoke(context.Context, *functions.Function, functions.Call) (functions.Result, error)
	// Forget lets go of what is kept of a function, named by its ARN.
	Forget(arn string)
}

// Elsewhere invokes functions that this deployment does not have.
type Elsewhere interface {
	// Invoke invokes a function named by its ARN.
	Invoke(ctx context.Context, arn string, payload []byte) (functions.Result, error)
}

//go:generate go run pergola/internal/generate operations ../../aws/lambda/model.json

// Config is what the package needs from outside. All but Elsewhere and Mirror is required.
type Config struct {
	operation.Config
	// Box seals the variables of functions, and the credentials that they get.
	Box *sealing.Box
	// Codes keeps the code, and Runner runs it.
	Codes  *functions.Codes
	Runner Runner
	// Elsewhere invokes functions for VPC Lattice that are not here; nil means that there are no others.
	Elsewhere Elsewhere
	// Mirror is where functions are looked up for VPC Lattice: of the kinds Mirrored. nil is for a process that does not
	// invoke them for it.
	Mirror *store.Mirror
}

// Mirrored are the names of the kinds that a Mirror has to have.
func Mirrored() []string {
	return []string{lambda.KindFunction, lambda.KindVersion, lambda.KindAlias, iam.KindRole}
}

// Control carries out operations. Its methods may be called from any goroutine.
type Control struct {
	*operation.Service[*call]
	box       *sealing.Box
	codes     *functions.Codes
	runner    Runner
	elsewhere Elsewhere
	mirror    *store.Mirror
	// changing is held for reading from the moment when code is kept until something refers to it, and for writing while
	// code is removed to which nothing refers.
	changing sync.RWMutex
}

// New makes the service.
func New(cfg Config) *Control {
	c := &Control{box: cfg.Box, codes: cfg.Codes, runner: cfg.Runner, elsewhere: cfg.Elsewhere, mirror: cfg.Mirror}
	c.Service = operation.New(cfg.Config, operation.Description[*call]{
		Name:    "lambda",
		Begin:   func(of *operation.Call) (*call, error) { return &call{of, c}, nil },
		Explain: explain,
	})
	return c
}

// The nouns, and the roles of IAM, which are only read here.
var (
	functionObjects = store.NewKind[lambda.Function](lambda.KindFunction)
	versionObjects  = store.NewKind[lambda.Version](lambda.KindVersion)
	aliasObjects    = store.NewKind[lambda.Alias](lambda.KindAlias)
	roles           = store.NewKind[iam.Role](iam.KindRole)
)

// call is one operation under way.
type call struct {
	*operation.Call
	*Control
}

// explain puts refusals, and outages of the store, into the words of the service.
func explain(err error) error {
	return authority.Explained(err, aws.Error{Code: "AccessDeniedException", Status: 403},
		aws.Error{Code: "ServiceException", Status: 500})
}

func invalid(format string, args ...any) error {
	return aws.Errorf("InvalidParameterValueException", format, args...)
}

func conflict(format string, args ...any) error {
	return &aws.Error{Code: "ResourceConflictException", Message: fmt.Sprintf(format, args...), Status: 409}
}

func notFound(format string, args ...any) error {
	return &aws.Error{Code: "ResourceNotFoundException", Message: fmt.Sprintf(format, args...), Status: 404}
}

// missing puts the absence of an object into the words of the service.
func missing(err error, format string, args ...any) error {
	if errors.Is(err, store.ErrNotFound) {
		return notFound(format, args...)
	}
	return err
}

// unchanged refuses a change that is about an older revision than there is now; "" is about any.
func unchanged(given, now string) error {
	if given == "" || given == now {
		return nil
	}
	return &aws.Error{Code: "PreconditionFailedException", Status: 412, Message: "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"}
}

func (c *Control) revision() string { return aws.NewUUID(c.Random) }

func (c *Control) time() lattice.Time {
	return lattice.Time{Time: c.Now().UTC().Truncate(time.Millisecond)}
}

// named completes a reference to a function: what it leaves out is the caller's account and this region.
func (op *call) named(reference, qualifier string) (lambda.Name, error) {
	name, err := lambda.ParseName(reference)
	if err != nil {
		return name, invalid("%v", err)
	}
	if name.Qualifier != "" && qualifier != "" && name.Qualifier != qualifier {
		return name, invalid("The derived qualifier from the function name does not match the specified qualifier.")
	}
	name.Qualifier = cmp.Or(name.Qualifier, qualifier)
	name.Account = cmp.Or(name.Account, op.Account)
	name.Region = cmp.Or(name.Region, op.Region)
	return name, nil
}

// look finds the function that a request names. A caller that may not perform the operation on it does not learn
// whether there is none.
func (op *call) look(reference, qualifier string) (*lambda.Function, lambda.Name, error) {
	name, err := op.named(reference, qualifier)
	if err != nil {
		return nil, name, err
	}
	f, err := op.find(op.Tx, name)
	if err != nil {
		err = cmp.Or(op.May(name.ARN(), nil), err)
	}
	return f, name, err
}

// about finds the function that a request names, if the caller may perform the operation on it.
func (op *call) about(reference, qualifier string) (*lambda.Function, lambda.Name, error) {
	f, name, err := op.look(reference, qualifier)
	if err != nil {
		return nil, name, err
	}
	return f, name, op.May(name.ARN(), f.Tags)
}

// version finds the version of a function that a request names, if the caller may perform the operation on it.
func (op *call) version(in *lambda.Reference) (*lambda.Function, *lambda.Version, lambda.Name, error) {
	f, name, err := op.about(in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, nil, name, err
	}
	v, err := op.versionOf(op.Tx, f, name)
	return f, v, name, err
}

// unqualified is about for operations that are about the function as a whole.
func (op *call) unqualified(reference string) (*lambda.Function, lambda.Name, error) {
	name, err := op.named(reference, "")
	if err == nil && name.Qualifier != "" && name.Qualifier != lambda.Latest {
		err = invalid("This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please specify either a function name or an unqualified function ARN.")
	}
	if err != nil {
		return nil, name, err
	}
	return op.about(name.Unqualified().ARN(), "")
}

// current is unqualified for a change that may be about one revision alone.
func (op *call) current(reference, revision string) (*lambda.Function, lambda.Name, error) {
	f, name, err := op.unqualified(reference)
	if err != nil {
		return nil, name, err
	}
	return f, name, unchanged(revision, f.Latest.Revision)
}

// edit changes and writes the function as a whole that a request names.
func (op *call) edit(reference string, change func(*lambda.Function) error) error {
	f, _, err := op.unqualified(reference)
	if err != nil {
		return err
	}
	if err := change(f); err != nil {
		return err
	}
	return op.put(f)
}

// find reads a function, nil with an error if there is none.
func (c *Control) find(tx *store.Tx, name lambda.Name) (*lambda.Function, error) {
	if name.Region != c.Region {
		return nil, notFound("Function not found: %s: this deployment is %s", name.ARN(), c.Region)
	}
	return c.getFunction(tx, name)
}

// done is the answer of operations that have nothing to tell.
func done(err error) (*lattice.Empty, error) { return &lattice.Empty{}, err }

// defaultPage is how many items a page has unless the request says otherwise.
const defaultPage = 50

// page cuts one page out of a listing in the order of its keys, and returns the marker of the next one: the key after
// which it begins.
func page[T any](items []T, p lambda.Page, key func(T) string) (cut []T, next string) {
	return resource.Page(items, key, p.Marker, int(cmp.Or(p.MaxItems, defaultPage)))
}

// below reads the objects of a kind whose ids begin with a prefix.
func below[T any](tx *store.Tx, kind store.Kind[T], prefix string) ([]T, error) {
	entries, _, err := kind.List(tx, prefix, "", 0)
	all := make([]T, len(entries))
	for i, entry := range entries {
		all[i] = entry.Value
	}
	return all, err
}
