package estate

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkv4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/aws-http-auth/credentials"
	smithyv4 "github.com/aws/smithy-go/aws-http-auth/sigv4"
	smithyv4a "github.com/aws/smithy-go/aws-http-auth/sigv4a"
	"github.com/aws/smithy-go/aws-http-auth/v4"

	"pergola/sealing"
	"pergola/sigv4"
)

// signing is how a request is to be signed.
type signing struct {
	credential      sealing.Credential
	service, region string
	payload         string
	at              time.Time
}

// realSigner signs a request with somebody else's code.
type realSigner struct {
	name string
	sign func(*http.Request, signing) error
}

// realSigners are all ways in which the Go signers of AWS can sign, in both algorithms and both forms.
func realSigners() []realSigner {
	return []realSigner{
		{"SDK for Go, path encoded once", func(r *http.Request, s signing) error { return sdkSign(r, s, true) }},
		{"SDK for Go, path encoded twice", func(r *http.Request, s signing) error { return sdkSign(r, s, false) }},
		{"SDK for Go, presigned", sdkPresign},
		{"smithy, SigV4", func(r *http.Request, s signing) error { return smithySign(r, s, v4.SignatureTypeHeader) }},
		{"smithy, SigV4 presigned", func(r *http.Request, s signing) error { return smithySign(r, s, v4.SignatureTypeQueryString) }},
		{"smithy, SigV4A", func(r *http.Request, s signing) error { return smithySignA(r, s, v4.SignatureTypeHeader) }},
		{"smithy, SigV4A presigned", func(r *http.Request, s signing) error { return smithySignA(r, s, v4.SignatureTypeQueryString) }},
		{"Pergola, SigV4", func(r *http.Request, s signing) error { return ownSign(r, s, sigv4.V4) }},
		{"Pergola, SigV4A", func(r *http.Request, s signing) error { return ownSign(r, s, sigv4.V4A) }},
	}
}

func (s signing) ofSDK() aws.Credentials {
	return aws.Credentials{AccessKeyID: s.credential.AccessKeyID, SecretAccessKey: s.credential.Secret, SessionToken: s.credential.Token}
}

func sdkSign(r *http.Request, s signing, once bool) error {
	r.Header.Set("X-Amz-Content-Sha256", s.payload)
	signer := sdkv4.NewSigner(func(o *sdkv4.SignerOptions) { o.DisableURIPathEscaping = once })
	return signer.SignHTTP(r.Context(), s.ofSDK(), r, s.payload, s.service, s.region, s.at)
}

func sdkPresign(r *http.Request, s signing) error {
	r.Header.Set("X-Amz-Content-Sha256", s.payload)
	expireInAMinute(r)
	signed, _, err := sdkv4.NewSigner().PresignHTTP(r.Context(), s.ofSDK(), r, s.payload, s.service, s.region, s.at)
	if err == nil {
		r.URL, err = r.URL.Parse(signed)
	}
	return err
}

func expireInAMinute(r *http.Request) {
	query := r.URL.Query()
	query.Set("X-Amz-Expires", "60")
	r.URL.RawQuery = query.Encode()
}

func (s signing) ofSmithy() credentials.Credentials {
	return credentials.Credentials{AccessKeyID: s.credential.AccessKeyID, SecretAccessKey: s.credential.Secret, SessionToken: s.credential.Token}
}

// smithyOptions are those that the user guide's samples set.
func smithyOptions(o *v4.SignerOptions) {
	o.DisableDoublePathEscape, o.AddPayloadHashHeader = true, true
}

// smithyPayload is the payload as the signer takes it, which writes a hash in hexadecimal digits itself.
func (s signing) smithyPayload() []byte {
	if s.payload == unsignedPayload {
		return v4.UnsignedPayload()
	}
	return make([]byte, 32)
}

func smithySign(r *http.Request, s signing, form v4.SignatureType) error {
	if form == v4.SignatureTypeQueryString {
		expireInAMinute(r)
	}
	return smithyv4.New(smithyOptions).SignRequest(&smithyv4.SignRequestInput{
		Request: r, PayloadHash: s.smithyPayload(), Credentials: s.ofSmithy(), Service: s.service, Region: s.region, Time: s.at, SignatureType: form,
	})
}

func smithySignA(r *http.Request, s signing, form v4.SignatureType) error {
	if form == v4.SignatureTypeQueryString {
		expireInAMinute(r)
	}
	return smithyv4a.New(smithyOptions).SignRequest(&smithyv4a.SignRequestInput{
		Request: r, PayloadHash: s.smithyPayload(), Credentials: s.ofSmithy(), Service: s.service, RegionSet: []string{s.region}, Time: s.at, SignatureType: form,
	})
}

func ownSign(r *http.Request, s signing, algorithm sigv4.Algorithm) error {
	signer := &sigv4.Signer{
		AccessKeyID: s.credential.AccessKeyID, SecretAccessKey: s.credential.Secret, SessionToken: s.credential.Token,
		Algorithm: algorithm, Region: s.region, Service: s.service, Payload: sigv4.PayloadUnsigned, Path: sigv4.PathAsSent,
	}
	if s.payload != unsignedPayload {
		signer.Payload = sigv4.PayloadHashed
		r.Header.Set("X-Amz-Content-Sha256", s.payload)
	}
	return signer.SignHTTP(r, nil, s.at)
}

const unsignedPayload = "UNSIGNED-PAYLOAD"

// What a request with a bad signature gets.
const (
	unknownKey = "403 UnrecognizedClientException: The security token included in the request is invalid."
	mismatch   = "403 InvalidSignatureException: The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	otherService = "403 InvalidSignatureException: Credential should be scoped to correct service: 'vpc-lattice-svcs'"
	otherRegion  = "403 InvalidSignatureException: Credential should be scoped to a valid Region, not 'us-east-1'"
	signedBody   = "403 InvalidSignatureException: Signed payloads are not supported"
	expired      = "403 InvalidSignatureException: Signature expired: "
)

// faults are what can be wrong with a signature, and what the caller is told. "" is that nothing is wrong.
var faults = []struct {
	name  string
	sign  func(*signing)
	alter func(*http.Request)
	want  string // begins what it gets
}{
	{"good", nil, nil, parked},
	{"for the API", func(s *signing) { s.service = "vpc-lattice" }, nil, otherService},
	{"for another region", func(s *signing) { s.region = "us-east-1" }, nil, otherRegion},
	{"with a hashed payload", func(s *signing) { s.payload = strings.Repeat("0", 64) }, nil, signedBody},
	{"an hour ago", func(s *signing) { s.at = s.at.Add(-time.Hour) }, nil, expired},
	{"with another secret", func(s *signing) { s.credential.Secret += "x" }, nil, mismatch},
	{"with an altered method", nil, func(r *http.Request) { r.Method = "PUT" }, mismatch},
	{"with an altered path", nil, func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/other", "" }, mismatch},
	{"with an altered query", nil, func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "x=1", "x=2", 1) }, mismatch},
}

// TestRealSigners sends what real signers sign to a running data plane: good signatures, and each fault of every signer.
func TestRealSigners(t *testing.T) {
	g := newGuarded(t)
	g.putPolicy(g.service.id, statement("Allow", `"*"`, ""))
	g.guardService()
	session := g.assume()
	bad := pergolaSigner(sealing.Credential{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Secret: "x"})
	g.Eventually("the service authenticates", func() bool { return g.ask(t, bad, "GET", "/") == unknownKey })
	for _, real := range realSigners() {
		for _, fault := range faults {
			t.Run(real.name+"/"+fault.name, func(t *testing.T) {
				s := signing{credential: session, service: "vpc-lattice-svcs", region: "us-west-2", payload: unsignedPayload, at: time.Now()}
				if fault.sign != nil {
					fault.sign(&s)
				}
				sign := func(t *testing.T, method, url string) *http.Request {
					request := must(http.NewRequestWithContext(t.Context(), method, url, nil))(t)
					if err := real.sign(request, s); err != nil {
						t.Fatal(err)
					}
					if fault.alter != nil {
						fault.alter(request)
					}
					return request
				}
				if got := g.ask(t, sign, "GET", "/a%20b/c:d?x=1&y=%2Fz"); !strings.HasPrefix(got, fault.want) {
					t.Errorf("%q, want %q", got, fault.want)
				}
			})
		}
	}
	t.Run("programs", func(t *testing.T) { g.testPrograms(t, session) })
}

// botocoreScript signs as the user guide's samples do, and sends: with SigV4, or, where the AWS common runtime is
// installed, with SigV4A.
const botocoreScript = `
import datetime, http.client, os, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
relay, host, path, algorithm, service, region, payload, alter = sys.argv[1:]
credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], os.environ["AWS_SESSION_TOKEN"])
body = "some data"
request = AWSRequest(method="POST", url="http://" + host + path, data=body,
    headers={"Content-Type": "application/json", "x-amz-content-sha256": payload})
request.context["payload_signing_enabled"] = payload != "UNSIGNED-PAYLOAD"
if algorithm == "v4a":
    from botocore.crt.auth import CrtSigV4AsymAuth
    del request.headers["x-amz-content-sha256"]
    class Auth(CrtSigV4AsymAuth):
        def _should_sha256_sign_payload(self, request): return payload != "UNSIGNED-PAYLOAD"
        def _should_add_content_sha256_header(self, explicit_payload): return True
    Auth(credentials, service, region).add_auth(request)
else:
    SigV4Auth(credentials, service, region).add_auth(request)
headers = {name: value for name, value in request.prepare().headers.items() if name.lower() != "host"} | {"Host": host}
if alter == "date":
    headers["X-Amz-Date"] = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=2)).strftime("%Y%m%dT%H%M%SZ")
connection = http.client.HTTPConnection(relay)
connection.request("POST", "/other" if alter == "path" else path, body, headers)
response = connection.getresponse()
print(response.status, response.read().decode(), end="")
`

// programCalls are what the programs are told to sign, and what they get.
var programCalls = []struct{ service, region, payload, alter, want string }{
	{"vpc-lattice-svcs", "us-west-2", unsignedPayload, "", parked},
	{"vpc-lattice", "us-west-2", unsignedPayload, "", otherService},
	{"vpc-lattice-svcs", "us-east-1", unsignedPayload, "", otherRegion},
	{"vpc-lattice-svcs", "us-west-2", "1307990e6ba5ca145eb35e99182a9bec46531bc54ddf656a602c780fa0240dee", "", signedBody},
	{"vpc-lattice-svcs", "us-west-2", unsignedPayload, "path", mismatch},
	{"vpc-lattice-svcs", "us-west-2", unsignedPayload, "date", mismatch},
}

// testPrograms calls with the programs that people sign with, as far as they are installed. PERGOLA_PYTHON names another
// Python than the first in the path, such as one that has the AWS common runtime.
func (g *guarded) testPrograms(t *testing.T, session sealing.Credential) {
	relay := g.relay()
	run := func(t *testing.T, name string, arguments ...string) string {
		command := exec.CommandContext(t.Context(), name, arguments...)
		command.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+session.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+session.Secret, "AWS_SESSION_TOKEN="+session.Token)
		out, err := command.CombinedOutput()
		if err != nil {
			return fmt.Sprintf("%v: %s", err, out)
		}
		return string(out)
	}
	t.Run("curl", func(t *testing.T) {
		if _, err := exec.LookPath("curl"); err != nil {
			t.Skip(err)
		}
		for _, c := range programCalls {
			secret := session.Secret
			if c.alter != "" { // curl sends what it has signed; so it can only be given another secret
				secret += "x"
			}
			body, status, _ := strings.Cut(run(t, "curl", "-sS", "--connect-to", g.service.domain+":80:"+relay, "-w", "\n%{http_code}",
				"--aws-sigv4", "aws:amz:"+c.region+":"+c.service, "--user", session.AccessKeyID+":"+secret,
				"-H", "x-amz-security-token: "+session.Token, "-H", "x-amz-content-sha256: "+c.payload, g.service.url("/rates?x=1")), "\n")
			if got := status + " " + body; got != c.want {
				t.Errorf("%+v: %q", c, got)
			}
		}
	})
	python := "python3"
	if named := os.Getenv("PERGOLA_PYTHON"); named != "" {
		python = named
	}
	for algorithm, module := range map[string]string{"v4": "botocore", "v4a": "botocore, awscrt"} {
		t.Run("botocore/"+algorithm, func(t *testing.T) {
			if out, err := exec.Command(python, "-c", "import "+module).CombinedOutput(); err != nil {
				t.Skipf("%s is missing: %v: %s", module, err, out)
			}
			for _, c := range programCalls {
				if got := run(t, python, "-c", botocoreScript, relay, g.service.domain, "/rates?x=1", algorithm, c.service, c.region, c.payload, c.alter); got != c.want {
					t.Errorf("%+v: %q", c, got)
				}
			}
		})
	}
}
