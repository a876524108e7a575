package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pergola/internal/apimodel"
	"pergola/lattice"
)

// model is the part of the published model that the tables must agree with.
type model struct {
	Metadata   struct{ Protocol string }
	Operations map[string]struct {
		HTTP struct {
			Method, RequestURI string
			ResponseCode       int
		}
		Input, Output *modelMember
	}
	Shapes map[string]modelShape
}

type modelShape struct {
	Type     string
	Required []string
	Members  map[string]modelMember
	Member   *modelMember
	Enum     []string
	Min, Max *float64
	Pattern  string
	Union    bool
}

type modelMember struct {
	Shape, Location, LocationName, QueryName string
}

// folders are where the models are, by service.
var folders = map[string]string{
	"vpc-lattice": "../lattice", "acm": "../aws/acm", "ec2": "../aws/ec2", "elbv2": "../aws/elbv2", "iam": "../aws/iam",
	"lambda": "../aws/lambda", "organizations": "../aws/organizations", "route53": "../aws/route53", "sts": "../aws/sts",
}

// readModel reads what the project keeps of the published model of a service, with the names of the members that are
// not served. internal/trimmodel makes it.
func readModel(t *testing.T, service string) *model {
	t.Helper()
	kept, err := apimodel.Read(folders[service] + "/model.json")
	if err != nil {
		t.Fatal(err)
	}
	content, err := kept.Write()
	if err != nil {
		t.Fatal(err)
	}
	m := &model{}
	if err := json.Unmarshal(content, m); err != nil {
		t.Fatal(err)
	}
	for name, s := range kept.Shapes.All() {
		shape := m.Shapes[name]
		for member, of := range s.Members.All() {
			if of.Required {
				shape.Required = append(shape.Required, member)
			}
		}
		for _, left := range s.Left {
			if shape.Members == nil {
				shape.Members = map[string]modelMember{}
			}
			shape.Members[left] = modelMember{}
		}
		m.Shapes[name] = shape
	}
	return m
}

func TestTableAgreesWithModel(t *testing.T) {
	m := readModel(t, "vpc-lattice")
	present := map[string]bool{}
	for _, op := range latticeOperations(nil) {
		want, ok := m.Operations[op.name]
		if !ok || present[op.name] {
			t.Errorf("%s: in the table but not in the model, or twice in the table", op.name)
			continue
		}
		present[op.name] = true
		if op.method != want.HTTP.Method || op.uri != want.HTTP.RequestURI || op.status != want.HTTP.ResponseCode {
			t.Errorf("%s: the table has %s %s %d, the model %s %s %d", op.name, op.method, op.uri, op.status,
				want.HTTP.Method, want.HTTP.RequestURI, want.HTTP.ResponseCode)
		}
		j := comparison{t: t, model: m, operation: op.name}
		j.request(op.input, want.Input.Shape, op.name)
		if want.Output != nil {
			j.response(op.output, want.Output.Shape, op.name)
		}
	}
	missing := slices.DeleteFunc(slices.Sorted(maps.Keys(m.Operations)), func(name string) bool { return present[name] })
	t.Logf("%d of %d operations; still to come: %s", len(present), len(m.Operations), strings.Join(missing, ", "))
}

// comparison compares shapes of ours with those of the model.
type comparison struct {
	t         *testing.T
	model     *model
	operation string
}

func (j comparison) request(s *shape, name, path string) {
	for s.typ.Kind() == reflect.Pointer {
		s = s.element
	}
	want := j.model.Shapes[name]
	switch want.Type {
	case "structure":
		j.requestMembers(s, want, path)
	case "list":
		if s.typ.Kind() != reflect.Slice {
			j.t.Errorf("%s: is %v, the model has a list", path, s.typ)
			return
		}
		j.request(s.element, want.Member.Shape, path+"[]")
	default:
		if got := kindOf(s.typ); got != want.Type {
			j.t.Errorf("%s: is a %s, the model has a %s", path, got, want.Type)
		}
	}
}

func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int32:
		return "integer"
	case reflect.Int64:
		return "long"
	case reflect.Bool:
		return "boolean"
	}
	return t.Kind().String()
}

func (j comparison) requestMembers(s *shape, want modelShape, path string) {
	seen := map[string]bool{}
	for i := range s.members {
		m := &s.members[i]
		at := path + "." + m.name
		modelled, ok := want.Members[m.name]
		if !ok {
			j.t.Errorf("%s: is not in the model", at)
			continue
		}
		seen[m.name] = true
		places := map[string]place{"": inBody, "uri": inPath, "querystring": inQuery}
		if m.place != places[modelled.Location] {
			j.t.Errorf("%s: is in place %d, the model has %q", at, m.place, modelled.Location)
		}
		if required := slices.Contains(want.Required, m.name); m.checks.required != required {
			j.t.Errorf("%s: required is %v, the model has %v", at, m.checks.required, required)
		}
		j.constraints(&m.checks, modelled.Shape, at)
		j.request(m.shape, modelled.Shape, at)
	}
	for name := range want.Members {
		if !seen[name] {
			j.t.Errorf("%s.%s: is in the model and not in the request", path, name)
		}
	}
}

// constraints compares the constraints on one member with those of the model's shape.
func (j comparison) constraints(c *checks, name, path string) {
	want := j.model.Shapes[name]
	limits := c.length
	if want.Type == "integer" || want.Type == "long" {
		limits = c.values
	}
	switch {
	case want.Min == nil && want.Max == nil && limits != nil:
		j.t.Errorf("%s: has limits %v, the model none", path, *limits)
	case want.Min != nil && limits == nil && boundedByPattern[name]:
	case want.Min != nil && (limits == nil || limits.from != int64(*want.Min) || limits.to != int64(*want.Max)):
		j.t.Errorf("%s: has limits %v, the model %v..%v", path, limits, *want.Min, *want.Max)
	}
	if !slices.Equal(slices.Sorted(slices.Values(c.enum)), slices.Sorted(slices.Values(want.Enum))) {
		j.t.Errorf("%s: has the values %v, the model %v", path, c.enum, want.Enum)
	}
	if (want.Pattern != "") != (c.text != nil) && !withoutPattern[name] {
		j.t.Errorf("%s: has a pattern: %v, the model: %q", path, c.text != nil, want.Pattern)
	}
	if want.Union != c.union {
		j.t.Errorf("%s: is a union: %v, the model: %v", path, c.union, want.Union)
	}
	if want.Type == "list" {
		each := c.each
		if each == nil {
			each = &checks{}
		}
		j.constraints(each, want.Member.Shape, path+"[]")
	}
	if name == "TagMap" && c.tags == nil {
		j.t.Errorf("%s: lacks the rules of tags", path)
	}
}

// boundedByPattern are the shapes whose pattern admits no length beyond their limits.
var boundedByPattern = map[string]bool{"SecurityGroupId": true}

// withoutPattern are the shapes that the model gives no pattern, although not every string will do.
var withoutPattern = map[string]bool{"ServiceCustomDomainName": true}

// response compares the members of a response, and of all structures in it, with the model's.
func (j comparison) response(typ reflect.Type, name, path string) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	want := j.model.Shapes[name]
	switch want.Type {
	case "structure":
		j.responseMembers(typ, want, path)
	case "list":
		if typ.Kind() != reflect.Slice {
			j.t.Errorf("%s: is %v, the model has a list", path, typ)
			return
		}
		j.response(typ.Elem(), want.Member.Shape, path+"[]")
	case "timestamp":
		if typ != reflect.TypeFor[lattice.Time]() {
			j.t.Errorf("%s: is %v, the model has a timestamp", path, typ)
		}
	default:
		if got := kindOf(typ); got != want.Type {
			j.t.Errorf("%s: is a %s, the model has a %s", path, got, want.Type)
		}
	}
}

func (j comparison) responseMembers(typ reflect.Type, want modelShape, path string) {
	seen := map[string]bool{}
	for field := range fields(typ) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		modelled, ok := want.Members[name]
		if !ok {
			j.t.Errorf("%s.%s: is not in the model", path, name)
			continue
		}
		seen[name] = true
		j.response(field.Type, modelled.Shape, path+"."+name)
	}
	for name := range want.Members {
		if !seen[name] {
			j.t.Errorf("%s.%s: is in the model and not in the response", path, name)
		}
	}
}

func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func TestPatternsAgreeWithModel(t *testing.T) {
	m := readModel(t, "vpc-lattice")
	// Strings that the model's pattern takes, and strings that it does not.
	for name, examples := range map[string]struct{ good, bad []string }{
		"ClientToken":                    {[]string{"a", " x "}, []string{"", "  ", "ü"}},
		"CertificateArn":                 {[]string{"", "arn:aws:acm:us-west-2:123456789012:certificate/1a-2b"}, []string{"x", "arn:aws:acm:us-west-2:123456789012:certificate/A"}},
		"PathMatchExact":                 {[]string{"/", "/a/b?c=d#e&f=%20~"}, []string{"a", "", "/a b", "/ü", "/a\n"}},
		"HealthCheckPath":                {[]string{"", "/", "/x?y"}, []string{"x", "/ "}},
		"HttpCodeMatcher":                {[]string{"", "200", "200-299,301"}, []string{"2xx", "200;"}},
		"VpcId":                          {[]string{"vpc-12345678", "vpc-0123456789abcdefz"}, []string{"vpc-1", "vpc-123456789", "VPC-12345678"}},
		"SecurityGroupId":                {[]string{"sg-12345678"}, []string{"sg-", "sgr-12345678"}},
		"Arn":                            {[]string{"arn:aws:vpc-lattice:us-west-2:123456789012:service/x", "arn:aws:vpc-lattice::123456789012:" + strings.Repeat("x", 1024)}, []string{"arn:aws:ec2:us-west-2:123456789012:x", "arn:aws:vpc-lattice:us-west-2:123456789012:/x", "arn:aws:vpc-lattice::123456789012:" + strings.Repeat("x", 1025)}},
		"ServiceIdentifier":              {[]string{"svc-0123456789abcdefz", "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdefz"}, []string{"svc-1", "tg-0123456789abcdefz", "svc-0123456789abcdefz\n"}},
		"RuleIdentifier":                 {[]string{"rule-0123456789abcdefz", "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdefz/listener/listener-0123456789abcdefz/rule/rule-0123456789abcdefz"}, []string{"arn:aws:vpc-lattice:us-west-2:123456789012:rule/rule-0123456789abcdefz"}},
		"ServiceNetworkName":             {[]string{"a1-b", "svc-x"}, []string{"-a", "a-", "a--b", "A", "a_b", ""}},
		"ServiceName":                    {[]string{"abc"}, []string{"svc-x", "svc-"}},
		"ServiceNetworkIdentifier":       {[]string{"sn-0123456789abcdefz"}, []string{"svc-0123456789abcdefz"}},
		"TargetGroupIdentifier":          {[]string{"tg-0123456789abcdefz"}, []string{"tg-0123456789abcdef"}},
		"ListenerIdentifier":             {[]string{"listener-0123456789abcdefz"}, []string{"listener-"}},
		"ServiceNetworkVpcAssociationId": {[]string{"snva-0123456789abcdefz"}, []string{"snsa-0123456789abcdefz"}},
	} {
		text := ruleFor(t, name)
		if m.Shapes[name].Pattern == "" {
			t.Errorf("%s has no pattern in the model", name)
		}
		for _, s := range examples.good {
			if fault := text(s); fault != "" {
				t.Errorf("%s: %q is refused: %s", name, s, fault)
			}
		}
		for _, s := range examples.bad {
			if text(s) == "" {
				t.Errorf("%s: %q is accepted", name, s)
			}
		}
	}
}

// ruleFor is the check tag by which a shape of the model is enforced.
func ruleFor(t *testing.T, shape string) func(string) string {
	t.Helper()
	tags := map[string]string{
		"ClientToken": "pattern=visible", "CertificateArn": "pattern=certificate", "PathMatchExact": "pattern=path",
		"HealthCheckPath": "pattern=healthpath", "HttpCodeMatcher": "pattern=codes", "VpcId": "pattern=vpc",
		"SecurityGroupId": "pattern=securitygroup", "Arn": "pattern=arn", "ServiceIdentifier": "id=service",
		"RuleIdentifier": "id=rule", "ServiceNetworkName": "name", "ServiceName": "name=svc-",
		"ServiceNetworkIdentifier": "id=servicenetwork", "TargetGroupIdentifier": "id=targetgroup",
		"ListenerIdentifier": "id=listener", "ServiceNetworkVpcAssociationId": "id=servicenetworkvpcassociation",
	}
	c, err := parseChecks(tags[shape])
	if err != nil || c.text == nil {
		t.Fatal(fmt.Errorf("%s: %q: %w", shape, tags[shape], err))
	}
	return c.text
}
