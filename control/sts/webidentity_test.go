package sts_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pergola/aws/iam"
	nouns "pergola/aws/sts"
	iamcontrol "pergola/control/iam"
	"pergola/control/operation"
	"pergola/control/sts"
)

// object is a JSON object.
type object = map[string]any

// issuer is a real OpenID Connect issuer: it publishes its keys and signs tokens.
type issuer struct {
	t       *testing.T
	url     string
	rsa     *rsa.PrivateKey
	ecdsa   *ecdsa.PrivateKey
	fetches atomic.Int64

	mu        sync.Mutex // guards the rest
	discovery object
	keys      []object
	broken    bool
}

var encoding = base64.RawURLEncoding

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t}
	var err error
	if i.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if i.ecdsa, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	i.url = server.URL
	i.publish(object{"issuer": i.url, "jwks_uri": i.url + "/keys"}, i.rsaKey("one"), i.ecdsaKey("two"))
	return i
}

func (i *issuer) publish(discovery object, keys ...object) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.discovery, i.keys = discovery, keys
}

func (i *issuer) breakDown(broken bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.broken = broken
}

func (i *issuer) rsaKey(id string) object {
	return object{"kty": "RSA", "use": "sig", "kid": id, "alg": "RS256", "n": encoding.EncodeToString(i.rsa.N.Bytes()), "e": "AQAB"}
}

func (i *issuer) ecdsaKey(id string) object {
	point, err := i.ecdsa.PublicKey.Bytes()
	if err != nil {
		i.t.Fatal(err)
	}
	return object{"kty": "EC", "crv": "P-256", "kid": id, "x": encoding.EncodeToString(point[1:33]), "y": encoding.EncodeToString(point[33:])}
}

// ServeHTTP publishes the documents.
func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var document any
	switch {
	case i.broken:
		http.Error(w, "broken", http.StatusServiceUnavailable)
		return
	case r.URL.Path == "/.well-known/openid-configuration":
		document = i.discovery
	case r.URL.Path == "/keys":
		i.fetches.Add(1)
		document = object{"keys": i.keys}
	case r.URL.Path == "/elsewhere":
		http.Redirect(w, r, "/keys", http.StatusFound)
		return
	case r.URL.Path == "/endless":
		_, _ = w.Write([]byte(`{"keys":[],"x":"` + strings.Repeat("x", 1<<20) + `"}`))
		return
	default:
		http.NotFound(w, r)
		return
	}
	if err := json.NewEncoder(w).Encode(document); err != nil {
		i.t.Error(err)
	}
}

// claims are those of a good token.
func (i *issuer) claims() object {
	return object{"iss": i.url, "sub": "repo:octo/app", "aud": "sts.example.com", "exp": epoch.Add(time.Hour).Unix(), "iat": epoch.Unix()}
}

// sign makes a token.
func (i *issuer) sign(header, claims object) string {
	i.t.Helper()
	var parts []string
	for _, part := range []object{header, claims} {
		raw, err := json.Marshal(part)
		if err != nil {
			i.t.Fatal(err)
		}
		parts = append(parts, encoding.EncodeToString(raw))
	}
	signed := strings.Join(parts, ".")
	sum := sha256.Sum256([]byte(signed))
	if header["alg"] == "ES256" {
		r, s, err := ecdsa.Sign(rand.Reader, i.ecdsa, sum[:])
		if err != nil {
			i.t.Fatal(err)
		}
		signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		return signed + "." + encoding.EncodeToString(signature)
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.rsa, crypto.SHA256, sum[:])
	if err != nil {
		i.t.Fatal(err)
	}
	return signed + "." + encoding.EncodeToString(signature)
}

func (i *issuer) token() string { return i.sign(object{"alg": "RS256", "kid": "one"}, i.claims()) }

// register registers the issuer and makes a role that trusts it on conditions, in which ISSUER stands for its name.
func (w *world) register(i *issuer, conditions string) nouns.AssumeRoleWithWebIdentityRequest {
	w.t.Helper()
	created := ok(w, w.iam.CreateOpenIDConnectProvider, root(account), iam.CreateProviderRequest{URL: i.url, ClientIDs: []string{"sts.example.com"}})
	name := strings.TrimPrefix(i.url, "http://")
	arn := w.role("deployer", trust(`{"Federated":"`+created.ARN+`"}`, `["sts:AssumeRoleWithWebIdentity","sts:TagSession"]`, strings.ReplaceAll(conditions, "ISSUER", name)))
	return nouns.AssumeRoleWithWebIdentityRequest{RoleSession: nouns.RoleSession{RoleARN: arn, Name: "deploy"}}
}

const bySubject = `{"StringEquals":{"ISSUER:aud":"sts.example.com"},"StringLike":{"ISSUER:sub":"repo:octo/*"}}`

func TestWebIdentity(t *testing.T) {
	w, i := newWorld(t), newIssuer(t)
	in := w.register(i, bySubject)
	claims := i.claims()
	claims["aud"] = []string{"other", "sts.example.com"}
	claims["azp"] = "sts.example.com"
	claims["https://aws.amazon.com/tags"] = object{"principal_tags": object{"ref": []string{"main"}}, "transitive_tag_keys": []string{"ref"}}
	for _, header := range []object{{"alg": "RS256", "kid": "one"}, {"alg": "ES256", "kid": "two"}, {"alg": "ES256"}} {
		in.Token = i.sign(header, claims)
		answer := ok(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in)
		if answer.Subject != "repo:octo/app" || answer.Audience != "sts.example.com" || !strings.Contains(answer.Provider, ":oidc-provider/127.0.0.1:") {
			t.Errorf("%v: answered %+v", header, answer)
		}
		caller := w.open(answer.Credentials)
		if caller.ARN != "arn:aws:sts::"+account+":assumed-role/deployer/deploy" || caller.Session.Federation != answer.Provider {
			t.Errorf("%v: the session is of %+v", header, caller)
		}
		if want := map[string]string{"Team": "red", "stage": "test", "ref": "main"}; !maps.Equal(caller.Tags, want) {
			t.Errorf("%v: the session has tags %v, want %v", header, caller.Tags, want)
		}
	}
	if got := i.fetches.Load(); got != 1 {
		t.Errorf("the keys were fetched %d times, want once", got)
	}
}

func TestRefusedWebIdentities(t *testing.T) {
	w, i := newWorld(t), newIssuer(t)
	in := w.register(i, bySubject)
	changed := func(name string, value any) string {
		claims := i.claims()
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
		return i.sign(object{"alg": "RS256", "kid": "one"}, claims)
	}
	good := i.token()
	cut := strings.LastIndexByte(good, '.')
	other := newIssuer(t)
	for _, c := range []struct{ name, token, want string }{
		{"no token", "none", "InvalidIdentityToken: The web identity token is malformed: it has 1 parts"},
		{"no signature", good[:cut+1], "InvalidIdentityToken: The ID Token provided is not a valid JWT"},
		{"altered", good[:cut] + "." + good[cut+2:] + "A", "InvalidIdentityToken: The ID Token provided is not a valid JWT"},
		{"claims of another", strings.Join([]string{strings.Split(good, ".")[0],
			strings.Split(changed("sub", "root"), ".")[1], strings.Split(good, ".")[2]}, "."),
			"AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"none", encoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(good, ".")[1] + ".", "InvalidIdentityToken: The web identity token is malformed: header: alg"},
		{"symmetric", i.sign(object{"alg": "HS256", "kid": "one"}, i.claims()), "InvalidIdentityToken: The web identity token is malformed: header: alg"},
		{"critical", i.sign(object{"alg": "RS256", "kid": "one", "crit": []string{"x"}}, i.claims()), "InvalidIdentityToken: The web identity token is malformed: header: crit"},
		{"unknown key", i.sign(object{"alg": "RS256", "kid": "three"}, i.claims()), "InvalidIdentityToken: Couldn't retrieve verification key"},
		{"key of the other algorithm", i.sign(object{"alg": "RS256", "kid": "two"}, i.claims()), "InvalidIdentityToken: Couldn't retrieve verification key"},
		{"expired", changed("exp", epoch.Unix()), "ExpiredTokenException"},
		{"without end", changed("exp", nil), "InvalidIdentityToken: The web identity token is malformed: claims: exp"},
		{"end of the wrong type", changed("exp", "tomorrow"), "InvalidIdentityToken: The web identity token is malformed: claims: exp"},
		{"end of all times", changed("exp", 1e300), "InvalidIdentityToken: The web identity token is malformed: claims: exp"},
		{"not yet", changed("nbf", epoch.Add(6*time.Minute).Unix()), "InvalidIdentityToken: The web identity token is not good yet"},
		{"other audience", changed("aud", "other"), "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"no audience", changed("aud", nil), "InvalidIdentityToken: The web identity token is malformed: claims: aud"},
		{"audience of the wrong type", changed("aud", 7), "InvalidIdentityToken: The web identity token is malformed: claims: aud"},
		{"no subject", changed("sub", nil), "InvalidIdentityToken: The web identity token is malformed: claims: sub"},
		{"no issuer", changed("iss", nil), "InvalidIdentityToken: The web identity token is malformed: claims: iss"},
		{"unregistered issuer", other.token(), "InvalidIdentityToken: No OpenIDConnect provider found in your account for " + other.url},
		{"issuer that claims to be another", other.sign(object{"alg": "RS256", "kid": "one"}, i.claims()), "InvalidIdentityToken: The ID Token provided is not a valid JWT"},
		{"issuer spelled otherwise", changed("iss", i.url+"/"), "InvalidIdentityToken: No OpenIDConnect provider"},
		{"subject that is not trusted", changed("sub", "repo:evil/app"), "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"source identity that is not allowed", changed("https://aws.amazon.com/source_identity", "ada"), "AccessDenied"},
		{"two values of a tag", changed("https://aws.amazon.com/tags", object{"principal_tags": object{"a": []string{"1", "2"}}}), "InvalidIdentityToken: The web identity token is malformed: claims: the tag"},
	} {
		in.Token = c.token
		_, err := w.AssumeRoleWithWebIdentity(w.ctx, iam.Caller{}, &in)
		if got := described(err); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	anyone := in
	anyone.RoleARN = w.role("of-the-issuer", trust(`{"Federated":"arn:aws:iam::`+account+`:oidc-provider/`+
		strings.TrimPrefix(i.url, "http://")+`"}`, `"sts:AssumeRoleWithWebIdentity"`, ""))
	anyone.Token = changed("aud", "other")
	refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, anyone, "InvalidIdentityToken: Incorrect token audience")
	in.Token = good
	in.RoleARN = strings.Replace(in.RoleARN, "deployer", "nobody", 1)
	refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in, "AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity")
	in.Provider = "www.example.com"
	refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in, "ValidationError: ProviderId")
	if other.fetches.Load() != 0 {
		t.Error("an issuer that is not registered was asked")
	}
}

// TestNewKeys changes the keys of an issuer: a token with a new one is taken soon, and nobody can have the issuer asked
// without end.
func TestNewKeys(t *testing.T) {
	w, i := newWorld(t), newIssuer(t)
	in := w.register(i, bySubject)
	in.Token = i.token()
	ok(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in)

	i.publish(object{"issuer": i.url, "jwks_uri": i.url + "/keys"}, i.rsaKey("new"))
	in.Token = i.sign(object{"alg": "RS256", "kid": "new"}, i.claims())
	refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in, "InvalidIdentityToken: Couldn't retrieve verification key")
	w.seconds.Add(10)
	ok(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in)
	if got := i.fetches.Load(); got != 2 {
		t.Errorf("the keys were fetched %d times, want 2", got)
	}

	i.breakDown(true)
	w.seconds.Add(3000)
	ok(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in)
	unknown := in
	unknown.Token = i.sign(object{"alg": "RS256", "kid": "unknown"}, i.claims())
	refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, unknown, "IDPCommunicationError")
	ok(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in) // a fetch that failed takes no keys away
	w.seconds.Add(600)
	in.Token = i.sign(object{"alg": "RS256", "kid": "new"}, object{"iss": i.url, "sub": "repo:octo/app", "aud": "sts.example.com", "exp": w.now().Unix() + 60})
	refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in, "IDPCommunicationError")
	i.breakDown(false)
	refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in, "IDPCommunicationError")
	w.seconds.Add(10)
	ok(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in)
}

func TestBadIssuers(t *testing.T) {
	w, i := newWorld(t), newIssuer(t)
	in := w.register(i, bySubject)
	in.Token = i.token()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	keys := i.url + "/keys"
	for _, c := range []struct {
		name      string
		discovery object
		keys      []object
		want      string
	}{
		{"another issuer", object{"issuer": "https://example.com", "jwks_uri": keys}, nil, "IDPCommunicationError"},
		{"no keys", object{"issuer": i.url}, nil, "IDPCommunicationError"},
		{"keys elsewhere on http", object{"issuer": i.url, "jwks_uri": "http://example.com/keys"}, nil, "IDPCommunicationError"},
		{"keys in a file", object{"issuer": i.url, "jwks_uri": "file:///etc/passwd"}, nil, "IDPCommunicationError"},
		{"redirected", object{"issuer": i.url, "jwks_uri": i.url + "/elsewhere"}, nil, "IDPCommunicationError"},
		{"endless", object{"issuer": i.url, "jwks_uri": i.url + "/endless"}, nil, "IDPCommunicationError"},
		{"not there", object{"issuer": i.url, "jwks_uri": i.url + "/none"}, nil, "IDPCommunicationError"},
		{"no JSON", object{"issuer": 7}, nil, "IDPCommunicationError"},
		{"empty set", object{"issuer": i.url, "jwks_uri": keys}, nil, "InvalidIdentityToken"},
		{"weak key", object{"issuer": i.url, "jwks_uri": keys}, []object{{"kty": "RSA", "kid": "one", "n": encoding.EncodeToString(small.N.Bytes()), "e": "AQAB"}}, "InvalidIdentityToken"},
		{"key without exponent", object{"issuer": i.url, "jwks_uri": keys}, []object{{"kty": "RSA", "kid": "one", "n": i.rsaKey("")["n"]}}, "InvalidIdentityToken"},
		{"key for encryption", object{"issuer": i.url, "jwks_uri": keys}, []object{{"kty": "RSA", "kid": "one", "use": "enc", "n": i.rsaKey("")["n"], "e": "AQAB"}}, "InvalidIdentityToken"},
		{"point off the curve", object{"issuer": i.url, "jwks_uri": keys}, []object{{"kty": "EC", "crv": "P-256", "kid": "one", "x": "AQ", "y": "AQ"}}, "InvalidIdentityToken"},
		{"number too long", object{"issuer": i.url, "jwks_uri": keys}, []object{{"kty": "EC", "crv": "P-256", "kid": "one", "x": encoding.EncodeToString(new(big.Int).Lsh(big.NewInt(1), 300).Bytes()), "y": "AQ"}}, "InvalidIdentityToken"},
		{"another curve", object{"issuer": i.url, "jwks_uri": keys}, []object{{"kty": "EC", "crv": "P-384", "kid": "one"}}, "InvalidIdentityToken"},
	} {
		i.publish(c.discovery, c.keys...)
		w.seconds.Add(10)
		_, err := w.AssumeRoleWithWebIdentity(w.ctx, iam.Caller{}, &in)
		if got := described(err); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestIssuerOverTLS trusts the certificate of an issuer by way of the client.
func TestIssuerOverTLS(t *testing.T) {
	w, i := newWorld(t), newIssuer(t)
	server := httptest.NewTLSServer(i)
	t.Cleanup(server.Close)
	i.url = server.URL
	i.publish(object{"issuer": i.url, "jwks_uri": i.url + "/keys"}, i.rsaKey("one"))
	created := ok(w, w.iam.CreateOpenIDConnectProvider, root(account), iam.CreateProviderRequest{URL: i.url, ClientIDs: []string{"sts.example.com"}})
	in := nouns.AssumeRoleWithWebIdentityRequest{Token: i.token(), RoleSession: nouns.RoleSession{Name: "deploy",
		RoleARN: w.role("deployer", trust(`{"Federated":"`+created.ARN+`"}`, `"sts:AssumeRoleWithWebIdentity"`, ""))}}
	refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in, "IDPCommunicationError")
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	w.Control = sts.New(sts.Config{Config: operation.Config{Store: w.objects, Now: w.now}, Box: w.box, Roots: roots,
		AllowLocalIssuers: true})
	ok(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in)

	i.publish(object{"issuer": i.url, "jwks_uri": strings.Replace(i.url, "https", "http", 1) + "/keys"}, i.rsaKey("one"))
	w.seconds.Add(3600)
	in.Token = i.sign(object{"alg": "RS256", "kid": "one"}, object{"iss": i.url, "sub": "x", "aud": "sts.example.com", "exp": w.now().Unix() + 60})
	refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in, "IDPCommunicationError")
}

// TestFault_C6_TheRoleComesFirst has tokens that no role lets in cause no fetch.
func TestFault_C6_TheRoleComesFirst(t *testing.T) {
	w, i := newWorld(t), newIssuer(t)
	in := w.register(i, bySubject)
	stranger := i.claims()
	stranger["sub"] = "repo:evil/app"
	in.Token = i.sign(object{"alg": "RS256", "kid": "one"}, stranger)
	refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in,
		"AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity")
	absent := in
	absent.RoleARN = strings.Replace(in.RoleARN, "deployer", "nobody", 1)
	absent.Token = i.token()
	refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, absent,
		"AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity")
	if got := i.fetches.Load(); got != 0 {
		t.Errorf("the issuer was asked %d times", got)
	}
	in.Token = i.token()
	ok(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in)
}

// TestFault_C6_OneText has issuers on ports that are open and closed, that speak and do not: all that is said of them
// is the same, also where local issuers are allowed.
func TestFault_C6_OneText(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("SSH-2.0-OpenSSH\r\n"))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = silent.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	speaking := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(speaking.Close)

	for _, allowed := range []bool{false, true} {
		w, i := newWorld(t), newIssuer(t)
		w.Control = sts.New(sts.Config{Config: operation.Config{Store: w.objects, Now: w.now}, Box: w.box,
			AllowLocalIssuers: allowed})
		texts := map[string]bool{}
		for k, url := range []string{"http://" + silent.Addr().String(), "http://" + closed.Addr().String(), speaking.URL,
			"https://" + silent.Addr().String(), "https://" + closed.Addr().String() + "/x", "https://no-such-name.invalid"} {
			created := ok(w, w.iam.CreateOpenIDConnectProvider, root(account),
				iam.CreateProviderRequest{URL: url + fmt.Sprint("/", k), ClientIDs: []string{"sts.example.com"}})
			claims := i.claims()
			claims["iss"] = url + fmt.Sprint("/", k)
			in := nouns.AssumeRoleWithWebIdentityRequest{Token: i.sign(object{"alg": "RS256", "kid": "one"}, claims),
				RoleSession: nouns.RoleSession{Name: "deploy",
					RoleARN: w.role(fmt.Sprint("deployer", k), trust(`{"Federated":"`+created.ARN+`"}`,
						`"sts:AssumeRoleWithWebIdentity"`, ""))}}
			_, err := w.AssumeRoleWithWebIdentity(w.ctx, iam.Caller{}, &in)
			texts[described(err)] = true
		}
		if len(texts) != 1 || !strings.HasPrefix(slices.Collect(maps.Keys(texts))[0], "IDPCommunicationError") {
			t.Errorf("allowed %v: the answers differ: %v", allowed, slices.Collect(maps.Keys(texts)))
		}
	}
}

// TestFault_D15_KeysThatAreGiven registers an issuer that cannot be reached with its keys.
func TestFault_D15_KeysThatAreGiven(t *testing.T) {
	w, i := newWorld(t), newIssuer(t)
	w.iam = iamcontrol.New(iamcontrol.Config{Config: operation.Config{Store: w.objects, Now: w.now}, Box: w.box})
	w.Control = sts.New(sts.Config{Config: operation.Config{Store: w.objects, Now: w.now}, Box: w.box})
	const url = "https://kubernetes.default.svc.cluster.local"
	set := func(keys ...object) []byte {
		raw, err := json.Marshal(object{"keys": keys})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	arn, err := w.iam.RegisterIssuer(w.ctx, account, iamcontrol.IssuerKeys{URL: url, Keys: set(i.rsaKey("one"))})
	if want := "arn:aws:iam::" + account + ":oidc-provider/kubernetes.default.svc.cluster.local"; err != nil ||
		arn != want {
		t.Fatalf("registered %s, %v; want %s", arn, err, want)
	}
	claims := i.claims()
	claims["iss"], claims["aud"], claims["sub"] = url, []string{"sts.amazonaws.com"}, "system:serviceaccount:shop:web"
	in := nouns.AssumeRoleWithWebIdentityRequest{RoleSession: nouns.RoleSession{Name: "web",
		RoleARN: w.role("web", trust(`{"Federated":"`+arn+`"}`, `"sts:AssumeRoleWithWebIdentity"`,
			`{"StringEquals":{"kubernetes.default.svc.cluster.local:sub":"system:serviceaccount:shop:web"}}`))}}
	in.Token = i.sign(object{"alg": "RS256", "kid": "one"}, claims)
	ok(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in)
	in.Token = i.sign(object{"alg": "RS256", "kid": "two"}, claims)
	refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in, "InvalidIdentityToken: Couldn't retrieve verification key")

	if _, err := w.iam.RegisterIssuer(w.ctx, account,
		iamcontrol.IssuerKeys{URL: url, ClientIDs: []string{"sts.example.com"}, Keys: set(i.rsaKey("two"))}); err != nil {
		t.Fatal(err)
	}
	ok(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, in)
	got := ok(w, w.iam.GetOpenIDConnectProvider, root(account), iam.SubjectRequest{Subject: iam.Subject{ProviderARN: arn}})
	if want := []string{"sts.amazonaws.com", "sts.example.com"}; !slices.Equal(got.ClientIDs, want) {
		t.Errorf("the audiences are %v, want %v", got.ClientIDs, want)
	}
	if i.fetches.Load() != 0 {
		t.Error("something was fetched")
	}
	for name, bad := range map[string]iamcontrol.IssuerKeys{
		"no keys": {URL: url, Keys: set()}, "no JSON": {URL: url, Keys: []byte("-----BEGIN")},
		"no URL":   {URL: "cluster", Keys: set(i.rsaKey("one"))},
		"too long": {URL: url, Keys: append(set(i.rsaKey("one")), bytes.Repeat([]byte(" "), 64<<10)...)},
	} {
		if _, err := w.iam.RegisterIssuer(w.ctx, account, bad); !strings.HasPrefix(described(err), "InvalidInput") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFault_A9_SessionPoliciesAreMeasuredFirst passes what is too long, and no policy, at both doors.
func TestFault_A9_SessionPoliciesAreMeasuredFirst(t *testing.T) {
	w, i := newWorld(t), newIssuer(t)
	web := w.register(i, bySubject)
	signed := request(w.role("reader", trust(anyone, assume, "")))
	web.Token = i.token()
	for n, c := range map[int]struct{ web, signed string }{
		2048: {"MalformedPolicyDocument", "MalformedPolicyDocument"},
		2049: {"ValidationError: 1 validation error detected: Value at 'policy' failed to satisfy constraint: Member " +
			"must have length less than or equal to 2048", "PackedPolicyTooLarge"},
		131_072: {"ValidationError", "PackedPolicyTooLarge"},
	} {
		web.Policy, signed.Policy = strings.Repeat("{", n), strings.Repeat("{", n)
		refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, web, c.web)
		refused(w, w.AssumeRole, user(account, "ada"), signed, c.signed)
	}
	web.Policy = strings.Repeat("{", 2000)
	web.PolicyARNs = []nouns.PolicyDescriptor{{ARN: "arn:aws:iam::aws:policy/VPCLatticeServicesInvokeAccess"}}
	refused(w, w.AssumeRoleWithWebIdentity, iam.Caller{}, web, "PackedPolicyTooLarge")
}

// TestFault_C3_SessionsOfUsers uses one to make itself last.
func TestFault_C3_SessionsOfUsers(t *testing.T) {
	w := newWorld(t)
	arn := w.role("reader", trust(anyone, assume, ""))
	session := w.open(ok(w, w.GetSessionToken, user(account, "ada"), nouns.GetSessionTokenRequest{}).Credentials)
	const invalid = "InvalidClientTokenId: The security token included in the request is invalid"
	refused(w, w.iam.CreateUser, session, iam.CreateUserRequest{Name: "lasting"}, invalid)
	refused(w, w.iam.CreateAccessKey, session, iam.SubjectRequest{}, invalid)
	refused(w, w.iam.GetUser, session, iam.SubjectRequest{}, invalid)
	refused(w, w.GetAccessKeyInfo, session, nouns.GetAccessKeyInfoRequest{ID: "AKIAIOSFODNN7EXAMPLE"},
		"AccessDenied: Cannot call GetAccessKeyInfo with session credentials")
	ok(w, w.GetCallerIdentity, session, nouns.GetCallerIdentityRequest{})
	ok(w, w.AssumeRole, session, request(arn))
}
