package access

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pergola/policy"
	"pergola/sigv4"
)

// malformed are requests that are refused for the form of their signatures.
func malformed() []refusal {
	header := func(name, body string, alter func(r *Request)) refusal {
		return refusal{name, nil, func(w *world) *Request {
			r := w.signed(alice(), "/")
			alter(r)
			return r
		}, "IncompleteSignatureException: " + body, DeniedByIdentity}
	}
	authorization := func(name, old, new, body string) refusal {
		return header(name, body, func(r *Request) { edit(r, "authorization", old, new) })
	}
	plus := func(name, body string, fields ...sigv4.Field) refusal {
		return header(name, body, func(r *Request) { r.HTTP.Header = append(r.HTTP.Header, fields...) })
	}
	query := func(name, old, new, body string) refusal {
		return refusal{name, nil, func(w *world) *Request {
			r := w.request("/", sigv4.Field{Name: "X-Amz-Content-Sha256", Value: "UNSIGNED-PAYLOAD"})
			presigned, _, err := alice().Presign(&r.HTTP, w.now, time.Hour)
			if err != nil {
				w.t.Fatal(err)
			}
			r.HTTP.RawQuery = strings.Replace(presigned, old, new, 1)
			return r
		}, "IncompleteSignatureException: " + body, DeniedByIdentity}
	}
	const names = "host;x-amz-content-sha256;x-amz-date"
	return []refusal{
		authorization("an unknown algorithm", "AWS4-HMAC-SHA256", "AWS4-HMAC-MD5", "Unsupported AWS 'algorithm': 'AWS4-HMAC-MD5'."),
		authorization("a part without an equal sign", "Credential=", "Credential, Credential=",
			"'Credential' not a valid key=value pair (missing equal-sign) in Authorization header."),
		authorization("an unknown part", "Signature=", "Extra=1, Signature=", "'Extra' is not a parameter of the Authorization header."),
		authorization("a part twice", "Signature=", "Signature=1, Signature=", "Authorization header has more than one 'Signature' parameter."),
		authorization("an empty part", "Signature=", "Signature=, Signature=", "Authorization header requires 'Signature' parameter."),
		authorization("a part is missing", "SignedHeaders="+names+", ", "", "Authorization header requires 'SignedHeaders' parameter."),
		authorization("the host is not signed", names, "x-amz-content-sha256;x-amz-date", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
		authorization("signed fields out of order", names, "host;x-amz-date;x-amz-content-sha256",
			"SignedHeaders must be in order without repetition: 'x-amz-content-sha256' comes after 'x-amz-date'."),
		authorization("too many signed fields", names, strings.Repeat("x;", 100)+"x", "SignedHeaders names more than 100 headers."),
		plus("an x-amz- field is not signed", "Missing the 'x-amz-added' in canonical headers", sigv4.Field{Name: "X-Amz-Added", Value: "1"}),
		plus("two dates", "The request has more than one 'x-amz-date' header.", sigv4.Field{Name: "X-Amz-Date", Value: "1"}),
		plus("two Authorizations", "The request has more than one 'Authorization' header.", sigv4.Field{Name: "Authorization", Value: "Bearer x"}),
		header("no date", "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.", func(r *Request) { without(r, "x-amz-date") }),
		header("a date of another format", "Date must be in ISO-8601 'basic format'. Got '2026-01-02'.", func(r *Request) {
			edit(r, "x-amz-date", "20260102T120000Z", "2026-01-02")
		}),
		header("signed twice", "The request is signed twice: use the 'Authorization' header or the query-string parameters, not both.",
			func(r *Request) { r.HTTP.RawQuery = "X-Amz-Signature=1" }),
		header("a query that is not encoded", "The query string has a percent sign that begins no escape. Write it as '%25'.",
			func(r *Request) { r.HTTP.RawQuery = "q=%zz" }),
		header("SigV4A for no region", "Missing the 'x-amz-region-set' in canonical headers", func(r *Request) {
			edit(r, "authorization", "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")
			edit(r, "authorization", "/"+region+"/", "/")
		}),
		query("presigned, without a part", "X-Amz-Algorithm", "A",
			"AWS query-string parameters must include 'X-Amz-Algorithm'. Re-examine the query-string parameters."),
		query("presigned, a part twice", "X-Amz-Date=", "X-Amz-Date=1&X-Amz-Date=",
			"AWS query-string parameters must include 'X-Amz-Date' only once. Re-examine the query-string parameters."),
		query("presigned for too long", "Expires=3600", "Expires=604801", "X-Amz-Expires must be a number of seconds from 1 to 604800, got '604801'."),
		{"presigned, with a token in a field", nil, func(w *world) *Request {
			r := w.request("/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb%2Fc%2Fd%2Fe&X-Amz-Date=20260102T120000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=0")
			r.HTTP.Header = sigv4.Fields{{Name: "X-Amz-Security-Token", Value: "t"}}
			return r
		}, "IncompleteSignatureException: A presigned request carries its token in the query: remove the 'x-amz-security-token' header.", DeniedByIdentity},
		{"another terminator", nil, func(w *world) *Request {
			r := w.signed(alice(), "/")
			edit(r, "authorization", "/aws4_request", "/aws5_request")
			return r
		}, "InvalidSignatureException: Credential should be scoped with a valid terminator: 'aws4_request'", DeniedByIdentity},
		{"another day in the scope", nil, func(w *world) *Request {
			r := w.signed(alice(), "/")
			edit(r, "authorization", "/20260102/", "/20260101/")
			return r
		}, "InvalidSignatureException: Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP", DeniedByIdentity},
	}
}

// documented are the texts of docs/authorisation.md: the first column of its tables of refusals. An ellipsis stands for
// what differs from request to request.
func documented(t *testing.T) (texts []string) {
	t.Helper()
	content, err := os.ReadFile("../../docs/authorisation.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]*Exception: [^`]*)` \\|").FindAllSubmatch(content, -1) {
		texts = append(texts, string(row[1]))
	}
	return texts
}

// stands reports whether a text with ellipses stands for another text, which may have some itself.
func stands(text, other string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(other)
}

// TestDocument holds docs/authorisation.md to what is answered: each of its texts is, and no refusal is missing.
func TestDocument(t *testing.T) {
	texts := documented(t)
	given := map[string]bool{}
	for _, test := range append(refusals(), malformed()...) {
		found := false
		for _, text := range texts {
			if stands(text, test.body) {
				given[text], found = true, true
			}
		}
		if !found {
			t.Errorf("the document has no row for %s", test.body)
		}
	}
	for _, text := range texts {
		if !given[text] {
			t.Errorf("no request is refused with %s", text)
		}
	}
	for _, form := range append(signatureForms(t), policyForms()...) {
		if !slices.ContainsFunc(texts, func(text string) bool { return stands(form, text) || stands(text, form) }) {
			t.Errorf("the document has no row of the form %s", form)
		}
	}
}

// policyForms are the texts with which each level refuses.
func policyForms() (forms []string) {
	question := policy.Request{Principal: policy.Principal{Type: policy.User, ARN: "…"}, Action: Invoke, Resource: "…"}
	for _, level := range []string{
		levelNetwork, levelService, policy.LevelServiceControl, policy.LevelIdentity, policy.LevelBoundary, policy.LevelSession,
	} {
		for _, effect := range []policy.Effect{policy.Deny, policy.Silent} {
			forms = append(forms, "AccessDeniedException: "+policy.Decision{Effect: effect, Level: level}.Message(&question))
		}
	}
	return forms
}

// signatureForms are the texts of the refusals that package sigv4 can make, read from its source.
func signatureForms(t *testing.T) (forms []string) {
	t.Helper()
	files, err := filepath.Glob("../../sigv4/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if code, text := refusalIn(node); text != "" {
				forms = append(forms, form(t, code, text))
			}
			return true
		})
	}
	if len(forms) < 30 {
		t.Errorf("only %d refusals were found in the source", len(forms))
	}
	return forms
}

// refusalIn is the code and the literal text of a refusal that a node makes, "" if it makes none or has its text from
// elsewhere.
func refusalIn(node ast.Node) (code, text string) {
	var values []ast.Expr
	switch n := node.(type) {
	case *ast.CallExpr:
		if called, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 {
			code, values = called.Name, n.Args[:1]
		}
	case *ast.CompositeLit:
		if made, ok := n.Type.(*ast.Ident); ok && made.Name == "Refusal" && len(n.Elts) == 2 {
			code, values = n.Elts[0].(*ast.Ident).Name, n.Elts[1:]
		}
	}
	switch {
	case !slices.Contains([]string{"incomplete", "invalid", "Invalid", "UnknownKey", "Expired"}, code):
		return "", "" // MissingToken is the control plane's: who does not sign is anonymous
	default:
		literal, ok := values[0].(*ast.BasicLit)
		if !ok {
			return "", ""
		}
		return code, literal.Value
	}
}

var verb = regexp.MustCompile(`%[sd]`)

// form is a text as it is answered, with ellipses for its verbs.
func form(t *testing.T, code, literal string) string {
	t.Helper()
	text, err := strconv.Unquote(literal)
	if err != nil {
		t.Fatal(err)
	}
	name, _ := map[string]sigv4.Code{
		"incomplete": sigv4.Incomplete, "invalid": sigv4.Invalid, "Invalid": sigv4.Invalid, "UnknownKey": sigv4.UnknownKey, "Expired": sigv4.Expired,
	}[code].Exception()
	return name + ": " + strings.ReplaceAll(verb.ReplaceAllString(text, "…"), "%%", "%")
}
