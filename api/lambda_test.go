package api

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pergola/aws/iam"
	"pergola/aws/lambda"
	"pergola/aws/organizations"
	"pergola/functions"
	"pergola/sigv4"
)

// runner says what it should run.
type runner struct{}

func (runner) Invoke(_ context.Context, f *functions.Function, call functions.Call) (functions.Result, error) {
	if strings.Contains(string(call.Payload), "busy") {
		return functions.Result{}, functions.ErrThrottled
	}
	said, err := json.Marshal(map[string]any{"arn": call.ARN, "version": f.Version, "memory": f.Memory, "timeout": f.Timeout / time.Second})
	return functions.Result{Payload: said, Log: []byte("END")}, err
}

func (runner) Forget(string) {}

// zipFile is a zip file with a bootstrap.
func zipFile(t *testing.T, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	entry, err := w.Create("bootstrap")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(entry, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLambdaCLI(t *testing.T) {
	t.Parallel()
	p := newCLI(t)
	dir := t.TempDir()
	one, two, none, out := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "none"), filepath.Join(dir, "out")
	for path, content := range map[string][]byte{one: zipFile(t, "1"), two: zipFile(t, "2"), none: []byte("none")} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	const stranger = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	create := "lambda create-function --runtime provided.al2023 --handler bootstrap --zip-file fileb://" + one + " --role arn:aws:iam::100000000001:role/"
	p.runCLI(t, []step{
		{"iam create-role --role-name function --assume-role-policy-document " + trust + " --query Role.Arn", "", "role/function"},
		{"iam create-role --role-name other --assume-role-policy-document " + stranger + " --query Role.Arn", "", "role/other"},
		{create + "function --function-name spots --timeout 7 --memory-size 256 --environment Variables={COLOUR=red} --tags team=a --query [FunctionArn,Version,State]", "", "arn:aws:lambda:us-west-2:100000000001:function:spots"},
		{create + "function --function-name spots", "", "ResourceConflictException"},
		{create + "none --function-name more", "", "cannot be assumed by Lambda"},
		{create + "other --function-name more", "", "cannot be assumed by Lambda"},
		{create + "function --function-name more --runtime python3.13", "", "is not served here"},
		{create + "function --function-name more --timeout 901", "", "ValidationException"},
		{create + "function --function-name more --memory-size 127", "", "alid"},
		{create + "function --function-name more --layers arn:aws:lambda:us-west-2:100000000001:layer:a:1", "", "Layers asks for what is not served"},
		{create + "function --function-name logged --logging-config LogFormat=JSON --query LoggingConfig.[LogFormat,LogGroup]", "", "JSON"},
		{"lambda delete-function --function-name logged", "", ""},
		{create + "function --function-name more --logging-config LogGroup=" + strings.Repeat("x", 513), "", "LoggingConfig.LogGroup"},
		{create + "function --function-name more --logging-config LogGroup=a:b", "", "LoggingConfig.LogGroup"},
		{create + "function --function-name more --logging-config LogFormat=JSON,ApplicationLogLevel=LOUD", "", "LoggingConfig.ApplicationLogLevel"},
		{create + "function --function-name more --logging-config LogFormat=JSON,SystemLogLevel=TRACE", "", "LoggingConfig.SystemLogLevel"},
		{create + "function --function-name more --environment Variables={AWS_REGION=x}", "", "reserved keys"},
		{"lambda wait function-active-v2 --function-name spots", "", ""},
		{"lambda get-function --function-name spots --query [Configuration.Timeout,Configuration.Environment.Variables.COLOUR,Tags.team]", "", "red"},
		{"lambda get-function --function-name none", "", "ResourceNotFoundException"},
		{"lambda get-function-configuration --function-name spots --query CodeSha256", "sum", "="},
		{"lambda update-function-configuration --function-name spots --timeout 9 --query [Timeout,MemorySize]", "", "256"},
		{"lambda publish-version --function-name spots --query Version", "", `"1"`},
		{"lambda publish-version --function-name spots --query Version", "", `"1"`},
		{"lambda publish-version --function-name spots --code-sha256 x", "", "InvalidParameterValueException"},
		{"lambda update-function-code --function-name spots --zip-file fileb://" + two + " --revision-id old", "", "PreconditionFailedException"},
		{"lambda update-function-code --function-name spots --zip-file fileb://" + two + " --dry-run --query Version", "", "$LATEST"},
		{"lambda update-function-code --function-name spots --zip-file fileb://" + two + " --publish --query Version", "", `"2"`},
		{"lambda list-versions-by-function --function-name spots --query Versions[].Version", "", "$LATEST"},
		{"lambda list-versions-by-function --function-name spots --max-items 2 --query Versions[].Version", "", `"1"`},
		{"lambda create-alias --function-name spots --name live --function-version 1 --query AliasArn", "alias", "function:spots:live"},
		{"lambda create-alias --function-name spots --name live --function-version 1", "", "ResourceConflictException"},
		{"lambda create-alias --function-name spots --name next --function-version 9", "", "ResourceNotFoundException"},
		{"lambda create-alias --function-name spots --name 12 --function-version 1", "", "ValidationException"},
		{"lambda create-alias --function-name spots --name next --function-version 1 --routing-config AdditionalVersionWeights={2=0.5}", "", "RoutingConfig is not served"},
		{"lambda update-alias --function-name spots --name live --function-version 2 --description new --query FunctionVersion", "", `"2"`},
		{"lambda get-alias --function-name spots --name live --query Description", "", "new"},
		{"lambda list-aliases --function-name spots --function-version 2 --query Aliases[].Name", "", "live"},
		{"lambda list-aliases --function-name spots --function-version 1 --query length(Aliases)", "", "0"},
		{"lambda delete-function --function-name spots --qualifier 2", "", "ResourceConflictException"},
		{"lambda invoke --function-name {alias} --log-type Tail --query [ExecutedVersion,LogResult] " + out, "", "RU5E"},
		{"lambda invoke --function-name spots --qualifier live --query StatusCode " + out, "", "200"},
		{"lambda invoke --function-name spots --payload fileb://" + none + " " + out, "", "InvalidRequestContentException"},
		{"lambda add-permission --function-name spots:live --statement-id lattice --action lambda:InvokeFunction --principal vpc-lattice.amazonaws.com --source-arn arn:aws:vpc-lattice:us-west-2:100000000001:targetgroup/tg-0123456789abcdef0 --query Statement", "", "vpc-lattice.amazonaws.com"},
		{"lambda add-permission --function-name spots:live --statement-id lattice --action lambda:InvokeFunction --principal vpc-lattice.amazonaws.com", "", "ResourceConflictException"},
		{"lambda add-permission --function-name spots --statement-id x --action lambda:InvokeFunction --principal nobody", "", "principal was invalid"},
		{"lambda add-permission --function-name spots --statement-id x --action lambda:InvokeFunction --principal * --principal-org-id o-${aws:PrincipalOrgID}", "", "PrincipalOrgID"},
		{"lambda get-policy --function-name {alias} --query Policy", "", "AWS:SourceArn"},
		{"lambda get-policy --function-name spots", "", "ResourceNotFoundException"},
		{"lambda remove-permission --function-name {alias} --statement-id lattice", "", ""},
		{"lambda remove-permission --function-name {alias} --statement-id lattice", "", "ResourceNotFoundException"},
		{"lambda put-function-concurrency --function-name spots --reserved-concurrent-executions 0 --query ReservedConcurrentExecutions", "", "0"},
		{"lambda invoke --function-name spots " + out, "", "TooManyRequestsException"},
		{"lambda get-function-concurrency --function-name spots --query ReservedConcurrentExecutions", "", "0"},
		{"lambda delete-function-concurrency --function-name spots", "", ""},
		{"lambda get-function-code-signing-config --function-name spots --query FunctionName", "", "spots"},
		{"lambda tag-resource --resource arn:aws:lambda:us-west-2:100000000001:function:spots --tags team=b,stage=test", "", ""},
		{"lambda untag-resource --resource arn:aws:lambda:us-west-2:100000000001:function:spots --tag-keys stage", "", ""},
		{"lambda list-tags --resource arn:aws:lambda:us-west-2:100000000001:function:spots --query Tags", "", `"team": "b"`},
		{"lambda list-functions --query Functions[].FunctionName", "", "spots"},
		{"lambda list-functions --function-version ALL --query Functions[].Version", "", `"2"`},
		{"lambda delete-alias --function-name spots --name live", "", ""},
		{"lambda delete-function --function-name spots --qualifier 1", "", ""},
		{"lambda delete-function --function-name spots", "", ""},
		{"lambda list-functions --query length(Functions)", "", "0"},
	})
}

// TestLambdaTakesCode has room for what no other service takes, and no more than that.
func TestLambdaTakesCode(t *testing.T) {
	p := newPlane(t)
	makeFunctionRole(t, p)
	random := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{}).Read(random)
	create := func(service, name string, code []byte) (int, string) {
		body, err := json.Marshal(map[string]any{
			"FunctionName": name, "Runtime": "provided.al2023", "Handler": "h", "Role": functionRole, "Code": map[string]any{"ZipFile": code},
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), "POST", p.url+"/2015-03-31/functions", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		signer := sigv4.Signer{AccessKeyID: p.credential.AccessKeyID, SecretAccessKey: p.credential.Secret, Region: testRegion, Service: service}
		if err := signer.SignHTTP(r, body, time.Now()); err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode, bodyOf(t, response)
	}
	if status, body := create("lambda", "large", zipFile(t, string(random))); status != 201 {
		t.Errorf("3 MiB: %d %s", status, body)
	}
	if status, body := create("lambda", "larger", make([]byte, lambda.MaxZip+1)); status != 400 || !strings.Contains(body, "Could not unzip") {
		t.Errorf("more than %d bytes: %d %s", lambda.MaxZip, status, body)
	}
	if status, body := create("vpc-lattice", "large", random); status != 400 || !strings.Contains(body, "the body is longer than 1048576 bytes") {
		t.Errorf("for another service: %d %s", status, body)
	}
}

const functionRole = "arn:aws:iam::100000000001:role/function"

func makeFunctionRole(t *testing.T, p plane) {
	t.Helper()
	p.makeRole(t, "function", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)
}

// TestWhoMayInvoke is the union of the caller's policies and the function's within an account, and both across accounts.
func TestWhoMayInvoke(t *testing.T) {
	p := newPlane(t)
	makeFunctionRole(t, p)
	ctx, functions := t.Context(), p.config.Lambda
	_, err := functions.CreateFunction(ctx, rootCaller(), &lambda.CreateFunctionRequest{
		FunctionName: "spots", Runtime: "provided", Handler: "h", Role: functionRole, Code: lambda.Code{ZipFile: zipFile(t, "1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	poor := p.newUser(t, "poor")
	foreign := iam.Caller{Account: "100000000002", ARN: "arn:aws:iam::100000000002:root", Type: iam.TypeAccount}
	may := func(caller iam.Caller) bool {
		t.Helper()
		in := &lambda.InvokeRequest{Reference: lambda.Reference{FunctionName: "arn:aws:lambda:us-west-2:100000000001:function:spots"}}
		_, err := functions.Invoke(ctx, caller, in)
		if action, _ := refusedWhat(t, err); err != nil && action != "lambda:InvokeFunction" {
			t.Fatal(err)
		}
		return err == nil
	}
	organization, err := p.config.Organizations.CreateOrganization(ctx, rootCaller(), &organizations.CreateOrganizationRequest{})
	if err != nil {
		t.Fatal(err)
	}
	grant := func(principal, of string) (revoke func()) {
		t.Helper()
		reference := lambda.Reference{FunctionName: "spots"}
		_, err := functions.AddPermission(ctx, rootCaller(), &lambda.AddPermissionRequest{
			Reference: reference, StatementID: "s", Action: lambda.InvokeAction, Principal: principal, PrincipalOrgID: of,
		})
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			if _, err := functions.RemovePermission(ctx, rootCaller(), &lambda.RemovePermissionRequest{Reference: reference, StatementID: "s"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if may(poor) || may(foreign) || !may(rootCaller()) {
		t.Error("without a policy: the account's own root user alone may")
	}
	for _, c := range []struct {
		principal, organization string
		poor, foreign           bool
	}{
		{poor.ARN, "", true, false}, {"100000000001", "", false, false}, {"100000000002", "", false, true}, {"*", "", true, true},
		{"*", organization.Organization.ID, true, false}, {"*", "o-0123456789", false, false}, {"vpc-lattice.amazonaws.com", "", false, false},
	} {
		revoke := grant(c.principal, c.organization)
		if got := may(poor); got != c.poor {
			t.Errorf("%s %s granted: a user without policies: %t", c.principal, c.organization, got)
		}
		if got := may(foreign); got != c.foreign {
			t.Errorf("%s %s granted: another account: %t", c.principal, c.organization, got)
		}
		revoke()
	}
	p.putPolicy(t, "poor", []permission{{"lambda:InvokeFunction", "arn:aws:lambda:*:*:function:spots"}})
	if !may(poor) {
		t.Error("the user's own policy does not let it")
	}
}
