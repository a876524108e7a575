package pergola_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the import table: for each package of the project, which others of the project its production code may
// import. The architecture is this table; change it here and in ARCHITECTURE.md together. A trailing "…" stands for a
// package and all below it.
var mayImport = map[string][]string{
	"lattice": {},
	"sigv4":   {},
	"policy":  {},
	"store":   {},
	"sealing": {"lattice", "aws…"},

	"certificate": {},
	"addressing":  {},
	"bound":       {}, // every package may import these two
	"containment": {},

	"aws":               {},
	"aws/acm":           {"aws"},
	"aws/ec2":           {"addressing", "aws", "lattice"},
	"aws/elbv2":         {"aws", "lattice"},
	"aws/iam":           {"aws", "lattice"},
	"aws/lambda":        {"aws", "lattice", "policy"},
	"aws/organizations": {"aws"},
	"aws/route53":       {"aws", "lattice"},
	"aws/sts":           {"aws…", "lattice"},

	"control": {"lattice", "addressing", "aws…", "certificate", "control/authority", "control/ec2", "control/operation",
		"control/resource",
		"control/ownership",
		"control/settling", "policy", "store"},
	"control/acm": {"lattice", "aws…", "certificate", "control/authority", "control/operation", "control/resource",
		"sealing", "store"},
	"control/authority": {"lattice", "aws…", "policy", "store"},
	"control/ec2": {"lattice", "addressing", "aws…", "control/authority", "control/operation", "control/resource",
		"control/ownership",
		"control/settling", "store"},
	"control/elbv2": {"lattice", "aws…", "control", "control/authority", "control/operation", "control/resource",
		"control/ec2",
		"control/ownership",
		"control/settling", "store"},
	"control/iam": {"lattice", "aws…", "control/authority", "control/operation", "control/resource", "policy", "sealing",
		"sigv4", "store"},
	"control/lambda": {"lattice", "aws…", "control/authority", "control/operation", "control/resource",
		"functions", "policy",
		"sealing", "store"},
	"control/organizations": {"lattice", "aws…", "control/authority", "control/operation", "control/resource",
		"policy", "store"},
	"control/route53": {"lattice", "aws…", "control/authority", "control/operation", "control/resource",
		"control/settling", "store"},
	"control/operation": {"aws…", "control/authority", "control/ownership", "store"},
	"control/ownership": {"store"},
	"control/resource": {"lattice", "control/authority", "control/operation", "control/ownership",
		"control/settling", "store"},
	"control/settling": {"lattice", "store"},
	"control/sts": {"lattice", "aws…", "control/authority", "control/operation", "control/iam", "policy",
		"sealing", "store"},
	"api": {"lattice", "aws…", "sigv4", "sealing", "store", "control…"},

	"snapshot":         {"lattice", "addressing", "aws…", "fabric/packetfilter", "policy", "snapshot/table"},
	"snapshot/table":   {},
	"dataplane":        {"lattice", "snapshot", "dataplane/parking"},
	"dataplane/http1":  {"dataplane/descriptor"},
	"dataplane/http2":  {"dataplane/descriptor", "dataplane/http1", "dataplane/parking"},
	"dataplane/access": {"lattice", "aws…", "policy", "sealing", "sigv4", "snapshot", "dataplane/http1"},
	"dataplane/explain": {"lattice", "addressing", "policy", "sigv4", "snapshot", "dataplane/access", "dataplane/http1",
		"fabric/packetfilter"},
	"dataplane/event":  {},
	"dataplane/record": {"snapshot", "dataplane/access"},
	"dataplane/proxy": {"lattice", "sigv4", "snapshot", "dataplane/access", "dataplane/descriptor", "dataplane/event",
		"dataplane/http1", "dataplane/http2", "dataplane/parking", "dataplane/record", "dataplane/security"},
	"dataplane/target": {"lattice", "snapshot…", "dataplane/http1", "dataplane/security", "fabric/packetfilter"},
	"dns":              {"lattice", "snapshot"},
	"loadbalancer": {"lattice", "aws/elbv2", "sigv4", "snapshot", "dataplane/proxy", "dataplane/security",
		"dataplane/target"},
	"metadata":  {"lattice", "aws…", "sealing"},
	"fabric":    {"addressing", "fabric/packetfilter"},
	"functions": {"aws…", "fabric", "sigv4"},

	"fabric/packetfilter":   {},
	"dataplane/clienthello": {"dataplane/descriptor"},
	"dataplane/descriptor":  {},
	"dataplane/parking":     {"dataplane/descriptor"},
	"dataplane/security":    {"dataplane/descriptor"},
	"dataplane/entrance":    {"lattice", "snapshot", "dataplane/clienthello", "dataplane/parking", "dataplane/passthrough", "dataplane/proxy", "dataplane/security"},
	"dataplane/termination": {"aws/acm", "certificate", "sealing", "snapshot", "dataplane/security"},
	"dataplane/passthrough": {"lattice", "snapshot", "dataplane/access", "dataplane/clienthello", "dataplane/descriptor",
		"dataplane/record"},

	"node": {"lattice", "addressing", "aws…", "policy", "store", "sealing", "snapshot", "dataplane…", "dns",
		"fabric…", "loadbalancer", "metadata"},
	"operator":   {},
	"supervisor": {},
	"deployment": {"lattice", "dataplane", "certificate", "store", "sealing", "api", "control…", "dataplane/explain",
		"fabric", "functions", "node", "operator"},

	"internal/apiclient": {"sigv4", "operator"},
	"internal/inside":    {"fabric"},
	"internal/apimodel":  {},
	"internal/generate":  {"internal/apimodel"},
	"internal/trimmodel": {"internal/apimodel"},
	"internal/testenv":   {"deployment", "operator", "fabric", "lattice", "internal/apiclient", "internal/inside"},
	"cmd/pergola": {"addressing", "api", "deployment", "operator", "supervisor", "fabric", "functions", "lattice", "sigv4",
		"internal/apiclient", "internal/inside"},
}

// onlyImporter names dependencies that a single package may import, or one with those below it, so that they can be
// replaced in one place.
var onlyImporter = map[string]string{
	"go.etcd.io/etcd":              "store",
	"github.com/vishvananda":       "fabric…",
	"github.com/google/nftables":   "fabric/packetfilter",
	"github.com/mdlayher":          "fabric/packetfilter",
	"github.com/landlock-lsm":      "fabric",
	"github.com/creack/pty":        "cmd/pergola",
	"github.com/fxamacker/cbor":    "api",
	"golang.org/x/net/dns":         "dns",
	"golang.org/x/net/http2":       "dataplane/http2",
	"github.com/aws/aws-sdk-go-v2": "internal/testenv",
	"github.com/aws/aws-lambda-go": "cmd/pergola",
}

// Budgets of size, for production code. They keep a reader's effort bounded, not the author's.
const (
	maxFileLines     = 800
	maxFunctionLines = 60
	// longFunctions is how many functions in a thousand may be longer: straight-line protocol stories and flat
	// tables read better whole.
	longFunctions = 30
	maxParameters = 5
	maxFields     = 25
)

type source struct {
	pkg  string // the package's folder
	path string
	file *ast.File
	code []byte
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// isGenerated is of files that nobody writes: what they are made from is kept readable, not they.
func (s source) isGenerated() bool { return ast.IsGenerated(s.file) }

var fset = token.NewFileSet()

// sources parses every Go file of the project.
func sources(t *testing.T) (all []source) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && name != "." || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		code, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, name, code, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{path.Dir(filepath.ToSlash(name)), name, file, code})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestImportsFollowTheTable(t *testing.T) {
	for _, s := range sources(t) {
		example := strings.HasPrefix(s.pkg, "docs/") // for programs outside of the project
		if s.isTest() || example || s.pkg == "bench" || strings.HasPrefix(s.pkg, "bench/") {
			continue
		}
		allowed, known := mayImport[s.pkg]
		if !known {
			t.Errorf("%s: package %s is not in the import table; add a row that says what it may import", s.path, s.pkg)
			continue
		}
		for _, spec := range s.file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if own, ok := strings.CutPrefix(imported, "pergola/"); ok && own != "bound" && own != "containment" &&
				!matches(allowed, own) {
				t.Errorf("%s: package %s may not import %s", s.path, s.pkg, own)
			}
			for prefix, importer := range onlyImporter {
				if strings.HasPrefix(imported, prefix) && !matches([]string{importer}, s.pkg) {
					t.Errorf("%s: only %q may import %s", s.path, importer, prefix)
				}
			}
		}
	}
}

func matches(allowed []string, pkg string) bool {
	return slices.ContainsFunc(allowed, func(entry string) bool {
		tree, below := strings.CutSuffix(entry, "…")
		return entry == pkg || below && (pkg == tree || strings.HasPrefix(pkg, tree+"/"))
	})
}

func TestEveryPackageHasOneComment(t *testing.T) {
	comments := map[string][]string{}
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		comments[s.pkg] = append(comments[s.pkg], nil...)
		if s.file.Doc != nil {
			comments[s.pkg] = append(comments[s.pkg], s.path)
		}
	}
	for pkg, files := range comments {
		if len(files) != 1 {
			t.Errorf("package %s has %d package comments %v, want exactly one", pkg, len(files), files)
		}
	}
}

func TestEverythingExportedIsDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || s.file.Name.Name == "main" {
			continue
		}
		for _, decl := range s.file.Decls {
			for _, name := range undocumented(decl) {
				t.Errorf("%s: %s has no doc comment", fset.Position(decl.Pos()), name)
			}
		}
	}
}

// undocumented lists the exported names of a declaration that lack a comment.
func undocumented(decl ast.Decl) (names []string) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || ast.IsExported(receiver(d))) {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
				names = append(names, ts.Name.Name)
			}
		}
	}
	return names
}

func receiver(d *ast.FuncDecl) string {
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

func TestSizesStayInBudget(t *testing.T) {
	functions, long := 0, []string{}
	for _, s := range sources(t) {
		if lines := strings.Count(string(s.code), "\n"); !s.isTest() && !s.isGenerated() && lines > maxFileLines {
			t.Errorf("%s has %d lines, the budget is %d: which idea would part it?", s.path, lines, maxFileLines)
		}
		if s.isTest() || s.isGenerated() {
			continue
		}
		ast.Inspect(s.file, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.FuncDecl:
				functions++
				if lines := fset.Position(n.End()).Line - fset.Position(n.Pos()).Line + 1; lines > maxFunctionLines {
					long = append(long, fmt.Sprintf("%s: %s has %d lines", fset.Position(n.Pos()), n.Name.Name, lines))
				}
				checkParameters(t, n)
			case *ast.StructType:
				if n.Fields.NumFields() > maxFields {
					t.Errorf("%s: a struct of %d fields, the budget is %d", fset.Position(n.Pos()), n.Fields.NumFields(), maxFields)
				}
			}
			return true
		})
	}
	if len(long)*1000 > functions*longFunctions {
		t.Errorf("%d of %d functions are longer than %d lines:\n%s", len(long), functions, maxFunctionLines, strings.Join(long, "\n"))
	}
}

func checkParameters(t *testing.T, d *ast.FuncDecl) {
	t.Helper()
	if n := d.Type.Params.NumFields(); n > maxParameters {
		t.Errorf("%s: %s takes %d parameters, the budget is %d", fset.Position(d.Pos()), d.Name.Name, n, maxParameters)
	}
	bools := 0
	for _, field := range d.Type.Params.List {
		if ident, ok := field.Type.(*ast.Ident); !ok || ident.Name != "bool" {
			bools = 0
			continue
		}
		if bools += max(1, len(field.Names)); bools > 1 {
			t.Errorf("%s: %s takes two bools in a row; name them in a struct", fset.Position(d.Pos()), d.Name.Name)
		}
	}
}

// avoided are the words for which the glossary has better ones. They may stand in strings, for protocols that use them.
var avoided = regexp.MustCompile(`(?i)(upstream|vhost|sidecar|util$|utils$|^util|helper|manager)`)

func TestNamesFollowTheGlossary(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		ast.Inspect(s.file, func(node ast.Node) bool {
			var name *ast.Ident
			switch n := node.(type) {
			case *ast.FuncDecl:
				name = n.Name
			case *ast.TypeSpec:
				name = n.Name
			default:
				return true
			}
			if avoided.MatchString(name.Name) {
				t.Errorf("%s: %s uses a word that CONTEXT.md avoids", fset.Position(name.Pos()), name.Name)
			}
			return true
		})
	}
}

// TestCommentsNameWhoActs refuses words that stand for a name.
func TestCommentsNameWhoActs(t *testing.T) {
	vague := regexp.MustCompile(`(?i)\b(whoever|whatever|of\s+which)\b`)
	for _, s := range sources(t) {
		for _, group := range s.file.Comments {
			if word := vague.FindString(group.Text()); word != "" {
				t.Errorf("%s: a comment says %q; name who or what it is", fset.Position(group.Pos()), word)
			}
		}
	}
}

func TestNoInitFunctions(t *testing.T) {
	for _, s := range sources(t) {
		for _, decl := range s.file.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.Name == "init" {
				t.Errorf("%s: what runs should be called by name", fset.Position(d.Pos()))
			}
		}
	}
}

// sleepingAllowed are the tests that may sleep outside of a synctest bubble, each with its reason.
var sleepingAllowed = map[string]string{}

func TestTestsDoNotSleep(t *testing.T) {
	for _, s := range sources(t) {
		if !s.isTest() || sleepingAllowed[s.path] != "" {
			continue
		}
		bubbles := strings.Contains(string(s.code), "synctest.Test(")
		if strings.Contains(string(s.code), "time."+"Sleep(") && !bubbles {
			t.Errorf("%s sleeps; wait for what it waits for, or run in a synctest bubble", s.path)
		}
	}
}

func TestMakefileListsEveryFuzzTarget(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sources(t) {
		for _, decl := range s.file.Decls {
			d, ok := decl.(*ast.FuncDecl)
			if !ok || !s.isTest() || !strings.HasPrefix(d.Name.Name, "Fuzz") {
				continue
			}
			if entry := s.pkg + ":" + d.Name.Name; !strings.Contains(string(makefile), entry) {
				t.Errorf("%s: add %s to the Makefile's list of fuzz targets", s.path, entry)
			}
		}
	}
}

var requirement = regexp.MustCompile(`(?m)^\t(\S+) v\S+$`)

func TestEveryDirectDependencyHasItsReason(t *testing.T) {
	module, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range requirement.FindAllSubmatch(module, -1) {
		if !strings.Contains(string(reasons), "`"+string(match[1])+"`") {
			t.Errorf("%s is a direct dependency without a paragraph in docs/dependencies.md", match[1])
		}
	}
}

// TestTheProjectSpeaksOfItself keeps the paths of machines out of what is published.
func TestTheProjectSpeaksOfItself(t *testing.T) {
	foreign := regexp.MustCompile(`/(root|home/\w+)/|\W/wor[k]/`)
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if entry != nil && entry.Name() == ".git" {
				return fs.SkipDir
			}
			return err
		}
		switch filepath.Ext(name) {
		case ".go", ".md", ".sh", ".txt", ".json", "":
		default:
			return nil
		}
		if name == "house_test.go" {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if found := foreign.Find(content); found != nil {
			t.Errorf("%s mentions %q", name, found)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
