package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"pergola/lattice"
)

// A request arrives as a tree. Its inner nodes are object, []any and form; its leaves are what JSON has (string, bool,
// json.Number, nil) and text.
type (
	// object is a JSON object, or the members of one place of a request.
	object map[string]any
	// form is what a query-protocol form has below one name: members by name, or elements by number.
	form map[string]any
	// text is a scalar outside of JSON, where numbers and truth values are spelled as strings.
	text string
)

// binding fills a request from a tree and collects every fault on the way, so that a caller learns all of them at once.
type binding struct {
	faults []lattice.FieldError
}

// absent is the fault of a member that is required and not there.
const absent = "is required"

func (b *binding) fault(path, format string, args ...any) {
	b.faults = append(b.faults, lattice.FieldError{Name: path, Message: fmt.Sprintf(format, args...)})
}

// faultIf records a fault that a check has found.
func (b *binding) faultIf(path, message string) {
	if message != "" {
		b.fault(path, "%s", message)
	}
}

// textOf puts all faults of a request into one message.
func textOf(faults []lattice.FieldError) string {
	all := make([]string, len(faults))
	for i, f := range faults {
		all[i] = f.Name + " " + f.Message
	}
	return strings.Join(all, "; ")
}

// structure fills the members of a structure. source finds the value that a member has in the request; null and
// missing are both absent.
func (b *binding) structure(to reflect.Value, s *shape, path string, source func(*member) any) (present int) {
	for i := range s.members {
		m := &s.members[i]
		value, at := source(m), join(path, m.name)
		if value == nil {
			if m.checks.required {
				b.fault(at, absent)
			}
			continue
		}
		present++
		b.value(to.FieldByIndex(m.index), m.shape, &m.checks, at, value)
	}
	return present
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// value fills one value and checks it.
func (b *binding) value(to reflect.Value, s *shape, c *checks, path string, from any) {
	if s.typ == blobType {
		b.blob(to, c, path, from)
		return
	}
	if isTime(s.typ) {
		b.time(to, path, from)
		return
	}
	switch s.typ.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(s.element.typ))
		b.value(to.Elem(), s.element, c, path, from)
	case reflect.Struct:
		b.object(to, s, c, path, from)
	case reflect.Slice:
		b.list(to, s, c, path, from)
	case reflect.Map:
		b.entries(to, s, c, path, from)
	default:
		b.scalar(to, c, path, from)
	}
}

func (b *binding) object(to reflect.Value, s *shape, c *checks, path string, from any) {
	var values map[string]any
	switch from := from.(type) {
	case object:
		values = from
	case form:
		values = from
	default:
		b.fault(path, "must be an object, is %s", describe(from))
		return
	}
	present := b.structure(to, s, path, func(m *member) any { return values[m.name] })
	if c.union && present != 1 {
		b.fault(path, "must have exactly one member set, has %d", present)
	}
}

func (b *binding) list(to reflect.Value, s *shape, c *checks, path string, from any) {
	var elements []any
	switch from := from.(type) {
	case []any:
		elements = from
	case form:
		elements = from.elements()
	case text:
		if from != "" { // which is how clients write an empty list in a form
			b.fault(path, "must be a list, is %s", describe(from))
			return
		}
	default:
		b.fault(path, "must be a list, is %s", describe(from))
		return
	}
	if message := c.entriesFault(len(elements)); message != "" {
		b.fault(path, "%s", message)
		return
	}
	each := c.each
	if each == nil {
		each = &checks{}
	}
	to.Set(reflect.MakeSlice(s.typ, len(elements), len(elements)))
	for i, element := range elements {
		at := path + "[" + strconv.Itoa(i) + "]"
		if element == nil {
			b.fault(at, "must not be null")
			continue
		}
		b.value(to.Index(i), s.element, each, at, element)
	}
}

func (b *binding) entries(to reflect.Value, s *shape, c *checks, path string, from any) {
	values, ok := from.(object)
	if !ok {
		b.fault(path, "must be an object, is %s", describe(from))
		return
	}
	to.Set(reflect.MakeMapWithSize(s.typ, len(values)))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if values[key] == nil {
			continue
		}
		value := reflect.New(s.element.typ).Elem()
		b.value(value, s.element, &checks{}, join(path, key), values[key])
		to.SetMapIndex(reflect.ValueOf(key), value)
	}
	b.faultIf(path, c.entriesFault(to.Len()))
	if c.tags != nil {
		tags := to.Convert(reflect.TypeFor[map[string]string]()).Interface().(map[string]string)
		b.faultIf(path, c.tags(tags))
	}
}

func (b *binding) scalar(to reflect.Value, c *checks, path string, from any) {
	switch to.Kind() {
	case reflect.String:
		s, ok := stringOf(from)
		if !ok {
			b.fault(path, "must be a string, is %s", describe(from))
			return
		}
		to.SetString(s)
		b.faultIf(path, c.stringFault(s))
	case reflect.Bool:
		value, ok := boolOf(from)
		if !ok {
			b.fault(path, "must be true or false, is %s", describe(from))
			return
		}
		to.SetBool(value)
	case reflect.Float64:
		number, _ := from.(json.Number)
		if written, ok := from.(text); ok {
			number = json.Number(written)
		}
		value, err := number.Float64()
		if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			b.fault(path, "must be a number, is %s", describe(from))
			return
		}
		to.SetFloat(value)
	default:
		n, message := integerOf(from, to.Type().Bits())
		if message != "" {
			b.fault(path, "%s", message)
			return
		}
		to.SetInt(n)
		b.faultIf(path, c.numberFault(n))
	}
}

// lastSecond is the last one that RFC 3339 can write, in seconds since 1970.
const lastSecond = 253402300799

// time fills a time, which is seconds since 1970 as a number, or a text as RFC 3339 has it.
func (b *binding) time(to reflect.Value, path string, from any) {
	if written, ok := stringOf(from); ok {
		instant, err := time.Parse(time.RFC3339, written)
		if err != nil {
			b.fault(path, "must be a time such as 2030-01-31T12:00:00Z, is %s", quoted(written))
			return
		}
		to.Field(0).Set(reflect.ValueOf(instant.UTC()))
		return
	}
	number, _ := from.(json.Number)
	seconds, err := number.Float64()
	if err != nil || !(math.Abs(seconds) <= lastSecond) {
		b.fault(path, "must be a time in seconds since 1970, is %s", describe(from))
		return
	}
	whole, fraction := math.Modf(seconds)
	instant := time.Unix(int64(whole), int64(fraction*1e9)).Round(time.Millisecond)
	to.Field(0).Set(reflect.ValueOf(instant.UTC()))
}

// blob fills bytes, which JSON has in base64 (RFC 4648 §4) and a payload as they are.
func (b *binding) blob(to reflect.Value, c *checks, path string, from any) {
	content, ok := from.([]byte)
	if !ok {
		encoded, isText := stringOf(from)
		if !isText {
			b.fault(path, "must be a string, is %s", describe(from))
			return
		}
		var err error
		if content, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			b.fault(path, "must be Base64")
			return
		}
	}
	if c.length != nil && !c.length.holds(int64(len(content))) {
		b.fault(path, "must have %s bytes, has %d", c.length, len(content))
		return
	}
	to.SetBytes(content)
}

func stringOf(from any) (string, bool) {
	switch from := from.(type) {
	case string:
		return from, true
	case text:
		return string(from), true
	}
	return "", false
}

func boolOf(from any) (value, ok bool) {
	switch from := from.(type) {
	case bool:
		return from, true
	case text:
		return from == "true", from == "true" || from == "false"
	}
	return false, false
}

// integerOf reads an integer of so many bits, or says why it cannot. A number with a fraction or an exponent is no
// integer, even if its value is whole.
func integerOf(from any, bits int) (n int64, fault string) {
	var digits string
	switch from := from.(type) {
	case json.Number:
		digits = string(from)
	case text:
		digits = string(from)
	default:
		return 0, "must be an integer, is " + describe(from)
	}
	n, err := strconv.ParseInt(digits, 10, bits)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Sprintf("must be an integer of %d bits, is %s", bits, quoted(digits))
	case err != nil:
		return 0, "must be an integer, is " + quoted(digits)
	}
	return n, ""
}

// describe names a value that has the wrong type, without repeating it.
func describe(value any) string {
	switch value.(type) {
	case object, form:
		return "an object"
	case []any:
		return "a list"
	case string, text:
		return "a string"
	case bool:
		return "a truth value"
	case json.Number:
		return "a number"
	case []byte:
		return "bytes"
	}
	return "null"
}
