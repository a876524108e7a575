// Trimmodel makes a model of an AWS service small enough to be kept beside the tests that hold the project to it. It
// takes a published model, as botocore has it (service-2.json, packed or not), and writes the facts in it: operations
// with their methods, paths and statuses, and the shapes of what they take, answer and fail with. No documentation, no
// traits of clients.
//
//	go run ./internal/trimmodel service-2.json.gz api/testdata/models/acm.json [OPERATION …]
//
// What belongs to operations that are neither named nor in the file already is left out. All are kept where none is
// named and there is no file.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: trimmodel MODEL OUTPUT [OPERATION …]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "trimmodel:", err)
		os.Exit(1)
	}
}

func run(from, to string, wanted []string) error {
	published, err := read(from)
	if err != nil {
		return err
	}
	before, err := read(to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	trimmed, err := published.trim(slices.AppendSeq(wanted, maps.Keys(before.Operations)))
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	written, err := trimmed.write()
	if err != nil {
		return err
	}
	return os.WriteFile(to, written, 0o644)
}

// model is what is kept of a model.
type model struct {
	Metadata   metadata             `json:"metadata"`
	Operations map[string]operation `json:"operations"`
	Shapes     map[string]shape     `json:"shapes"`
}

type metadata struct {
	APIVersion string `json:"apiVersion"`
	Protocol   string `json:"protocol"`
}

type operation struct {
	HTTP struct {
		Method       string `json:"method"`
		RequestURI   string `json:"requestUri"`
		ResponseCode int    `json:"responseCode,omitempty"`
	} `json:"http"`
	Input  *member  `json:"input,omitempty"`
	Output *member  `json:"output,omitempty"`
	Errors []member `json:"errors,omitempty"`
}

type shape struct {
	Type     string            `json:"type"`
	Required []string          `json:"required,omitempty"`
	Members  map[string]member `json:"members,omitempty"`
	Member   *member           `json:"member,omitempty"`
	Key      *member           `json:"key,omitempty"`
	Value    *member           `json:"value,omitempty"`
	Payload  string            `json:"payload,omitempty"`
	Enum     []string          `json:"enum,omitempty"`
	Min      json.Number       `json:"min,omitempty"`
	Max      json.Number       `json:"max,omitempty"`
	Pattern  string            `json:"pattern,omitempty"`
	Union    bool              `json:"union,omitempty"`
	Error    *fault            `json:"error,omitempty"`
}

type fault struct {
	Code   string `json:"code,omitempty"`
	Status int    `json:"httpStatusCode,omitempty"`
}

type member struct {
	Shape        string `json:"shape"`
	Location     string `json:"location,omitempty"`
	LocationName string `json:"locationName,omitempty"`
	QueryName    string `json:"queryName,omitempty"`
}

func read(name string) (m model, err error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return m, err
	}
	if strings.HasSuffix(name, ".gz") {
		unpacked, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			return m, fmt.Errorf("%s: %w", name, err)
		}
		if content, err = io.ReadAll(unpacked); err != nil {
			return m, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := json.Unmarshal(content, &m); err != nil {
		return m, fmt.Errorf("%s is no model of a service: %w", name, err)
	}
	return m, nil
}

// trim keeps the operations that are wanted, all if none is, and the shapes that they lead to.
func (m model) trim(wanted []string) (model, error) {
	kept := model{m.Metadata, map[string]operation{}, map[string]shape{}}
	if len(wanted) == 0 {
		wanted = slices.Collect(maps.Keys(m.Operations))
	}
	for _, name := range wanted {
		op, ok := m.Operations[name]
		if !ok {
			return kept, fmt.Errorf("there is no operation %s", name)
		}
		kept.Operations[name] = op
		for _, part := range append([]member{value(op.Input), value(op.Output)}, op.Errors...) {
			if err := m.keep(part.Shape, kept.Shapes); err != nil {
				return kept, err
			}
		}
	}
	return kept, nil
}

func value(m *member) member {
	if m == nil {
		return member{}
	}
	return *m
}

// keep puts a shape and all below it into a set.
func (m model) keep(name string, into map[string]shape) error {
	if _, there := into[name]; there || name == "" {
		return nil
	}
	s, ok := m.Shapes[name]
	if !ok {
		return fmt.Errorf("there is no shape %s", name)
	}
	into[name] = s
	for _, below := range append(slices.Collect(maps.Values(s.Members)), value(s.Member), value(s.Key), value(s.Value)) {
		if err := m.keep(below.Shape, into); err != nil {
			return err
		}
	}
	return nil
}

// write has each operation and each shape on a line of its own, in the order of their names, so that a change of the
// model can be read.
func (m model) write() ([]byte, error) {
	var b bytes.Buffer
	head, err := json.Marshal(m.Metadata)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "{\"metadata\":%s,\n\"operations\":{", head)
	operations, err := lines(m.Operations)
	if err != nil {
		return nil, err
	}
	shapes, err := lines(m.Shapes)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "%s},\n\"shapes\":{%s}}\n", operations, shapes)
	return b.Bytes(), nil
}

func lines[T any](all map[string]T) (string, error) {
	var written []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		content, err := json.Marshal(all[name])
		if err != nil {
			return "", err
		}
		written = append(written, fmt.Sprintf("\n%q:%s", name, content))
	}
	return strings.Join(written, ","), nil
}
