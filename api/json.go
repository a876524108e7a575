package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxDepth bounds how deep a body may nest. The deepest request of the API needs 8 levels.
const maxDepth = 32

// maxValues bounds how many values a body may have: each takes more memory than room in the body. Those of the
// largest requests have a few thousand.
const maxValues = 100_000

// parseJSON reads a body that must be one JSON object (RFC 8259), as strictly as the standard lets a receiver be: valid
// UTF-8, no name twice in an object, nothing after it. An empty body is an empty object, because clients send none for
// requests that have nothing to say.
func parseJSON(body []byte) (object, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return object{}, nil
	}
	if !utf8.Valid(body) {
		return nil, errors.New("the body is not valid UTF-8")
	}
	d := jsonParser{Decoder: json.NewDecoder(bytes.NewReader(body))}
	d.UseNumber()
	value, err := d.value(0)
	if err != nil {
		return nil, fmt.Errorf("the body is not valid JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the body has more after its first JSON value")
	}
	members, ok := value.(object)
	if !ok {
		return nil, fmt.Errorf("the body must be a JSON object, is %s", describe(value))
	}
	return members, nil
}

// jsonParser reads one value after the other, and counts them.
type jsonParser struct {
	*json.Decoder
	values int
}

func (d *jsonParser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it nests deeper than %d levels", maxDepth)
	}
	if d.values++; d.values > maxValues {
		return nil, fmt.Errorf("it has more than %d values", maxValues)
	}
	token, err := d.Token()
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return d.object(depth)
	case json.Delim('['):
		return d.list(depth)
	}
	return token, nil
}

func (d *jsonParser) object(depth int) (any, error) {
	members := object{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string) // the decoder lets nothing else stand here
		if _, twice := members[name]; twice {
			return nil, fmt.Errorf("an object has the name %s twice", quoted(name))
		}
		if members[name], err = d.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return members, err
}

func (d *jsonParser) list(depth int) (any, error) {
	elements := []any{}
	for d.More() {
		element, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	_, err := d.Token()
	return elements, err
}
