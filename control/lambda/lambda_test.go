package lambda

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/aws/lambda"
	"pergola/functions"
	"pergola/store"
)

const (
	account  = "100000000001"
	roleName = "function"
)

// runner notes what it should run, and answers as invoke says.
type runner struct {
	invoke func(*functions.Function, functions.Call) (functions.Result, error)
}

func (r *runner) Invoke(_ context.Context, f *functions.Function, call functions.Call) (functions.Result, error) {
	if r.invoke == nil {
		return functions.Result{Payload: []byte(`"` + f.Version + `"`)}, nil
	}
	return r.invoke(f, call)
}

func (*runner) Forget(string) {}

// world is the service with one caller, the root user of an account that has a role for functions.
type world struct {
	*Control
	runner *runner
	t      *testing.T
	ctx    context.Context
	caller iam.Caller
	codes  string // the directory
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	objects, err := store.Open(ctx, store.Config{Dir: filepath.Join(t.TempDir(), "store"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Close() })
	w := &world{Control: newControl(t, objects, 1), runner: &runner{}, t: t, ctx: ctx, codes: filepath.Join(t.TempDir(), "code")}
	w.caller = iam.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account, Type: iam.TypeAccount}
	if w.Control.codes, err = functions.OpenCodes(w.codes); err != nil {
		t.Fatal(err)
	}
	w.Control.runner, w.Control.mirror = w.runner, store.NewMirror(Mirrored()...)
	_, err = objects.Update(ctx, func(tx *store.Tx) error {
		role := iam.Role{Entity: iam.Entity{Account: account, Name: roleName, Path: "/"}}
		role.Trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
		return roles.Put(tx, iam.ID(account, roleName), role)
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// sync tells the mirror what there is, as a node does.
func (w *world) sync() {
	w.t.Helper()
	told := errors.New("told")
	if err := w.Store.Follow(w.ctx, "object/", func(batch store.Batch) error {
		w.mirror.Note(batch)
		return told
	}); !errors.Is(err, told) {
		w.t.Fatal(err)
	}
}

// must carries out an operation that cannot fail.
func must[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), in In) *Out {
	w.t.Helper()
	answer, err := f(w.ctx, w.caller, &in)
	if err != nil {
		w.t.Fatalf("%T: %v", in, err)
	}
	return answer
}

// refused carries out an operation that must fail with a code.
func refused[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), in In, code string) {
	w.t.Helper()
	_, err := f(w.ctx, w.caller, &in)
	var named *aws.Error
	if !errors.As(err, &named) || named.Code != code {
		w.t.Errorf("%T: %v, want %s", in, err, code)
	}
}

// code is a zip file with a bootstrap of some content.
func (w *world) code(content string) lambda.Code {
	w.t.Helper()
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	entry, err := archive.Create("bootstrap")
	if err == nil {
		_, err = io.WriteString(entry, content)
	}
	if err := errors.Join(err, archive.Close()); err != nil {
		w.t.Fatal(err)
	}
	return lambda.Code{ZipFile: b.Bytes()}
}

func (w *world) create(name string) *lambda.Configuration {
	w.t.Helper()
	return must(w, w.CreateFunction, lambda.CreateFunctionRequest{
		FunctionName: name, Runtime: "provided", Handler: "h", Role: "arn:aws:iam::" + account + ":role/" + roleName, Code: w.code(name), Publish: true,
	})
}

// kept is how many zip files there are.
func (w *world) kept() int {
	w.t.Helper()
	entries, err := os.ReadDir(w.codes)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(entries)
}

// TestAVersionHasOneName holds that no other spelling of its number leads to a version: past a policy that denies by its
// ARN, or past the alias that keeps it from being deleted.
func TestAVersionHasOneName(t *testing.T) {
	w := newWorld(t)
	w.create("spots")
	must(w, w.CreateAlias, lambda.CreateAliasRequest{FunctionName: "spots", Name: "live", FunctionVersion: "1"})
	other := lambda.Reference{FunctionName: "spots", Qualifier: "01"}
	refused(w, w.GetFunction, lambda.GetFunctionRequest{Reference: other}, "ResourceNotFoundException")
	refused(w, w.Invoke, lambda.InvokeRequest{Reference: other}, "ResourceNotFoundException")
	refused(w, w.DeleteFunction, lambda.DeleteFunctionRequest{Reference: other}, "ResourceNotFoundException")
	refused(w, w.CreateAlias, lambda.CreateAliasRequest{FunctionName: "spots", Name: "next", FunctionVersion: "01"}, "ResourceNotFoundException")
	refused(w, w.DeleteFunction, lambda.DeleteFunctionRequest{Reference: lambda.Reference{FunctionName: "spots", Qualifier: "1"}}, "ResourceConflictException")
}

// TestListingsByPages lists functions whose names are in another order than what they are kept by.
func TestListingsByPages(t *testing.T) {
	w := newWorld(t)
	names := []string{"a", "a-b", "a0", "a_b", "b"}
	for _, name := range names {
		w.create(name)
	}
	for _, c := range []struct {
		versions string
		each     int
	}{{"", 1}, {"ALL", 2}} {
		var got []string
		in := lambda.ListFunctionsRequest{FunctionVersion: c.versions, Page: lambda.Page{MaxItems: 1}}
		for {
			page := must(w, w.ListFunctions, in)
			for _, f := range page.Functions {
				got = append(got, f.FunctionName)
			}
			if in.Marker = page.NextMarker; in.Marker == "" {
				break
			}
		}
		if len(got) != c.each*len(names) || !slices.Equal(slices.Compact(slices.Sorted(slices.Values(got))), names) {
			t.Errorf("versions %q: %s", c.versions, strings.Join(got, " "))
		}
	}
}

// TestCodeThatNothingNeedsIsRemoved holds that no request leaves code behind.
func TestCodeThatNothingNeedsIsRemoved(t *testing.T) {
	w := newWorld(t)
	w.create("spots")
	must(w, w.UpdateFunctionCode, lambda.UpdateFunctionCodeRequest{FunctionName: "spots", Code: w.code("dry"), DryRun: true})
	if n := w.kept(); n != 1 {
		t.Errorf("after a dry run there are %d zip files", n)
	}
	must(w, w.UpdateFunctionCode, lambda.UpdateFunctionCodeRequest{FunctionName: "spots", Code: w.code("new")})
	if n := w.kept(); n != 2 { // that of version 1 too
		t.Errorf("after an update there are %d zip files", n)
	}
	must(w, w.DeleteFunction, lambda.DeleteFunctionRequest{Reference: lambda.Reference{FunctionName: "spots"}})
	if n := w.kept(); n != 0 {
		t.Errorf("after the function's end there are %d zip files", n)
	}
}

// TestCodeMayBeReplacedWhileAnInvocationWaits holds that the invocation gets the new code then; and that one whose code is
// really missing does not wait for ever.
func TestCodeMayBeReplacedWhileAnInvocationWaits(t *testing.T) {
	w := newWorld(t)
	w.create("spots")
	group := "arn:aws:vpc-lattice:us-west-2:" + account + ":targetgroup/tg-0123456789abcdef0"
	must(w, w.AddPermission, lambda.AddPermissionRequest{
		Reference: lambda.Reference{FunctionName: "spots"}, StatementID: "s", Action: lambda.InvokeAction, Principal: lambda.LatticeService,
	})
	for name, invoke := range map[string]func() ([]byte, error){
		"API": func() ([]byte, error) {
			answer, err := w.Invoke(w.ctx, w.caller, &lambda.InvokeRequest{Reference: lambda.Reference{FunctionName: "spots"}})
			if err != nil {
				return nil, err
			}
			return answer.Payload, nil
		},
		"VPC Lattice": func() ([]byte, error) {
			return w.InvokeFunction(w.ctx, "arn:aws:lambda:us-west-2:"+account+":function:spots", group, []byte("{}"))
		},
	} {
		found := ""
		w.sync()
		w.runner.invoke = func(f *functions.Function, _ functions.Call) (functions.Result, error) {
			if found == "" {
				found = f.Code
				must(w, w.UpdateFunctionCode, lambda.UpdateFunctionCodeRequest{FunctionName: "spots", Code: w.code(name)})
				time.AfterFunc(10*time.Millisecond, w.sync) // a node is told a moment later
			}
			if f.Code == found {
				return functions.Result{}, functions.ErrNoCode
			}
			return functions.Result{Payload: []byte("1")}, nil
		}
		if got, err := invoke(); err != nil || string(got) != "1" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		w.runner.invoke = func(*functions.Function, functions.Call) (functions.Result, error) {
			return functions.Result{}, functions.ErrNoCode
		}
		if _, err := invoke(); !errors.Is(err, functions.ErrNoCode) {
			t.Errorf("%s: got %v, want %v", name, err, functions.ErrNoCode)
		}
	}
}

// TestClientContext hands a function the context of its client as the Runtime API has it: JSON, which the API has in Base64.
func TestClientContext(t *testing.T) {
	w := newWorld(t)
	w.create("spots")
	got := ""
	w.runner.invoke = func(_ *functions.Function, call functions.Call) (functions.Result, error) {
		got = call.ClientContext
		return functions.Result{Payload: []byte("1")}, nil
	}
	in := lambda.InvokeRequest{Reference: lambda.Reference{FunctionName: "spots"}}
	in.ClientContext = "ewogImN1c3RvbSI6IHsiYSI6ICJiIn0KfQ==" // {"custom": {"a": "b"}} on three lines
	must(w, w.Invoke, in)
	if want := `{"custom":{"a":"b"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, bad := range []string{"e30", "not base64", "MQ==", "bm8="} {
		in.ClientContext = bad
		refused(w, w.Invoke, in, "InvalidRequestContentException")
	}
}

// TestRolesArePassedWhenTheyAreGiven lets a user without iam:PassRole change all of a function but its role.
func TestRolesArePassedWhenTheyAreGiven(t *testing.T) {
	w := newWorld(t)
	created := w.create("spots")
	user := iam.User{Entity: iam.Entity{Account: account, Name: "ada", Path: "/", UniqueID: "AIDA" + account}}
	user.Inline = map[string]string{"own": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:*","Resource":"*"}]}`}
	if _, err := w.Store.Update(w.ctx, func(tx *store.Tx) error {
		return store.NewKind[iam.User](iam.KindUser).Put(tx, iam.ID(account, "ada"), user)
	}); err != nil {
		t.Fatal(err)
	}
	w.caller = iam.Caller{Account: account, ARN: user.ARN(), UserID: user.UniqueID, Type: iam.TypeUser}
	in := lambda.UpdateFunctionConfigurationRequest{FunctionName: "spots", Timeout: new(int32(7))}
	if got := must(w, w.UpdateFunctionConfiguration, in); got.Timeout != 7 || got.Role != created.Role {
		t.Errorf("it is now %+v", got)
	}
	in.Role = created.Role
	refused(w, w.UpdateFunctionConfiguration, in, "AccessDeniedException")
}

// TestFault_C4_PrincipalsOfPermissions lets principals invoke a function that there are, are not, and may be elsewhere.
func TestFault_C4_PrincipalsOfPermissions(t *testing.T) {
	w := newWorld(t)
	w.create("spots")
	n := 0
	for principal, taken := range map[string]bool{
		"*": true, account: true, "999999999999": true, "arn:aws:iam::999999999999:user/anybody": true,
		lambda.LatticeService:                      true,
		"arn:aws:iam::" + account + ":user/nobody": false, "arn:aws:sts::" + account + ":assumed-role/nobody/x": false,
	} {
		n++
		_, err := w.AddPermission(w.ctx, w.caller, &lambda.AddPermissionRequest{
			Reference: lambda.Reference{FunctionName: "spots"}, StatementID: fmt.Sprint("s", n), Action: lambda.InvokeAction,
			Principal: principal,
		})
		var named *aws.Error
		if taken && err != nil || !taken && (!errors.As(err, &named) || named.Code != "InvalidParameterValueException") {
			t.Errorf("%s: %v", principal, err)
		}
	}
}
