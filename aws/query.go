package aws

import (
	"encoding/xml"
	"time"
)

// Members is a list as the query protocol writes it: each element in a member, and the list itself present even when
// it is empty.
type Members[T any] []T

// MarshalXML writes the list.
func (l Members[T]) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for _, member := range l {
		if err := e.EncodeElement(member, xml.StartElement{Name: xml.Name{Local: "member"}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

// Instant is a time as the query protocol writes it: UTC with whole seconds.
type Instant struct{ time.Time }

// MarshalText writes the instant.
func (t Instant) MarshalText() ([]byte, error) {
	return []byte(t.UTC().Format("2006-01-02T15:04:05Z")), nil
}
