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
		"":                        authority,
		"ROOTS\n":                 "ROOTS\n" + authority,
		"ROOTS":                   "ROOTS\n" + authority,
		"ROOTS\n" + authority:     "ROOTS\n" + authority,
		authority + "more\n":      authority + "more\n",
		"ROOTS\n" + authority[:5]: "ROOTS\nAUTHO\n" + authority,
	} {
		if got := string(bundleOf([]byte(roots), []byte(authority))); got != want {
			t.Errorf("%q with the authority is %q, want %q", roots, got, want)
		}
	}
}

func TestFirstFileCounts(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("roots"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := string(readFirst([]string{"", filepath.Join(dir, "missing"), there, dir})); got != "roots" {
		t.Errorf("read %q", got)
	}
	if got := readFirst([]string{dir}); got != nil {
		t.Errorf("read %q", got)
	}
}

// TestProgramsKeepTheirOwnTrust holds that a program which has its own choice keeps it.
func TestProgramsKeepTheirOwnTrust(t *testing.T) {
	d := &Deployment{bundle: "/data/ca-bundle.pem"}
	own := []string{"PATH=/bin", "CURL_CA_BUNDLE=/own.pem", "REQUESTS_CA_BUNDLE="}
	got := d.trusting(own)
	want := append(slices.Clone(own), "SSL_CERT_FILE=/data/ca-bundle.pem", "NODE_EXTRA_CA_CERTS=/data/ca-bundle.pem", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=/data/ca-bundle.pem")
	if !slices.Equal(got, want) {
		t.Errorf("environment %q\nwant        %q", got, want)
	}
	if len(own) != 3 {
		t.Error("the caller's own environment changed")
	}
}
