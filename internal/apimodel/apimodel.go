// Package apimodel reads and writes the models of the services: what is served of each, in the words of its published
// model, with notes of our own on how Go has it. The wire types, their checks and the tables of operations are
// generated from them (internal/generate), and internal/trimmodel renews them from what AWS publishes.
//
// What is not in a model is not served. The facts in it are those of the published model; a note changes what is made
// of a fact and leaves the fact in place, so that each difference can be read.
package apimodel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// Model is the model of one service.
type Model struct {
	Metadata Metadata `json:"metadata"`
	// Parts are members that several shapes have in common, by the name of the Go struct that these shapes embed.
	Parts      Ordered[*Part]      `json:"parts"`
	Operations Ordered[*Operation] `json:"operations"`
	Shapes     Ordered[*Shape]     `json:"shapes"`
}

// Metadata is what is said of a service as a whole.
type Metadata struct {
	APIVersion string `json:"apiVersion"`
	// Protocol is ec2, query, json, rest-json, rest-xml or smithy-rpc-v2-cbor.
	Protocol string `json:"protocol"`
	// Empty is a note: the Go type of the answer of operations that have nothing to tell; "" for Empty.
	Empty string `json:"empty,omitempty"`
	// Keep is a note: answers have the members whose values are zero, but for pointers. Others omit them, but for truth
	// values and lists.
	Keep bool `json:"keep,omitempty"`
}

// Operation is one operation that is served.
type Operation struct {
	HTTP struct {
		Method       string `json:"method"`
		RequestURI   string `json:"requestUri"`
		ResponseCode int    `json:"responseCode,omitempty"`
	} `json:"http"`
	Input  *Target  `json:"input,omitempty"`
	Output *Target  `json:"output,omitempty"`
	Errors []Target `json:"errors,omitempty"`
	// Method is a note: the method of Control that carries the operation out, where that is no method of a call.
	Method string `json:"method,omitempty"`
	// Status is a note: the status of a success here, where that is not the published one.
	Status int `json:"status,omitempty"`
}

// Target names a shape.
type Target struct {
	Shape string `json:"shape"`
}

// Shape is one shape with what of it is served.
type Shape struct {
	Type    string           `json:"type"`
	Members Ordered[*Member] `json:"members,omitzero"`
	Member  *Member          `json:"member,omitempty"`
	Key     *Member          `json:"key,omitempty"`
	Value   *Member          `json:"value,omitempty"`
	// Payload is the member that is the body.
	Payload   string      `json:"payload,omitempty"`
	Enum      []string    `json:"enum,omitempty"`
	Min       json.Number `json:"min,omitempty"`
	Max       json.Number `json:"max,omitempty"`
	Pattern   string      `json:"pattern,omitempty"`
	Union     bool        `json:"union,omitempty"`
	Flattened bool        `json:"flattened,omitempty"`
	// Left are the members of the published shape that are not served, by the names that requests have for them.
	Left []string `json:"left,omitempty"`

	// Go is a note: the Go type. Structures of one Go type share it.
	Go string `json:"go,omitempty"`
	// Doc is a note: the doc comment.
	Doc string `json:"doc,omitempty"`
	// Check is a note: changes to the checks of every member of this shape, as in Member.
	Check string `json:"check,omitempty"`
	// Open is a note: the values are not checked, and not listed.
	Open bool `json:"open,omitempty"`
	// Embed is a note: the parts that the structure embeds.
	Embed []string `json:"embed,omitempty"`
	// From is a note: the Go types that a function copies into this one, member by member.
	From []string `json:"from,omitempty"`
}

// Member is a member of a structure, or the element of a list or of a map.
type Member struct {
	Shape        string `json:"shape,omitempty"`
	Required     bool   `json:"required,omitempty"`
	Location     string `json:"location,omitempty"`
	LocationName string `json:"locationName,omitempty"`
	QueryName    string `json:"queryName,omitempty"`
	Note
}

// Note is what we say of a member.
type Note struct {
	// Go is the name of the field.
	Go string `json:"go,omitempty"`
	// Type is the type of the field.
	Type string `json:"type,omitempty"`
	// Check changes the checks: key=value sets one, and -key takes one away.
	Check string `json:"check,omitempty"`
	// Zero says what an answer does with a zero value: keep or omit it.
	Zero string `json:"zero,omitempty"`
	// Doc is the comment of the field.
	Doc string `json:"doc,omitempty"`
	// Inline puts the members of the structure that the member is into the structure around it.
	Inline bool `json:"inline,omitempty"`
	// Own keeps the member apart from a part that has one of its name.
	Own bool `json:"own,omitempty"`
	// Asked leaves the member out of answers, although its structure is in some.
	Asked bool `json:"asked,omitempty"`
	// Set says that the operation sets the member itself, where From does not.
	Set bool `json:"set,omitempty"`
}

// Part is a Go struct that others embed. Its members are notes, which hold in all shapes that embed it.
type Part struct {
	Doc     string         `json:"doc,omitempty"`
	Embed   []string       `json:"embed,omitempty"`
	Members Ordered[*Note] `json:"members"`
}

// Read reads the model in a file.
func Read(path string) (*Model, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	m := &Model{}
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("%s is no model of a service: %w", path, err)
	}
	return m, m.check(path)
}

// check finds references that lead nowhere.
func (m *Model) check(path string) error {
	refer := func(from string, to *Member) error {
		if to != nil && m.Shapes.By[to.Shape] == nil {
			return fmt.Errorf("%s: %s refers to the shape %q, which is not there", path, from, to.Shape)
		}
		return nil
	}
	for name, op := range m.Operations.All() {
		for _, target := range []*Target{op.Input, op.Output} {
			if target != nil && m.Shapes.By[target.Shape] == nil {
				return fmt.Errorf("%s: %s refers to the shape %q, which is not there", path, name, target.Shape)
			}
		}
	}
	for name, s := range m.Shapes.All() {
		for _, below := range []*Member{s.Member, s.Key, s.Value} {
			if err := refer(name, below); err != nil {
				return err
			}
		}
		for member, below := range s.Members.All() {
			if err := refer(name+"."+member, below); err != nil {
				return err
			}
		}
		for _, part := range s.Embed {
			if m.Parts.By[part] == nil {
				return fmt.Errorf("%s: %s embeds the part %q, which is not there", path, name, part)
			}
		}
	}
	return nil
}

// Write has each operation, each shape and each member of a structure on a line of its own, so that changes can be
// read, and lines be deleted.
func (m *Model) Write() ([]byte, error) {
	var b bytes.Buffer
	w := writer{to: &b}
	w.text("{\n\"metadata\": ")
	w.json(m.Metadata)
	w.text(",\n\"parts\": {")
	writeAll(&w, m.Parts, func(p *Part) {
		w.nested(struct {
			*Part
			Members *int `json:"members,omitempty"`
		}{Part: p}, func() { writeAll(&w, p.Members, func(n *Note) { w.json(n) }) })
	})
	w.text("},\n\"operations\": {")
	writeAll(&w, m.Operations, func(op *Operation) { w.json(op) })
	w.text("},\n\"shapes\": {")
	writeAll(&w, m.Shapes, func(s *Shape) {
		if s.Type != "structure" || len(s.Members.Names) == 0 {
			w.json(s)
			return
		}
		w.nested(struct {
			*Shape
			Members *int `json:"members,omitempty"`
		}{Shape: s}, func() { writeAll(&w, s.Members, func(m *Member) { w.json(m) }) })
	})
	w.text("}}\n")
	return b.Bytes(), w.err
}

type writer struct {
	to  *bytes.Buffer
	err error
}

func (w *writer) text(s string) { w.to.WriteString(s) }

func (w *writer) json(v any) {
	content, err := encode(v)
	if err != nil {
		w.err = err
	}
	w.to.Write(content)
}

// nested writes an object whose last name is members.
func (w *writer) nested(head any, members func()) {
	content, err := encode(head)
	if err != nil {
		w.err = err
	}
	content = bytes.TrimSuffix(content, []byte("}"))
	w.to.Write(content)
	if len(content) > 1 {
		w.text(", ")
	}
	w.text("\"members\": {")
	members()
	w.text("}}")
}

func writeAll[T any](w *writer, all Ordered[T], each func(T)) {
	for i, name := range all.Names {
		if i > 0 {
			w.text(",")
		}
		w.text(fmt.Sprintf("\n%q: ", name))
		each(all.By[name])
	}
}

// encode is JSON that leaves <, > and & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// OnTheWire is the name by which messages have a member of a structure; in EC2's requests and answers they differ.
func (m *Model) OnTheWire(name string, of *Member, asked bool) string {
	switch {
	case m.Metadata.Protocol == "ec2" && asked && of.QueryName != "":
		return of.QueryName
	case m.Metadata.Protocol == "ec2" && asked && of.LocationName != "":
		return upper(of.LocationName)
	case of.LocationName != "":
		return of.LocationName
	}
	return name
}

// Embedded are the names of the members that a part gives, those of parts within it included.
func (m *Model) Embedded(part string) []string {
	names := slices.Clone(m.Parts.By[part].Members.Names)
	for _, within := range m.Parts.By[part].Embed {
		names = append(names, m.Embedded(within)...)
	}
	return names
}
