package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/aws/lambda"
	"pergola/control/operation"
	"pergola/functions"
	"pergola/lattice"
	"pergola/store"
)

// Invoke invokes a function and waits for its answer. A dry run only asks whether the caller may.
func (c *Control) Invoke(ctx context.Context, caller iam.Caller, in *lambda.InvokeRequest) (*lambda.InvokeResponse, error) {
	var runnable *functions.Function
	var name lambda.Name
	request := operation.Request{Caller: caller, Action: "InvokeFunction"}
	find := func() (*functions.Function, error) {
		err := c.Store.View(ctx, func(tx *store.Tx) (err error) {
			op := &call{c.Ask(ctx, tx, request), c}
			runnable, name, err = op.mayInvoke(&in.Reference)
			return err
		})
		return runnable, c.Explain(err)
	}
	if _, err := find(); err != nil {
		return nil, err
	}
	clientContext, err := checkInvocation(in)
	switch {
	case err != nil:
		return nil, err
	case in.InvocationType == lambda.InvokeDryRun:
		return &lambda.InvokeResponse{Status: 204, Version: runnable.Version}, nil
	case len(in.Payload) == 0:
		in.Payload = []byte("{}")
	}
	result, err := c.run(ctx, runnable, find, functions.Call{ARN: name.ARN(), Payload: in.Payload, ClientContext: clientContext})
	if err != nil {
		return nil, throttled(err)
	}
	answer := &lambda.InvokeResponse{Status: 200, FunctionError: result.Error, Version: runnable.Version, Payload: result.Payload}
	if in.LogType == "Tail" {
		answer.Log = result.Log
	}
	return answer, nil
}

// checkInvocation refuses invocations that are not served, and reads the context of the client: the API has it in Base64,
// functions have it as JSON.
func checkInvocation(in *lambda.InvokeRequest) (clientContext string, err error) {
	const badContent = "InvalidRequestContentException"
	switch {
	case in.Tenant != "" || in.Execution != "":
		return "", invalid("Neither tenant isolation nor durable executions are served here; leave out X-Amz-Tenant-Id and " +
			"X-Amz-Durable-Execution-Name")
	case in.InvocationType == lambda.InvokeDryRun:
		return "", nil
	case in.InvocationType == lambda.InvokeEvent:
		return "", invalid("Asynchronous invocations are not served here; invoke with the type %s", lambda.InvokeAndWait)
	case len(in.Payload) > lambda.MaxPayload:
		return "", &aws.Error{Code: "RequestTooLargeException", Status: 413, Message: fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", lambda.MaxPayload)}
	case len(in.Payload) > 0 && !json.Valid(in.Payload):
		return "", aws.Errorf(badContent, "Could not parse request body into json: the payload is no JSON")
	case in.ClientContext == "":
		return "", nil
	}
	var compact bytes.Buffer // on one line, as a field of a header must be
	decoded, err := base64.StdEncoding.DecodeString(in.ClientContext)
	if err != nil || json.Compact(&compact, decoded) != nil || compact.Bytes()[0] != '{' {
		return "", aws.Errorf(badContent, "Client context must be a valid Base64-encoded JSON object.")
	}
	return compact.String(), nil
}

// catchUp is how long a node may need at most to be told that the code of a function was replaced.
const catchUp = 2 * time.Second

// run invokes a function. Its code may be replaced, and removed, between the moment when it was found and that when it runs,
// since an invocation may have to wait for others, and a node is told of it a moment later: then it is found anew.
func (c *Control) run(ctx context.Context, f *functions.Function, find func() (*functions.Function, error), call functions.Call) (functions.Result, error) {
	for {
		result, err := c.runner.Invoke(ctx, f, call)
		if !errors.Is(err, functions.ErrNoCode) {
			return result, err
		}
		now, gone := awaitOther(ctx, f, find)
		if gone != nil {
			return functions.Result{}, gone
		}
		if now.Code == f.Code {
			return functions.Result{}, err
		}
		f = now
	}
}

// awaitOther finds a function anew whose code is missing, until it has other code or a node must have been told of
// that.
func awaitOther(ctx context.Context, f *functions.Function,
	find func() (*functions.Function, error)) (now *functions.Function, gone error) {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	for {
		now, gone = find()
		if gone != nil || now.Code != f.Code {
			return now, gone
		}
		select {
		case <-time.After(catchUp / 100):
		case <-ctx.Done():
			return now, nil
		}
	}
}

// throttled puts the refusal of an invocation beyond the limit into the words of the service.
func throttled(err error) error {
	if errors.Is(err, functions.ErrThrottled) {
		return &aws.Error{Code: "TooManyRequestsException", Status: 429, Message: "Rate Exceeded."}
	}
	return err
}

// mayInvoke finds what a caller wants to invoke, if it may: by its own policies, or by those of the function.
func (op *call) mayInvoke(in *lambda.Reference) (*functions.Function, lambda.Name, error) {
	f, name, err := op.look(in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, name, err
	}
	if err := op.MayBy(f.Guard(name.Qualifier), lambda.InvokeAction, name.ARN(), f.Tags); err != nil {
		return nil, name, err
	}
	runnable, err := op.runnable(op.Tx, f, name)
	return runnable, name, err
}

// runnable is what a name means, ready to be run.
func (c *Control) runnable(tx *store.Tx, f *lambda.Function, name lambda.Name) (*functions.Function, error) {
	v, err := c.versionOf(tx, f, name)
	if err != nil {
		return nil, err
	}
	concurrency := 0
	if f.Concurrency != nil {
		if concurrency = int(*f.Concurrency); concurrency == 0 {
			return nil, throttled(functions.ErrThrottled)
		}
	}
	credentials, err := c.credentials(tx, f.Name, v.Role)
	if err != nil {
		return nil, err
	}
	return &functions.Function{
		ARN: name.Unqualified().ARN(), Name: f.Name, Version: v.Number, Revision: v.Revision, Code: v.CodeSHA256,
		Handler: v.Handler, Memory: int(v.Memory), Timeout: time.Duration(v.Timeout) * time.Second,
		Variables: v.Environment, Concurrency: concurrency, Credentials: credentials,
	}, nil
}

// credentials makes a session of a function's role, as variables.
func (c *Control) credentials(tx *store.Tx, function, arn string) ([]string, error) {
	role, err := roles.Get(tx, iam.ID(lattice.AccountOf(arn), lattice.IDOf(arn)))
	if err == nil && (role.ARN() != arn || !trusts(&role)) || errors.Is(err, store.ErrNotFound) {
		return nil, &aws.Error{Code: "AccessDeniedException", Status: 403, Message: fmt.Sprintf("Lambda was unable to assume the role %s of the function: it must exist, and its trust policy allow sts:AssumeRole to lambda.amazonaws.com", arn)}
	}
	if err != nil {
		return nil, err
	}
	now := c.Now().Truncate(time.Second)
	sealed, err := c.box.SealSession(iam.Caller{
		Account: role.Account, ARN: role.SessionARN(function), UserID: role.UniqueID + ":" + function,
		Type: iam.TypeAssumedRole, RoleARN: role.ARN(), Tags: role.Tags,
		Session: &iam.Session{Name: function, Issued: now, Expires: now.Add(functions.CredentialLife)},
	})
	return []string{"AWS_ACCESS_KEY_ID=" + sealed.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + sealed.Secret, "AWS_SESSION_TOKEN=" + sealed.Token}, err
}

// unavailable is why a function could not be invoked at all.
type unavailable struct{ error }

// Unavailable tells it from the failures of a function that ran.
func (unavailable) Unavailable() bool { return true }

func (u unavailable) Unwrap() error { return u.error }

// InvokeFunction invokes a function, named by its ARN, in the name of VPC Lattice and for a target group, named by its ARN
// too. The function's policy is asked each time. The error says whether the function could be invoked, by a method
// Unavailable, and is context.DeadlineExceeded if it took too long.
func (c *Control) InvokeFunction(ctx context.Context, function, targetGroup string, event []byte) ([]byte, error) {
	result, err := c.invokeFunction(ctx, function, targetGroup, event)
	switch {
	case err != nil:
		return nil, unavailable{fmt.Errorf("function %s: %w", function, err)}
	case result.TimedOut:
		return nil, fmt.Errorf("function %s: %w: %.300s", function, context.DeadlineExceeded, result.Payload)
	case result.Error != "":
		return nil, fmt.Errorf("function %s failed: %.300s", function, result.Payload)
	}
	return result.Payload, nil
}

// invokeFunction finds a function and runs it.
func (c *Control) invokeFunction(ctx context.Context, function, targetGroup string, event []byte) (functions.Result, error) {
	name, err := lambda.ParseARN(function)
	if err != nil {
		return functions.Result{}, err
	}
	foreign := false
	find := func() (runnable *functions.Function, err error) {
		err = c.mirror.View(func(tx *store.Tx) error {
			f, err := c.find(tx, name)
			if foreign = isNotFound(err); err != nil {
				return err
			}
			if !f.LetsLattice(name, targetGroup, lattice.AccountOf(targetGroup)) {
				return fmt.Errorf("its policy does not let %s invoke it for %s; add a permission (aws lambda add-permission)", lambda.LatticeService, targetGroup)
			}
			runnable, err = c.runnable(tx, f, name)
			return err
		})
		return runnable, err
	}
	runnable, err := find()
	switch {
	case foreign && c.elsewhere != nil:
		return c.elsewhere.Invoke(ctx, function, event)
	case err != nil:
		return functions.Result{}, err
	}
	return c.run(ctx, runnable, find, functions.Call{ARN: function, Payload: event})
}
