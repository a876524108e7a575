package api

import (
	"encoding"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"reflect"
	"strings"
)

// writeXML writes a value as an element. A list is an element with one for each item, all named item, and there even
// when it is empty; without a name for items, they stand in its place.
func writeXML(e *xml.Encoder, value reflect.Value, name xml.Name, item string) error {
	for value.Kind() == reflect.Pointer {
		value = value.Elem()
	}
	start := xml.StartElement{Name: name}
	if _, writesItself := value.Interface().(encoding.TextMarshaler); writesItself {
		return e.EncodeElement(value.Interface(), start)
	}
	switch {
	case value.Type() == blobType:
		return e.EncodeElement(base64.StdEncoding.EncodeToString(value.Bytes()), start)
	case value.Kind() == reflect.Slice && item == "":
		return writeItems(e, value, name)
	case value.Kind() == reflect.Slice:
		return errors.Join(e.EncodeToken(start), writeItems(e, value, xml.Name{Local: item}), e.EncodeToken(start.End()))
	case value.Kind() == reflect.Struct:
		return errors.Join(e.EncodeToken(start), writeMembers(e, value), e.EncodeToken(start.End()))
	}
	return e.EncodeElement(value.Interface(), start)
}

func writeItems(e *xml.Encoder, list reflect.Value, name xml.Name) error {
	for i := range list.Len() {
		if err := writeXML(e, list.Index(i), name, ""); err != nil {
			return err
		}
	}
	return nil
}

// writeMembers writes the members of a structure that are part of a body, embedded structures flattened.
func writeMembers(e *xml.Encoder, value reflect.Value) error {
	for i := range value.NumField() {
		field := value.Type().Field(i)
		if field.Anonymous {
			if err := writeMembers(e, value.Field(i)); err != nil {
				return err
			}
			continue
		}
		path, options, _ := strings.Cut(field.Tag.Get("xml"), ",")
		name, item, _ := strings.Cut(path, ">")
		absent := field.Type.Kind() == reflect.Pointer && value.Field(i).IsNil()
		if name == "" || name == "-" || absent || options != "" && value.Field(i).IsZero() {
			continue
		}
		if err := writeXML(e, value.Field(i), xml.Name{Local: name}, item); err != nil {
			return err
		}
	}
	return nil
}
