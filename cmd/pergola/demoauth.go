package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"pergola/operator"
	"pergola/sigv4"
)

// callers are who calls enrichment in the second half of the story.
type callers struct {
	risk, reporting credential // sessions of two roles of the management account
	stranger        credential // the administrator of an account that has left the organisation
}

// credential is what a caller signs with.
type credential struct {
	arn                             string // as explain takes it
	accessKeyID, secretKey, session string
}

// guard turns authorisation on: the organisation's principals may use the network, and the service is for one role and
// one method.
func (s *story) guard() (string, error) {
	organization, err := s.makeOrganization()
	if err != nil {
		return "", err
	}
	if s.callers.risk, err = s.assume("payments-risk"); err != nil {
		return "", err
	}
	if s.callers.reporting, err = s.assume("payments-reporting"); err != nil {
		return "", err
	}
	err = s.guardWith("/servicenetworks/"+s.network, s.network, statement("members", "*", "*", body{"StringEquals": body{"aws:PrincipalOrgID": organization}}))
	if err != nil {
		return "", err
	}
	role := body{"AWS": strings.Replace(roleOf(s.callers.risk.arn), ":sts:", ":iam:", 1)}
	err = s.guardWith("/services/"+s.service, s.service, statement("risk-reads", role, "*", body{"StringEquals": body{"vpc-lattice-svcs:RequestMethod": "GET"}}))
	if err != nil {
		return "", err
	}
	client := s.client.Client()
	err = s.eventually(func() (bool, error) { // the service was changed last
		_, content, err := s.send(client, http.MethodGet, s.callers.reporting)
		return strings.Contains(content, deniedBy("service")), err
	})
	return fmt.Sprintf("organisation %s; role %v", organization, role["AWS"]), err
}

// roleOf turns the ARN of a session into that of its role.
func roleOf(session string) string {
	head, rest, _ := strings.Cut(session, ":assumed-role/")
	name, _, _ := strings.Cut(rest, "/")
	return head + ":role/" + name
}

// statement is a policy with one statement.
func statement(sid string, principal any, resource string, condition body) string {
	document, err := json.Marshal(body{"Version": "2012-10-17", "Statement": []body{{
		"Sid": strings.ReplaceAll(sid, "-", ""), "Effect": "Allow", "Principal": principal,
		"Action": "vpc-lattice-svcs:Invoke", "Resource": resource, "Condition": condition,
	}}})
	if err != nil {
		panic(err) // maps of strings can be encoded
	}
	return string(document)
}

func (s *story) guardWith(path, id, policy string) error {
	if err := s.api.Lattice(s.ctx, "PUT", "/authpolicy/"+id, body{"policy": policy}, nil); err != nil {
		return err
	}
	return s.api.Lattice(s.ctx, "PATCH", path, body{"authType": "AWS_IAM"}, nil)
}

// makeOrganization makes an organisation and an account that leaves it again.
func (s *story) makeOrganization() (id string, err error) {
	var made struct{ Organization struct{ Id string } }
	if err := s.api.Organizations(s.ctx, "CreateOrganization", body{"FeatureSet": "ALL"}, &made); err != nil {
		return "", err
	}
	var account struct {
		CreateAccountStatus struct{ AccountId string }
	}
	if err := s.api.Organizations(s.ctx, "CreateAccount", body{"AccountName": "stranger", "Email": "stranger@example.com"}, &account); err != nil {
		return "", err
	}
	number := account.CreateAccountStatus.AccountId
	if err := s.api.Organizations(s.ctx, "RemoveAccountFromOrganization", body{"AccountId": number}, nil); err != nil {
		return "", err
	}
	environment, err := s.deployment.Environment(s.ctx, number)
	if err != nil {
		return "", err
	}
	s.callers.stranger = credentialOf("arn:aws:iam::"+number+":user/admin", environment)
	return made.Organization.Id, nil
}

func credentialOf(arn string, e operator.Environment) credential {
	return credential{arn, e.AccessKeyID, e.SecretAccessKey, e.SessionToken}
}

// assume makes a role that may call services, and a session of it.
func (s *story) assume(name string) (credential, error) {
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"100000000001"},"Action":"sts:AssumeRole"}]}`
	if err := s.api.Query(s.ctx, "iam", "CreateRole", url.Values{"RoleName": {name}, "AssumeRolePolicyDocument": {trust}}, nil); err != nil {
		return credential{}, err
	}
	attach := url.Values{"RoleName": {name}, "PolicyArn": {"arn:aws:iam::aws:policy/VPCLatticeServicesInvokeAccess"}}
	if err := s.api.Query(s.ctx, "iam", "AttachRolePolicy", attach, nil); err != nil {
		return credential{}, err
	}
	var assumed struct {
		ARN    string `xml:"AssumeRoleResult>AssumedRoleUser>Arn"`
		Key    string `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
		Secret string `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
		Token  string `xml:"AssumeRoleResult>Credentials>SessionToken"`
	}
	parameters := url.Values{"RoleArn": {"arn:aws:iam::100000000001:role/" + name}, "RoleSessionName": {"demo"}}
	err := s.api.Query(s.ctx, "sts", "AssumeRole", parameters, &assumed)
	return credential{assumed.ARN, assumed.Key, assumed.Secret, assumed.Token}, err
}

// send calls the service, signed with a credential if there is one.
func (s *story) send(client *http.Client, method string, by credential) (status int, content string, err error) {
	request, err := http.NewRequestWithContext(s.ctx, method, "http://"+s.domain+"/", nil)
	if err != nil {
		return 0, "", err
	}
	if by.accessKeyID != "" {
		signer := sigv4.Signer{
			AccessKeyID: by.accessKeyID, SecretAccessKey: by.secretKey, SessionToken: by.session,
			Region: s.api.Environment.Region, Service: "vpc-lattice-svcs", Payload: sigv4.PayloadUnsigned, Path: sigv4.PathAsSent,
		}
		if err := signer.SignHTTP(request, nil, time.Now()); err != nil {
			return 0, "", err
		}
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	return response.StatusCode, string(all), err
}

func (s *story) unsigned() (string, error) {
	return s.denied(http.MethodGet, credential{}, "network", "members")
}

func (s *story) outsideOrganization() (string, error) {
	return s.denied(http.MethodGet, s.callers.stranger, "network", "members")
}

func (s *story) wrongRole() (string, error) {
	return s.denied(http.MethodGet, s.callers.reporting, "service", "riskreads")
}

func (s *story) wrongMethod() (string, error) {
	return s.denied(http.MethodPost, s.callers.risk, "service", "riskreads")
}

// deniedBy is what a refusal says of the level that refused.
func deniedBy(level string) string { return "because no " + level + "-based policy allows" }

// denied calls, expects a refusal by a level, and has explain name the statement that did not apply.
func (s *story) denied(method string, by credential, level, sid string) (string, error) {
	status, content, err := s.send(s.client.Client(), method, by)
	if err != nil {
		return "", err
	}
	if status != http.StatusForbidden || !strings.Contains(content, deniedBy(level)) {
		return "", fmt.Errorf("%d %s", status, content)
	}
	why, err := s.explained(method, by, level, sid, "STOP")
	return "403, " + why, err
}

func (s *story) rightRole() (string, error) {
	client := s.client.Client()
	status, content, err := s.send(client, http.MethodGet, s.callers.risk)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("%d %s", status, content)
	}
	why, err := s.explained(http.MethodGet, s.callers.risk, "service", "riskreads", "ok")
	return "200 " + content + ", " + why, err
}

// explained asks explain about the same request, and returns what it says of one level, which must name a statement.
func (s *story) explained(method string, by credential, level, sid, verdict string) (string, error) {
	explanation, err := s.deployment.Explain(s.ctx, operator.Question{From: s.client.ID, As: by.arn, Method: method, URL: "http://" + s.domain + "/"})
	if err != nil {
		return "", err
	}
	for _, gate := range explanation.Gates {
		text := gate.Detail + "; " + strings.Join(gate.More, "; ")
		if gate.Name == level+" policy" && gate.Verdict == verdict && strings.Contains(text, "("+sid+")") {
			return "explain: " + strings.Join(strings.Fields(strings.Join(gate.More, "; ")), " "), nil
		}
	}
	return "", fmt.Errorf("explain does not name statement %s of the %s policy: %+v", sid, level, explanation)
}
