package functions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"pergola/bound"
	"pergola/fabric"
)

// environment is one process that serves the invocations of a function, one at a time.
type environment struct {
	runtime  *Runtime
	pool     *pool
	function *Function
	born     time.Time
	timer    *time.Timer // set while it is idle

	dir      string       // for temporary files
	cell     *fabric.Cell // its network, unless that is the host's
	release  func() error
	listener net.Listener
	server   *http.Server
	output   *output
	process  *fabric.Process // nil if it could not be started

	next   chan *invocation // what the process asks for
	ready  chan struct{}    // closed when it has asked for the first time
	begun  sync.Once
	exited chan struct{} // closed when the process has ended; guards exit
	exit   string        // why
	closed sync.Once

	mu      sync.Mutex  // guards what follows
	current *invocation // handed out and not answered
	failed  []byte      // the error with which the process has given up before it was ready
}

// invocation is one Call under way.
type invocation struct {
	Call
	started time.Time
	answer  chan Result // has room for the one answer

	share *bound.Share // on which the payload counts
	held  int64        // for so many bytes
	given sync.Once    // it was given back
}

// start starts an environment. What is wrong with the function's program shows at its first invocation.
func (r *Runtime) start(ctx context.Context, p *pool, f *Function) (*environment, error) {
	e := &environment{
		runtime: r, pool: p, function: f, born: time.Now(), release: func() error { return nil },
		next: make(chan *invocation), ready: make(chan struct{}), exited: make(chan struct{}),
	}
	r.running.Add(1) // until close
	if err := e.open(ctx); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// open makes what the environment needs, and launches its program.
func (e *environment) open(ctx context.Context) error {
	config, f := &e.runtime.config, e.function
	code, err := config.Codes.use(f.Code)
	if err != nil {
		return err
	}
	e.release = func() error { return config.Codes.done(f.Code) }
	if e.dir, err = os.MkdirTemp(config.Dir, "tmp-*"); err != nil {
		return err
	}
	if err := e.listen(ctx); err != nil {
		return err
	}
	e.server = &http.Server{Handler: e.handler(), ReadHeaderTimeout: initTimeout}
	e.runtime.running.Go(func() { _ = e.server.Serve(e.listener) }) // it ends with close, and has no other end
	return e.launch(ctx, code, slices.Concat(e.variables(code), f.Credentials))
}

// listen opens the Runtime API, in the function's own network where it has one.
func (e *environment) listen(ctx context.Context) (err error) {
	if !e.runtime.bounds.cells {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err == nil {
			e.listener = guarded{listener}
		}
		return err
	}
	if e.cell, err = e.runtime.config.Fabric.MakeCell(ctx, e.runtime.bounds.reach...); err != nil {
		return err
	}
	e.listener, err = e.cell.Listen(ctx, netip.MustParseAddrPort("127.0.0.1:0"))
	return err
}

// launch starts the program. That it cannot be executed is the function's failure, not ours.
func (e *environment) launch(ctx context.Context, code string, variables []string) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer write.Close()
	log := e.runtime.config.Logger.With("function", e.function.ARN, "version", e.function.Version)
	e.output = newOutput(read, log)
	e.runtime.running.Go(e.output.run)
	seen := e.runtime.bounds.codeSeen(code)
	command := fabric.Command{
		Args: []string{filepath.Join(seen, "bootstrap")}, Env: variables, Dir: seen, Stdout: write, Stderr: write,
		Confined: e.confinement(code),
	}
	if e.cell != nil {
		e.process, err = e.cell.Start(ctx, command)
	} else {
		e.process, err = e.runtime.config.Fabric.Start(ctx, fabric.Place{}, command)
	}
	var errno syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.giveUp("Runtime.InvalidEntrypoint", "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]")
	case errors.As(err, &errno):
		e.giveUp("Runtime.InvalidEntrypoint", "fork/exec /var/task/bootstrap: "+errno.Error())
	case err != nil:
		return err
	default:
		e.runtime.running.Go(e.await)
		if e.runtime.bounds.means != fabric.ByNamespaces {
			e.runtime.running.Go(e.watchDisk)
		}
	}
	return nil
}

// giveUp says why there is no process.
func (e *environment) giveUp(kind, message string) {
	e.failed = failure(kind, "Error: "+message)
	close(e.exited)
}

// await waits for the end of the process.
func (e *environment) await() {
	code, err := e.process.Wait()
	switch {
	case err != nil:
		e.exit = err.Error()
	case code == 0:
		e.exit = "Runtime exited without providing a reason"
	case code > 128:
		e.exit = "Runtime exited with error: signal: " + syscall.Signal(code-128).String()
	default:
		e.exit = "Runtime exited with error: exit status " + strconv.Itoa(code)
	}
	close(e.exited)
}

// variables are the environment of the process (Lambda developer guide, "Defined runtime environment variables").
func (e *environment) variables(code string) []string {
	f, region := e.function, e.runtime.config.Region
	code, temporary := e.runtime.bounds.codeSeen(code), e.runtime.bounds.temporarySeen(e.dir)
	set := map[string]string{"LANG": "en_US.UTF-8", "TZ": ":UTC", "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin"}
	maps.Copy(set, f.Variables)
	maps.Copy(set, map[string]string{
		"_HANDLER": f.Handler, "LAMBDA_TASK_ROOT": code, "LAMBDA_RUNTIME_DIR": code, "TMPDIR": temporary,
		"AWS_REGION": region, "AWS_DEFAULT_REGION": region,
		"AWS_LAMBDA_FUNCTION_NAME": f.Name, "AWS_LAMBDA_FUNCTION_VERSION": f.Version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.Memory), "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/" + f.Name, "AWS_LAMBDA_LOG_STREAM_NAME": f.Version,
		"AWS_LAMBDA_RUNTIME_API": e.listener.Addr().String(),
	})
	if endpoint := e.runtime.config.Endpoint; endpoint != "" && set["AWS_ENDPOINT_URL"] == "" {
		set["AWS_ENDPOINT_URL"] = endpoint
	}
	variables := make([]string, 0, len(set))
	for _, name := range slices.Sorted(maps.Keys(set)) {
		variables = append(variables, name+"="+set[name])
	}
	return variables
}

// ended reports whether the environment can take no further invocation.
func (e *environment) ended() bool {
	select {
	case <-e.exited:
		return true
	default:
		return false
	}
}

// close ends the environment and removes what was made for it.
func (e *environment) close() {
	e.closed.Do(func() {
		defer e.runtime.running.Done()
		e.kill()
		if e.server != nil {
			_ = e.server.Close()
		} else if e.listener != nil {
			_ = e.listener.Close()
		}
		if e.output != nil {
			e.output.close()
		}
		err := e.release()
		if e.cell != nil {
			err = errors.Join(err, e.cell.Close())
		}
		if e.dir != "" {
			err = errors.Join(err, os.RemoveAll(e.dir))
		}
		if err != nil {
			e.runtime.config.Logger.Warn("what a function's environment left could not be removed", "function", e.function.ARN, "error", err)
		}
	})
}

// kill ends the process and waits for that.
func (e *environment) kill() {
	if e.process != nil {
		_ = e.process.Signal(syscall.SIGKILL) // it fails only when the process has ended
		<-e.exited
	}
}

// watchEvery is how often the memory of an environment at work is looked at.
const watchEvery = 100 * time.Millisecond

// invoke carries out one invocation. An environment whose invocation fails by more than an error that its program reports
// is ended; the program may be in any state. missed says that an environment that was kept had ended, or ended, before it
// asked for the invocation.
func (e *environment) invoke(inv *invocation) (result Result, missed bool) {
	kept := e.isReady()
	e.output.begin(inv.ID, e.function.Version)
	result, taken := e.serve(inv)
	result.Log = e.output.end(inv, e.function)
	return result, kept && !taken && e.ended() && e.runtime.ctx.Err() == nil && !result.TimedOut
}

// isReady reports whether the process has asked for an invocation before.
func (e *environment) isReady() bool {
	select {
	case <-e.ready:
		return true
	default:
		return false
	}
}

// serve waits for what comes of an invocation; taken says that the process has got it.
func (e *environment) serve(inv *invocation) (result Result, taken bool) {
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	limit, next, ready := initTimeout, (chan<- *invocation)(nil), e.ready
	if e.isReady() {
		limit, next, ready = e.function.Timeout, e.next, nil
	}
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		select {
		case <-ready: // the time that starting takes is not the invocation's
			limit, next, ready = e.function.Timeout, e.next, nil
			deadline.Reset(limit)
			inv.started = time.Now()
		case next <- inv:
			next, taken = nil, true
		case result := <-inv.answer:
			return result, taken
		case <-e.exited:
			return e.failure(inv), taken
		case <-e.runtime.ctx.Done():
			e.kill()
			return failed(inv, "Runtime.ExitError", "the deployment is stopping"), taken
		case <-watch.C:
			if used := memoryOf(e.process.Pid()); used > int64(e.function.Memory)<<20 {
				e.kill()
				return failed(inv, "Runtime.OutOfMemory", fmt.Sprintf("Memory Size: %d MB, used: %d MB; Runtime exited with error: signal: killed", e.function.Memory, used>>20)), taken
			}
		case <-deadline.C:
			e.kill()
			result := failed(inv, "Sandbox.Timedout", fmt.Sprintf("Task timed out after %.2f seconds", limit.Seconds()))
			result.TimedOut = true
			return result, taken
		}
	}
}

// failure is the result of an invocation whose process has ended.
func (e *environment) failure(inv *invocation) Result {
	select {
	case result := <-inv.answer: // it answered first
		return result
	default:
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed != nil {
		return Result{Payload: e.failed, Error: unhandled}
	}
	return failed(inv, "Runtime.ExitError", e.exit)
}

// failed is the result of an invocation that was ended.
func failed(inv *invocation, kind, message string) Result {
	return Result{Payload: failure(kind, "RequestId: "+inv.ID+" Error: "+message), Error: unhandled}
}

// failure describes a failure as Lambda does.
func failure(kind, message string) []byte {
	b, err := json.Marshal(map[string]string{"errorType": kind, "errorMessage": message})
	if err != nil {
		panic(fmt.Sprintf("functions: a failure cannot be encoded: %v", err)) // it has nothing but strings
	}
	return b
}
