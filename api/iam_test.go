package api

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/smithy-go"

	"pergola/aws/iam"
	control "pergola/control/iam"
	stscontrol "pergola/control/sts"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/sigv4"
)

// Documents for commands, which are split at spaces.
const (
	allowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	trustAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"100000000001"},"Action":"sts:AssumeRole"}]}`
)

func TestCLIOfIAM(t *testing.T) {
	t.Parallel()
	newCLI(t).runCLI(t, []step{
		{"iam get-user --query User.[UserName,Arn]", "", "user/admin"},
		{"iam list-attached-user-policies --user-name admin --query AttachedPolicies[0].PolicyArn", "", "arn:aws:iam::aws:policy/AdministratorAccess"},
		{"iam create-user --user-name ada --path /team/ --tags Key=team,Value=red --query User.Arn", "ada", "arn:aws:iam::100000000001:user/team/ada"},
		{"iam create-user --user-name ADA", "", "EntityAlreadyExists"},
		{"iam create-user --user-name no/slash", "", "ValidationError"},
		{"iam get-user --user-name nobody", "", "NoSuchEntity"},
		{"iam list-users --path-prefix /team/ --query Users[].UserName", "", "ada"},
		{"iam list-user-tags --user-name ada --query Tags", "", "red"},
		{"iam create-access-key --user-name ada --query AccessKey.AccessKeyId", "key", "AKIA"},
		{"iam update-access-key --user-name ada --access-key-id {key} --status Inactive", "", ""},
		{"iam list-access-keys --user-name ada --query AccessKeyMetadata[0].Status", "", "Inactive"},
		{"sts get-access-key-info --access-key-id {key} --query Account", "", "100000000001"},
		{"iam delete-user --user-name ada", "", "DeleteConflict"},
		{"iam delete-access-key --user-name ada --access-key-id {key}", "", ""},
		{"iam create-group --group-name readers --query Group.Arn", "", "group/readers"},
		{"iam add-user-to-group --group-name readers --user-name ada", "", ""},
		{"iam get-group --group-name readers --query Users[].UserName", "", "ada"},
		{"iam attach-group-policy --group-name readers --policy-arn arn:aws:iam::aws:policy/VPCLatticeReadOnlyAccess", "", ""},
		{"iam list-entities-for-policy --policy-arn arn:aws:iam::aws:policy/VPCLatticeReadOnlyAccess --query PolicyGroups[].GroupName", "", "readers"},
		{"iam put-user-policy --user-name ada --policy-name all --policy-document " + allowAll, "", ""},
		{"iam get-user-policy --user-name ada --policy-name all --query PolicyDocument.Statement[0].Action", "", `"*"`},
		{"iam put-user-policy --user-name ada --policy-name bad --policy-document {}", "", "MalformedPolicyDocument"},
		{"iam create-policy --policy-name all --policy-document " + allowAll + " --query Policy.Arn", "policy", "arn:aws:iam::100000000001:policy/all"},
		{"iam get-policy-version --policy-arn {policy} --version-id v1 --query PolicyVersion.Document.Statement[0].Effect", "", "Allow"},
		{"iam create-policy-version --policy-arn {policy} --set-as-default --policy-document " + allowAll + " --query PolicyVersion.VersionId", "", "v2"},
		{"iam list-policies --scope Local --query Policies[].[PolicyName,DefaultVersionId]", "", "v2"},
		{"iam create-role --role-name worker --assume-role-policy-document " + trustAll + " --permissions-boundary {policy} --query Role.AssumeRolePolicyDocument.Statement[0].Action", "", "sts:AssumeRole"},
		{"iam create-role --role-name bad --assume-role-policy-document " + allowAll, "", "MalformedPolicyDocument"},
		{"iam attach-role-policy --role-name worker --policy-arn {policy}", "", ""},
		{"iam delete-policy --policy-arn {policy}", "", "DeleteConflict"},
		{"iam create-instance-profile --instance-profile-name machines --query InstanceProfile.Roles", "", "[]"},
		{"iam add-role-to-instance-profile --instance-profile-name machines --role-name worker", "", ""},
		{"iam list-instance-profiles-for-role --role-name worker --query InstanceProfiles[0].Roles[0].RoleName", "", "worker"},
		{"iam create-open-id-connect-provider --url https://issuer.example.com/a --client-id-list sts --query OpenIDConnectProviderArn", "provider", "oidc-provider/issuer.example.com/a"},
		{"iam get-open-id-connect-provider --open-id-connect-provider-arn {provider} --query [Url,ClientIDList]", "", "issuer.example.com/a"},
		{"sts assume-role --role-arn arn:aws:iam::100000000001:role/worker --role-session-name a!b", "", "ValidationError"},
		{"sts assume-role --role-arn arn:aws:iam::100000000001:role/worker --role-session-name one --tags Key=a,Value=b", "", "AccessDenied"},
		{"sts assume-role --role-arn arn:aws:iam::100000000001:role/worker --role-session-name one --query AssumedRoleUser.Arn", "", "assumed-role/worker/one"},
		{"sts assume-role --role-arn arn:aws:iam::100000000001:role/none --role-session-name one", "", "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::100000000001:role/none"},
		{"sts get-session-token --query Credentials.AccessKeyId", "", "ASIA"},
		{"sts assume-role-with-web-identity --role-arn arn:aws:iam::100000000001:role/worker --role-session-name one --web-identity-token abcd", "", "InvalidIdentityToken"},
		{"sts get-caller-identity --no-sign-request", "", "MissingAuthenticationToken"},
		{"iam list-users --region us-east-1 --query Users[0].UserName", "", "ada"},
		{"ec2 describe-vpcs --region us-east-1", "", "valid Region"},
	})
}

// TestFormsOfIAM decodes forms, in which the elements of lists are members.
func TestFormsOfIAM(t *testing.T) {
	protocol := newQuery(iamStyle, iamOperations(control.New(control.Config{})))
	for _, c := range []struct {
		body string
		want any
		code string
	}{
		{"Action=CreateUser&UserName=ada&Tags.member.2.Key=b&Tags.member.1.Key=a&Tags.member.1.Value=x", &iam.CreateUserRequest{Name: "ada", Tags: []iam.Tag{{Key: "a", Value: "x"}, {Key: "b"}}}, ""},
		{"Action=UntagRole&RoleName=r&TagKeys.member.1=a", &iam.UntagRequest{Subject: iam.Subject{RoleName: "r"}, TagKeys: []string{"a"}}, ""},
		{"Action=TagRole&RoleName=r&Tags=", &iam.TagRequest{Subject: iam.Subject{RoleName: "r"}, Tags: []iam.Tag{}}, ""},
		{"Action=UpdateRole&RoleName=r&Description=", &iam.UpdateRoleRequest{Name: "r", Description: new(string)}, ""},
		{"Action=CreateUser&UserName=a%20b", nil, "1 validation error detected: Value at 'userName' must have no characters but"},
		{"Action=CreateUser", nil, "1 validation error detected: Value at 'userName' is required"},
		{"Action=CreateUser&UserName=a&Path=x", nil, "Value at 'path' must be a path"},
		{"Action=CreateUser&UserName=a&Tags.member.1.Key=%23", nil, "Value at 'tags[0].Key' must have no characters but"},
		{"Action=ListUsers&MaxItems=1001", nil, "Value at 'maxItems' must be from 1 to 1000"},
		{"Action=ListUsers&MaxItems=0", nil, "Value at 'maxItems' must be from 1 to 1000"},
		{"Action=UpdateAccessKey&AccessKeyId=AKIAIOSFODNN7EXAMPLE&Status=Expired", nil, "Value at 'status' must be one of Active, Inactive"},
		{"Action=CreateRole&RoleName=r&AssumeRolePolicyDocument=%E2%82%AC", nil, "Value at 'assumeRolePolicyDocument' must have no characters but"},
		{"Action=CreatePolicy&PolicyName=p&PolicyDocument=x&Path=/a*/", nil, "Value at 'path' must be a path"},
		{"Action=GetPolicyVersion&PolicyArn=arn:aws:iam::aws:policy/X&VersionId=1", nil, "Value at 'versionId' must be the id of a version"},
		{"Action=CreateOpenIDConnectProvider&Url=x&ThumbprintList.member.1=a", nil, "Value at 'thumbprintList[0]' must have 40 to 40"},
	} {
		_, got, err := protocol.decode(httptest.NewRequest("POST", "/", nil), []byte(c.body))
		switch {
		case c.want == nil && (err == nil || !strings.HasPrefix(err.Error(), "ValidationError: ") || !strings.Contains(err.Error(), c.code)):
			t.Errorf("%s: %v, want %s", c.body, err, c.code)
		case c.want != nil && (err != nil || !reflect.DeepEqual(got, c.want)):
			t.Errorf("%s: %+v, %v, want %+v", c.body, got, err, c.want)
		}
	}
}

// TestOperationsOfIAM wants each name once in the tables.
func TestOperationsOfIAM(t *testing.T) {
	seen := map[string]bool{}
	for _, op := range slices.Concat(iamOperations(control.New(control.Config{})), stsOperations(stscontrol.New(stscontrol.Config{}))) {
		if seen[op.name] {
			t.Errorf("%s is in the tables twice", op.name)
		}
		seen[op.name] = true
		if op.unsigned != (op.name == "AssumeRoleWithWebIdentity") {
			t.Errorf("%s: unsigned is %v", op.name, op.unsigned)
		}
	}
}

// TestUnsigned sends forms without a signature: one operation takes them, and only that one.
func TestUnsigned(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{"Action=AssumeRoleWithWebIdentity&Version=2011-06-15", "<Code>ValidationError</Code>"},
		{"Action=AssumeRoleWithWebIdentity&RoleArn=arn:aws:iam::100000000001:role/r&RoleSessionName=ab&WebIdentityToken=abcd", "<Code>InvalidIdentityToken</Code>"},
		{"Action=AssumeRole&RoleArn=arn:aws:iam::100000000001:role/r&RoleSessionName=ab", "<Code>MissingAuthenticationToken</Code>"},
		{"Action=GetCallerIdentity", "<Code>MissingAuthenticationToken</Code>"},
		{"Action=Dance", "<Code>MissingAuthenticationToken</Code>"},
		{"Action=%zz", "<Code>MissingAuthenticationToken</Code>"},
	} {
		door, _ := testDoor()
		r := httptest.NewRequest("POST", "http://api.test/", strings.NewReader(c.body))
		r.Header.Set("Content-Type", formType)
		if body := bodyOf(t, serve(door, r)); !strings.Contains(body, c.want) {
			t.Errorf("%s: %s, want %s", c.body, body, c.want)
		}
	}
}

func (p plane) sts(provider aws.CredentialsProvider) *sts.Client {
	return sts.New(sts.Options{BaseEndpoint: aws.String(p.url), Region: testRegion, RetryMaxAttempts: 1, Credentials: provider})
}

// makeRole makes a role that may do everything in VPC Lattice, and returns its ARN.
func (p plane) makeRole(t *testing.T, name, trust string) string {
	t.Helper()
	created, err := p.iam.CreateRole(t.Context(), rootCaller(), &iam.CreateRoleRequest{Name: name, Trust: trust})
	if err != nil {
		t.Fatal(err)
	}
	full := &iam.AttachmentRequest{Subject: iam.Subject{RoleName: name}, ARN: "arn:aws:iam::aws:policy/VPCLatticeFullAccess"}
	if _, err := p.iam.Roles().AttachPolicy(t.Context(), rootCaller(), full); err != nil {
		t.Fatal(err)
	}
	return created.Role.ARN
}

const adminARN = "arn:aws:iam::100000000001:user/admin"

// listServices calls VPC Lattice with temporary credentials and returns the code of the error, or "".
func (p plane) listServices(t *testing.T, c *ststypes.Credentials) string {
	t.Helper()
	_, err := p.lattice().ListServices(t.Context(), &vpclattice.ListServicesInput{}, func(o *vpclattice.Options) {
		o.Credentials = awscredentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	})
	var refused smithy.APIError
	if errors.As(err, &refused) {
		return refused.ErrorCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return ""
}

func TestSDKAssumesRole(t *testing.T) {
	p := newPlane(t)
	arn := p.makeRole(t, "worker", trustAll)
	admin := p.sts(awscredentials.NewStaticCredentialsProvider(p.credential.AccessKeyID, p.credential.Secret, ""))
	assumed, err := admin.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(arn), RoleSessionName: aws.String("one")})
	if err != nil {
		t.Fatal(err)
	}
	c := assumed.Credentials
	if *assumed.AssumedRoleUser.Arn != "arn:aws:sts::100000000001:assumed-role/worker/one" || time.Until(*c.Expiration) > time.Hour {
		t.Errorf("assumed %+v until %v", assumed.AssumedRoleUser, c.Expiration)
	}
	temporary := p.sts(awscredentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken))
	identity, err := temporary.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || *identity.Arn != *assumed.AssumedRoleUser.Arn || *identity.UserId != *assumed.AssumedRoleUser.AssumedRoleId {
		t.Errorf("identity %+v, %v", identity, err)
	}
	if code := p.listServices(t, c); code != "" {
		t.Errorf("VPC Lattice refuses with %s", code)
	}
	token, another := *c.SessionToken, "x"
	for name, change := range map[string]func(*ststypes.Credentials){
		"token altered":      func(c *ststypes.Credentials) { c.SessionToken = aws.String(token[:len(token)-2] + "AA") },
		"token cut":          func(c *ststypes.Credentials) { c.SessionToken = aws.String(token[:20]) },
		"token of none":      func(c *ststypes.Credentials) { c.SessionToken = aws.String(another) },
		"no token":           func(c *ststypes.Credentials) { c.SessionToken = aws.String("") },
		"key of another":     func(c *ststypes.Credentials) { c.AccessKeyId = aws.String("ASIAIOSFODNN7EXAMPLE") },
		"key of a long term": func(c *ststypes.Credentials) { c.AccessKeyId = aws.String(p.credential.AccessKeyID) },
	} {
		altered := *c
		change(&altered)
		if code := p.listServices(t, &altered); code != "UnrecognizedClientException" {
			t.Errorf("%s: %q, want UnrecognizedClientException", name, code)
		}
	}
	altered := *c
	altered.SecretAccessKey = aws.String("x")
	if code := p.listServices(t, &altered); code != "InvalidSignatureException" {
		t.Errorf("wrong secret: %q", code)
	}
}

// TestSDKAssumesRoleWithWebIdentity has an issuer sign a token for a program that has no credentials.
func TestSDKAssumesRoleWithWebIdentity(t *testing.T) {
	p := newPlane(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":%q,"y":%q}]}`, encode(point[1:33]), encode(point[33:]))
			return
		}
		_, _ = fmt.Fprintf(w, `{"issuer":"http://%[1]s","jwks_uri":"http://%[1]s/keys"}`, r.Host)
	}))
	t.Cleanup(issuer.Close)
	signed := encode([]byte(`{"alg":"ES256","kid":"k"}`)) + "." +
		encode(fmt.Appendf(nil, `{"iss":%q,"sub":"job","aud":"pergola","exp":%d}`, issuer.URL, time.Now().Add(time.Hour).Unix()))
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	token := signed + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))

	admin := rootCaller()
	provider, err := p.iam.CreateOpenIDConnectProvider(t.Context(), admin, &iam.CreateProviderRequest{URL: issuer.URL, ClientIDs: []string{"pergola"}})
	if err != nil {
		t.Fatal(err)
	}
	arn := p.makeRole(t, "job", strings.NewReplacer("sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", `{"AWS":"100000000001"}`, `{"Federated":"`+provider.ARN+`"}`).Replace(trustAll))
	assumed, err := p.sts(nil).AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(arn), RoleSessionName: aws.String("one"), WebIdentityToken: aws.String(token),
	})
	if err != nil {
		t.Fatal(err)
	}
	if *assumed.SubjectFromWebIdentityToken != "job" || *assumed.Provider != provider.ARN {
		t.Errorf("assumed %+v", assumed)
	}
	if code := p.listServices(t, assumed.Credentials); code != "" {
		t.Errorf("VPC Lattice refuses with %s", code)
	}
}

// TestSessionsEnd signs with a session before and after its end.
func TestSessionsEnd(t *testing.T) {
	box, err := sealing.New(bytes.Repeat([]byte{1}, sealing.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	get := func(_ context.Context, caller iam.Caller, _ *lattice.GetServiceRequest) (*lattice.GetServiceResponse, error) {
		return &lattice.GetServiceResponse{Name: caller.Session.Name}, nil
	}
	door := newDoor(Config{Keys: oneKey{}, Box: box, Region: testRegion, Now: func() time.Time { return testNow }, Random: zeros{}}, map[string]protocol{
		"vpc-lattice": newRESTJSON([]operation{rest("GetService", "GET", "/services/{serviceIdentifier}", 200, get)}),
	})
	for _, c := range []struct {
		left   time.Duration
		status int
		want   string
	}{{time.Second, 200, `"name":"one"`}, {0, 403, "expired"}, {-time.Hour, 403, "expired"}} {
		credential, err := box.SealSession(iam.Caller{Account: "100000000001", Session: &iam.Session{Name: "one", Expires: testNow.Add(c.left)}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "http://api.test/services/svc-0123456789abcdef0", nil)
		signer := sigv4.Signer{
			AccessKeyID: credential.AccessKeyID, SecretAccessKey: credential.Secret, SessionToken: credential.Token, Region: testRegion, Service: "vpc-lattice",
		}
		if err := signer.SignHTTP(r, nil, testNow); err != nil {
			t.Fatal(err)
		}
		response := serve(door, r)
		if body := bodyOf(t, response); response.StatusCode != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%v left: %d %s, want %d … %s", c.left, response.StatusCode, body, c.status, c.want)
		}
	}
}
