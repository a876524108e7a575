package api

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/smithy-go"

	shapes "pergola/aws"
	"pergola/aws/ec2"
	"pergola/aws/iam"
	"pergola/lattice"
)

// permitless are the operations that nobody needs a permission for.
var permitless = []string{"sts:GetCallerIdentity", "sts:GetSessionToken", "sts:AssumeRoleWithWebIdentity"}

// plausible are values for the members of requests, by their names and types: enough to get past what is checked before
// anybody is asked.
var plausible = map[string]any{
	"ServiceIdentifier": "svc-0123456789abcdef0", "ServiceNetworkIdentifier": "sn-0123456789abcdef0", "ListenerIdentifier": "listener-0123456789abcdef0",
	"RuleIdentifier": "rule-0123456789abcdef0", "TargetGroupIdentifier": "tg-0123456789abcdef0", "Identifier": "snsa-0123456789abcdef0",
	"ResourceIdentifier": "svc-0123456789abcdef0", "ResourceARN": "arn:aws:vpc-lattice:us-west-2:100000000001:service/svc-0123456789abcdef0",
	"VPCIdentifier": "vpc-0123456789abcdef0", "SecurityGroupIDs": []string{"sg-0123456789abcdef0"}, "Name": "thing",
	"Type": lattice.TargetIP, "Protocol": lattice.ProtocolHTTP, "Config": &lattice.TargetGroupConfig{VPCIdentifier: "vpc-0123456789abcdef0"},
	"Match":         lattice.RuleMatch{HTTPMatch: &lattice.HTTPMatch{Method: "GET"}},
	"DefaultAction": lattice.RuleAction{FixedResponse: &lattice.FixedResponseAction{StatusCode: 404}},
	"Action":        lattice.RuleAction{FixedResponse: &lattice.FixedResponseAction{StatusCode: 404}},
	"Policy":        `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`,
	"Rules":         []lattice.RuleUpdate{{RuleIdentifier: "rule-0123456789abcdef0", Priority: 3}},

	"ResourceGatewayIdentifier": "rgw-0123456789abcdef0", "ResourceConfigurationIdentifier": "rcfg-0123456789abcdef0",
	"DomainVerificationIdentifier": "dv-0123456789abcdef0", "DomainName": "www.example.com",

	"CertificateARN": "arn:aws:acm:us-west-2:100000000001:certificate/1",

	"CIDRBlock": "10.0.0.0/16", "VPCID": "vpc-0123456789abcdef0", "SubnetID": "subnet-0123456789abcdef0", "GroupID": "sg-0123456789abcdef0",
	"ACLID": "acl-0123456789abcdef0", "Number": int32(100), "CIDR": "10.0.0.0/8",

	"InstanceID": "i-0123456789abcdef0", "DNSSupport": &ec2.AttributeValue{Value: true}, "Resources": []string{"vpc-0123456789abcdef0"},

	"LoadBalancerARN": "arn:aws:elasticloadbalancing:us-west-2:100000000001:loadbalancer/app/web/0123456789abcdef", "Scheme": "internal", "Port": int32(80),
	"ListenerARN": "arn:aws:elasticloadbalancing:us-west-2:100000000001:listener/app/web/0123456789abcdef/0123456789abcdef",
	"Subnets":     []string{"subnet-0123456789abcdef0", "subnet-0123456789abcdef1"},

	"UserName": "ada", "GroupName": "team", "RoleName": "work", "InstanceProfileName": "web", "ProfileName": "web",
	"PolicyARN": "arn:aws:iam::100000000001:policy/p", "ProviderARN": "arn:aws:iam::100000000001:oidc-provider/issuer.test",
	"URL": "https://issuer.test", "ARN": "arn:aws:iam::100000000001:policy/p",
	"Document": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, "Trust": trustAll,

	"FunctionName": "spots", "Resource": "arn:aws:lambda:us-west-2:100000000001:function:spots", "StatementID": "s",

	"TargetID": "ou-ab12-01234567", "ResourceID": "ou-ab12-01234567", "ParentID": "ou-ab12-01234567", "ChildID": "ou-ab12-01234567",
	"PolicyID": "p-0123456789", "RootID": "r-ab12", "RoleARN": "arn:aws:iam::100000000001:role/work", "Tokens": "required", "PolicyType": "SERVICE_CONTROL_POLICY",
}

// plausibleInput makes the input of an operation, with values for the members of requests by their names and types.
func plausibleInput(op *operation, values ...map[string]any) any {
	in := reflect.New(op.input.typ)
	for _, some := range values {
		fillIn(op.name, in.Elem(), some)
	}
	return in.Interface()
}

func fillIn(op string, in reflect.Value, values map[string]any) {
	for i := range in.NumField() {
		field, name := in.Field(i), in.Type().Field(i).Name
		value := reflect.ValueOf(values[name])
		switch {
		case name == "Policy" && op != "PutAuthPolicy": // the policy of a session
		case in.Type().Field(i).Anonymous:
			fillIn(op, field, values)
		case !value.IsValid():
		case value.Type() == field.Type():
			field.Set(value)
		case field.Kind() == reflect.Pointer && value.Type() == field.Type().Elem():
			field.Set(reflect.New(value.Type()))
			field.Elem().Set(value)
		case value.Kind() == field.Kind() && value.Type().ConvertibleTo(field.Type()):
			field.Set(value.Convert(field.Type()))
		}
	}
}

// tables are the operations of every service by the prefix of its actions.
func (p plane) tables() map[string][]operation {
	return map[string][]operation{
		"vpc-lattice": latticeOperations(p.config.Lattice), "ec2": ec2Operations(p.config.EC2), "iam": iamOperations(p.config.IAM),
		"sts": stsOperations(p.config.STS), "organizations": organizationsOperations(p.config.Organizations),
		"acm":                  acmOperations(p.config.ACM),
		"route53":              route53Operations(p.config.Route53),
		"elasticloadbalancing": elbv2Operations(p.config.ELBv2),
		"lambda":               lambdaOperations(p.config.Lambda),
	}
}

// refusal takes the sentence apart that tells a caller what it may not do.
var refusal = regexp.MustCompile(`is not authorized to perform: (\S+) on resource: (\S+)`)

// refusedWhat is what an error says the caller may not do; "" for any other outcome.
func refusedWhat(t *testing.T, err error) (action, resource string) {
	t.Helper()
	var ofLattice *lattice.Error
	var ofNeighbour *shapes.Error
	if err == nil {
		return "", ""
	}
	match := refusal.FindStringSubmatch(err.Error())
	switch {
	case match == nil:
		return "", ""
	case errors.As(err, &ofLattice) && ofLattice.Kind == lattice.AccessDenied:
	case errors.As(err, &ofNeighbour) && slices.Contains([]string{"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}, ofNeighbour.Code):
	default:
		t.Errorf("%v is not how the service refuses", err)
	}
	return match[1], match[2]
}

type permission struct{ action, resource string }

func document(permissions []permission) string {
	var statements []string
	for _, p := range permissions {
		statements = append(statements, fmt.Sprintf(`{"Effect":"Allow","Action":%q,"Resource":%q}`, p.action, p.resource))
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// newUser makes a user of the management account without policies.
func (p plane) newUser(t *testing.T, name string) iam.Caller {
	t.Helper()
	created, err := p.config.IAM.CreateUser(t.Context(), rootCaller(), &iam.CreateUserRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return iam.Caller{Account: lattice.AccountOf(adminARN), ARN: created.User.ARN, UserID: created.User.ID, Type: iam.TypeUser}
}

// rootCaller is the root user of the management account.
func rootCaller() iam.Caller {
	return iam.Caller{Account: lattice.AccountOf(adminARN), ARN: "arn:aws:iam::" + lattice.AccountOf(adminARN) + ":root", Type: iam.TypeAccount}
}

// putPolicy replaces the one inline policy of a user; without permissions, it allows what no operation needs.
func (p plane) putPolicy(t *testing.T, user string, permissions []permission) {
	t.Helper()
	if len(permissions) == 0 {
		permissions = []permission{{"none:Nothing", "*"}}
	}
	in := &iam.PutPolicyRequest{InlinePolicyRequest: iam.InlinePolicyRequest{Subject: iam.Subject{UserName: user}, Name: "own"}, Document: document(permissions)}
	if _, err := p.config.IAM.Users().PutPolicy(t.Context(), rootCaller(), in); err != nil {
		t.Fatal(err)
	}
}

// TestSDKRoleHasItsPermissions assumes a role and calls VPC Lattice with the SDK, while the role's policies change: each
// change holds for the next call.
func TestSDKRoleHasItsPermissions(t *testing.T) {
	p := newPlane(t)
	role := p.makeRole(t, "builder", trustAll)
	subject := iam.Subject{RoleName: "builder"}
	const full, readOnly = "arn:aws:iam::aws:policy/VPCLatticeFullAccess", "arn:aws:iam::aws:policy/VPCLatticeReadOnlyAccess"
	attach := func(arn string) {
		if _, err := p.config.IAM.Roles().AttachPolicy(t.Context(), rootCaller(), &iam.AttachmentRequest{Subject: subject, ARN: arn}); err != nil {
			t.Fatal(err)
		}
	}
	detach := func(arn string) {
		if _, err := p.config.IAM.Roles().DetachPolicy(t.Context(), rootCaller(), &iam.AttachmentRequest{Subject: subject, ARN: arn}); err != nil {
			t.Fatal(err)
		}
	}
	detach(full)
	session := func(policy *string) *vpclattice.Client {
		admin := p.sts(awscredentials.NewStaticCredentialsProvider(p.credential.AccessKeyID, p.credential.Secret, ""))
		assumed, err := admin.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("one"), Policy: policy})
		if err != nil {
			t.Fatal(err)
		}
		c := assumed.Credentials
		return p.lattice(func(o *vpclattice.Options) {
			o.Credentials = awscredentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
		})
	}
	client := session(nil)
	limited := session(aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"vpc-lattice:List*","Resource":"*"}}`))
	create := func(client *vpclattice.Client, name string) error {
		_, err := client.CreateService(t.Context(), &vpclattice.CreateServiceInput{Name: aws.String(name)})
		return err
	}
	list := func(client *vpclattice.Client) error {
		_, err := client.ListServices(t.Context(), &vpclattice.ListServicesInput{})
		return err
	}
	const caller = "User: arn:aws:sts::100000000001:assumed-role/builder/one is not authorized to perform: "
	denied(t, create(client, "one"), caller+"vpc-lattice:CreateService on resource: arn:aws:vpc-lattice:us-west-2:100000000001:service/* because no identity-based policy allows the vpc-lattice:CreateService action")
	denied(t, list(client), caller+"vpc-lattice:ListServices on resource: *")
	attach(readOnly)
	denied(t, create(client, "one"), caller+"vpc-lattice:CreateService")
	denied(t, list(client), "")
	attach(full)
	denied(t, create(client, "one"), "")
	denied(t, create(limited, "two"), caller+"vpc-lattice:CreateService on resource: arn:aws:vpc-lattice:us-west-2:100000000001:service/* because no session policy allows")
	denied(t, list(limited), "")
	detach(full)
	denied(t, create(client, "two"), caller+"vpc-lattice:CreateService")
}

// TestSDKCallersHaveAnOrigin calls with the SDK as a user whose permissions depend on how the call comes.
func TestSDKCallersHaveAnOrigin(t *testing.T) {
	p := newPlane(t)
	p.newUser(t, "remote")
	key, err := p.config.IAM.CreateAccessKey(t.Context(), rootCaller(), &iam.SubjectRequest{Subject: iam.Subject{UserName: "remote"}})
	if err != nil {
		t.Fatal(err)
	}
	client := p.lattice(func(o *vpclattice.Options) {
		o.Credentials = awscredentials.NewStaticCredentialsProvider(key.Key.ID, key.Key.Secret, "")
	})
	const refusedHere = "User: arn:aws:iam::100000000001:user/remote is not authorized to perform: vpc-lattice:ListServices on resource: *"
	for condition, message := range map[string]string{
		`"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}`:                  "",
		`"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}`:                 refusedHere,
		`"Bool":{"aws:SecureTransport":"false"}`:                      "",
		`"Bool":{"aws:SecureTransport":"true"}`:                       refusedHere,
		`"StringLike":{"aws:UserAgent":"aws-sdk-go-v2/*"}`:            "",
		`"StringLike":{"aws:UserAgent":"curl/*"}`:                     refusedHere,
		`"StringEquals":{"aws:RequestedRegion":"` + testRegion + `"}`: "",
		`"DateLessThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}`:   refusedHere,
		`"NumericGreaterThan":{"aws:EpochTime":"1600000000"}`:         "",
	} {
		in := &iam.PutPolicyRequest{
			InlinePolicyRequest: iam.InlinePolicyRequest{Subject: iam.Subject{UserName: "remote"}, Name: "own"},
			Document:            `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"vpc-lattice:*","Resource":"*","Condition":{` + condition + `}}}`,
		}
		if _, err := p.config.IAM.Users().PutPolicy(t.Context(), rootCaller(), in); err != nil {
			t.Fatal(err)
		}
		_, err := client.ListServices(t.Context(), &vpclattice.ListServicesInput{})
		t.Log(condition)
		denied(t, err, message)
	}
}

// denied checks that an error of the SDK is a refusal with a message that begins so; with "", that there is none.
func denied(t *testing.T, err error, message string) {
	t.Helper()
	var refused smithy.APIError
	switch {
	case message == "" && err != nil:
		t.Errorf("refused: %v", err)
	case message != "" && (!errors.As(err, &refused) || refused.ErrorCode() != "AccessDeniedException" || !strings.HasPrefix(refused.ErrorMessage(), message)):
		t.Errorf("got %v, want AccessDeniedException: %s", err, message)
	}
}

// TestOriginOf reads how requests came, over TLS and not, and over connections that have no address.
func TestOriginOf(t *testing.T) {
	for _, c := range []struct {
		url, remote, address string
		secure               bool
	}{
		{"https://api.test/", "192.0.2.1:1234", "192.0.2.1", true},
		{"http://api.test/", "[2001:db8::1]:1234", "2001:db8::1", false},
		{"http://api.test/", "@", "invalid IP", false},
	} {
		r := httptest.NewRequest("GET", c.url, nil)
		r.RemoteAddr = c.remote
		r.Header.Set("User-Agent", "test")
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		r.Header.Set("X-Forwarded-Proto", "https")
		if got := originOf(r); got.Address.String() != c.address || got.Secure != c.secure || got.UserAgent != "test" {
			t.Errorf("%s from %s: %+v", c.url, c.remote, got)
		}
	}
}
