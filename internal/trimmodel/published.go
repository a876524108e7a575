package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"pergola/internal/apimodel"
)

// published is what is taken from a published model.
type published struct {
	Metadata   apimodel.Metadata
	Operations map[string]*apimodel.Operation
	Shapes     map[string]*shape
}

type shape struct {
	Type               string
	Required           []string
	Members            apimodel.Ordered[*member]
	Member, Key, Value *member
	Payload            string
	Enum               []string
	Min, Max           json.Number
	Pattern            string
	Union, Flattened   bool
}

// member is a member with the names that messages have for it.
type member struct {
	Shape, Location, LocationName, QueryName string
}

// UnmarshalJSON passes over what else there is.
func (m *member) UnmarshalJSON(content []byte) error {
	type plain member
	return json.Unmarshal(content, (*plain)(m))
}

// fact is the member as models of ours have it.
func (m *member) fact() *apimodel.Member {
	if m == nil {
		return nil
	}
	return &apimodel.Member{
		Shape: m.Shape, Location: m.Location, LocationName: m.LocationName, QueryName: m.QueryName,
	}
}

// read reads a published model.
func read(name string) (*published, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(name, ".gz") {
		unpacked, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if content, err = io.ReadAll(unpacked); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	p := &published{}
	if err := json.Unmarshal(content, p); err != nil {
		return nil, fmt.Errorf("%s is no model of a service: %w", name, err)
	}
	return p, nil
}
