package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"pergola/lattice"
)

// decodeLattice decodes a request with the table of VPC Lattice.
func decodeLattice(r *http.Request, body string) (*operation, any, *lattice.Error) {
	op, input, err := newRESTJSON(latticeOperations(nil)).decode(r, []byte(body))
	var refused *lattice.Error
	if err != nil && !errors.As(err, &refused) {
		panic(err)
	}
	return op, input, refused
}

const (
	aService  = "svc-0123456789abcdef0"
	aListener = "listener-0123456789abcdef0"
	aGroup    = "tg-0123456789abcdef0"
)

// TestFaults holds each check to the faults that it must find: "path message" for each.
func TestFaults(t *testing.T) {
	rules := "/services/" + aService + "/listeners/" + aListener + "/rules"
	rule := func(members string) string { return `{"name":"abc","priority":1,` + members + `}` }
	match := `"match":{"httpMatch":{"method":"GET"}}`
	action := `"action":{"fixedResponse":{"statusCode":404}}`
	long := strings.Repeat("x", 41)
	for _, c := range []struct {
		name, method, target, body string
		faults                     []string
	}{
		{"fine", "POST", "/services", `{"name":"abc","unknown":{"a":[1]},"authType":null,"tags":{"a":"b"}}`, nil},
		{"null is absent", "POST", "/services", `{"name":null}`, []string{"name is required"}},
		{"empty is present", "POST", "/services", `{"name":""}`, []string{"name must have 3 to 40 characters, has 0"}},
		{"too long", "POST", "/services", `{"name":"` + long + `"}`, []string{"name must have 3 to 40 characters, has 41"}},
		{"characters, not bytes", "POST", "/services", `{"name":"éé"}`, []string{"name must have 3 to 40 characters, has 2"}},
		{"name", "POST", "/services", `{"name":"Abc"}`, []string{`name must have no characters but a-z, 0-9 and hyphens, is "Abc"`}},
		{"name begins with prefix", "POST", "/services", `{"name":"svc-abc"}`, []string{`name must not begin with svc-, is "svc-abc"`}},
		{"name with hyphens", "POST", "/services", `{"name":"a--b"}`, []string{`name must not have two hyphens in a row, is "a--b"`}},
		{"name with hyphen at end", "POST", "/services", `{"name":"ab-"}`, []string{`name must not begin or end with a hyphen, is "ab-"`}},
		{"several", "POST", "/services", `{"name":7,"authType":"AWS","clientToken":"","idleTimeoutSeconds":59}`, []string{
			"clientToken must have 1 to 64 characters, has 0", "name must be a string, is a number",
			`authType must be one of NONE, AWS_IAM, is "AWS"`, "idleTimeoutSeconds must be from 60 to 600, is 59",
		}},
		{"wrong types", "POST", "/services", `{"name":"abc","tags":[],"authType":true,"idleTimeoutSeconds":"60"}`, []string{
			"tags must be an object, is a list", "authType must be a string, is a truth value", "idleTimeoutSeconds must be an integer, is a string",
		}},
		{"fraction", "POST", "/services", `{"name":"abc","idleTimeoutSeconds":60.5}`, []string{`idleTimeoutSeconds must be an integer, is "60.5"`}},
		{"fraction of nothing", "POST", "/services", `{"name":"abc","idleTimeoutSeconds":60.0}`, []string{`idleTimeoutSeconds must be an integer, is "60.0"`}},
		{"exponent", "POST", "/services", `{"name":"abc","idleTimeoutSeconds":6e1}`, []string{`idleTimeoutSeconds must be an integer, is "6e1"`}},
		{"out of 32 bits", "POST", "/services", `{"name":"abc","idleTimeoutSeconds":4294967356}`, []string{`idleTimeoutSeconds must be an integer of 32 bits, is "4294967356"`}},
		{"zero is present", "POST", "/services", `{"name":"abc","idleTimeoutSeconds":0}`, []string{"idleTimeoutSeconds must be from 60 to 600, is 0"}},
		{"tag value", "POST", "/services", `{"name":"abc","tags":{"a":1}}`, []string{"tags.a must be a string, is a number"}},
		{"tag key", "POST", "/services", `{"name":"abc","tags":{"":"x"}}`, []string{`tags key "" must have 1 to 128 characters`}},
		{"reserved tag", "POST", "/services", `{"name":"abc","tags":{"AWS:x":"x"}}`, []string{`tags key "AWS:x" must not begin with aws:, which is reserved`}},
		{"tag characters", "POST", "/services", `{"name":"abc","tags":{"a":"<"}}`, []string{`tags tag "a" must have no characters but letters, digits, spaces and _.:/=+-@`}},
		{"domain", "POST", "/services", `{"name":"abc","customDomainName":"*.x"}`, []string{`customDomainName must be a domain name such as www.example.com, is "*.x"`}},
		{"certificate of nothing", "POST", "/services", `{"name":"abc","certificateArn":""}`, nil},

		{"rule", "POST", rules, rule(match + "," + action), nil},
		{"empty union", "POST", rules, rule(`"match":{},` + action), []string{"match must have exactly one member set, has 0"}},
		{"null in a union", "POST", rules, rule(match + `,"action":{"forward":null,"fixedResponse":{"statusCode":404}}`), nil},
		{"two of a union", "POST", rules, rule(match + `,"action":{"forward":{"targetGroups":[{"targetGroupIdentifier":"` + aGroup + `"}]},"fixedResponse":{"statusCode":404}}`), []string{"action must have exactly one member set, has 2"}},
		{"unknown member of a union", "POST", rules, rule(match + `,"action":{"redirect":{}}`), []string{"action must have exactly one member set, has 0"}},
		{"deep", "POST", rules, rule(match + `,"action":{"forward":{"targetGroups":[{"targetGroupIdentifier":"` + aGroup + `","weight":1000},{"targetGroupIdentifier":"tg-1","weight":-1},null,7]}}`), []string{
			"action.forward.targetGroups[0].weight must be from 0 to 999, is 1000",
			"action.forward.targetGroups[1].targetGroupIdentifier must have 17 to 2048 characters, has 4",
			"action.forward.targetGroups[1].weight must be from 0 to 999, is -1",
			"action.forward.targetGroups[2] must not be null",
			"action.forward.targetGroups[3] must be an object, is a number",
		}},
		{"no target group", "POST", rules, rule(match + `,"action":{"forward":{"targetGroups":[]}}`), []string{"action.forward.targetGroups must have 1 to 10 entries, has 0"}},
		{"path match", "POST", rules, rule(`"match":{"httpMatch":{"pathMatch":{"match":{"exact":"x"}},"headerMatches":[{"name":"a","match":{"exact":"b","contains":"c"}}]}},` + action), []string{
			`match.httpMatch.pathMatch.match.exact must be a path that begins with / and has no characters but letters, digits and @:%_+.~#?&/=-, is "x"`,
			"match.httpMatch.headerMatches[0].match must have exactly one member set, has 2",
		}},
		{"missing in a structure", "POST", rules, rule(`"match":{"httpMatch":{"pathMatch":{}}},` + action), []string{"match.httpMatch.pathMatch.match is required"}},
		{"wrong label", "POST", "/services/tg-0123456789abcdef0/listeners/" + aListener + "/rules", rule(match + "," + action), []string{
			`serviceIdentifier must be an id (svc- and 17 letters or digits) or an ARN of a service, is "tg-0123456789abcdef0"`}},
		{"empty label", "GET", "/services/", "", []string{"serviceIdentifier must have 17 to 2048 characters, has 0"}},

		{"page", "GET", "/services?maxResults=100&nextToken=a%2Fb%3D%2B", "", nil},
		{"page of nothing", "GET", "/services?maxResults=0", "", []string{"maxResults must be from 1 to 100, is 0"}},
		{"page of words", "GET", "/services?maxResults=all", "", []string{`maxResults must be an integer, is "all"`}},
		{"page twice", "GET", "/services?maxResults=1&maxResults=2", "", []string{"maxResults must be given once, is given 2 times"}},
		{"empty token", "GET", "/services?nextToken=", "", []string{"nextToken must have 1 to 2048 characters, has 0"}},
		{"page in the body is no page", "POST", "/targetgroups/" + aGroup + "/listtargets", `{"maxResults":0}`, nil},
		{"groups", "POST", "/servicenetworkvpcassociations", `{"serviceNetworkIdentifier":"sn-0123456789abcdef0","vpcIdentifier":"vpc-01234567","securityGroupIds":["sg-1"]}`, []string{
			`securityGroupIds[0] must be the id of a security group, sg- and 8 or 17 letters or digits, is "sg-1"`}},
		{"tag keys", "DELETE", "/tags/arn%3Aaws%3Avpc-lattice%3Aus-west-2%3A100000000001%3Aservice%2F" + aService + "?tagKeys=a&tagKeys=", "", []string{"tagKeys[1] must have 1 to 128 characters, has 0"}},
		{"no tag keys", "DELETE", "/tags/arn%3Aaws%3Avpc-lattice%3Aus-west-2%3A100000000001%3Aservice%2F" + aService, "", []string{"tagKeys is required"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := decodeLattice(httptest.NewRequest(c.method, c.target, nil), c.body)
			var faults []string
			if err != nil {
				if err.Reason != lattice.ReasonFieldValidationFailed {
					t.Fatalf("reason %s: %v", err.Reason, err)
				}
				for _, f := range err.Fields {
					faults = append(faults, f.Name+" "+f.Message)
				}
			}
			if !slices.Equal(faults, c.faults) {
				t.Errorf("faults\n%s\nwant\n%s", strings.Join(faults, "\n"), strings.Join(c.faults, "\n"))
			}
		})
	}
}

func TestBodiesThatCannotBeParsed(t *testing.T) {
	for name, body := range map[string]string{
		"open":            `{"name":`,
		"trailing":        `{} {}`,
		"trailing word":   `{}x`,
		"twice":           `{"name":"abc","name":"abd"}`,
		"twice below":     `{"tags":{"a":"b","a":"c"}}`,
		"no object":       `[]`,
		"null":            `null`,
		"text":            `"x"`,
		"bad number":      `{"a":01}`,
		"bad escape":      `{"a":"\x"}`,
		"control":         "{\"a\":\"\x01\"}",
		"not UTF-8":       "{\"a\":\"\xff\"}",
		"too deep":        strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100),
		"too deep a list": `{"a":` + strings.Repeat(`[`, 100) + strings.Repeat("]", 100) + "}",
		"comma":           `{"a":1,}`,
		"single quotes":   `{'a':1}`,
	} {
		_, _, err := decodeLattice(httptest.NewRequest("POST", "/services", nil), body)
		if err == nil || err.Reason != lattice.ReasonCannotParse {
			t.Errorf("%s: %v, want reason cannotParse", name, err)
		}
	}
}

func TestDecodedInput(t *testing.T) {
	r := httptest.NewRequest("POST", "/targetgroups/"+aGroup+"/listtargets?maxResults=7&nextToken=x", nil)
	op, input, err := decodeLattice(r, `{"targets":[{"id":"i-1","port":80},{"id":"i-2"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	got := input.(*lattice.ListTargetsRequest)
	if op.name != "ListTargets" || got.TargetGroupIdentifier != aGroup || got.MaxResults != 7 || got.NextToken != "x" ||
		!slices.Equal(got.Targets, []lattice.Target{{ID: "i-1", Port: 80}, {ID: "i-2"}}) {
		t.Errorf("%s %+v", op.name, got)
	}
	_, input, err = decodeLattice(httptest.NewRequest("PATCH", "/services/"+aService, nil), `{"certificateArn":""}`)
	if err != nil {
		t.Fatal(err)
	}
	if update := input.(*lattice.UpdateServiceRequest); update.CertificateARN == nil || *update.CertificateARN != "" {
		t.Errorf("an empty optional string is %v, want present and empty", update.CertificateARN)
	}
}

// TestRequestsOfTheSDK decodes one request for each operation, with every member set, as AWS's SDK sends it. The values
// are placeholders, so patterns refuse them, but no value may be of the wrong type or in the wrong place.
func TestRequestsOfTheSDK(t *testing.T) {
	client := reflect.ValueOf(vpclattice.New(vpclattice.Options{Region: testRegion, BaseEndpoint: new("http://api.test"),
		RetryMaxAttempts: 1}))
	for _, op := range latticeOperations(nil) {
		call := client.MethodByName(op.name)
		if !call.IsValid() {
			t.Errorf("the SDK has no %s", op.name)
			continue
		}
		input := reflect.New(call.Type().In(1).Elem())
		fill(input.Elem())
		r, body := sentBy(t, func(keep func(*vpclattice.Options)) {
			call.Call([]reflect.Value{reflect.ValueOf(t.Context()), input, reflect.ValueOf(keep)})
		})
		got, _, err := decodeLattice(r, body)
		if got != nil && got.name != op.name {
			t.Errorf("%s is taken for %s", op.name, got.name)
		}
		if err == nil {
			continue
		}
		if err.Reason != lattice.ReasonFieldValidationFailed {
			t.Errorf("%s: %v", op.name, err)
		}
		for _, f := range err.Fields {
			if f.Message == absent || strings.Contains(f.Message, ", is a ") || strings.Contains(f.Message, ", is an ") || strings.Contains(f.Message, "exactly one") {
				t.Errorf("%s: %s %s", op.name, f.Name, f.Message)
			}
		}
	}
}

// sentBy is the request that a client of the SDK sends.
func sentBy(t *testing.T, call func(keep func(*vpclattice.Options))) (sent *http.Request, body string) {
	t.Helper()
	call(func(o *vpclattice.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "x"}, nil
		})
		o.HTTPClient = smithyhttp.ClientDoFunc(func(r *http.Request) (*http.Response, error) {
			sent = r
			if r.Body != nil {
				content, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				body = string(content)
			}
			return nil, errors.New("it is not sent")
		})
	})
	if sent == nil {
		t.Fatal("nothing was sent")
	}
	sent.RequestURI = sent.URL.RequestURI()
	return sent, body
}

// fill sets every member of an input of the SDK. Of a union, one member is set.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		element := reflect.New(v.Type().Elem()).Elem()
		fill(element)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), element)
	case reflect.String:
		v.SetString("value")
	case reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface:
		for _, member := range []any{
			&types.RuleActionMemberForward{}, &types.RuleMatchMemberHttpMatch{}, &types.PathMatchTypeMemberExact{},
			&types.HeaderMatchTypeMemberContains{}, &types.MatcherMemberHttpCode{},
		} {
			if reflect.TypeOf(member).Implements(v.Type()) {
				fill(reflect.ValueOf(member).Elem())
				v.Set(reflect.ValueOf(member))
			}
		}
	}
}

// FuzzRESTJSON sends any body and query to every operation. The answer is input or a validation error.
func FuzzRESTJSON(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `{"name":"abc","tags":{"a":"b"}}`, `{"action":{"forward":{"targetGroups":[{"weight":1e400}]}}}`,
		`{"match":{"httpMatch":{"headerMatches":[{"match":{"exact":"x"}}]}}}`, `{"targets":[{"id":"x","port":-0}]}`,
		`{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"securityGroupIds":null}`, `{"healthCheck":{"matcher":{}}}`,
	} {
		f.Add([]byte(seed), "maxResults=1&tagKeys=a")
	}
	f.Add([]byte(`{"FunctionName":"f","Role":"arn:aws:iam::100000000001:role/r","Code":{"ZipFile":"AA=="},"Timeout":3,"Environment":{"Variables":{"A":"b"}},"RoutingConfig":{"AdditionalVersionWeights":{"1":1e400}}}`), "Qualifier=a")
	table := slices.Concat(latticeOperations(nil), lambdaOperations(nil))
	protocol := newRESTJSON(table)
	f.Fuzz(func(t *testing.T, body []byte, query string) {
		if _, err := parseJSON(body); err == nil && len(bytes.TrimSpace(body)) > 0 && !json.Valid(body) {
			t.Errorf("%q is accepted and is not valid JSON", body)
		}
		for _, op := range table {
			r := httptest.NewRequest(op.method, strings.NewReplacer("{", "", "}", "").Replace(op.uri), nil)
			r.URL.RawQuery = query
			_, input, err := protocol.decode(r, body)
			var refused *lattice.Error
			if err != nil && (!errors.As(err, &refused) || refused.Kind != lattice.Validation) || err == nil && input == nil {
				t.Errorf("%s: %v", op.name, err)
			}
			w := httptest.NewRecorder()
			if err != nil {
				protocol.refuse(w, err, "")
				if got, _ := io.ReadAll(w.Body); w.Code != 400 || !json.Valid(got) {
					t.Errorf("%s: %d %s", op.name, w.Code, got)
				}
			}
		}
	})
}
