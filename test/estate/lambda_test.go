package estate

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/aws/aws-lambda-go/lambda" // of the program in testdata
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"pergola/deployment"
	"pergola/internal/apiclient"
	"pergola/internal/testenv"
)

const (
	functionRole  = "arn:aws:iam::100000000001:role/function"
	functionTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
)

func zipped(t *testing.T, program []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	entry := must(w.CreateHeader(header))(t)
	must(entry.Write(program))(t)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// goBootstrap is the program in testdata, built as its users build theirs.
var goBootstrap = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "bootstrap-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", program, "./testdata/bootstrap")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, errors.New(string(out))
	}
	return os.ReadFile(program)
})

// makeFunction makes a function of the Go program, with an alias, and returns the ARN of that.
func (e *estate) makeFunction(name string, settings map[string]any) string {
	e.t.Helper()
	ctx := e.t.Context()
	if err := e.API.Query(ctx, "iam", "CreateRole", url.Values{"RoleName": {"function"}, "AssumeRolePolicyDocument": {functionTrust}}, nil); err != nil {
		e.t.Fatal(err)
	}
	in := map[string]any{
		"FunctionName": name, "Runtime": "provided.al2023", "Handler": "bootstrap", "Role": functionRole, "Publish": true,
		"Code": map[string]any{"ZipFile": zipped(e.t, must(goBootstrap())(e.t))}, "Timeout": 30,
	}
	for member, value := range settings {
		in[member] = value
	}
	var created struct{ FunctionArn, Version, State string }
	e.lambda("POST", "", in, &created)
	if created.Version != "1" || created.State != "Active" {
		e.t.Errorf("created %+v", created)
	}
	var alias struct{ AliasArn string }
	e.lambda("POST", "/"+name+"/aliases", map[string]any{"Name": "live", "FunctionVersion": created.Version}, &alias)
	return alias.AliasArn
}

func (e *estate) lambda(method, path string, in, out any) {
	e.t.Helper()
	if err := e.API.Lambda(e.t.Context(), method, "/2015-03-31/functions"+path, in, out); err != nil {
		e.t.Fatal(err)
	}
}

func (e *estate) allow(name string, group *vpclattice.CreateTargetGroupOutput) {
	e.t.Helper()
	e.lambda("POST", "/"+name+"/policy?Qualifier=live", map[string]any{
		"StatementId": "lattice", "Action": "lambda:InvokeFunction", "Principal": "vpc-lattice.amazonaws.com", "SourceArn": *group.Arn,
	}, nil)
}

// makeFunctionGroup makes a target group of type LAMBDA that can have a target.
func (e *estate) makeFunctionGroup(name, version string) *vpclattice.CreateTargetGroupOutput {
	e.t.Helper()
	created := must(e.Lattice.CreateTargetGroup(e.t.Context(), &vpclattice.CreateTargetGroupInput{
		Name: &name, Type: types.TargetGroupTypeLambda,
		Config: &types.TargetGroupConfig{LambdaEventStructureVersion: types.LambdaEventStructureVersion(version)},
	}))(e.t)
	e.Eventually("the target group is active", func() bool {
		got := must(e.Lattice.GetTargetGroup(e.t.Context(), &vpclattice.GetTargetGroupInput{TargetGroupIdentifier: created.Id}))(e.t)
		return got.Status == types.TargetGroupStatusActive
	})
	return created
}

// registerFunction registers functions and returns why that failed, or "".
func (e *estate) registerFunction(group *vpclattice.CreateTargetGroupOutput, arns ...string) string {
	e.t.Helper()
	in := &vpclattice.RegisterTargetsInput{TargetGroupIdentifier: group.Id}
	for _, arn := range arns {
		in.Targets = append(in.Targets, types.Target{Id: aws.String(arn)})
	}
	got := must(e.Lattice.RegisterTargets(e.t.Context(), in))(e.t)
	if len(got.Unsuccessful) == 0 {
		return ""
	}
	return *got.Unsuccessful[0].FailureCode + ": " + *got.Unsuccessful[0].FailureMessage
}

func forwardTo(group *vpclattice.CreateTargetGroupOutput) types.RuleAction {
	return &types.RuleActionMemberForward{Value: types.ForwardAction{TargetGroups: []types.WeightedTargetGroup{{TargetGroupIdentifier: group.Id}}}}
}

func (e *estate) send(method, target string, header map[string]string, body io.Reader) (*http.Response, string) {
	e.t.Helper()
	request := must(http.NewRequestWithContext(e.t.Context(), method, target, body))(e.t)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	return e.Do(e.client, request)
}

// TestFunctionBehindAService has requests of a client in a VPC answered by a Go function.
func TestFunctionBehindAService(t *testing.T) {
	e := newEstate(t)
	arn := e.makeFunction("spots", map[string]any{"Timeout": 3})
	group := e.makeFunctionGroup("spots", "V2")

	for refused, arn := range map[string]string{
		"no Lambda function of that ARN": "arn:aws:lambda:us-west-2:100000000001:function:other",
		"has no version or alias":        strings.TrimSuffix(arn, "live") + "dead",
		"not in the account":             "arn:aws:lambda:us-west-2:100000000009:function:spots:live",
		"is not the ARN of a function":   "spots",
	} {
		if got := e.registerFunction(group, arn); !strings.HasPrefix(got, "InvalidTarget: ") || !strings.Contains(got, refused) {
			t.Errorf("registering %s: %q, want one about %q", arn, got, refused)
		}
	}
	if got := e.registerFunction(group, arn); got != "" {
		t.Fatal(got)
	}
	e.lambda("POST", "/spots/policy", map[string]any{
		"StatementId": "all", "Action": "lambda:InvokeFunction", "Principal": "vpc-lattice.amazonaws.com",
	}, nil)
	if got := e.registerFunction(group, strings.TrimSuffix(arn, ":live")); !strings.Contains(got, "a target group has one function") {
		t.Errorf("registering a second function: %q", got)
	}
	targets := must(e.Lattice.ListTargets(t.Context(), &vpclattice.ListTargetsInput{TargetGroupIdentifier: group.Id}))(t)
	if len(targets.Items) != 1 || targets.Items[0].Status != types.TargetStatusUnavailable || *targets.Items[0].ReasonCode != "HealthCheckNotSupported" {
		t.Errorf("targets: %+v", targets.Items)
	}

	s := e.makeService("spots", forwardTo(group))
	response, body := e.send("GET", s.url("/a%20b?x=1&x=2"), nil, nil)
	if response.StatusCode != 201 || body != "GET /a%20b?x=1&x=2 by "+arn+", in time: true" || response.Header.Get("X-Request") == "" ||
		response.Header.Get("Content-Type") != "text/plain" || response.ContentLength != int64(len(body)) {
		t.Errorf("got %d %v %s", response.StatusCode, response.Header, body)
	}
	if response, body := e.send("GET", s.url("/"), map[string]string{"x-do": "binary"}, nil); response.StatusCode != 200 || body != "\x00\x01\xff" {
		t.Errorf("binary: got %d %q", response.StatusCode, body)
	}
	if response, body := e.send("HEAD", s.url("/"), nil, nil); response.StatusCode != 201 || body != "" || response.ContentLength <= 0 {
		t.Errorf("HEAD: got %d %d %q", response.StatusCode, response.ContentLength, body)
	}
	for what, status := range map[string]int{"fail": 502, "panic": 502, "exit": 502, "nonsense": 502, "large": 502, "sleep": 502, "eat": 502} {
		if response, body := e.send("GET", s.url("/"), map[string]string{"x-do": what}, nil); response.StatusCode != status || body != "Bad Gateway" {
			t.Errorf("%s: got %d %.100s, want %d", what, response.StatusCode, body, status)
		}
	}
	if response, _ := e.send("POST", s.url("/"), nil, bytes.NewReader(make([]byte, 6<<20+1))); response.StatusCode != 413 {
		t.Errorf("a body beyond 6 MB: got %d", response.StatusCode)
	}
	if response, _ := e.send("POST", s.url("/"), nil, io.LimitReader(endless{}, 6<<20)); response.StatusCode != 201 {
		t.Errorf("a chunked body of 6 MB: got %d", response.StatusCode)
	}

	e.lambda("DELETE", "/spots/policy/vpc-lattice-"+*group.Id+"?Qualifier=live", nil, nil)
	if response, body := e.send("GET", s.url("/"), nil, nil); response.StatusCode != 503 || body != "Service Unavailable" {
		t.Errorf("without permission: got %d %s", response.StatusCode, body)
	}
	e.allow("spots", group)
	if response, _ := e.send("GET", s.url("/"), nil, nil); response.StatusCode != 201 {
		t.Errorf("with permission again: got %d", response.StatusCode)
	}
	e.lambda("DELETE", "/spots", nil, nil)
	if response, _ := e.send("GET", s.url("/"), nil, nil); response.StatusCode != 503 {
		t.Errorf("a function that is gone: got %d", response.StatusCode)
	}
}

// endless is zeros without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestEventsOfAService has a function return its event, in both structures, within a response.
func TestEventsOfAService(t *testing.T) {
	e := newEstate(t)
	role := url.Values{"RoleName": {"function"}, "AssumeRolePolicyDocument": {functionTrust}}
	if err := e.API.Query(t.Context(), "iam", "CreateRole", role, nil); err != nil {
		t.Fatal(err)
	}
	// A shell function, which puts the event into the body of its response.
	e.lambda("POST", "", map[string]any{
		"FunctionName": "echo", "Runtime": "provided.al2", "Handler": "none", "Role": functionRole,
		"Code": map[string]any{"ZipFile": zipped(t, []byte(`#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  event=$(curl -sS -D "$TMPDIR/head" "$api/next") || exit 1
  id=$(tr -d '\r' < "$TMPDIR/head" | sed -n 's/^Lambda-Runtime-Aws-Request-Id: //p')
  body=$(printf %s "$event" | base64 -w 0)
  curl -sS -o /dev/null "$api/$id/response" -d "{\"statusCode\":200,\"headers\":{},\"isBase64Encoded\":true,\"body\":\"$body\"}"
done
`))},
	}, nil)
	for _, version := range []string{"V1", "V2"} {
		group := e.makeFunctionGroup("echo-"+strings.ToLower(version), version)
		e.lambda("POST", "/echo/policy", map[string]any{
			"StatementId": version, "Action": "lambda:InvokeFunction", "Principal": "vpc-lattice.amazonaws.com", "SourceArn": *group.Arn,
		}, nil)
		if got := e.registerFunction(group, "arn:aws:lambda:us-west-2:100000000001:function:echo"); got != "" {
			t.Fatal(got)
		}
		s := e.makeService("echo-"+strings.ToLower(version), forwardTo(group))
		header := map[string]string{"Content-Type": "application/json", "X-Two": "b", "X-Amzn-Lattice-Identity": "Principal=liar"}
		response, body := e.send("POST", s.url("/p?k=1&k=2"), header, strings.NewReader(`{"a":"<ü>"}`))
		var event struct {
			RawPath        string `json:"raw_path"`
			Path, Body     string
			Headers, Query map[string]any
			V1Query        map[string]string   `json:"query_string_parameters"`
			V2Query        map[string][]string `json:"queryStringParameters"`
			RequestContext struct {
				ServiceNetworkArn, ServiceArn, TargetGroupArn, Region, TimeEpoch string
				Identity                                                         map[string]string
			}
		}
		if err := json.Unmarshal([]byte(body), &event); err != nil || response.StatusCode != 200 {
			t.Fatalf("%s: %d %s %v", version, response.StatusCode, body, err)
		}
		if event.RawPath+event.Path != "/p?k=1&k=2" || event.Body != `{"a":"<ü>"}` || event.Headers["x-amzn-lattice-identity"] != nil {
			t.Errorf("%s: %s", version, body)
		}
		if version == "V1" {
			if network, _ := event.Headers["x-amzn-lattice-network"].(string); event.V1Query["k"] != "1" || event.Headers["x-two"] != "b" ||
				event.Headers["x-forwarded-for"] != "10.20.1.10" || !strings.Contains(network, "vpc/"+e.clients.ID) {
				t.Errorf("V1: %s", body)
			}
			continue
		}
		c := event.RequestContext
		if strings.Join(event.V2Query["k"], ",") != "1,2" || event.Headers["x-amzn-lattice-network"] != nil || c.TargetGroupArn != *group.Arn ||
			!strings.HasSuffix(c.ServiceArn, s.id) || !strings.HasSuffix(c.ServiceNetworkArn, e.network) || c.Region != "us-west-2" ||
			len(c.TimeEpoch) != 16 || len(c.Identity) != 1 || !strings.HasSuffix(c.Identity["sourceVpcArn"], e.clients.ID) {
			t.Errorf("V2: %s", body)
		}
	}
}

// TestFunctionElsewhere forwards to a function of another place by its Invoke API.
func TestFunctionElsewhere(t *testing.T) {
	var asked, signature string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, signature = r.Method+" "+r.URL.EscapedPath(), r.Header.Get("Authorization")
		_, _ = io.WriteString(w, `{"statusCode":202,"body":"from elsewhere"}`)
	}))
	defer other.Close()
	config := deployment.Config{Dir: must(os.MkdirTemp("", "pergola-"))(t), NoSync: true, LambdaEndpoint: other.URL}
	t.Cleanup(func() { _ = os.RemoveAll(config.Dir) })
	config.LambdaCredentials.AccessKeyID, config.LambdaCredentials.SecretAccessKey = "AKIAELSEWHERE", "secret"
	e := newEstateOn(t, testenv.StartIn(t, config))
	group := e.makeFunctionGroup("far", "V2")
	if got := e.registerFunction(group, "arn:aws:lambda:us-west-2:100000000001:function:far:live"); got != "" {
		t.Fatal(got)
	}
	s := e.makeService("far", forwardTo(group))
	response, body := e.send("GET", s.url("/"), nil, nil)
	if response.StatusCode != 202 || body != "from elsewhere" {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
	if asked != "POST /2015-03-31/functions/arn:aws:lambda:us-west-2:100000000001:function:far:live/invocations" || !strings.Contains(signature, "Credential=AKIAELSEWHERE/") {
		t.Errorf("asked for %s with %s", asked, signature)
	}
	other.Close()
	if response, _ := e.send("GET", s.url("/"), nil, nil); response.StatusCode != 503 {
		t.Errorf("an endpoint that is gone: got %d", response.StatusCode)
	}
}

// TestAFunctionHasItsRole lets a function's own credentials prove who it is, and sees what it finds in its environment.
func TestAFunctionHasItsRole(t *testing.T) {
	dir, err := os.MkdirTemp("", "pergola-") // its path is short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	e := newEstateOn(t, testenv.StartIn(t, deployment.Config{Dir: dir, NoSync: true}))
	arn := e.makeFunction("spots", map[string]any{"Environment": map[string]any{"Variables": map[string]string{"COLOUR": "red"}}, "MemorySize": 256})
	var found map[string]string
	e.lambda("POST", "/spots:live/invocations", map[string]string{"do": "environment"}, &found)
	for name, want := range map[string]string{
		"COLOUR": "red", "AWS_REGION": "us-west-2", "AWS_LAMBDA_FUNCTION_NAME": "spots", "AWS_LAMBDA_FUNCTION_VERSION": "1",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "_HANDLER": "bootstrap", "AWS_ENDPOINT_URL": e.Endpoint(),
	} {
		if found[name] != want {
			t.Errorf("%s is %q, want %q", name, found[name], want)
		}
	}
	environment := e.API.Environment
	environment.AccessKeyID, environment.SecretAccessKey, environment.SessionToken = found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"], found["AWS_SESSION_TOKEN"]
	var who struct {
		ARN string `xml:"GetCallerIdentityResult>Arn"`
	}
	own := &apiclient.Client{Environment: environment}
	if err := own.Query(t.Context(), "sts", "GetCallerIdentity", nil, &who); err != nil || who.ARN != "arn:aws:sts::100000000001:assumed-role/function/spots" {
		t.Errorf("the function is %s: %v", who.ARN, err)
	}
	// It may do nothing that its role may not, its own invocation included.
	var refused *apiclient.Error
	if err := own.Lambda(t.Context(), "POST", "/2015-03-31/functions/"+url.PathEscape(arn)+"/invocations", nil, nil); !errors.As(err, &refused) || refused.Status != 403 {
		t.Errorf("got %v", err)
	}
	left := func() (names []string) {
		for _, of := range []string{"code", "tmp"} {
			entries, err := os.ReadDir(filepath.Join(dir, "functions", of))
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				names = append(names, entry.Name())
			}
		}
		return names
	}
	if got := left(); len(got) != 3 {
		t.Errorf("of a function there are %q, want its code, the zip file and a temporary directory", got)
	}
	e.lambda("DELETE", "/spots", nil, nil)
	if got := left(); len(got) != 0 {
		t.Errorf("of a deleted function there are %q", got)
	}
}

// TestFunctionByTheCLI makes and invokes a function with the AWS CLI.
func TestFunctionByTheCLI(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS CLI is not installed")
	}
	e := newEstate(t)
	e.makeFunction("spots", nil)
	out, fail := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "fail")
	if err := os.WriteFile(fail, []byte(`{"do":"fail"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ command, printed, payload string }{
		{"invoke --function-name spots:live --log-type Tail --query [StatusCode,ExecutedVersion]", `"1"`, `"statusCode":201`},
		{"invoke --function-name spots --payload fileb://" + fail + " --query FunctionError", "Unhandled", `"errorMessage":"it did not work"`},
		{"invoke --function-name spots --invocation-type DryRun --query StatusCode", "204", ""},
		{"invoke --function-name spots --invocation-type Event", "InvalidParameterValueException", ""},
		{"invoke --function-name spots:none", "ResourceNotFoundException", ""},
	} {
		args := append([]string{"--output", "json", "lambda"}, strings.Fields(c.command)...)
		args = append(args, out)
		printed := e.cli(t.Context(), args)
		payload, _ := os.ReadFile(out)
		if !strings.Contains(printed, c.printed) || !strings.Contains(string(payload), c.payload) {
			t.Errorf("aws lambda %s\nprinted %s\npayload %s", c.command, printed, payload)
		}
	}
}

func (e *estate) cli(ctx context.Context, args []string) string {
	run := exec.CommandContext(ctx, "aws", args...)
	run.Env = append(os.Environ(), "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "AWS_EC2_METADATA_DISABLED=true")
	for _, v := range e.API.Environment.Variables() {
		run.Env = append(run.Env, v.Name+"="+v.Value)
	}
	printed, _ := run.CombinedOutput() // a failure is in the output
	return string(printed)
}
