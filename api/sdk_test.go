package api

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
	"github.com/aws/smithy-go"

	"pergola/control"
	"pergola/control/acm"
	"pergola/control/ec2"
	"pergola/control/elbv2"
	"pergola/control/iam"
	"pergola/control/lambda"
	controls "pergola/control/operation"
	"pergola/control/organizations"
	"pergola/control/route53"
	stscontrol "pergola/control/sts"
	"pergola/functions"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/store"
)

// plane is a control plane behind its front door, without nodes.
type plane struct {
	url        string
	credential sealing.Credential
	iam        *iam.Control
	config     Config
}

func newPlane(t *testing.T) plane {
	t.Helper()
	ctx := t.Context()
	dir := t.TempDir()
	objects, err := store.Open(ctx, store.Config{Dir: dir + "/etcd", NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Close() })
	box, err := sealing.Make(dir + "/sealing.key")
	if err != nil {
		t.Fatal(err)
	}
	keys := iam.New(iam.Config{Config: controls.Config{Store: objects}, Box: box, AllowLocalIssuers: true})
	credential, err := keys.Administrator(ctx, iam.ManagementAccount)
	if err != nil {
		t.Fatal(err)
	}
	codes, err := functions.OpenCodes(dir + "/code")
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Lambda: lambda.New(lambda.Config{Config: controls.Config{Store: objects, Region: testRegion}, Box: box,
			Codes: codes, Runner: runner{}}),
		Lattice: control.New(control.Config{Config: controls.Config{Store: objects, Region: testRegion,
			Quotas: map[string]int{lattice.QuotaServiceNetworks.Code: 3}}}),
		ELBv2:   elbv2.New(controls.Config{Store: objects, Region: testRegion}),
		EC2:     ec2.New(controls.Config{Store: objects, Region: testRegion}),
		ACM:     acm.New(acm.Config{Config: controls.Config{Store: objects, Region: testRegion}, Box: box}),
		Route53: route53.New(controls.Config{Store: objects, Region: testRegion}),
		Organizations: organizations.New(organizations.Config{Config: controls.Config{Store: objects},
			FirstAccount: iam.ManagementAccount}),
		IAM: keys, STS: stscontrol.New(stscontrol.Config{Config: controls.Config{Store: objects}, Box: box,
			AllowLocalIssuers: true}),
		Keys: keys, Box: box, Region: testRegion,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	server := httptest.NewServer(New(config))
	t.Cleanup(server.Close)
	return plane{server.URL, credential, keys, config}
}

func (p plane) lattice(options ...func(*vpclattice.Options)) *vpclattice.Client {
	return vpclattice.New(vpclattice.Options{
		BaseEndpoint: aws.String(p.url), Region: testRegion, RetryMaxAttempts: 1,
		Credentials: awscredentials.NewStaticCredentialsProvider(p.credential.AccessKeyID, p.credential.Secret, ""),
	}, options...)
}

// TestSDK lives through the life of a service network as a program does that uses the SDK.
func TestSDK(t *testing.T) {
	p := newPlane(t)
	ctx, client := t.Context(), p.lattice()
	created, err := client.CreateServiceNetwork(ctx, &vpclattice.CreateServiceNetworkInput{
		Name: aws.String("retail"), AuthType: types.AuthTypeAwsIam, Tags: map[string]string{"team": "a b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(*created.Id, "sn-") || created.AuthType != types.AuthTypeAwsIam {
		t.Errorf("created %+v", created)
	}
	for _, identifier := range []*string{created.Id, created.Arn} {
		got, err := client.GetServiceNetwork(ctx, &vpclattice.GetServiceNetworkInput{ServiceNetworkIdentifier: identifier})
		if err != nil {
			t.Fatal(err)
		}
		if *got.Name != "retail" || got.CreatedAt == nil || got.CreatedAt.IsZero() {
			t.Errorf("got %+v", got)
		}
	}
	tags, err := client.ListTagsForResource(ctx, &vpclattice.ListTagsForResourceInput{ResourceArn: created.Arn})
	if err != nil || tags.Tags["team"] != "a b" {
		t.Errorf("tags %v, %v", tags, err)
	}
	if _, err := client.UntagResource(ctx, &vpclattice.UntagResourceInput{ResourceArn: created.Arn, TagKeys: []string{"team", "c&d"}}); err != nil {
		t.Error(err)
	}
	pages := vpclattice.NewListServiceNetworksPaginator(client, &vpclattice.ListServiceNetworksInput{MaxResults: aws.Int32(1)})
	if _, err := client.CreateServiceNetwork(ctx, &vpclattice.CreateServiceNetworkInput{Name: aws.String("wholesale")}); err != nil {
		t.Fatal(err)
	}
	listed := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		listed += len(page.Items)
	}
	if listed != 2 {
		t.Errorf("listed %d, want 2", listed)
	}
	t.Run("exceptions", func(t *testing.T) { testExceptions(t, client, *created.Id) })
	if _, err := client.DeleteServiceNetwork(ctx, &vpclattice.DeleteServiceNetworkInput{ServiceNetworkIdentifier: created.Id}); err != nil {
		t.Error(err)
	}
}

// testExceptions wants each error as the exception that the SDK has for it, with its members.
func testExceptions(t *testing.T, client *vpclattice.Client, id string) {
	ctx := t.Context()
	_, err := client.GetServiceNetwork(ctx, &vpclattice.GetServiceNetworkInput{ServiceNetworkIdentifier: aws.String("sn-00000000000000000")})
	var notFound *types.ResourceNotFoundException
	if !errors.As(err, &notFound) || *notFound.ResourceId != "sn-00000000000000000" || *notFound.ResourceType != "SERVICE_NETWORK" {
		t.Errorf("not found: %v", err)
	}
	_, err = client.CreateServiceNetwork(ctx, &vpclattice.CreateServiceNetworkInput{Name: aws.String("retail")})
	var conflict *types.ConflictException
	if !errors.As(err, &conflict) || *conflict.ResourceId != id || conflict.ResourceType == nil {
		t.Errorf("conflict: %v", err)
	}
	for _, name := range []string{"third", "fourth"} {
		_, err = client.CreateServiceNetwork(ctx, &vpclattice.CreateServiceNetworkInput{Name: aws.String(name)})
	}
	var quota *types.ServiceQuotaExceededException
	if !errors.As(err, &quota) || *quota.QuotaCode != lattice.QuotaServiceNetworks.Code || *quota.ServiceCode != "vpc-lattice" {
		t.Errorf("quota: %v", err)
	}
	_, err = client.CreateServiceNetwork(ctx, &vpclattice.CreateServiceNetworkInput{Name: aws.String("A"), AuthType: "NOBODY"})
	var invalid *types.ValidationException
	if !errors.As(err, &invalid) || invalid.Reason != types.ValidationExceptionReasonFieldValidationFailed || len(invalid.FieldList) != 2 || *invalid.FieldList[0].Name != "name" {
		t.Errorf("validation: %v", err)
	}
	for code, change := range map[string]func(*vpclattice.Options){
		"UnrecognizedClientException": func(o *vpclattice.Options) {
			o.Credentials = awscredentials.NewStaticCredentialsProvider("AKIA", "x", "")
		},
		"InvalidSignatureException": func(o *vpclattice.Options) { o.Region = "eu-west-1" },
	} {
		_, err = client.ListServices(ctx, &vpclattice.ListServicesInput{}, change)
		var refused smithy.APIError
		if !errors.As(err, &refused) || refused.ErrorCode() != code {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestSDKKnowsItsCaller(t *testing.T) {
	p := newPlane(t)
	identityOf := func(secret string) (*sts.GetCallerIdentityOutput, error) {
		client := sts.New(sts.Options{
			BaseEndpoint: aws.String(p.url), Region: testRegion, RetryMaxAttempts: 1,
			Credentials: awscredentials.NewStaticCredentialsProvider(p.credential.AccessKeyID, secret, ""),
		})
		return client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	}
	identity, err := identityOf(p.credential.Secret)
	if err != nil || *identity.Account != iam.ManagementAccount || *identity.Arn != "arn:aws:iam::"+iam.ManagementAccount+":user/admin" {
		t.Errorf("%+v, %v", identity, err)
	}
	var refused smithy.APIError
	if _, err = identityOf("wrong"); !errors.As(err, &refused) || refused.ErrorCode() != "SignatureDoesNotMatch" {
		t.Errorf("wrong secret: %v", err)
	}
}

func TestHTTPMethodsWithoutMeaning(t *testing.T) {
	p := newPlane(t)
	for _, method := range []string{http.MethodHead, http.MethodOptions, http.MethodTrace} {
		request, err := http.NewRequestWithContext(t.Context(), method, p.url+"/services", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Origin", "https://example.com")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusForbidden || response.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", method, response.StatusCode, response.Header)
		}
	}
}
