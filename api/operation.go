package api

import (
	"context"
	"reflect"
	"slices"

	"pergola/aws/iam"
)

// operation is one row of a service's table.
type operation struct {
	name string
	// method, uri and status are those of restJson1; the query protocol has none. A label of the uri is in braces.
	method, uri string
	status      int
	// unsigned lets in callers that have not signed. The operation gets no caller then.
	unsigned bool
	// settles is for operations whose result is a resource in progress, which tells itself when it is in force.
	settles bool
	// input is the shape of what call takes, and output the type of what it returns; call's are pointers to them.
	input  *shape
	output reflect.Type
	head   *headShape
	call   func(ctx context.Context, caller iam.Caller, input any) (output any, err error)
}

// function is what an operation does.
type function[In, Out any] = func(context.Context, iam.Caller, *In) (*Out, error)

// rest is a row of a restJson1 service.
func rest[In, Out any](name, method, uri string, status int, f function[In, Out]) operation {
	op := action(name, f)
	op.method, op.uri, op.status = method, uri, status
	return op
}

// action is a row of a query service.
func action[In, Out any](name string, f function[In, Out]) operation {
	return operation{
		name: name, input: newShape(reflect.TypeFor[In]()), output: reflect.TypeFor[Out](),
		head: newHeadShape(reflect.TypeFor[Out]()),
		call: func(ctx context.Context, caller iam.Caller, input any) (any, error) {
			return f(ctx, caller, input.(*In))
		},
	}
}

//go:generate go run pergola/internal/generate tables ..

// with changes the rows of some operations.
func with(change func(operation) operation, table []operation, names ...string) []operation {
	for _, name := range names {
		i := slices.IndexFunc(table, func(op operation) bool { return op.name == name })
		table[i] = change(table[i])
	}
	return table
}

// unsigned lets anybody call an operation, which must find out for itself who that is.
func unsigned(op operation) operation {
	op.unsigned = true
	return op
}

// settles answers at once with a resource in progress.
func settles(op operation) operation {
	op.settles = true
	return op
}
