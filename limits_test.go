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
					expression := string(s.code[file.Offset(value.Pos()):file.Offset(value.End())])
					all[fmt.Sprintf("%s.%s", s.pkg, values.Names[i].Name)] = strings.TrimSpace(expression)
				}
			}
		}
	}
	return all
}
