package sigv4

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
)

var sdkCredentials = aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}

// received writes r as the standard client does and reads it as the standard server does.
func received(t *testing.T, r *http.Request) *Request {
	t.Helper()
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return FromHTTP(r, body)
}

func newRequest(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var interopURLs = []string{
	"http://parking.example/",
	"http://parking.example:8443/a%20b/c:d?q=x+y&q=%2F&z&a=1",
	"http://parking.example:80/arn%3Aaws%3Avpc-lattice/x?tagKeys=b&tagKeys=a",
	"http://parking.example//a//b/?",
}

// TestSDKSignerDataPlane: the signer of the AWS SDK for Go, told to leave the path alone as the user guide's sample does, and not told.
func TestSDKSignerDataPlane(t *testing.T) {
	v := verifierAt(DataPlane("us-west-2"), testTime)
	for _, url := range interopURLs {
		for _, once := range []bool{true, false} {
			signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = once })
			r := newRequest(t, "POST", url, "a body that is not signed")
			r.Header.Set("X-Amz-Content-Sha256", unsignedPayload)
			r.Header.Add("X-Repeated", "b")
			r.Header.Add("X-Repeated", " a  c ")
			err := signer.SignHTTP(context.Background(), sdkCredentials, r, unsignedPayload, "vpc-lattice-svcs", "us-west-2", testTime)
			if err != nil {
				t.Fatal(err)
			}
			if e := v.Explain(received(t, r)); e.Err != nil {
				t.Errorf("%s, path encoded once %v: %v", url, once, e)
			}
		}
	}
}

func TestSDKSignerControlPlane(t *testing.T) {
	v := verifierAt(ControlPlane("vpc-lattice", "us-west-2"), testTime)
	for _, url := range interopURLs {
		body := `{"name":"parking"}`
		hash := sha256.Sum256([]byte(body))
		for _, header := range []bool{true, false} {
			r := newRequest(t, "POST", url, body)
			if header {
				r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(hash[:]))
			}
			err := v4.NewSigner().SignHTTP(context.Background(), sdkCredentials, r, hex.EncodeToString(hash[:]), "vpc-lattice", "us-west-2", testTime)
			if err != nil {
				t.Fatal(err)
			}
			got := received(t, r)
			if e := v.Explain(got); e.Err != nil {
				t.Errorf("%s: %v", url, e)
			}
			got.BodyHash[0] ^= 1
			wantRefusal(t, v, got, Invalid, textMismatch)
		}
	}
}

func TestSDKPresigner(t *testing.T) {
	empty := sha256.Sum256(nil)
	for _, url := range interopURLs {
		for _, expires := range []string{"", "60"} {
			r := newRequest(t, "GET", url, "")
			if expires != "" {
				query := r.URL.Query()
				query.Set("X-Amz-Expires", expires)
				r.URL.RawQuery = query.Encode()
			}
			r.Header.Set("X-K8s-Aws-Id", "signed")
			signed, header, err := v4.NewSigner().PresignHTTP(
				context.Background(), sdkCredentials, r, hex.EncodeToString(empty[:]), "sts", "us-west-2", testTime)
			if err != nil {
				t.Fatal(err)
			}
			r = newRequest(t, "GET", signed, "")
			r.Header, r.Host = header, header.Get("Host") // the SDK signs the host without a default port
			v := verifierAt(ControlPlane("sts", "us-west-2"), testTime.Add(time.Minute))
			if e := v.Explain(received(t, r)); e.Err != nil {
				t.Errorf("%s: %v", url, e)
			}
		}
	}
}

// verifying is an HTTP client that verifies what it is asked to send, and sends nothing.
type verifying struct {
	t     *testing.T
	count int
}

var errNotSent = errors.New("verified, not sent")

func (c *verifying) Do(r *http.Request) (*http.Response, error) {
	v := verifierAt(ControlPlane("vpc-lattice", "us-west-2"), time.Now())
	e := v.Explain(received(c.t, r))
	if e.Err != nil {
		c.t.Error(e)
	}
	c.count++
	return nil, errNotSent
}

// TestSDKClient has the VPC Lattice client of the AWS SDK for Go make calls whose paths hold ARNs, whose queries repeat, and that have bodies.
func TestSDKClient(t *testing.T) {
	verified := &verifying{t: t}
	client := vpclattice.New(vpclattice.Options{
		Region:       "us-west-2",
		BaseEndpoint: aws.String("http://127.0.0.1:4747"),
		Credentials:  aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return sdkCredentials, nil }),
		HTTPClient:   verified,
		Retryer:      aws.NopRetryer{},
	})
	const arn = "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdef0"
	ctx := context.Background()
	_, err1 := client.GetService(ctx, &vpclattice.GetServiceInput{ServiceIdentifier: aws.String(arn)})
	_, err2 := client.CreateService(ctx, &vpclattice.CreateServiceInput{Name: aws.String("parking"), Tags: map[string]string{"é": "ü"}})
	_, err3 := client.UntagResource(ctx, &vpclattice.UntagResourceInput{ResourceArn: aws.String(arn), TagKeys: []string{"c&d", "a b", "+"}})
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, errNotSent) {
			t.Error(err)
		}
	}
	if verified.count != 3 {
		t.Errorf("%d requests, want 3", verified.count)
	}
}

// TestSignHTTP sends what our own signer signs through the standard client and server, twice, as a client that tries again does.
func TestSignHTTP(t *testing.T) {
	v := verifierAt(DataPlane("us-west-2"), testTime)
	s := dataPlaneSigner()
	for _, url := range interopURLs {
		r := newRequest(t, "PUT", url, "body")
		for _, at := range []time.Time{testTime.Add(-time.Hour), testTime} {
			if err := s.SignHTTP(r, nil, at); err != nil {
				t.Fatal(err)
			}
		}
		if e := v.Explain(received(t, r)); e.Err != nil {
			t.Errorf("%s: %v", url, e)
		}
	}
	// A request that was never sent has its host in the URL alone.
	r := newRequest(t, "GET", "http://parking.example/", "")
	r.Host = ""
	if err := s.SignHTTP(r, nil, testTime); err != nil {
		t.Error(err)
	}
	r.URL.Host = ""
	if err := s.SignHTTP(r, nil, testTime); err == nil {
		t.Error("signed a request without a host")
	}
}

// TestRealClock: a verifier made without a clock uses that of the machine.
func TestRealClock(t *testing.T) {
	r := newRequest(t, "GET", "http://parking.example/", "")
	if err := dataPlaneSigner().SignHTTP(r, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	v := New(Config[string]{Rules: DataPlane(), Credentials: holder{testKey, testSecret, ""}})
	if _, err := v.Verify(FromHTTP(r, nil)); err != nil {
		t.Error(err)
	}
}
