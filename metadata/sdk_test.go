package metadata

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// sdk is the SDK's own client in the instance 10.0.1.9.
func (w *world) sdk() *imds.Client {
	return imds.New(imds.Options{HTTPClient: w.client("10.0.1.9"), Endpoint: "http://" + Address.Addr().String()})
}

func TestSDKFindsItsRole(t *testing.T) {
	w := newWorld(t, web())
	client := w.sdk()
	got, err := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = client }).Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.AccessKeyID != "ASIA1" || got.SecretAccessKey != "secret/i-0web" || got.SessionToken != "token+reader" || !got.CanExpire || !got.Expires.Equal(start.Add(time.Hour)) {
		t.Errorf("%+v", got)
	}
	w.credentials = func(context.Context, Instance) (Credential, error) { return Credential{}, ErrUntrusted }
	w.seconds.Store(3600)
	if _, err := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = client }).Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "AssumeRoleUnauthorizedAccess") {
		t.Errorf("%v", err)
	}
}

func TestSDKKnowsWhereItIs(t *testing.T) {
	w := newWorld(t, web())
	client := w.sdk()
	region, err := client.GetRegion(t.Context(), nil)
	if err != nil || region.Region != "us-west-2" {
		t.Errorf("%+v, %v", region, err)
	}
	document, err := client.GetInstanceIdentityDocument(t.Context(), nil)
	if err != nil || document.InstanceID != "i-0web" || document.AccountID != "100000000001" || !document.PendingTime.Equal(web().Launched) {
		t.Errorf("%+v, %v", document, err)
	}
	info, err := client.GetIAMInfo(t.Context(), nil)
	if err != nil || info.InstanceProfileID != "AIPA1" {
		t.Errorf("%+v, %v", info, err)
	}
	answer, err := client.GetMetadata(t.Context(), &imds.GetMetadataInput{Path: "local-ipv4"})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Content.Close()
	if address, err := io.ReadAll(answer.Content); string(address) != "10.0.1.9" || err != nil {
		t.Errorf("%s, %v", address, err)
	}
}

func TestSDKGetsItselfAnotherToken(t *testing.T) {
	w := newWorld(t, web())
	client := w.sdk()
	for _, second := range []int64{0, maxTokenLife} {
		w.seconds.Store(second)
		if _, err := client.GetRegion(t.Context(), nil); err != nil {
			t.Errorf("after %d seconds: %v", second, err)
		}
	}
}

func TestSDKWithoutProfile(t *testing.T) {
	bare := web()
	bare.Profile = nil
	w := newWorld(t, bare)
	client := w.sdk()
	_, err := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = client }).Retrieve(t.Context())
	var status interface{ HTTPStatusCode() int }
	if !errors.As(err, &status) || status.HTTPStatusCode() != 404 {
		t.Errorf("%v", err)
	}
}
