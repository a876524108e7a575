package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/aws/iam"
	"pergola/control/sts"
	"pergola/lattice"
	"pergola/sigv4"
)

const (
	testRegion = "us-west-2"
	testKey    = "AKIATEST"
	testSecret = "secret"
)

var (
	testNow    = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	testCaller = iam.Caller{Account: "100000000001", ARN: "arn:aws:iam::100000000001:user/admin", UserID: "AIDATEST"}
)

// oneKey knows a single access key.
type oneKey struct{}

func (oneKey) Find(_ context.Context, id string) (string, iam.Caller, error) {
	switch id {
	case testKey:
		return testSecret, testCaller, nil
	case "AKIABROKEN":
		return "", iam.Caller{}, errors.New("the disk is on fire")
	}
	return "", iam.Caller{}, sigv4.ErrUnknownKey
}

// zeros is a source of no randomness at all.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// testDoor is a door with a few operations that do what tests need, and its log.
func testDoor() (http.Handler, *bytes.Buffer) {
	var log bytes.Buffer
	get := func(_ context.Context, caller iam.Caller, in *lattice.GetServiceRequest) (*lattice.GetServiceResponse, error) {
		switch in.ServiceIdentifier {
		case "svc-00000000000000001":
			panic("at the disco")
		case "svc-00000000000000002":
			return nil, errors.New("secret detail")
		case "svc-00000000000000003":
			return nil, lattice.NotFoundError(lattice.KindService, in.ServiceIdentifier)
		case "svc-00000000000000004":
			return nil, lattice.QuotaServices.Exceeded(lattice.KindService, 3)
		case "svc-00000000000000005":
			return nil, &lattice.Error{Kind: lattice.Throttling, Message: "slow down", RetryAfterSeconds: 7, QuotaCode: "L-1"}
		case "svc-00000000000000006":
			return nil, &lattice.Error{Kind: lattice.Validation, Message: "no"}
		}
		return &lattice.GetServiceResponse{ID: in.ServiceIdentifier, Name: caller.Account, CreatedAt: lattice.Time{Time: testNow}}, nil
	}
	create := func(_ context.Context, _ iam.Caller, in *lattice.CreateServiceRequest) (*lattice.CreateServiceResponse, error) {
		return &lattice.CreateServiceResponse{Name: in.Name}, nil
	}
	remove := func(context.Context, iam.Caller, *lattice.DeleteServiceNetworkRequest) (*lattice.Empty, error) {
		return &lattice.Empty{}, nil
	}
	createVPC := func(_ context.Context, _ iam.Caller, in *ec2.CreateVPCRequest) (*ec2.CreateVPCResponse, error) {
		if in.CIDRBlock == "panic" {
			panic("in the streets")
		}
		if in.CIDRBlock == "bad" {
			return nil, aws.Errorf("InvalidVpc.Range", "The CIDR <bad> is invalid.")
		}
		return &ec2.CreateVPCResponse{VPC: ec2.VPCDescription{ID: "vpc-1", CIDRBlock: in.CIDRBlock}}, nil
	}
	cfg := Config{
		Keys: oneKey{}, Region: testRegion, Now: func() time.Time { return testNow },
		Random: zeros{}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}
	return newDoor(cfg, map[string]protocol{
		"vpc-lattice": newRESTJSON([]operation{
			rest("GetService", "GET", "/services/{serviceIdentifier}", 200, get),
			rest("CreateService", "POST", "/services", 201, create),
			rest("DeleteServiceNetwork", "DELETE", "/servicenetworks/{serviceNetworkIdentifier}", 204, remove),
		}),
		"ec2": newQuery(ec2Style, []operation{action("CreateVpc", createVPC)}),
		"sts": newQuery(stsStyle, stsOperations(sts.New(sts.Config{}))),
	}), &log
}

// signed makes a signed request.
func signed(t testing.TB, method, target, service, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, "http://api.test"+target, strings.NewReader(body))
	signer := sigv4.Signer{AccessKeyID: testKey, SecretAccessKey: testSecret, Region: testRegion, Service: service}
	if err := signer.SignHTTP(r, []byte(body), testNow); err != nil {
		t.Fatal(err)
	}
	return r
}

func serve(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestAnswers(t *testing.T) {
	const id = "svc-0123456789abcdef0"
	for _, c := range []struct {
		name, method, target, service, body string
		status                              int
		errorType, contains                 string
	}{
		{"get", "GET", "/services/" + id, "vpc-lattice", "", 200, "", `"createdAt":"2026-01-02T03:04:05.000Z"`},
		{"arn in one segment", "GET", "/services/arn%3Aaws%3Avpc-lattice%3Aus-west-2%3A100000000001%3Aservice%2F" + id, "vpc-lattice", "", 200, "", "service/" + id},
		{"create", "POST", "/services", "vpc-lattice", `{"name":"abc"}`, 201, "", `"name":"abc"`},
		{"no body", "DELETE", "/servicenetworks/sn-0123456789abcdef0", "vpc-lattice", "", 204, "", ""},
		{"arn in two segments", "GET", "/services/arn:aws:vpc-lattice:us-west-2:100000000001:service/" + id, "vpc-lattice", "", 400, "ValidationException", `"reason":"unknownOperation"`},
		{"unknown path", "GET", "/nothing", "vpc-lattice", "", 400, "ValidationException", `"reason":"unknownOperation"`},
		{"unknown method", "PUT", "/services", "vpc-lattice", "", 400, "ValidationException", `takes POST`},
		{"options", "OPTIONS", "/services", "vpc-lattice", "", 400, "ValidationException", `"reason":"unknownOperation"`},
		{"bad label", "GET", "/services/svc-1", "vpc-lattice", "", 400, "ValidationException", `"fieldList":[{"name":"serviceIdentifier"`},
		{"bad query", "GET", "/services/" + id + "?a;b", "vpc-lattice", "", 400, "ValidationException", `"reason":"cannotParse"`},
		{"bad body", "POST", "/services", "vpc-lattice", `{`, 400, "ValidationException", `"reason":"cannotParse"`},
		{"empty body", "POST", "/services", "vpc-lattice", "", 400, "ValidationException", `"name":"name","message":"is required"`},
		{"too long", "POST", "/services", "vpc-lattice", `{"name":"` + strings.Repeat("x", maxBody) + `"}`, 400, "ValidationException", `"reason":"other"`},
		{"panic", "GET", "/services/svc-00000000000000001", "vpc-lattice", "", 500, "InternalServerException", `00000000-0000-4000-8000-000000000000`},
		{"failure", "GET", "/services/svc-00000000000000002", "vpc-lattice", "", 500, "InternalServerException", `"message":"The request failed`},
		{"not found", "GET", "/services/svc-00000000000000003", "vpc-lattice", "", 404, "ResourceNotFoundException", `"resourceId":"svc-00000000000000003","resourceType":"SERVICE"`},
		{"quota", "GET", "/services/svc-00000000000000004", "vpc-lattice", "", 402, "ServiceQuotaExceededException", `"resourceType":"SERVICE","serviceCode":"vpc-lattice","quotaCode":"L-620C821E"`},
		{"throttling", "GET", "/services/svc-00000000000000005", "vpc-lattice", "", 429, "ThrottlingException", `"serviceCode":"vpc-lattice","quotaCode":"L-1"`},
		{"reason is always there", "GET", "/services/svc-00000000000000006", "vpc-lattice", "", 400, "ValidationException", `"reason":"other"`},
		{"unknown service", "GET", "/", "eks", "", 404, "UnknownOperationException", "there are ec2, sts, vpc-lattice"},

		{"action", "POST", "/", "ec2", "Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0/16", 200, "", "<CreateVpcResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>00000000-0000-4000-8000-000000000000</requestId><vpc><vpcId>vpc-1</vpcId>"},
		{"action in the query", "GET", "/?Action=CreateVpc&CidrBlock=10.0.0.0%2F16", "ec2", "", 200, "", "<tagSet></tagSet>"},
		{"action in the query of a post", "POST", "/?Action=CreateVpc", "ec2", "CidrBlock=10.0.0.0/16", 200, "", "<cidrBlock>10.0.0.0/16</cidrBlock>"},
		{"error of an action", "POST", "/", "ec2", "Action=CreateVpc&CidrBlock=bad", 400, "", "<Response><Errors><Error><Code>InvalidVpc.Range</Code><Message>The CIDR &lt;bad&gt; is invalid.</Message></Error></Errors><RequestID>00000000-"},
		{"panic in an action", "POST", "/", "ec2", "Action=CreateVpc&CidrBlock=panic", 500, "", "<Code>InternalError</Code>"},
		{"missing parameter", "POST", "/", "ec2", "Action=CreateVpc", 400, "", "<Code>MissingParameter</Code><Message>The request must contain the parameter CidrBlock</Message>"},
		{"unknown action", "POST", "/", "ec2", "Action=Dance", 400, "", "<Code>InvalidAction</Code>"},
		{"no action", "POST", "/", "ec2", "", 400, "", "<Code>MissingAction</Code>"},
		{"other version", "POST", "/", "ec2", "Action=CreateVpc&Version=2010-01-01", 400, "", "<Code>NoSuchVersion</Code>"},
		{"dry run", "POST", "/", "ec2", "Action=CreateVpc&CidrBlock=10.0.0.0/16&DryRun=true", 400, "", "<Code>UnsupportedOperation</Code>"},
		{"other method", "PUT", "/", "ec2", "Action=CreateVpc", 405, "", "<Code>InvalidAction</Code>"},
		{"twice", "POST", "/", "ec2", "Action=CreateVpc&CidrBlock=1&CidrBlock=2", 400, "", "<Code>MalformedQueryString</Code>"},
		{"too long for a form", "POST", "/", "ec2", strings.Repeat("x", maxBody+1), 400, "", "<Code>ValidationError</Code>"},
		{"identity", "POST", "/", "sts", "Action=GetCallerIdentity&Version=2011-06-15", 200, "", "<GetCallerIdentityResult><Account>100000000001</Account><Arn>arn:aws:iam::100000000001:user/admin</Arn><UserId>AIDATEST</UserId></GetCallerIdentityResult><ResponseMetadata><RequestId>00000000-"},
		{"unknown action of sts", "POST", "/", "sts", "Action=Dance", 400, "", "<Type>Sender</Type><Code>InvalidAction</Code>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			door, _ := testDoor()
			response := serve(door, signed(t, c.method, c.target, c.service, c.body))
			body := bodyOf(t, response)
			if response.StatusCode != c.status || response.Header.Get("X-Amzn-Errortype") != c.errorType || !strings.Contains(body, c.contains) {
				t.Errorf("%d %s\n%s\nwant %d %s … %s", response.StatusCode, response.Header.Get("X-Amzn-Errortype"), body, c.status, c.errorType, c.contains)
			}
			if response.Header.Get("X-Amzn-Requestid") == "" {
				t.Error("there is no request id")
			}
			if strings.Contains(body, "secret detail") {
				t.Error("the caller sees the inside of a failure")
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	door, _ := testDoor()
	response := serve(door, signed(t, "GET", "/services/svc-00000000000000005", "vpc-lattice", ""))
	if got := response.Header.Get("Retry-After"); got != "7" {
		t.Errorf("Retry-After is %q, want 7", got)
	}
}

func TestFailuresAreLoggedOnce(t *testing.T) {
	for id, want := range map[string]string{"svc-00000000000000001": "at the disco", "svc-00000000000000002": "secret detail"} {
		door, log := testDoor()
		serve(door, signed(t, "GET", "/services/"+id, "vpc-lattice", ""))
		if got := log.String(); strings.Count(got, "level=ERROR") != 1 || !strings.Contains(got, want) {
			t.Errorf("%s: logged %q, want one error with %q", id, got, want)
		}
	}
}

func TestRefusedCallers(t *testing.T) {
	sign := func(key, secret, region, service string) func(*http.Request) {
		return func(r *http.Request) {
			signer := sigv4.Signer{AccessKeyID: key, SecretAccessKey: secret, Region: region, Service: service}
			if err := signer.SignHTTP(r, nil, testNow); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name               string
		prepare            func(*http.Request)
		status             int
		errorType, message string
	}{
		{"unsigned", func(*http.Request) {}, 403, "MissingAuthenticationTokenException", ""},
		{"wrong secret", sign(testKey, "guess", testRegion, "vpc-lattice"), 403, "InvalidSignatureException", "does not match"},
		{"unknown key", sign("AKIAOTHER", "guess", testRegion, "vpc-lattice"), 403, "UnrecognizedClientException", "security token"},
		{"wrong region", sign(testKey, testSecret, "eu-west-1", "vpc-lattice"), 403, "InvalidSignatureException", "this deployment is us-west-2"},
		{"nonsense", func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 nonsense") }, 403, "IncompleteSignatureException", ""},
		{"lookup fails", sign("AKIABROKEN", "guess", testRegion, "vpc-lattice"), 500, "InternalServerException", "The request failed"},
		{"altered", func(r *http.Request) {
			sign(testKey, testSecret, testRegion, "vpc-lattice")(r)
			r.URL.RawQuery = "maxResults=1"
		}, 403, "InvalidSignatureException", "does not match"},
		{"token of nobody", func(r *http.Request) {
			signer := sigv4.Signer{AccessKeyID: testKey, SecretAccessKey: testSecret, SessionToken: "t", Region: testRegion, Service: "vpc-lattice"}
			if err := signer.SignHTTP(r, nil, testNow); err != nil {
				t.Fatal(err)
			}
		}, 403, "UnrecognizedClientException", "security token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			door, _ := testDoor()
			r := httptest.NewRequest("GET", "http://api.test/services/svc-0123456789abcdef0", nil)
			c.prepare(r)
			response := serve(door, r)
			var body struct{ Message string }
			if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != c.status || response.Header.Get("X-Amzn-Errortype") != c.errorType || !strings.Contains(body.Message, c.message) {
				t.Errorf("%d %s %q, want %d %s %q", response.StatusCode, response.Header.Get("X-Amzn-Errortype"), body.Message, c.status, c.errorType, c.message)
			}
		})
	}
}

func TestUnsignedFormIsRefusedInXML(t *testing.T) {
	door, _ := testDoor()
	r := httptest.NewRequest("POST", "http://api.test/", strings.NewReader("Action=DescribeVpcs"))
	r.Header.Set("Content-Type", formType)
	response := serve(door, r)
	if body := bodyOf(t, response); response.StatusCode != 403 || !strings.Contains(body, "<Code>MissingAuthenticationToken</Code>") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

// BenchmarkRequest is the price of the front door: a signed request of the usual size to an operation that does nothing.
func BenchmarkRequest(b *testing.B) {
	door, _ := testDoor()
	const body = `{"name":"parking","authType":"AWS_IAM","tags":{"team":"red","stage":"test"},"clientToken":"0123456789"}`
	r := signed(b, "POST", "/services", "vpc-lattice", body)
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(strings.NewReader(body))
		if response := serve(door, r); response.StatusCode != http.StatusCreated {
			b.Fatal(response.Status)
		}
	}
}
