package pergola_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
)

// limit is a constant as docs/limits.md names it: `package.name = expression`, the expression as the code has it.
var limit = regexp.MustCompile("`([a-z0-9/]+)\\.([A-Za-z0-9]+) = ([^`]+)`")

// TestLimitsAreThoseOfTheCode holds the table of limits to the constants that it names.
func TestLimitsAreThoseOfTheCode(t *testing.T) {
	page, err := os.ReadFile("docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	constants := constants(t)
	for _, row := range limit.FindAllStringSubmatch(string(page), -1) {
		name, want := row[1]+"."+row[2], row[3]
		if got, ok := constants[name]; !ok || got != want {
			t.Errorf("docs/limits.md: %s is %q there and %q in the code", name, want, got)
		}
	}
}

// bounding are the names of constants that bound something.
var bounding = regexp.MustCompile(`\.(max|Max|DefaultMax|most|least|Quota)[A-Z0-9]\w*$`)

// notBounds are constants with such a name that bound nothing which somebody can make grow, each with its reason.
var notBounds = map[string]string{
	"addressing.maxID":          "a format: ids are made by the control plane",
	"control/elbv2.maxTargets":  "the range of an attribute; the bound is aws/elbv2.QuotaTargets",
	"aws/route53.maxLabel":      "a format: domain names (RFC 1035 §2.3.4)",
	"aws/route53.maxName":       "a format: domain names (RFC 1035 §2.3.4)",
	"aws/route53.maxString":     "a format: strings in records (RFC 1035 §3.3)",
	"dataplane/http2.maxID":     "a format: stream ids (RFC 9113 §5.1.1)",
	"dataplane/http2.maxLength": "arithmetic: one more digit would overflow",
	"dataplane/http2.maxWindow": "a format: windows (RFC 9113 §6.9.1)",
	"functions.maxPipe":         "the size of the kernel's buffer",
	"node.maxOrigin":            "a format: a line that the node itself writes",
	"operator.maxSocketPath":    "a format: addresses of Unix sockets",
	"policy.mostColons":         "arithmetic of patterns; policy.MaxWork bounds matching",
	"snapshot.maxName":          "a format: domain names (RFC 1035 §2.3.4)",
}

// TestEveryLimitHasARow holds the code to the table: a constant that bounds something is there.
func TestEveryLimitHasARow(t *testing.T) {
	page, err := os.ReadFile("docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, row := range limit.FindAllStringSubmatch(string(page), -1) {
		rows[row[1]+"."+row[2]]++
	}
	for name, n := range rows {
		if n > 1 {
			t.Errorf("docs/limits.md has %s %d times", name, n)
		}
	}
	all := constants(t)
	for name := range all {
		if elsewhere.MatchString(name) || !bounding.MatchString(name) {
			continue
		}
		if reason := notBounds[name]; (rows[name] > 0) == (reason != "") {
			t.Errorf("%s needs a row in docs/limits.md, or a reason in notBounds why it bounds nothing, and not both", name)
		}
	}
	for name := range notBounds {
		if _, ok := all[name]; !ok {
			t.Errorf("notBounds names %s, which the code does not have", name)
		}
	}
}

// elsewhere are the packages that no deployment runs.
var elsewhere = regexp.MustCompile(`^(bench|docs|internal|test)\b`)

// constants are the expressions of all constants and variables of the production code, by package and name.
func constants(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		for _, decl := range s.file.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok || d.Tok != token.CONST && d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				values := spec.(*ast.ValueSpec)
				for i, value := range values.Values {
					file := fset.File(value.Pos())
					code := string(s.code[file.Offset(value.Pos()):file.Offset(value.End())])
					expression := strings.Join(strings.Fields(code), " ") // a line of the table
					all[fmt.Sprintf("%s.%s", s.pkg, values.Names[i].Name)] = strings.TrimSpace(expression)
				}
			}
		}
	}
	return all
}
