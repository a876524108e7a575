package policy

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestTemplates takes the two policies of docs/authorisation.md as they stand there, and asks them about everybody.
func TestTemplates(t *testing.T) {
	content, err := os.ReadFile("../docs/authorisation.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(content, -1)
	if len(blocks) != 2 {
		t.Fatalf("the document has %d policies, want 2", len(blocks))
	}
	signedOnly, everybody := compile(t, string(blocks[0][1]), Resource), compile(t, string(blocks[1][1]), Resource)
	for name, p := range principals(t) {
		if slices.Contains([]PrincipalType{Service, Federated}, p.Type) {
			continue // they do not call services
		}
		if got := everybody.Evaluate(request(p, "Invoke", "@svc-0a/", "-")).Effect; got != Allow {
			t.Errorf("everybody: %s: %v", name, got)
		}
		want := Allow
		if p.Type == Anonymous {
			want = Silent
		}
		if got := signedOnly.Evaluate(request(p, "Invoke", "@svc-0a/", "-")).Effect; got != want {
			t.Errorf("authenticated only: %s: %v, want %v", name, got, want)
		}
	}
}
