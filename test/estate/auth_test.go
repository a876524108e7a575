package estate

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"pergola/addressing"
	"pergola/sealing"
	"pergola/sigv4"
)

const (
	callersARN = "arn:aws:iam::100000000001:role/apps/callers"
	sessionARN = "arn:aws:sts::100000000001:assumed-role/callers/job"
)

// guarded is an estate with one service that tells what its target was sent. A role may call it by its identity
// policies; what else is asked for is up to the test.
type guarded struct {
	*estate
	service service
	arn     string
	// admin is the administrator of the account.
	admin sealing.Credential
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	e := newEstate(t)
	server := e.target("10.20.1.11", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"X-Amzn-Lattice-Identity", "X-Amzn-Lattice-Identity-Tags"} {
			w.Header()[name] = r.Header.Values(name)
		}
		w.Header().Set("Forwarded-Authorization", fmt.Sprint(r.Header.Get("Authorization") != ""))
		io.WriteString(w, "parked")
	}))
	g := &guarded{estate: e, service: e.makeService("parking", only(e.makeGroup("parking", nil, server)))}
	g.arn = "arn:aws:vpc-lattice:us-west-2:100000000001:service/" + g.service.id
	g.admin = sealing.Credential{AccessKeyID: e.API.Environment.AccessKeyID, Secret: e.API.Environment.SecretAccessKey}
	g.makeRole()
	return g
}

// iam calls an operation of IAM, and sts one of STS.
func (g *guarded) iam(action string, parameters ...string) {
	g.call("iam", "2010-05-08", action, nil, parameters)
}

func (g *guarded) call(service, version, action string, out any, parameters []string) {
	g.t.Helper()
	form := url.Values{"Version": {version}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	if err := g.API.Query(g.t.Context(), service, action, form, out); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guarded) makeRole() {
	g.t.Helper()
	g.iam("CreateRole", "RoleName", "callers", "Path", "/apps/", "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"100000000001"},"Action":["sts:AssumeRole","sts:TagSession"]}}`)
	g.iam("AttachRolePolicy", "RoleName", "callers", "PolicyArn", "arn:aws:iam::aws:policy/VPCLatticeServicesInvokeAccess")
}

// assume is a session of the role.
func (g *guarded) assume(parameters ...string) sealing.Credential {
	g.t.Helper()
	var out struct {
		ID     string `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
		Secret string `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
		Token  string `xml:"AssumeRoleResult>Credentials>SessionToken"`
	}
	g.call("sts", "2011-06-15", "AssumeRole", &out, append([]string{"RoleArn", callersARN, "RoleSessionName", "job"}, parameters...))
	return sealing.Credential{AccessKeyID: out.ID, Secret: out.Secret, Token: out.Token}
}

func (g *guarded) putPolicy(on, document string) {
	g.t.Helper()
	must(g.Lattice.PutAuthPolicy(g.t.Context(), &vpclattice.PutAuthPolicyInput{ResourceIdentifier: &on, Policy: &document}))(g.t)
}

func (g *guarded) guardService() {
	g.t.Helper()
	must(g.Lattice.UpdateService(g.t.Context(), &vpclattice.UpdateServiceInput{ServiceIdentifier: &g.service.id, AuthType: types.AuthTypeAwsIam}))(g.t)
}

func (g *guarded) guardNetwork() {
	g.t.Helper()
	must(g.Lattice.UpdateServiceNetwork(g.t.Context(), &vpclattice.UpdateServiceNetworkInput{ServiceNetworkIdentifier: &g.network, AuthType: types.AuthTypeAwsIam}))(g.t)
}

// statement is a policy of one statement.
func statement(effect, principal, more string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `","Principal":` + principal +
		`,"Action":"vpc-lattice-svcs:Invoke","Resource":"*"` + more + `}}`
}

// signer makes a request to the service and signs it.
type signer func(t *testing.T, method, url string) *http.Request

// pergolaSigner signs with the project's own signer.
func pergolaSigner(c sealing.Credential, change ...func(*sigv4.Signer)) signer {
	s := &sigv4.Signer{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret, SessionToken: c.Token,
		Region: "us-west-2", Service: "vpc-lattice-svcs", Payload: sigv4.PayloadUnsigned, Path: sigv4.PathAsSent,
	}
	for _, f := range change {
		f(s)
	}
	return func(t *testing.T, method, url string) *http.Request {
		t.Helper()
		request := must(http.NewRequestWithContext(t.Context(), method, url, nil))(t)
		if err := s.SignHTTP(request, nil, time.Now()); err != nil {
			t.Fatal(err)
		}
		return request
	}
}

// goSigner signs with the AWS SDK for Go, with the path encoded once as in the user guide's sample, or twice.
func goSigner(c sealing.Credential, once bool, payload string, at time.Time) signer {
	return func(t *testing.T, method, url string) *http.Request {
		t.Helper()
		request := must(http.NewRequestWithContext(t.Context(), method, url, nil))(t)
		if payload != "" {
			request.Header.Set("X-Amz-Content-Sha256", payload)
		}
		s := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = once })
		credentials := aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret, SessionToken: c.Token}
		if err := s.SignHTTP(t.Context(), credentials, request, payload, "vpc-lattice-svcs", "us-west-2", at); err != nil {
			t.Fatal(err)
		}
		return request
	}
}

func unsigned(t *testing.T, method, url string) *http.Request {
	t.Helper()
	return must(http.NewRequestWithContext(t.Context(), method, url, nil))(t)
}

// ask is the status and the body that a request gets.
func (g *guarded) ask(t *testing.T, sign signer, method, path string) string {
	t.Helper()
	response, body := g.Do(g.client, sign(t, method, g.service.url(path)))
	return fmt.Sprint(response.StatusCode, " ", body)
}

const parked = "200 parked"

// refused is the answer to somebody whom a policy refuses.
func (g *guarded) refused(who, path, why string) string {
	return "403 AccessDeniedException: User: " + who + " is not authorized to perform: vpc-lattice-svcs:Invoke on resource: " + g.arn + path + " " + why
}

func silent(level string) string {
	return "because no " + level + "-based policy allows the vpc-lattice-svcs:Invoke action"
}

// TestAuthorization walks from an open service to one that all levels guard.
func TestAuthorization(t *testing.T) {
	g := newGuarded(t)
	job := pergolaSigner(g.assume())
	becomes := func(what string, sign signer, method, path, want string) {
		t.Helper()
		got := ""
		defer func() {
			if got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}()
		g.Eventually(what, func() bool {
			got = g.ask(t, sign, method, path)
			return got == want
		})
	}
	stays := func(what string, sign signer, method, path, want string) {
		t.Helper()
		if got := g.ask(t, sign, method, path); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	stays("open, unsigned", unsigned, "GET", "/", parked)
	stays("open, signed", job, "GET", "/", parked)

	g.guardService()
	becomes("no policy on the service", unsigned, "GET", "/parking?x=1", g.refused("anonymous", "/parking", silent("service")))
	stays("no policy on the service, signed", job, "GET", "/", g.refused(sessionARN, "/", silent("service")))

	g.putPolicy(g.service.id, statement("Allow", `{"AWS":"`+callersARN+`"}`, `,"Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}}`))
	becomes("the role may GET", job, "GET", "/rates", parked)
	stays("the role may not POST", job, "POST", "/rates", g.refused(sessionARN, "/rates", silent("service")))
	stays("nobody else may", pergolaSigner(g.admin), "GET", "/", g.refused("arn:aws:iam::100000000001:user/admin", "/", silent("service")))
	stays("unsigned", unsigned, "GET", "/", g.refused("anonymous", "/", silent("service")))

	g.guardNetwork()
	becomes("no policy on the network", unsigned, "GET", "/", g.refused("anonymous", "/", silent("network")))
	g.putPolicy(g.network, statement("Allow", `"*"`, `,"Condition":{"StringEquals":{"vpc-lattice-svcs:SourceVpc":"`+g.clients.ID+`"}}`))
	becomes("both allow", job, "GET", "/", parked)

	g.iam("DetachRolePolicy", "RoleName", "callers", "PolicyArn", "arn:aws:iam::aws:policy/VPCLatticeServicesInvokeAccess")
	becomes("no identity policy", job, "GET", "/", g.refused(sessionARN, "/", silent("identity")))
	g.iam("PutRolePolicy", "RoleName", "callers", "PolicyName", "invoke", "PolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"`+g.arn+`/*"}}`)
	becomes("an inline policy", job, "GET", "/", parked)
	g.iam("PutRolePermissionsBoundary", "RoleName", "callers", "PermissionsBoundary", "arn:aws:iam::aws:policy/VPCLatticeReadOnlyAccess")
	becomes("a boundary", job, "GET", "/", g.refused(sessionARN, "/", "because no permissions boundary allows the vpc-lattice-svcs:Invoke action"))
	g.iam("DeleteRolePermissionsBoundary", "RoleName", "callers")
	becomes("no boundary", job, "GET", "/", parked)
	limited := pergolaSigner(g.assume("Policy", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`))
	stays("a session that denies itself", limited, "GET", "/", g.refused(sessionARN, "/", "with an explicit deny in a session policy"))

	g.putPolicy(g.service.id, statement("Deny", `"*"`, ""))
	becomes("the service denies", job, "GET", "/", g.refused(sessionARN, "/", "with an explicit deny in a service-based policy"))
	stays("the service denies, unsigned", unsigned, "GET", "/", g.refused("anonymous", "/", "with an explicit deny in a service-based policy"))
	g.putPolicy(g.service.id, statement("Allow", `"*"`, ""))
	becomes("everybody may", unsigned, "GET", "/", parked)

	g.iam("DeleteRolePolicy", "RoleName", "callers", "PolicyName", "invoke")
	g.iam("DeleteRole", "RoleName", "callers")
	g.makeRole()
	becomes("the role is made anew", pergolaSigner(g.assume()), "GET", "/", parked)
	stays("the session of the deleted role", job, "GET", "/", "403 UnrecognizedClientException: The security token included in the request is invalid.")
}

// TestWhatTheTargetIsToldOfTheCaller holds the identity fields, which nobody else can write.
func TestWhatTheTargetIsToldOfTheCaller(t *testing.T) {
	g := newGuarded(t)
	g.putPolicy(g.service.id, statement("Allow", `"*"`, ""))
	g.guardService()
	credential := g.assume("Tags.member.1.Key", "team", "Tags.member.1.Value", "blue")
	g.Eventually("the service authenticates", func() bool {
		response, _ := g.Do(g.client, pergolaSigner(credential)(t, "GET", g.service.url("/")))
		return response.StatusCode == 200 && response.Header.Get("X-Amzn-Lattice-Identity") != ""
	})
	request := pergolaSigner(credential)(t, "GET", g.service.url("/"))
	request.Header.Set("X-Amzn-Lattice-Identity", "Principal=forged")
	response, _ := g.Do(g.client, request)
	if response.StatusCode != 200 {
		t.Errorf("status %d", response.StatusCode)
	}
	for name, want := range map[string]string{
		"X-Amzn-Lattice-Identity":      "Principal=" + sessionARN + "; PrincipalOrgID=; PrincipalOrgPaths=; SessionName=job; Type=AWS_IAM",
		"X-Amzn-Lattice-Identity-Tags": "principal=" + sessionARN + ";principalorgid=;principalorgpath=;team=blue",
		"Forwarded-Authorization":      "true",
	} {
		if got := response.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	forged := unsigned(t, "GET", g.service.url("/"))
	forged.Header.Set("X-Amzn-Lattice-Identity", "Principal=forged")
	forged.Header.Set("X-Amzn-Lattice-Identity-Tags", "team=forged")
	response, _ = g.Do(g.client, forged)
	if response.StatusCode != 200 || response.Header.Get("X-Amzn-Lattice-Identity") != "" || response.Header.Get("X-Amzn-Lattice-Identity-Tags") != "" {
		t.Errorf("%d, unsigned: %v", response.StatusCode, response.Header)
	}
}

// TestSigners holds which signatures pass, and what the others are told, where even anonymous callers may.
func TestSigners(t *testing.T) {
	g := newGuarded(t)
	g.putPolicy(g.service.id, statement("Allow", `"*"`, ""))
	g.guardService()
	session := g.assume()
	bad := pergolaSigner(sealing.Credential{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Secret: "x"})
	g.Eventually("the service authenticates", func() bool { return g.ask(t, bad, "GET", "/") == unknownKey })
	altered := func(sign signer, alter func(*http.Request)) signer {
		return func(t *testing.T, method, url string) *http.Request {
			request := sign(t, method, url)
			alter(request)
			return request
		}
	}
	const odd = "/a%20b/c:d/..//e?x=1&x=0&y=%2F+z"
	now, payload := time.Now(), "UNSIGNED-PAYLOAD"
	for _, tt := range []struct {
		name string
		sign signer
		path string
		want string
	}{
		{"SDK for Go, path encoded once", goSigner(session, true, payload, now), odd, parked},
		{"SDK for Go, path encoded twice", goSigner(session, false, payload, now), odd, parked},
		{"SDK for Go, long-term key", goSigner(g.admin, true, payload, now), odd, parked},
		{"SigV4", pergolaSigner(session), odd, parked},
		{"SigV4A", pergolaSigner(session, func(s *sigv4.Signer) { s.Algorithm, s.Region = sigv4.V4A, "*" }), odd, parked},
		{"SigV4A for other regions", pergolaSigner(session, func(s *sigv4.Signer) { s.Algorithm, s.Region = sigv4.V4A, "eu-*" }), "/",
			"403 InvalidSignatureException: Credential should be scoped to a valid Region, not 'eu-*'"},
		{"other region", pergolaSigner(session, func(s *sigv4.Signer) { s.Region = "us-east-1" }), "/",
			"403 InvalidSignatureException: Credential should be scoped to a valid Region, not 'us-east-1'"},
		{"other service", pergolaSigner(session, func(s *sigv4.Signer) { s.Service = "vpc-lattice" }), "/",
			"403 InvalidSignatureException: Credential should be scoped to correct service: 'vpc-lattice-svcs'"},
		{"hashed payload", goSigner(session, true, strings.Repeat("0", 64), now), "/",
			"403 InvalidSignatureException: Signed payloads are not supported"},
		{"no x-amz-content-sha256", goSigner(session, true, "", now), "/",
			"403 IncompleteSignatureException: Missing the 'x-amz-content-sha256' in canonical headers"},
		{"altered path", altered(pergolaSigner(session), func(r *http.Request) { r.URL.Path = "/other" }), "/one", mismatch},
		{"altered query", altered(pergolaSigner(session), func(r *http.Request) { r.URL.RawQuery = "x=2" }), "/?x=1", mismatch},
		{"altered field", altered(pergolaSigner(session), func(r *http.Request) {
			r.Header.Set("X-Amz-Date", now.Add(time.Second).UTC().Format("20060102T150405Z"))
		}), "/", mismatch},
		{"no token", pergolaSigner(sealing.Credential{AccessKeyID: session.AccessKeyID, Secret: session.Secret}), "/", unknownKey},
	} {
		if got := g.ask(t, tt.sign, "GET", tt.path); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := g.ask(t, goSigner(session, true, payload, now.Add(-time.Hour)), "GET", "/"); !strings.HasPrefix(got, "403 InvalidSignatureException: Signature expired: ") {
		t.Errorf("an hour old: %q", got)
	}
}

// relay is an address on this host from which connections go on to the service network, as from the client's instance.
func (g *guarded) relay() string {
	g.t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(g.t)
	ctx, cancel := context.WithCancel(g.t.Context())
	done := make(chan struct{})
	g.t.Cleanup(func() { cancel(); listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			g.pass(ctx, conn)
		}
	}()
	return listener.Addr().String()
}

// pass carries one connection to its end.
func (g *guarded) pass(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	onward, err := g.client.Dial(ctx, netip.AddrPortFrom(addressing.FirstDoor, 80))
	if err != nil {
		g.t.Error(err)
		return
	}
	defer onward.Close()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		_, _ = io.Copy(conn, onward)
		_ = conn.Close()
	}()
	_, _ = io.Copy(onward, conn)
	_ = onward.Close()
	<-finished
}
