package api

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pergola/lattice"
)

// TestACMAgreesWithModel holds every operation against the published model: the members of each request, whether they are
// required, their limits and values, and that answers have no member but those of the model.
func TestACMAgreesWithModel(t *testing.T) {
	m := readModel(t, "acm")
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

func (m *model) compareInput(t *testing.T, path string, s *shape, name string) {
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
	for i := range s.members {
		got, at := &s.members[i], path+"."+s.members[i].name
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
		if of.Max != nil && (limits == nil || limits.to != int64(*of.Max) || of.Min != nil && limits.from != int64(*of.Min)) {
			t.Errorf("%s: limits %v, want %v to %v", at, limits, of.Min, *of.Max)
		}
		m.compareInput(t, at, got.shape, member.Shape)
	}
}

func (m *model) compareOutput(t *testing.T, path string, typ reflect.Type, name string) {
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
