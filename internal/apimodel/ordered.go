package apimodel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
)

// Ordered is a JSON object whose names keep their order, which is that of Go's fields.
type Ordered[T any] struct {
	Names []string
	By    map[string]T
}

// All are the names and values in order.
func (o *Ordered[T]) All() iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for _, name := range o.Names {
			if !yield(name, o.By[name]) {
				return
			}
		}
	}
}

// Set gives a name its value. A new name comes last.
func (o *Ordered[T]) Set(name string, value T) {
	if o.By == nil {
		o.By = map[string]T{}
	}
	if _, there := o.By[name]; !there {
		o.Names = append(o.Names, name)
	}
	o.By[name] = value
}

// IsZero reports whether there are no names.
func (o Ordered[T]) IsZero() bool { return len(o.Names) == 0 }

// UnmarshalJSON reads an object.
func (o *Ordered[T]) UnmarshalJSON(content []byte) error {
	d := json.NewDecoder(bytes.NewReader(content))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return fmt.Errorf("an object must stand here: %s", content[:min(len(content), 40)])
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		if _, twice := o.By[name.(string)]; twice {
			return fmt.Errorf("the name %q is there twice", name)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		within := json.NewDecoder(bytes.NewReader(raw))
		within.DisallowUnknownFields()
		var value T
		if err := within.Decode(&value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		o.Set(name.(string), value)
	}
	return nil
}

// MarshalJSON writes an object.
func (o Ordered[T]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range o.Names {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := encode(o.By[name])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", name, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Delete takes a name out.
func (o *Ordered[T]) Delete(name string) {
	delete(o.By, name)
	o.Names = slices.DeleteFunc(o.Names, func(n string) bool { return n == name })
}
