// Package functions runs Lambda functions: it starts the program bootstrap of a zip file in a process of its own, speaks
// the Lambda Runtime API with it, keeps the process warm for the next invocation, and has as many of them as there are
// invocations at once, up to a limit (Lambda developer guide, "Using the Lambda runtime API for custom runtimes").
//
// An environment is one such process with what belongs to it: a server for its Runtime API on a port of its own at
// 127.0.0.1, a temporary directory, and a pipe that takes what it writes to the log. It sees its code and the system's
// files, and has a network of its own, as far as the host has the means (see boundsOf). It serves one invocation at a
// time, and ends, with all that it has started, when it is not needed, when it fails, when it takes too long, too much
// memory or too much of the disk, and with the fabric's process, however that ends.
//
// The package knows no store and asks for no permission: who invokes has found both the function and the right to.
package functions

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"pergola/aws"
	"pergola/bound"
	"pergola/fabric"
)

// The defaults of a Config.
const (
	DefaultConcurrency = 10
	DefaultIdle        = 5 * time.Minute
)

// initTimeout is how long an environment may take until it asks for its first invocation (Lambda developer guide,
// "Lambda execution environment").
const initTimeout = 10 * time.Second

// maxAge is the age at which an environment takes no further invocation: its credentials, which it got when it started,
// are good for longer than this and the longest invocation together.
const maxAge = 4 * time.Hour

// CredentialLife is how long the credentials must be good that a Function has.
const CredentialLife = 6 * time.Hour

// Config is what a Runtime needs. Fabric, Codes and Dir are required.
type Config struct {
	// Fabric starts and ends the processes.
	Fabric *fabric.Fabric
	// Codes has the code.
	Codes *Codes
	// Dir is a directory of the Runtime's own for temporary files. What is in it is removed.
	Dir string
	// Region is what functions find in AWS_REGION.
	Region string
	// Endpoint is the URL that functions find in AWS_ENDPOINT_URL, so that their SDKs call this deployment; "" sets none.
	Endpoint string
	// AllowUnconfined lets functions run where nothing keeps them from the deployment's keys and sockets. Otherwise they
	// are refused there, with ErrUnconfined.
	AllowUnconfined bool
	// Concurrency is how many environments a function may have that states no number itself. 0 means DefaultConcurrency.
	Concurrency int
	// Idle is how long an environment is kept without an invocation. 0 means DefaultIdle.
	Idle time.Duration
	// Logger receives what functions write, at level Info, and what goes wrong. Nil discards it.
	Logger *slog.Logger
}

// Function is one version of a function, as it is to be run.
type Function struct {
	// ARN names the function, without a qualifier: all its versions share one limit of concurrency.
	ARN string
	// Name and Version are what the function finds in its environment. Environments of one revision of a version are alike.
	Name, Version, Revision string
	// Code is the SHA-256 of the zip file, as Codes names it.
	Code    string
	Handler string
	// Memory is the limit in MiB, and Timeout that of one invocation.
	Memory  int
	Timeout time.Duration
	// Variables are the function's own.
	Variables map[string]string
	// Concurrency is the function's own limit, beyond which invocations are refused. 0 means the Runtime's, beyond which a
	// thousand wait for as long as Timeout.
	Concurrency int
	// Credentials are the variables with credentials of the function's role, as KEY=value, good for CredentialLife. An
	// environment has those of its first invocation.
	Credentials []string
}

// Call is one invocation.
type Call struct {
	// ARN is the function's as the caller named it, with its qualifier.
	ARN string
	// ID names the invocation; "" has one made.
	ID            string
	Payload       []byte
	ClientContext string
}

// Result is what came of an invocation.
type Result struct {
	// Payload is what the function answered, or a description of Error as JSON.
	Payload []byte
	// Error is "" for a success. Otherwise the function failed: by itself, or because it had to be ended.
	Error string
	// TimedOut says that it took too long.
	TimedOut bool
	// Log is the end of what it wrote meanwhile, with the lines that Lambda adds.
	Log []byte
}

// unhandled is the Error of every failure of a custom runtime.
const unhandled = "Unhandled"

// ErrThrottled says that the function already has as many invocations as it may, or that these were sent as much as
// they may hold.
var ErrThrottled = errors.New("the function has as many invocations at once, or as large ones, as it may")

var errClosed = errors.New("functions: the runtime is closed")

// Runtime runs functions. Its methods may be called at the same time.
type Runtime struct {
	config  Config
	bounds  bounds
	ctx     context.Context // ends when Close begins
	end     context.CancelFunc
	running sync.WaitGroup // environments and invocations

	payloads *bound.Pool // what invocations hold of what they were sent, in bytes

	mu    sync.Mutex       // guards what follows, and the pools
	pools map[string]*pool // by the ARN of the function
}

// New makes a Runtime. Close it before its fabric.
func New(config Config) (*Runtime, error) {
	if config.Concurrency <= 0 {
		config.Concurrency = DefaultConcurrency
	}
	if config.Idle <= 0 {
		config.Idle = DefaultIdle
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(config.Dir)
	if err != nil {
		return nil, err
	}
	if config.Dir = dir; os.RemoveAll(dir) != nil || os.MkdirAll(dir, 0o700) != nil {
		return nil, fmt.Errorf("functions: the directory %s for temporary files cannot be made anew; see who owns it", dir)
	}
	if err := config.Codes.clear(); err != nil {
		return nil, err
	}
	r := &Runtime{config: config, bounds: boundsOf(&config), pools: map[string]*pool{}, payloads: newPayloads()}
	r.ctx, r.end = context.WithCancel(context.Background())
	return r, nil
}

// Invoke runs a function and returns what it answered. A failure of the function is a Result; an error says that it did
// not run, and is ErrThrottled if it may not now. When the context ends Invoke returns, and the invocation goes on alone.
func (r *Runtime) Invoke(ctx context.Context, f *Function, call Call) (Result, error) {
	if call.ID == "" {
		call.ID = aws.NewUUID(rand.Reader)
	}
	if r.bounds.err != nil {
		return Result{}, r.bounds.err
	}
	if !r.begin() {
		return Result{}, errClosed
	}
	defer r.running.Done()
	inv := &invocation{Call: call, answer: make(chan Result, 1)}
	if !r.keepPayload(f, inv) {
		return Result{}, ErrThrottled
	}
	e, err := r.acquire(ctx, f)
	if err != nil {
		inv.letGo()
		return Result{}, err
	}
	inv.started = time.Now()
	outcome := make(chan outcome, 1)
	r.running.Go(func() {
		defer inv.letGo()
		outcome <- r.carryOut(e, inv)
	})
	select {
	case o := <-outcome:
		return o.Result, o.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// outcome is what Invoke returns.
type outcome struct {
	Result
	err error
}

// carryOut carries out an invocation in an environment, and gives that back. One that ended while it was kept, as a program
// does that has reported a panic, has not seen the invocation, and a fresh one takes its place.
func (r *Runtime) carryOut(e *environment, inv *invocation) outcome {
	result, missed := e.invoke(inv)
	if missed {
		fresh, err := r.start(r.ctx, e.pool, e.function)
		e.close()
		if err != nil {
			r.leave(e.pool)
			return outcome{err: err}
		}
		e = fresh
		result, _ = e.invoke(inv)
	}
	r.release(e)
	return outcome{Result: result}
}

// begin counts an invocation among those that Close waits for, unless that has begun.
func (r *Runtime) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return false
	}
	r.running.Add(1)
	return true
}

// Forget ends the environments of a function, those that are at work when they have done it.
func (r *Runtime) Forget(arn string) {
	r.mu.Lock()
	p := r.pools[arn]
	delete(r.pools, arn)
	var idle []*environment
	if p != nil {
		idle, p.idle, p.forgotten = p.idle, nil, true
	}
	r.mu.Unlock()
	for _, e := range idle {
		e.close()
	}
}

// Close ends all environments, and with them the invocations that go on. It returns when nothing runs any more.
func (r *Runtime) Close() error {
	r.mu.Lock()
	r.end()
	arns := make([]string, 0, len(r.pools))
	for arn := range r.pools {
		arns = append(arns, arn)
	}
	r.mu.Unlock()
	for _, arn := range arns {
		r.Forget(arn)
	}
	r.running.Wait()
	return os.RemoveAll(r.config.Dir)
}
