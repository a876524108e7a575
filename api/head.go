package api

import (
	"encoding/base64"
	"fmt"
	"reflect"
)

// headShape are the members of an answer that are not in its body, by their places in the struct: the status, and
// header fields. payload is the member that is the body.
type headShape struct {
	status, payload []int
	fields          map[string][]int
}

// head is what an answer has in these places.
type head struct {
	status  int
	payload []byte
	fields  map[string]string
}

// newHeadShape reads them from the tags of a type.
func newHeadShape(t reflect.Type) *headShape {
	s := &headShape{fields: map[string][]int{}}
	if t.Kind() != reflect.Struct {
		return s
	}
	for _, field := range reflect.VisibleFields(t) {
		switch {
		case field.Tag.Get("status") != "":
			s.status = field.Index
		case field.Tag.Get("payload") != "":
			s.payload = field.Index
		case field.Tag.Get("header") != "":
			s.fields[field.Tag.Get("header")] = field.Index
		}
	}
	return s
}

// of is the head of an answer. A member that is zero makes no header field.
func (s *headShape) of(output any) (h head) {
	h.fields = map[string]string{}
	value := reflect.Indirect(reflect.ValueOf(output))
	if s.status != nil {
		h.status = int(value.FieldByIndex(s.status).Int())
	}
	if s.payload != nil {
		h.payload = value.FieldByIndex(s.payload).Bytes()
	}
	for name, index := range s.fields {
		field := value.FieldByIndex(index)
		switch {
		case field.IsZero() || field.Kind() == reflect.Slice && field.Len() == 0:
		case field.Type() == blobType:
			h.fields[name] = base64.StdEncoding.EncodeToString(field.Bytes())
		default:
			h.fields[name] = fmt.Sprint(reflect.Indirect(field).Interface())
		}
	}
	return h
}
