package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/aws/organizations"
	"pergola/lattice"
	"pergola/sigv4"
)

// describeFixed answers as its input says.
func describeFixed(_ context.Context, _ iam.Caller, in *organizations.DescribeAccountRequest) (*organizations.DescribeAccountResponse, error) {
	switch in.ID {
	case "000000000001":
		return nil, &aws.Error{Code: "ConstraintViolationException", Message: "too many", Reason: "OU_NUMBER_LIMIT_EXCEEDED"}
	case "000000000002":
		return nil, errors.New("secret detail")
	case "000000000003":
		panic("at the disco")
	}
	return &organizations.DescribeAccountResponse{Account: organizations.AccountDescription{ID: in.ID, Joined: aws.Timestamp{Time: testNow.Add(250 * time.Millisecond)}}}, nil
}

// awsJSONDoor is a door with one operation of the protocol.
func awsJSONDoor() http.Handler {
	remove := func(context.Context, iam.Caller, *organizations.DeleteOrganizationRequest) (*lattice.Empty, error) {
		return &lattice.Empty{}, nil
	}
	cfg := Config{Keys: oneKey{}, Region: testRegion, Now: func() time.Time { return testNow }, Random: zeros{}, Logger: slog.New(slog.DiscardHandler)}
	return newDoor(cfg, map[string]protocol{
		"organizations": newAWSJSON(organizationsStyle, []operation{action("DescribeAccount", describeFixed), action("DeleteOrganization", remove)}),
	})
}

// signedJSON makes a signed request; its line is the method and the path.
func signedJSON(t *testing.T, line, service, target, body string) *http.Request {
	t.Helper()
	method, path, _ := strings.Cut(line, " ")
	r := httptest.NewRequest(method, "http://api.test"+path, strings.NewReader(body))
	r.Header.Set(targetHeader, target)
	signer := sigv4.Signer{AccessKeyID: testKey, SecretAccessKey: testSecret, Region: testRegion, Service: service}
	if err := signer.SignHTTP(r, []byte(body), testNow); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAWSJSON(t *testing.T) {
	const describe = organizations.TargetPrefix + ".DescribeAccount"
	for _, c := range []struct {
		name, method, path, target, body string
		status                           int
		errorType, contains              string
	}{
		{"answer", "POST", "/", describe, `{"AccountId":"100000000001"}`, 200, "", `"JoinedTimestamp":1767323045.25`},
		{"unknown members", "POST", "/", describe, `{"AccountId":"100000000001","Whatever":[{}]}`, 200, "", `"Id":"100000000001"`},
		{"nothing to say", "POST", "/", organizations.TargetPrefix + ".DeleteOrganization", ``, 200, "", `{}`},
		{"missing", "POST", "/", describe, `{}`, 400, "InvalidInputException", `"Message":"AccountId is required"`},
		{"names have their case", "POST", "/", describe, `{"accountId":"100000000001"}`, 400, "InvalidInputException", `AccountId is required`},
		{"malformed", "POST", "/", describe, `{"AccountId":"1"}`, 400, "InvalidInputException", `AccountId must be the id of an account, 12 digits, is \"1\"`},
		{"wrong type", "POST", "/", describe, `{"AccountId":1}`, 400, "InvalidInputException", `AccountId must be a string, is a number`},
		{"not JSON", "POST", "/", describe, `{`, 400, "SerializationException", `not valid JSON`},
		{"not an object", "POST", "/", describe, `[]`, 400, "SerializationException", `must be a JSON object`},
		{"reason", "POST", "/", describe, `{"AccountId":"000000000001"}`, 400, "ConstraintViolationException", `{"__type":"ConstraintViolationException","Message":"too many","Reason":"OU_NUMBER_LIMIT_EXCEEDED"}`},
		{"failure", "POST", "/", describe, `{"AccountId":"000000000002"}`, 500, "ServiceException", `00000000-0000-4000-8000-000000000000`},
		{"panic", "POST", "/", describe, `{"AccountId":"000000000003"}`, 500, "ServiceException", `00000000-0000-4000-8000-000000000000`},
		{"too long", "POST", "/", describe, strings.Repeat(" ", maxBody+1), 400, "InvalidInputException", `longer than`},
		{"unknown operation", "POST", "/", organizations.TargetPrefix + ".Dance", `{}`, 400, "UnknownOperationException", `AWSOrganizationsV20161128.NAME`},
		{"other prefix", "POST", "/", "Other.DescribeAccount", `{}`, 400, "UnknownOperationException", ``},
		{"no prefix", "POST", "/", "DescribeAccount", `{}`, 400, "UnknownOperationException", ``},
		{"no target", "POST", "/", "", `{}`, 400, "UnknownOperationException", ``},
		{"other method", "GET", "/", describe, ``, 400, "UnknownOperationException", `GET`},
		{"other path", "POST", "/x", describe, `{}`, 400, "UnknownOperationException", `"__type":"UnknownOperationException"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			response := serve(awsJSONDoor(), signedJSON(t, c.method+" "+c.path, "organizations", c.target, c.body))
			body := bodyOf(t, response)
			if response.StatusCode != c.status || response.Header.Get("X-Amzn-Errortype") != c.errorType || !strings.Contains(body, c.contains) {
				t.Errorf("%d %s\n%s\nwant %d %s … %s", response.StatusCode, response.Header.Get("X-Amzn-Errortype"), body, c.status, c.errorType, c.contains)
			}
			if got := response.Header.Get("Content-Type"); got != "application/x-amz-json-1.1" {
				t.Errorf("the content type is %s", got)
			}
			if strings.Contains(body, "secret detail") {
				t.Error("the caller sees the inside of a failure")
			}
		})
	}
}

// TestAWSJSONRefusesCallers wants refusals before a service is known, and after, in the words of the protocol.
func TestAWSJSONRefusesCallers(t *testing.T) {
	unsigned := httptest.NewRequest("POST", "http://api.test/", strings.NewReader("{}"))
	unsigned.Header.Set(targetHeader, organizations.TargetPrefix+".ListRoots")
	altered := signedJSON(t, "POST /", "organizations", organizations.TargetPrefix+".ListRoots", "{}")
	altered.Header.Set(targetHeader, organizations.TargetPrefix+".DeleteOrganization")
	elsewhere := signedJSON(t, "POST /", "nowhere", organizations.TargetPrefix+".ListRoots", "{}")
	for want, r := range map[string]*http.Request{
		"MissingAuthenticationTokenException": unsigned, "InvalidSignatureException": altered, "UnknownOperationException": elsewhere,
	} {
		response := serve(awsJSONDoor(), r)
		var body struct {
			Type    string `json:"__type"`
			Message string
		}
		if err := json.Unmarshal([]byte(bodyOf(t, response)), &body); err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != 400 || body.Type != want || body.Message == "" {
			t.Errorf("%d %+v, want %s", response.StatusCode, body, want)
		}
	}
}

// TestOrganizationsByHand calls the service itself with requests that no client has made.
func TestOrganizationsByHand(t *testing.T) {
	p := newPlane(t)
	made := p.organizations(t, "CreateOrganization", `{"FeatureSet":"ALL"}`)
	if !strings.HasPrefix(made, `{"Organization":{"Id":"o-`) || !strings.Contains(made, `"MasterAccountId":"100000000001"`) {
		t.Errorf("CreateOrganization: %s", made)
	}
	for _, c := range []struct{ operation, body, want string }{
		{"CreateOrganization", `{"FeatureSet":"SOME"}`, `FeatureSet must be one of ALL, CONSOLIDATED_BILLING`},
		{"ListAccounts", `{"MaxResults":21}`, `MaxResults must be from 1 to 20, is 21`},
		{"CreateAccount", `{"Email":"nobody","AccountName":"\u00e9","Tags":[{"Key":"<"}]}`, `Email must be an email address, is \"nobody\"; AccountName must have no characters but printable ASCII, is \"é\"; Tags[0].Key must have no characters but letters`},
		{"CreateAccount", `{"Email":"a@b.c","AccountName":"x","Tags":[{"Key":"k"}]}`, `Email must have 6 to 64 characters, has 5; Tags[0].Value is required`},
		{"CreateOrganizationalUnit", `{"ParentId":"ou-1","Name":""}`, `ParentId must be the id of a root or of an organizational unit, is \"ou-1\"; Name must have 1 to 128 characters, has 0`},
		{"EnablePolicyType", `{"RootId":"r-ABCD","PolicyType":"SCP"}`, `RootId must be the id of a root, r-…, is \"r-ABCD\"; PolicyType must be a type of policy`},
		{"ListPolicies", `{"Filter":"TAG_POLICY"}`, `{"Policies":[]}`},
		{"AttachPolicy", `{"PolicyId":"p-1","TargetId":"x"}`, `PolicyId must be the id of a policy, p-…, is \"p-1\"; TargetId must be the id of a root, an organizational unit or an account`},
		{"ListParents", `{"ChildId":"r-abcd"}`, `ChildId must be the id of an account or of an organizational unit`},
		{"DescribeOrganizationalUnit", `{"OrganizationalUnitId":"ou-abcd-123"}`, `OrganizationalUnitId must be the id of an organizational unit`},
		{"DescribeCreateAccountStatus", `{"CreateAccountRequestId":"car-1"}`, `CreateAccountRequestId must be the id of a request to create an account`},
		{"TagResource", `{"ResourceId":"p-FullAWSAccess","Tags":[]}`, `"Reason":"IMMUTABLE_POLICY"`},
		{"CloseAccount", `{}`, `UnknownOperationException`},
	} {
		if got := p.organizations(t, c.operation, c.body); !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %s\nwant %s", c.operation, c.body, got, c.want)
		}
	}
}

// organizations sends one signed request and returns the body of the answer.
func (p plane) organizations(t *testing.T, operation, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", p.url+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", awsJSONType)
	r.Header.Set(targetHeader, organizations.TargetPrefix+"."+operation)
	signer := sigv4.Signer{AccessKeyID: p.credential.AccessKeyID, SecretAccessKey: p.credential.Secret, Region: testRegion, Service: "organizations"}
	if err := signer.SignHTTP(r, []byte(body), time.Now()); err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return bodyOf(t, response)
}

// FuzzAWSJSON sends any body to every operation of Organizations. The answer is input or one of two
// errors, which can be sent.
func FuzzAWSJSON(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `{"AccountId":"100000000001"}`, `{"Tags":[{"Key":"a","Value":"b"},null,7]}`, `{"MaxResults":1e1}`,
		`{"Content":"\ud800"}`, "{\"Name\":\"\xff\"}", `{"States":{}}`, `{"Name":"a","Name":"b"}`,
	} {
		f.Add([]byte(seed))
	}
	table := organizationsOperations(nil)
	protocol := newAWSJSON(organizationsStyle, table)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, op := range table {
			r := httptest.NewRequest("POST", "/", nil)
			r.Header.Set(targetHeader, organizations.TargetPrefix+"."+op.name)
			found, input, err := protocol.decode(r, body)
			if err == nil {
				if found.name != op.name || reflect.TypeOf(input).Elem() != op.input.typ || len(bytes.TrimSpace(body)) > 0 && !json.Valid(body) {
					t.Fatalf("%s: %q gives %+v", op.name, body, input)
				}
				continue
			}
			var named *aws.Error
			if !errors.As(err, &named) || named.Code != "SerializationException" && named.Code != "InvalidInputException" {
				t.Fatalf("%s: %v", op.name, err)
			}
			w := httptest.NewRecorder()
			protocol.refuse(w, err, "")
			if w.Code != 400 || !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s: %d %s", op.name, w.Code, w.Body)
			}
		}
	})
}
