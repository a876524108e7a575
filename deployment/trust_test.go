package deployment

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestBundle(t *testing.T) {
	const authority = "AUTHORITY\n"
	for roots, want := range map[string]string{
		"":                             authority,
		"ROOTS\n":                      "ROOTS\n" + authority,
		"ROOTS\n" + authority:          "ROOTS\n" + authority,
		authority + "more\n":           authority + "more\n",
		"ROOTS\n" + authority[:5]:      "ROOTS\nAUTHO" + authority,
		"ROOTS\n" + authority + "more": "ROOTS\n" + authority + "more",
	} {
		if got := string(bundleOf([]byte(roots), []byte(authority))); got != want {
			t.Errorf("%q with the authority is %q, want %q", roots, got, want)
		}
	}
}

func TestFirstFileCounts(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("\nroots"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := string(readFirst([]string{"", filepath.Join(dir, "missing"), there, dir})); got != "roots\n" {
		t.Errorf("read %q", got)
	}
	if got := readFirst([]string{dir}); got != nil {
		t.Errorf("read %q", got)
	}
}

// TestProgramsKeepTheirOwnTrust holds that a program which trusts what the bundle does not have goes on doing so.
func TestProgramsKeepTheirOwnTrust(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bundle := write("bundle", "SYSTEM\nAUTHORITY\n")
	d := &Node{bundle: bundle}
	system := write("system", "SYSTEM\n")
	given := []string{
		"SSL_CERT_FILE=" + write("own", "OWN\n"), "PATH=/bin", "CURL_CA_BUNDLE=" + system, "REQUESTS_CA_BUNDLE=",
		"NODE_EXTRA_CA_CERTS=" + filepath.Join(dir, "missing"),
	}
	got := d.trusting(given)
	want := []string{given[0], "PATH=/bin", given[4], "CURL_CA_BUNDLE=" + bundle, "REQUESTS_CA_BUNDLE=" + bundle, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=" + bundle}
	if !slices.Equal(got, want) {
		t.Errorf("environment %q\nwant        %q", got, want)
	}
	if got := d.trusting([]string{"AWS_CA_BUNDLE=" + system}); !slices.Contains(got, "AWS_CA_BUNDLE="+bundle) {
		t.Errorf("environment %q", got)
	}
	if len(given) != 5 || given[3] != "REQUESTS_CA_BUNDLE=" {
		t.Error("the caller's own environment changed")
	}
}
