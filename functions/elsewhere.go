package functions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"pergola/aws/lambda"
	"pergola/sigv4"
)

// elsewhereTimeout bounds an invocation that goes elsewhere: the longest that Lambda has, and some time to start.
const elsewhereTimeout = 16 * time.Minute

// Credentials are what invocations that go elsewhere are signed with. Without a key they are not signed.
type Credentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }

// Elsewhere invokes functions by the API of another place. Close it.
type Elsewhere struct {
	endpoint    string
	credentials Credentials
	client      *http.Client
}

// NewElsewhere makes an Elsewhere for the URL of a Lambda API, such as https://lambda.us-west-2.amazonaws.com.
func NewElsewhere(endpoint string, credentials Credentials) (*Elsewhere, error) {
	parsed, err := url.Parse(endpoint)
	if strings.Contains(endpoint, "@") { // errors and logs name the endpoint
		return nil, errors.New("the endpoint of Lambda must have no user and password in it; give keys as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.RawQuery+parsed.Fragment != "" {
		return nil, fmt.Errorf("%q is no endpoint of Lambda; give a URL such as https://lambda.us-west-2.amazonaws.com", endpoint)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &Elsewhere{strings.TrimSuffix(endpoint, "/"), credentials, &http.Client{
		Transport: transport, Timeout: elsewhereTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close closes the connections that are kept.
func (e *Elsewhere) Close() error {
	e.client.CloseIdleConnections()
	return nil
}

// Invoke invokes the function with an ARN, in the region of that.
func (e *Elsewhere) Invoke(ctx context.Context, arn string, payload []byte) (Result, error) {
	name, err := lambda.ParseARN(arn)
	if err != nil {
		return Result{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.endpoint+"/2015-03-31/functions/"+url.PathEscape(arn)+"/invocations", bytes.NewReader(payload))
	if err != nil {
		return Result{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	if c := e.credentials; c.AccessKeyID != "" {
		signer := sigv4.Signer{
			AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
			Region: name.Region, Service: "lambda",
		}
		if err := signer.SignHTTP(request, payload, time.Now()); err != nil {
			return Result{}, err
		}
	}
	response, err := e.client.Do(request)
	if err != nil {
		return Result{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, lambda.MaxPayload+responseSlack+1))
	switch {
	case err != nil:
		return Result{}, err
	case response.StatusCode != http.StatusOK:
		return Result{}, fmt.Errorf("%s answers %d: %.200s", e.endpoint, response.StatusCode, body)
	case len(body) > lambda.MaxPayload+responseSlack:
		return Result{}, errors.New("the response is longer than 6 MB")
	}
	return Result{Payload: body, Error: response.Header.Get("X-Amz-Function-Error")}, nil
}
