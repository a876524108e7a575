package event

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

func signed(r Request) Request {
	r.Identity.Principal = "arn:aws:sts::100000000001:assumed-role/orders/i-1"
	r.Identity.PrincipalOrgID, r.Identity.SessionName = "o-50dc6c495c", "i-1"
	return r
}

func request(method, target string, body string, fields ...Field) Request {
	return Request{
		Method: method, Target: target, Fields: fields, Body: []byte(body),
		ServiceNetworkARN: "arn:aws:vpc-lattice:us-west-2:100000000001:servicenetwork/sn-0123456789abcdef0",
		ServiceARN:        "arn:aws:vpc-lattice:us-west-2:100000000001:service/svc-0123456789abcdef0",
		TargetGroupARN:    "arn:aws:vpc-lattice:us-west-2:100000000001:targetgroup/tg-0123456789abcdef0",
		Region:            "us-west-2",
		Identity:          Identity{SourceVPCARN: "arn:aws:ec2:us-west-2:100000000001:vpc/vpc-0123456789abcdef0"},
		Time:              time.UnixMicro(1690497599177430),
	}
}

// TestEvents compares events with files that are read as documentation.
func TestEvents(t *testing.T) {
	for name, r := range map[string]Request{
		"get": request("GET", "/stock/brk-9?depot=leeds&depot=hull&page=2&empty", "",
			Field{"Host", "stock-0123.7d67968.vpc-lattice-svcs.us-west-2.on.aws"}, Field{"X-Depot", "leeds"}, Field{"x-depot", "hull"},
			Field{"x-forwarded-for", "10.0.0.9"}),
		"signed": signed(request("POST", "/", `{"text":"<ü> & \u2028"}`, Field{"content-type", "application/json; charset=utf-8"},
			Field{"authorization", "AWS4-HMAC-SHA256 …"})),
		"binary": request("PUT", "/a%2Fb?q=%C3%BC+x&bad=%zz", "\x00\x01\xff", Field{"content-type", "application/octet-stream"}),
	} {
		for version, encode := range map[string]func(*Request) []byte{"v1": V1, "v2": V2} {
			var indented strings.Builder
			e := json.NewEncoder(&indented)
			e.SetIndent("", "  ")
			e.SetEscapeHTML(false)
			var value any
			if err := json.Unmarshal(encode(&r), &value); err != nil {
				t.Fatal(err)
			}
			if err := e.Encode(value); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+"-"+version+".json")
			if *update {
				if err := os.WriteFile(path, []byte(indented.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if indented.String() != string(want) {
				t.Errorf("%s: got\n%s\nwant\n%s", path, indented.String(), want)
			}
		}
	}
}

// TestBase64 is the guide's rule, and that a JSON string cannot hold what is no UTF-8.
func TestBase64(t *testing.T) {
	for _, c := range []struct {
		contentType, encoding, body string
		encoded                     bool
	}{
		{"text/plain", "", "hello", false},
		{"TEXT/HTML; charset=utf-8", "", "hello", false},
		{"application/json", "", "{}", false},
		{"application/xml", "", "<a/>", false},
		{"application/javascript", "", "1", false},
		{"application/json", "identity", "{}", false},
		{"application/json", "gzip", "\x1f\x8b\x08", true},
		{"text/plain", "", "\xff\xfe", true},
		{"application/octet-stream", "", "hello", true},
		{"application/octet-stream", "gzip", "hello", true},
		{"application/jsonx", "", "{}", true},
		{"application/x-www-form-urlencoded", "", "a=b", true},
		{"", "", "hello", true},
		{"application/octet-stream", "", "", false},
	} {
		r := request("POST", "/", c.body)
		if c.contentType != "" {
			r.Fields = append(r.Fields, Field{"Content-Type", c.contentType})
		}
		if c.encoding != "" {
			r.Fields = append(r.Fields, Field{"Content-Encoding", c.encoding})
		}
		var v1 struct {
			Body    string `json:"body"`
			Encoded bool   `json:"is_base64_encoded"`
		}
		var v2 struct {
			Body    *string `json:"body"`
			Encoded *bool   `json:"isBase64Encoded"`
		}
		for event, to := range map[string]any{string(V1(&r)): &v1, string(V2(&r)): &v2} {
			if err := json.Unmarshal([]byte(event), to); err != nil {
				t.Fatal(err)
			}
		}
		if v1.Encoded != c.encoded || (v2.Encoded != nil) != c.encoded || (v2.Body != nil) != (c.body != "") {
			t.Errorf("%+v: V1 %+v, V2 %s", c, v1, V2(&r))
		}
		if !c.encoded && v1.Body != c.body {
			t.Errorf("%+v: the body is %q", c, v1.Body)
		}
	}
}

func TestResponses(t *testing.T) {
	for _, c := range []struct {
		payload string
		want    *Response
		err     string
	}{
		{`{"statusCode":200,"statusDescription":"200 OK","headers":{"Set-cookie":"a=b","Content-Type":"application/json"},"body":"hello","isBase64Encoded":false}`,
			&Response{200, []Field{{"content-type", "application/json"}, {"set-cookie", "a=b"}}, []byte("hello")}, ""},
		{`{"statusCode":204}`, &Response{Status: 204}, ""},
		{`{"statusCode":"404","headers":null,"body":null}`, &Response{Status: 404}, ""},
		{`{"statusCode":200,"body":"AAH/","isBase64Encoded":true}`, &Response{200, nil, []byte{0, 1, 255}}, ""},
		{`{"statusCode":200,"headers":{"a":["1","2"],"n":7,"b":true,"gone":null}}`,
			&Response{200, []Field{{"a", "1"}, {"a", "2"}, {"b", "true"}, {"n", "7"}}, nil}, ""},
		{`{"statusCode":200,"headers":{"A":"1","b":"2"},"multiValueHeaders":{"a":["3","4"]}}`,
			&Response{200, []Field{{"a", "3"}, {"a", "4"}, {"b", "2"}}, nil}, ""},
		{`{"statusCode":200,"headers":{"Connection":"close, X-Mine","x-mine":"1","transfer-encoding":"chunked","Content-Length":"3","te":"trailers","upgrade":"h2c","keep":"1"}}`,
			&Response{200, []Field{{"keep", "1"}}, nil}, ""},
		{`{"statusCode":200,"headers":{"a":"  padded\t"}}`, &Response{200, []Field{{"a", "padded"}}, nil}, ""},
		{``, nil, "not one of HTTP"},
		{`{"statusCode":200} {}`, nil, "not one of HTTP"},
		{`"hello"`, nil, "not one of HTTP"},
		{`null`, nil, "statusCode"},
		{`{}`, nil, "statusCode"},
		{`{"statusCode":199}`, nil, "statusCode"},
		{`{"statusCode":600}`, nil, "statusCode"},
		{`{"statusCode":200.5}`, nil, "statusCode"},
		{`{"statusCode":200,"body":"%%%","isBase64Encoded":true}`, nil, "base64"},
		{`{"statusCode":200,"body":{"a":1}}`, nil, "not one of HTTP"},
		{`{"statusCode":200,"headers":{"a":{"b":1}}}`, nil, "a string or a list of strings"},
		{`{"statusCode":200,"headers":{"a b":"1"}}`, nil, "which HTTP does not allow"},
		{`{"statusCode":200,"headers":{"a":"1\r\nset-cookie: b"}}`, nil, "which HTTP does not allow"},
		{`{"statusCode":200,"headers":{"a":"` + strings.Repeat("x", 61<<10) + `"}}`, nil, "are allowed"},
		{`{"statusCode":200,"body":"` + strings.Repeat("x", MaxBody) + `"}`, nil, "longer than 6 MB"},
	} {
		got, err := ParseResponse([]byte(c.payload))
		if !reflect.DeepEqual(got, c.want) || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%.200s\ngot  %+v, %v\nwant %+v, %s", c.payload, got, err, c.want, c.err)
		}
	}
}

// FuzzResponse looks for a response that could break out of its place in a message.
func FuzzResponse(f *testing.F) {
	f.Add([]byte(`{"statusCode":200,"headers":{"a":["1",2,null]},"multiValueHeaders":{"b":["2"]},"body":"AA==","isBase64Encoded":true}`))
	f.Add([]byte(`{"statusCode":"404","headers":{"connection":"a"},"body":"x"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := ParseResponse(payload)
		if err != nil {
			return
		}
		if r.Status < 200 || r.Status > 599 || len(r.Body) > MaxBody || len(r.Fields) > maxFields {
			t.Errorf("%+v", r)
		}
		for _, field := range r.Fields {
			if strings.ContainsAny(field.Name+field.Value, "\r\n\x00") || strings.ContainsAny(field.Name, ": ") || field.Name == "" ||
				field.Name == "content-length" || field.Name == "transfer-encoding" || field.Name != strings.ToLower(field.Name) {
				t.Errorf("field %q: %q", field.Name, field.Value)
			}
		}
	})
}

// FuzzTarget looks for a target whose query cannot be told to a function.
func FuzzTarget(f *testing.F) {
	f.Add("/a?b=c&b=%zz&=&&d", "text/plain", []byte("x"))
	f.Fuzz(func(t *testing.T, target, contentType string, body []byte) {
		r := request("GET", target, string(body), Field{"content-type", contentType})
		var v1 headV1
		var v2 headV2
		if json.Unmarshal(V1(&r), &v1) != nil || json.Unmarshal(V2(&r), &v2) != nil {
			t.Fatalf("%s\n%s", V1(&r), V2(&r))
		}
		for key, value := range v1.Query {
			if len(v2.Query[key]) == 0 || v2.Query[key][0] != value {
				t.Errorf("%q: V1 has %q, V2 %q", key, value, v2.Query[key])
			}
		}
	})
}

// FuzzBody holds that a body of text comes out of an event as it was, and that the event is as long as was foretold.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{"", "plain", "\"quoted\"\\", "\x00\x01\b\f\n\r\t\x1f\x7f", "<ü>&\u2028", "\xff"} {
		f.Add([]byte(seed), "text/plain")
		f.Add([]byte(seed), "application/octet-stream")
	}
	f.Fuzz(func(t *testing.T, data []byte, contentType string) {
		r := request("POST", "/", string(data), Field{"content-type", contentType}, Field{"x", `{"body":""}`})
		empty := r
		empty.Body = nil
		if got, want := len(V1(&r))-len(V1(&empty)), r.BodySize(); got != want &&
			got != want-1 { // true is shorter than false
			t.Errorf("the body takes %d bytes, %d were foretold", got, want)
		}
		for version, event := range map[string][]byte{"V1": V1(&r), "V2": V2(&r)} {
			if cap(event) > len(event)+len(event)/8+64 {
				t.Errorf("%s: %d bytes hold %d", version, cap(event), len(event))
			}
			var got struct {
				Body string
				V1   bool `json:"is_base64_encoded"`
				V2   bool `json:"isBase64Encoded"`
			}
			if err := json.Unmarshal(event, &got); err != nil {
				t.Fatalf("%s: %v in %q", version, err, event)
			}
			body := []byte(got.Body)
			if got.V1 || got.V2 {
				body, _ = base64.StdEncoding.DecodeString(got.Body)
			}
			if string(body) != string(data) {
				t.Errorf("%s: the body is %q, want %q", version, body, data)
			}
		}
	})
}
