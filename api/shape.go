package api

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// shape is a Go type as requests fill it: its members with their names on the wire, their places and constraints,
// read once from the field tags.
type shape struct {
	typ reflect.Type
	// members are those of a structure, embedded structures flattened.
	members []member
	// element is that of a pointer, a list or a map.
	element *shape
}

// place is the part of a request that a member comes from.
type place uint8

const (
	inBody place = iota
	inPath
	inQuery
	inHeader
	inPayload // it is the body
)

// blobType is that of bytes: base64 within JSON, and as they are in a payload.
var blobType = reflect.TypeFor[[]byte]()

// isTime reports whether a type is a time as some protocol writes it: a struct that embeds time.Time and has no more.
func isTime(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() == 1 && t.Field(0).Anonymous && t.Field(0).Type == timeType
}

var timeType = reflect.TypeFor[time.Time]()

// member is one member of a structure.
type member struct {
	name   string
	place  place
	index  []int
	shape  *shape
	checks checks
	// item is the name of the elements of a list in XML; "" where they stand in place of the list.
	item string
}

// newShape reads a type that a request may contain. It panics on a type or a tag that it does not understand, since
// shapes are fixed when the program is written.
func newShape(t reflect.Type) *shape {
	s := &shape{typ: t}
	if t == blobType || isTime(t) {
		return s
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		s.element = newShape(t.Elem())
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			panic(fmt.Sprintf("api: %v: only strings can be keys", t))
		}
		s.element = newShape(t.Elem())
	case reflect.Struct:
		s.members = membersOf(t)
	case reflect.String, reflect.Bool, reflect.Int32, reflect.Int64, reflect.Float64:
	default:
		panic(fmt.Sprintf("api: a request cannot contain a %v", t))
	}
	return s
}

func membersOf(t reflect.Type) []member {
	var members []member
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous {
			for _, m := range membersOf(field.Type) {
				m.index = append([]int{i}, m.index...)
				members = append(members, m)
			}
			continue
		}
		m := member{index: field.Index, shape: newShape(field.Type)}
		m.name, m.place = wireName(t, field)
		path, _, _ := strings.Cut(field.Tag.Get("xml"), ",")
		_, m.item, _ = strings.Cut(path, ">")
		var err error
		if m.checks, err = parseChecks(field.Tag.Get("check")); err != nil {
			panic(fmt.Sprintf("api: %v.%s: %v", t, field.Name, err))
		}
		members = append(members, m)
	}
	return members
}

// payload reports whether the body of a request is one of its members, and so no JSON.
func (s *shape) payload() bool {
	return slices.ContainsFunc(s.members, func(m member) bool { return m.place == inPayload })
}

// places are the keys of tags that name members, in the order in which they are looked for. Members of forms have the
// names of answers beside those of requests.
var places = []struct {
	key string
	place
}{{"uri", inPath}, {"query", inQuery}, {"header", inHeader}, {"payload", inPayload}, {"json", inBody}, {"xml", inBody}}

func wireName(t reflect.Type, field reflect.StructField) (string, place) {
	for _, p := range places {
		if tag := field.Tag.Get(p.key); tag != "" {
			name, _, _ := strings.Cut(tag, ",")
			name, _, _ = strings.Cut(name, ">")
			return name, p.place
		}
	}
	panic(fmt.Sprintf("api: %v.%s has no uri, query, header, payload, json or xml tag", t, field.Name))
}
