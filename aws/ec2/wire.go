package ec2

import (
	"encoding/xml"
	"time"
)

//go:generate go run pergola/internal/generate shapes model.json

// APIVersion is the version of the API in model.json. The shapes that are served are in shapes.go.
const APIVersion = "2016-11-15"

// Set is a list as EC2 writes it: each element in an item, and the list itself present even when it is empty.
type Set[T any] []T

// MarshalXML writes the list.
func (s Set[T]) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for _, item := range s {
		if err := e.EncodeElement(item, xml.StartElement{Name: xml.Name{Local: "item"}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

// Instant is a time as EC2 writes it: UTC with milliseconds.
type Instant struct{ time.Time }

// MarshalText writes the instant.
func (t Instant) MarshalText() ([]byte, error) {
	return []byte(t.UTC().Format("2006-01-02T15:04:05.000Z")), nil
}

// Done answers the operations that have nothing to tell but that they have been done.
type Done struct {
	Return bool `xml:"return"`
}

// DeletedTag is a tag to remove.
type DeletedTag struct {
	Key   string  `query:"Key" check:"required,len=1..127"`
	Value *string `query:"Value"`
}
