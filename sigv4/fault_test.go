package sigv4

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestFault_B5_SignedIsWhatIsSent signs a request and sends another, with a parameter that the signature does not cover
// in each spelling that could be passed over.
func TestFault_B5_SignedIsWhatIsSent(t *testing.T) {
	spellings := func(name string) []string {
		all := []string{name, strings.ToLower(name), strings.ToUpper(name)}
		for i := range len(name) {
			all = append(all, name[:i]+fmt.Sprintf("%%%02X", name[i])+name[i+1:],
				name[:i]+fmt.Sprintf("%%%02x", name[i])+name[i+1:])
		}
		return all
	}
	v := verifierAt(DataPlane("us-west-2"), testTime)
	forms := map[string]*Request{
		"header": sign(t, dataPlaneSigner(), get("/", "a=1")), "query": presign(t, dataPlaneSigner(), get("/", "a=1"),
			time.Hour),
		"no query": sign(t, dataPlaneSigner(), get("/", "")),
	}
	for form, good := range forms {
		if _, err := v.Verify(good); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"X-Amz-Signature", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
			"X-Amz-SignedHeaders", "X-Amz-Security-Token", "X-Amz-Region-Set", "X-Amz-Anything"} {
			for _, spelling := range spellings(name) {
				for _, parameter := range []string{spelling + "=zz", spelling, spelling + "="} {
					for _, query := range []string{good.RawQuery + "&" + parameter, parameter + "&" + good.RawQuery} {
						r := *good
						r.RawQuery = query
						if _, err := v.Verify(&r); err == nil {
							t.Errorf("signed in the %s, %s passes", form, query)
						}
						if !Signed(&r) {
							t.Errorf("signed in the %s, %s does not count as signed", form, query)
						}
					}
				}
			}
		}
	}
	// Alone, a parameter of the signature makes a request a signed one in any spelling, for the target would see one.
	for _, name := range []string{"X-Amz-Signature", "X-Amz-Algorithm", "X-Amz-Credential"} {
		for _, spelling := range spellings(name)[3:] {
			if !Signed(get("/", "a=1&"+spelling+"=zz")) {
				t.Errorf("%s does not count as signed", spelling)
			}
		}
	}
	for _, query := range []string{"", "a=%", "x-amz-signature=1", "X-Amz-%5", "X-Amz-Signatur%", "X-Amz-Signature%31",
		"X-Amz-Date=1"} {
		if Signed(get("/", query)) {
			t.Errorf("%q counts as signed", query)
		}
	}
	// Presigned, the signature may be spelt in any way, once.
	r := *forms["query"]
	r.RawQuery = strings.Replace(r.RawQuery, "X-Amz-Signature", "X-Amz-%53ignature", 1)
	if _, err := v.Verify(&r); err != nil {
		t.Error(err)
	}
}

// TestFault_B6_B7_OtherSigners verifies what botocore and the AWS Common Runtime signed; testdata/vectors.py writes
// them.
func TestFault_B6_B7_OtherSigners(t *testing.T) {
	content, err := os.ReadFile("testdata/signers.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	v := verifierAt(DataPlane("us-west-2"), testTime)
	signers := map[string]int{}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		var vector struct {
			Signer, Target string
			Header         map[string]string
		}
		if err := json.Unmarshal(lines.Bytes(), &vector); err != nil {
			t.Fatal(err)
		}
		path, query, _ := strings.Cut(vector.Target, "?")
		r := &Request{Method: "GET", Path: path, RawQuery: query, Host: "parking.example"}
		for name, value := range vector.Header {
			r.Header = append(r.Header, Field{name, value})
		}
		normalises := vector.Signer == "botocore SigV4Auth" || strings.Contains(vector.Signer, "normalize=True")
		dots := strings.Contains(path, "/.")
		_, err := v.Verify(r)
		if good := !(normalises && dots); good != (err == nil) {
			t.Errorf("%s of %s: %v\n%v", vector.Signer, vector.Target, err, v.Explain(r))
		}
		signers[vector.Signer]++
		// What fits must not fit another path below another prefix, nor another query.
		if err == nil {
			for _, other := range []string{path + "x", "/x" + path, path + "/..", "/.." + path, "/." + path} {
				changed := *r
				changed.Path = other
				if _, err := v.Verify(&changed); err == nil {
					t.Errorf("%s of %s fits %s", vector.Signer, vector.Target, other)
				}
			}
		}
	}
	if len(signers) != 10 || signers["botocore SigV4Auth"] < 20 {
		t.Errorf("%v", signers)
	}
}

// TestFault_B6_EmptySegments holds that one slash stands for several, and that dot segments stay what they are.
func TestFault_B6_EmptySegments(t *testing.T) {
	v := verifierAt(DataPlane("us-west-2"), testTime)
	for _, c := range []struct {
		signed, sent string
		fits         bool
	}{
		{"/a/b", "/a//b", true}, {"/a", "//a", true}, {"/a/", "/a//", true}, {"/", "//", true}, {"/a/b", "///a///b", true},
		{"/a%20b/c", "/a%20b//c", true},
		{"/a//b", "/a/b", false}, {"/a/", "/a", false}, {"/a", "/a//", false}, {"/b", "/a/../b", false},
		{"/b", "/a//../b", false},
		{"/a/../b", "/a//../b", false}, {"/a/./b", "/a/.//b", false}, {"/a/b", "/a/./b", false}, {"/a/b", "/a//./b", false},
		{"/a/b", "/a%2F/b", false}, {"/a/b", "/a/%2Fb", false},
	} {
		for _, path := range []PathForm{PathAsSent, PathEncoded} {
			s := dataPlaneSigner()
			s.Path = path
			r := *sign(t, s, get(c.signed, ""))
			r.Path = c.sent
			if _, err := v.Verify(&r); (err == nil) != c.fits {
				t.Errorf("%s signed, %v, and %s sent: %v", c.signed, path, c.sent, err)
			}
		}
	}
}

// TestFault_B7_EitherPlus holds that a plus sign may have been signed as a space or as itself, and that nothing else is
// taken for it.
func TestFault_B7_EitherPlus(t *testing.T) {
	v := verifierAt(DataPlane("us-west-2"), testTime)
	for _, c := range []struct {
		signed, sent string
		fits         bool
	}{
		{"a=b%20c", "a=b+c", true}, {"a=b%2Bc", "a=b+c", true}, {"a%2Bb=c", "a+b=c", true}, {"a=b+c", "a=b%20c", true},
		{"a=b%20c", "a=b%2Bc", false}, {"a=b%2Bc", "a=b%20c", false}, {"a=b+c", "a=b%2Bc", false}, {"a=bc", "a=b+c", false},
		{"a=b%20c&d=%2B", "a=b+c&d=+", false}, // one reading for all of them
	} {
		r := *sign(t, dataPlaneSigner(), get("/", c.signed))
		r.RawQuery = c.sent
		if _, err := v.Verify(&r); (err == nil) != c.fits {
			t.Errorf("%s signed and %s sent: %v", c.signed, c.sent, err)
		}
	}
}

// TestFormsAreTriedWhereTheyDiffer counts the canonical requests that a wrong signature costs.
func TestFormsAreTriedWhereTheyDiffer(t *testing.T) {
	v := verifierAt(DataPlane("us-west-2"), testTime)
	for target, want := range map[string]int{"/a": 1, "/a?b=c": 1, "/a?b=%2f": 2, "/a?b=c+d": 3, "/a//b": 2,
		"/a%20b//c?d=e+f": 12} {
		path, query, _ := strings.Cut(target, "?")
		if e := v.Explain(sign(t, dataPlaneSigner(), get(path, query))); len(e.Attempts) != want {
			t.Errorf("%s: %d attempts, want %d\n%v", target, len(e.Attempts), want, e)
		}
	}
}
