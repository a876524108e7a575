package api

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"pergola/aws/iam"
	"pergola/internal/apiclient"
	"pergola/operator"
)

// TestFault_C3_ASessionTokenMakesNoKeys signs with the session of the account's administrator.
func TestFault_C3_ASessionTokenMakesNoKeys(t *testing.T) {
	p := newPlane(t)
	admin := p.sts(awscredentials.NewStaticCredentialsProvider(p.credential.AccessKeyID, p.credential.Secret, ""))
	got, err := admin.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	session := &apiclient.Client{Environment: operator.Environment{
		Endpoint: p.url, Region: testRegion, AccessKeyID: *got.Credentials.AccessKeyId,
		SecretAccessKey: *got.Credentials.SecretAccessKey, SessionToken: *got.Credentials.SessionToken,
	}}
	for action, parameters := range map[string]url.Values{
		"CreateUser": {"UserName": {"lasting"}}, "CreateAccessKey": {"UserName": {"admin"}}, "ListUsers": {}, "GetUser": {},
		"AttachUserPolicy": {"UserName": {"admin"}, "PolicyArn": {"arn:aws:iam::aws:policy/AdministratorAccess"}},
	} {
		err := session.Query(t.Context(), "iam", action, parameters, nil)
		var refused *apiclient.Error
		if !errors.As(err, &refused) || refused.Status != 403 || refused.Code != "InvalidClientTokenId" {
			t.Errorf("%s: %v, want InvalidClientTokenId", action, err)
		}
	}
	err = session.Query(t.Context(), "sts", "GetAccessKeyInfo", url.Values{"AccessKeyId": {p.credential.AccessKeyID}}, nil)
	if err == nil || !strings.Contains(err.Error(), "Cannot call GetAccessKeyInfo with session credentials") {
		t.Errorf("GetAccessKeyInfo: %v", err)
	}
	if err := session.Query(t.Context(), "sts", "GetCallerIdentity", nil, nil); err != nil {
		t.Error(err)
	}
	if err := session.Query(t.Context(), "ec2", "DescribeVpcs", nil, nil); err != nil {
		t.Error(err)
	}
}

// TestFault_C1_TrustWithACondition assumes a role whose trust policy names a user, and asks for the user's account.
func TestFault_C1_TrustWithACondition(t *testing.T) {
	p := newPlane(t)
	ada := p.newUser(t, "ada")
	role := p.makeRole(t, "vault", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"`+ada.ARN+
		`"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:PrincipalAccount":"`+ada.Account+`"}}}}`)
	key, err := p.config.IAM.CreateAccessKey(t.Context(), rootCaller(),
		&iam.SubjectRequest{Subject: iam.Subject{UserName: "ada"}})
	if err != nil {
		t.Fatal(err)
	}
	client := p.sts(awscredentials.NewStaticCredentialsProvider(key.Key.ID, key.Key.Secret, ""))
	if _, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(role),
		RoleSessionName: aws.String("one")}); err != nil {
		t.Error(err)
	}
}
