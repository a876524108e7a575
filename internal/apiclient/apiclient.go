// Package apiclient is a small client of the API for our own programs: the demo, the test environment and the
// benchmarks. It signs and sends what it is given; users have the AWS tools.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"pergola/operator"
	"pergola/sigv4"
)

// Client calls a deployment as one principal.
type Client struct {
	Environment operator.Environment
	// HTTP sends the requests; nil means http.DefaultClient.
	HTTP *http.Client
}

// Error is an answer that is not a success.
type Error struct {
	Operation string
	Status    int
	// Code is the error's name, such as ConflictException.
	Code, Message string
}

// Error names the operation, the status, the code and the message.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %d %s: %s", e.Operation, e.Status, e.Code, e.Message)
}

// Lattice calls an operation of VPC Lattice: in is the JSON body, nil for none; out receives the answer, nil for
// none. Identifiers in path must be escaped (url.PathEscape).
func (c *Client) Lattice(ctx context.Context, method, path string, in, out any) error {
	return c.rest(ctx, "vpc-lattice", request{method: method, path: path}, in, out)
}

// Lambda calls an operation of Lambda as Lattice does one of VPC Lattice.
func (c *Client) Lambda(ctx context.Context, method, path string, in, out any) error {
	return c.rest(ctx, "lambda", request{method: method, path: path}, in, out)
}

func (c *Client) rest(ctx context.Context, service string, r request, in, out any) error {
	var body []byte
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = encoded
	}
	r.service, r.contentType, r.body = service, "application/json", body
	a, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	if a.status >= 300 {
		var failure struct{ Message string }
		_ = json.Unmarshal(a.body, &failure)
		return &Error{r.method + " " + r.path, a.status, a.header.Get("X-Amzn-ErrorType"), failure.Message}
	}
	if out == nil || len(a.body) == 0 {
		return nil
	}
	return json.Unmarshal(a.body, out)
}

// queryVersions are the versions of the APIs that speak the query protocol.
var queryVersions = map[string]string{
	"ec2": "2016-11-15", "iam": "2010-05-08", "sts": "2011-06-15", "elasticloadbalancing": "2015-12-01",
}

// Query calls an operation of a service that speaks the query protocol, and decodes the XML answer into out.
func (c *Client) Query(ctx context.Context, service, action string, parameters url.Values, out any) error {
	form := url.Values{"Action": {action}, "Version": {queryVersions[service]}}
	for name, values := range parameters {
		form[name] = values
	}
	a, err := c.send(ctx, request{
		service: service, method: http.MethodPost, path: "/",
		contentType: "application/x-www-form-urlencoded; charset=utf-8", body: []byte(form.Encode()),
	})
	if err != nil {
		return err
	}
	if a.status >= 300 {
		return queryError(action, a.status, a.body)
	}
	if out == nil {
		return nil
	}
	return xml.Unmarshal(a.body, out)
}

// Zones calls an operation of Route 53: in is the XML body, nil for none, and out receives the answer, nil for none.
func (c *Client) Zones(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		encoded, err := xml.Marshal(in)
		if err != nil {
			return err
		}
		body = encoded
	}
	a, err := c.send(ctx, request{service: "route53", method: method, path: "/2013-04-01" + path,
		contentType: "application/xml", body: body})
	switch {
	case err != nil:
		return err
	case a.status >= 300:
		return queryError(method+" "+path, a.status, a.body)
	case out == nil:
		return nil
	}
	return xml.Unmarshal(a.body, out)
}

// Organizations calls an operation of AWS Organizations: in is the JSON body, out receives the answer, nil for none.
func (c *Client) Organizations(ctx context.Context, action string, in, out any) error {
	return c.targeted(ctx, "organizations", "AWSOrganizationsV20161128."+action, in, out)
}

// Certificates is Organizations for an operation of Certificate Manager.
func (c *Client) Certificates(ctx context.Context, action string, in, out any) error {
	return c.targeted(ctx, "acm", "CertificateManager."+action, in, out)
}

// targeted calls an operation of a service that takes its name from the field X-Amz-Target.
func (c *Client) targeted(ctx context.Context, service, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	a, err := c.send(ctx, request{
		service: service, method: http.MethodPost, path: "/", contentType: "application/x-amz-json-1.1", body: body, target: target,
	})
	if err != nil {
		return err
	}
	if a.status >= 300 {
		var failure struct {
			Type    string `json:"__type"`
			Message string
		}
		_ = json.Unmarshal(a.body, &failure)
		return &Error{target, a.status, failure.Type, failure.Message}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(a.body, out)
}

// queryError reads an error in the style of EC2 or in that of STS.
func queryError(action string, status int, answer []byte) error {
	type fault struct{ Code, Message string }
	var failure struct {
		EC2 fault `xml:"Errors>Error"`
		STS fault `xml:"Error"`
	}
	_ = xml.Unmarshal(answer, &failure)
	if failure.EC2.Code == "" {
		failure.EC2 = failure.STS
	}
	return &Error{action, status, failure.EC2.Code, failure.EC2.Message}
}

// request is what is sent, answer what comes back.
type request struct {
	service, method, path, contentType string
	target                             string // the operation, for services that take it from a field
	body                               []byte
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (c *Client) send(ctx context.Context, r request) (answer, error) {
	signed, err := http.NewRequestWithContext(ctx, r.method, strings.TrimSuffix(c.Environment.Endpoint, "/")+r.path, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, err
	}
	if len(r.body) > 0 {
		signed.Header.Set("Content-Type", r.contentType)
	}
	if r.target != "" {
		signed.Header.Set("X-Amz-Target", r.target)
	}
	signer := sigv4.Signer{
		AccessKeyID: c.Environment.AccessKeyID, SecretAccessKey: c.Environment.SecretAccessKey,
		SessionToken: c.Environment.SessionToken, Region: c.Environment.Region, Service: r.service,
	}
	if err := signer.SignHTTP(signed, r.body, time.Now()); err != nil {
		return answer{}, err
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(signed)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, body}, err
}
