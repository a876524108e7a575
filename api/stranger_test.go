package api

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pergola/control"
	"pergola/control/iam"
)

// tables are the operations of all services, by the names of their models.
func tables() map[string][]operation {
	c := iam.New(iam.Config{})
	return map[string][]operation{
		"vpc-lattice": latticeOperations(new(control.Control)), "ec2": ec2Operations(nil), "elbv2": elbv2Operations(nil),
		"lambda": lambdaOperations(nil), "acm": acmOperations(nil), "iam": iamOperations(c), "sts": stsOperations(nil),
		"organizations": organizationsOperations(nil), "route53": route53Operations(nil),
	}
}

// modelName is the model of a service, whose signatures may have another name for it.
func modelName(service string) string {
	if service == "elasticloadbalancing" {
		return "elbv2"
	}
	return service
}

// onTheWire is the name by which requests have a member of a model. EC2 has rules of its own.
func (m *model) onTheWire(name string, of modelMember) string {
	switch {
	case m.Metadata.Protocol != "ec2" && of.LocationName != "":
		return of.LocationName
	case m.Metadata.Protocol != "ec2":
		return name
	case of.QueryName != "":
		return of.QueryName
	case of.LocationName != "":
		return strings.ToUpper(of.LocationName[:1]) + of.LocationName[1:]
	}
	return name
}

// lacking calls f with the path of every member of a model that a shape lacks.
func (m *model) lacking(s *shape, name, path string, f func(path string, of modelMember)) {
	for s.typ.Kind() == reflect.Pointer {
		s = s.element
	}
	want := m.Shapes[name]
	switch {
	case want.Type == "list" && s.typ.Kind() == reflect.Slice:
		m.lacking(s.element, want.Member.Shape, path, f)
	case want.Type == "structure" && s.typ.Kind() == reflect.Struct && (len(s.members) > 0 || path == ""):
		for _, key := range slices.Sorted(maps.Keys(want.Members)) {
			of := want.Members[key]
			name := m.onTheWire(key, of)
			i := slices.IndexFunc(s.members, func(m member) bool { return m.name == name })
			if i < 0 {
				f(join(path, name), of)
			} else {
				m.lacking(s.members[i].shape, of.Shape, join(path, name), f)
			}
		}
	}
}

// TestFault_D8_EveryParameterOfTheModelsIsDecidedAbout goes through every member of every request of the published
// models. The shape has it, or the door refuses it, or it is in the table of those that are taken; and those of the
// table that change nothing are in docs/divergences.md.
func TestFault_D8_EveryParameterOfTheModelsIsDecidedAbout(t *testing.T) {
	divergences, err := os.ReadFile("../docs/divergences.md")
	if err != nil {
		t.Fatal(err)
	}
	for service, protocol := range protocols(Config{IAM: iam.New(iam.Config{}), Logger: slog.New(slog.DiscardHandler)}) {
		m, left := readModel(t, modelName(service)), map[string]bool{}
		for operation, entries := range tolerated[service] {
			for name := range entries {
				left[operation+"."+name] = true
			}
		}
		for _, op := range tables()[modelName(service)] {
			input := m.Operations[op.name].Input
			if input == nil {
				continue
			}
			m.lacking(op.input, input.Shape, "", func(path string, of modelMember) {
				values, taken := tolerated[service].of(op.name, path)
				listed := regexp.MustCompile("(?m)^- `" + op.name + "`: .*`" + regexp.QuoteMeta(path) + "`")
				for entry := range left {
					if operation, name, _ := strings.Cut(entry, "."); operation == op.name &&
						(name == path || strings.HasPrefix(name, path+".")) {
						delete(left, entry)
						taken = true
					}
				}
				if values == withoutEffect && !listed.MatchString(string(divergences)) {
					t.Errorf("%s.%s is taken without effect, which docs/divergences.md does not say", op.name, path)
				}
				if refused := strangersOf(protocol).judge(op.name,
					[]stranger{{path, "no value that is the default"}}); refused == "" && !taken && service != "vpc-lattice" {
					t.Errorf("%s.%s is neither a member nor refused nor in the table", op.name, path)
				}
				if service == "vpc-lattice" {
					t.Errorf("%s.%s is not a member", op.name, path)
				}
				if of.Location == "header" {
					t.Errorf("%s.%s is in a header, where no stranger is looked for: give it a member", op.name, path)
				}
			})
		}
		for entry := range left {
			t.Errorf("%s: %s is in the table, and either has a member or is in no model", service, entry)
		}
	}
}

func strangersOf(p protocol) strangers {
	switch p := p.(type) {
	case query:
		return p.strangers
	case awsJSON:
		return p.strangers
	case restXML:
		return p.strangers
	}
	return p.(restJSON).strangers
}

// TestFault_D8_StrangersAreRefusedOrNoted sends parameters that mean nothing here, in the words of each protocol.
func TestFault_D8_StrangersAreRefusedOrNoted(t *testing.T) {
	var log strings.Builder
	all := protocols(Config{IAM: iam.New(iam.Config{}), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	const run = "Action=RunInstances&Version=2016-11-15&ImageId=ami-1&MinCount=1&MaxCount=1"
	for _, c := range []struct{ service, method, target, header, body, refused, noted string }{
		{"ec2", "POST", "/", "", run, "", ""},
		{"ec2", "POST", "/", "",
			run + "&EbsOptimized=false&DisableApiTermination=false&NetworkInterface.1.DeleteOnTermination=true&DryRun=false", "",
			""},
		{"ec2", "POST", "/", "", run + "&EbsOptimized=true",
			`UnknownParameter: The parameter "EbsOptimized" must be false here, or be left out`, ""},
		{"ec2", "POST", "/", "", run + "&KeyName=k&BlockDeviceMapping.1.Ebs.VolumeSize=8", "",
			`"BlockDeviceMapping.1.Ebs.VolumeSize\" \"KeyName`},
		{"ec2", "POST", "/", "", run + "&LaunchTemplate.LaunchTemplateName=x",
			`UnknownParameter: The parameter "LaunchTemplate.LaunchTemplateName" is not recognized here; leave it out`, ""},
		{"ec2", "POST", "/", "", run + "&NetworkInterface.1.NetworkInterfaceId=eni-1",
			`"NetworkInterface.1.NetworkInterfaceId" is not recognized`, ""},
		{"ec2", "POST", "/", "", "Action=DescribeVpcs&Filter.Name=x", `"Filter.Name" is not recognized`, ""},
		{"ec2", "GET", "/?Action=DescribeVpcs&X-Amz-Algorithm=a&X-Amz-Signature=b", "", "", "", ""},
		{"iam", "POST", "/", "", "Action=CreateUser&UserName=ada&Nickname=a",
			`ValidationError: The parameter "Nickname" is not recognized`, ""},
		{"iam", "POST", "/", "", "Action=CreateUser&UserName=ada&Tags.member.1.Key=a&Tags.member.1.Colour=red",
			`"Tags.member.1.Colour" is not recognized`, ""},
		{"elasticloadbalancing", "POST", "/", "", "Action=DescribeTargetHealth&TargetGroupArn=a&Include.member.1=All", "",
			"DescribeTargetHealth"},
		{"elasticloadbalancing", "POST", "/", "",
			"Action=SetSecurityGroups&LoadBalancerArn=a&SecurityGroups.member.1=sg-1&" +
				"EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic=on", "is not recognized", ""},
		{"acm", "POST", "/", "CertificateManager.RequestCertificate",
			`{"DomainName":"a.example.com","RootHierarchyType":"x"}`,
			`ValidationException: The member "RootHierarchyType" is not recognized`, ""},
		{"acm", "POST", "/", "CertificateManager.RequestCertificate",
			`{"DomainName":"a.example.com","RootHierarchyType":null,"Options":{"ValidationMethod":"DNS"}}`,
			`"Options.ValidationMethod" is not recognized`, ""},
		{"lambda", "GET", "/2015-03-31/functions/?MasterRegion=ALL", "", "", `"MasterRegion" is not recognized`, ""},
		{"lambda", "PUT", "/2015-03-31/functions/f/configuration", "", `{"RuntimeConfig":{"UpdateRuntimeOn":"Auto"}}`,
			`"RuntimeConfig.UpdateRuntimeOn" is not recognized`, ""},
		{"lambda", "PUT", "/2015-03-31/functions/f/configuration", "",
			`{"VpcConfig":{"Ipv6AllowedForDualStack":false},"TenancyConfig":{"TenantIsolationMode":"x"}}`, "", ""},
		{"vpc-lattice", "POST", "/services", "", `{"name":"abc","colour":"red"}`, "", "colour"},
	} {
		log.Reset()
		r := httptest.NewRequest(c.method, c.target, nil)
		if c.header != "" {
			r.Header.Set(targetHeader, c.header)
		}
		_, _, err := all[c.service].decode(r, []byte(c.body))
		if said := fmt.Sprint(err); (c.refused == "") != (err == nil) || !strings.Contains(said, c.refused) &&
			c.refused != "" {
			t.Errorf("%s %s: %v, want %s", c.target, c.body, err, c.refused)
		}
		if noted := log.String(); (c.noted == "") != (noted == "") || !strings.Contains(strings.ReplaceAll(noted, `\`, ""),
			strings.ReplaceAll(c.noted, `\`, "")) {
			t.Errorf("%s %s: the log says %q, want %s", c.target, c.body, noted, c.noted)
		}
	}
}

// lookedAtAsAWhole are the members that no operation reads by their names, with the reason.
var lookedAtAsAWhole = map[string]string{
	"PathMatchType.Exact": "matches are kept whole", "PathMatch.CaseSensitive": "matches are kept whole",
	"HeaderMatchType.Exact": "matches are kept whole", "HeaderMatch.CaseSensitive": "matches are kept whole",
	"LaunchInterface.DeviceIndex": "may be 0 alone", "Placement.Tenancy": "may be default alone",
	"Certificate.IsDefault":   "says what its place says",
	"ActionDescription.Order": "there is one action", "ForwardStickiness.DurationSeconds": "stickiness is refused",
	"Code.S3ObjectVersion": "code of S3 is refused", "FileSystem.Path": "file systems are refused",
	"LoggingConfig.ApplicationLogLevel": "is kept whole", "LoggingConfig.SystemLogLevel": "is kept whole",
	"SnapStart.OptimizationStatus": "an answer's", "ImageConfig.EntryPoint": "images are refused",
	"ImageConfig.Command": "images are refused", "ImageConfig.WorkingDirectory": "images are refused",
}

// TestFault_D8_EveryMemberIsLookedAt finds members of requests whose names occur in no operation's code.
func TestFault_D8_EveryMemberIsLookedAt(t *testing.T) {
	for service, operations := range tables() {
		folders := []string{"../control/" + service, "../aws/" + service}
		if service == "vpc-lattice" {
			folders = []string{"../control", "../lattice"}
		}
		read := selectors(t, folders)
		seen := map[reflect.Type]bool{}
		for _, op := range operations {
			eachField(op.input.typ, seen, func(of reflect.Type, field reflect.StructField) {
				if name := of.Name() + "." + field.Name; !read[field.Name] && lookedAtAsAWhole[name] == "" {
					t.Errorf("%s %s: nothing looks at %s", service, op.name, name)
				}
			})
		}
	}
}

// selectors are the names that code selects: fields and methods.
func selectors(t *testing.T, folders []string) map[string]bool {
	t.Helper()
	read := map[string]bool{}
	for _, folder := range folders {
		files, err := filepath.Glob(folder + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", folder, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(node ast.Node) bool {
				if s, ok := node.(*ast.SelectorExpr); ok {
					read[s.Sel.Name] = true
				}
				return true
			})
		}
	}
	return read
}

func eachField(typ reflect.Type, seen map[reflect.Type]bool, f func(reflect.Type, reflect.StructField)) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || seen[typ] {
		return
	}
	seen[typ] = true
	for field := range fields(typ) {
		if !field.Anonymous {
			f(typ, field)
		}
		eachField(field.Type, seen, f)
	}
}
