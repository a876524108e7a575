package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A stranger is a parameter of a request for which the shape of its operation has no member. AWS has many that mean
// nothing here. None is lost in silence: it is refused, unless what it asks for is what happens anyway, or it is known
// to make no difference here, which the log then says.

// withoutEffect is the value, in a tolerance, of a parameter that is taken with any value.
const withoutEffect = "*"

// tolerance lists strangers that are taken, by operation and by name without the numbers of list elements; what lies
// below a name goes with it. The values, separated by |, are those that ask for what happens anyway.
type tolerance map[string]map[string]string

// strangers is what a service does with strangers. The zero value takes all of them.
type strangers struct {
	// refuse has strangers refused that are not tolerated.
	refuse    bool
	tolerated tolerance
	// note hears of strangers that were taken without effect; nil is silent.
	note func(operation string, names []string)
}

// stranger is one, with its value if that is a scalar.
type stranger struct{ name, value string }

// judge finds the strangers of a request that are refused, and notes those that change nothing.
func (s strangers) judge(operation string, found []stranger) (refused string) {
	var ignored []string
	for _, f := range found {
		values, tolerated := s.tolerated.of(operation, f.name)
		switch {
		case tolerated && values != withoutEffect && slices.Contains(strings.Split(values, "|"), f.value):
		case tolerated && values == withoutEffect || !s.refuse:
			ignored = append(ignored, f.name)
		case tolerated:
			return fmt.Sprintf("%s must be %s here, or be left out", quoted(f.name), strings.ReplaceAll(values, "|", " or "))
		default:
			return fmt.Sprintf("%s is not recognized here; leave it out", quoted(f.name))
		}
	}
	if len(ignored) > 0 && s.note != nil {
		s.note(operation, cut(ignored))
	}
	return ""
}

// maxNoted bounds how many names one line of the log has.
const maxNoted = 10

// cut keeps what the log has of names, which are the caller's.
func cut(names []string) []string {
	kept := make([]string, 0, maxNoted+1)
	for _, name := range names[:min(len(names), maxNoted)] {
		kept = append(kept, quoted(name))
	}
	if len(names) > maxNoted {
		kept = append(kept, "…")
	}
	return kept
}

// of finds the entry for a stranger: its own, or that of a structure that it is part of.
func (t tolerance) of(operation, name string) (values string, ok bool) {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	parts = slices.DeleteFunc(parts, func(part string) bool {
		_, err := strconv.Atoi(part)
		return err == nil || part == "member"
	})
	for ; len(parts) > 0; parts = parts[:len(parts)-1] {
		if values, ok := t[operation][strings.Join(parts, ".")]; ok {
			return values, true
		}
	}
	return "", false
}

// strangersIn collects what lies in a tree below a path and has no member in the shape.
func strangersIn(tree any, s *shape, path string) (found []stranger) {
	for s.typ.Kind() == reflect.Pointer {
		s = s.element
	}
	if s.typ == blobType {
		return nil
	}
	switch s.typ.Kind() {
	case reflect.Struct:
		return inStructure(tree, s, path)
	case reflect.Slice:
		return inList(tree, s, path)
	}
	return nil
}

func inStructure(tree any, s *shape, path string) (found []stranger) {
	values, from := membersIn(tree), inBody
	if _, isForm := tree.(form); isForm {
		from = inQuery
	}
	if len(s.members) == 0 {
		return nil // its presence alone matters
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		i := slices.IndexFunc(s.members, func(m member) bool { return m.name == name && m.place == from })
		if i < 0 {
			found = append(found, leaves(values[name], join(path, name))...)
		} else {
			found = append(found, strangersIn(values[name], s.members[i].shape, join(path, name))...)
		}
	}
	return found
}

func inList(tree any, s *shape, path string) (found []stranger) {
	switch list := tree.(type) {
	case []any:
		for i, element := range list {
			found = append(found, strangersIn(element, s.element, path+"["+strconv.Itoa(i)+"]")...)
		}
	case form:
		if below, ok := list["member"].(form); ok {
			list, path = below, path+".member"
		}
		for _, name := range slices.Sorted(maps.Keys(list)) {
			if _, err := strconv.Atoi(name); err != nil {
				found = append(found, leaves(list[name], join(path, name))...)
				continue
			}
			found = append(found, strangersIn(list[name], s.element, join(path, name))...)
		}
	}
	return found
}

// membersIn are the members of a node of a tree, or nil if it has none.
func membersIn(node any) map[string]any {
	switch node := node.(type) {
	case object:
		return node
	case form:
		return node
	}
	return nil
}

// leaves are the scalars below a path. JSON's null is as good as absent, and so is an empty list.
func leaves(node any, path string) (found []stranger) {
	switch node := node.(type) {
	case nil:
		return nil
	case text:
		return []stranger{{path, string(node)}}
	case string:
		return []stranger{{path, node}}
	case bool:
		return []stranger{{path, strconv.FormatBool(node)}}
	case json.Number:
		return []stranger{{path, string(node)}}
	case []any:
		for i, element := range node {
			found = append(found, leaves(element, path+"["+strconv.Itoa(i)+"]")...)
		}
		return found
	}
	members := membersIn(node)
	if len(members) == 0 {
		return []stranger{{path, "{}"}}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		found = append(found, leaves(members[name], join(path, name))...)
	}
	return found
}

// belongsToSignature reports whether a parameter of the query string is part of a presigned request.
func belongsToSignature(name string) bool { return strings.HasPrefix(name, "X-Amz-") }

// strangersInForm collects those of a form, apart from what belongs to the protocol.
func strangersInForm(tree form, s *shape) []stranger {
	own := maps.Clone(tree)
	maps.DeleteFunc(own, func(name string, _ any) bool {
		return name == "Action" || name == "Version" || name == "DryRun" || belongsToSignature(name)
	})
	return inStructure(own, s, "")
}

// strangersInQuery collects those of a query string.
func strangersInQuery(query url.Values, s *shape) (found []stranger) {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		known := slices.ContainsFunc(s.members, func(m member) bool { return m.place == inQuery && m.name == name })
		if !known && !belongsToSignature(name) {
			found = append(found, stranger{name, strings.Join(query[name], ",")})
		}
	}
	return found
}
