package api

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pergola/lattice"
)

// botocoreModel reads the published model of a service from botocore, where that is installed.
func botocoreModel(t *testing.T, service string) *botocore {
	t.Helper()
	where, err := exec.CommandContext(t.Context(), "python3", "-c", "import botocore, os; print(os.path.dirname(botocore.__file__))").Output()
	if err != nil {
		t.Skip("botocore is not installed")
	}
	found, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(where)), "data", service, "*", "service-2.json.gz"))
	if err != nil || len(found) == 0 {
		t.Skip("botocore has no packed model of " + service)
	}
	file, err := os.Open(found[len(found)-1])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	m := &botocore{}
	if err := json.NewDecoder(unpacked).Decode(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// botocore is a model as botocore has it.
type botocore struct {
	Operations map[string]struct{ Input, Output *modelMember }
	Shapes     map[string]modelShape
}

// TestACMAgreesWithModel holds every operation against the published model: the members of each request, whether they are
// required, their limits and values, and that answers have no member but those of the model.
func TestACMAgreesWithModel(t *testing.T) {
	m := botocoreModel(t, "acm")
	for _, op := range acmOperations(nil) {
		want, ok := m.Operations[op.name]
		if !ok {
			t.Errorf("%s is not in the model", op.name)
			continue
		}
		m.compareInput(t, op.name, op.input, want.Input.Shape)
		if op.output != reflect.TypeFor[lattice.Empty]() {
			m.compareOutput(t, op.name, op.output, want.Output.Shape)
		}
	}
}

func (m *botocore) compareInput(t *testing.T, path string, s *shape, name string) {
	t.Helper()
	want := m.Shapes[name]
	for s.typ.Kind() == reflect.Pointer {
		s = s.element
	}
	if want.Type == "list" && s.element != nil {
		m.compareInput(t, path, s.element, want.Member.Shape)
	}
	if want.Type != "structure" {
		return
	}
	seen := map[string]bool{}
	for i := range s.members {
		got, at := &s.members[i], path+"."+s.members[i].name
		seen[got.name] = true
		member, ok := want.Members[got.name]
		if !ok {
			t.Errorf("%s is not in the model", at)
			continue
		}
		if got.checks.required != slices.Contains(want.Required, got.name) {
			t.Errorf("%s: required is %t", at, got.checks.required)
		}
		of := m.Shapes[member.Shape]
		if !slices.Equal(slices.Sorted(slices.Values(got.checks.enum)), slices.Sorted(slices.Values(of.Enum))) {
			t.Errorf("%s: may be %v, want %v", at, got.checks.enum, of.Enum)
		}
		limits := got.checks.length
		if of.Type == "integer" {
			limits = got.checks.values
		}
		if of.Max != nil && (limits == nil || limits.to != *of.Max || of.Min != nil && limits.from != *of.Min) {
			t.Errorf("%s: limits %v, want %d to %d", at, limits, of.Min, *of.Max)
		}
		m.compareInput(t, at, got.shape, member.Shape)
	}
	for member := range want.Members {
		if !seen[member] {
			t.Errorf("%s.%s is left out", path, member)
		}
	}
}

func (m *botocore) compareOutput(t *testing.T, path string, typ reflect.Type, name string) {
	t.Helper()
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	want := m.Shapes[name]
	switch want.Type {
	case "list":
		m.compareOutput(t, path, typ.Elem(), want.Member.Shape)
	case "structure":
		for field := range typ.Fields() {
			member, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if of, ok := want.Members[member]; ok {
				m.compareOutput(t, path+"."+member, field.Type, of.Shape)
			} else {
				t.Errorf("%s: there is no member %q", path, member)
			}
		}
	}
}
