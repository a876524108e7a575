package apimodel

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Struct is a Go struct that a model asks for.
type Struct struct {
	Name, Doc string
	Fields    []Field
	// From are the types that a function copies into it, and Set the fields that the function leaves alone.
	From []string
	Set  map[string]bool
}

// Field is a field of a Struct. One that is embedded has a type alone.
type Field struct{ Name, Type, Tag, Doc string }

// roles are how messages have a shape: in requests, in answers, or in both.
type roles struct{ asked, answered bool }

// builder makes the structs of a model.
type builder struct {
	*Model
	roles map[string]roles
	// types are the Go types of structures by their shapes, and uses the operations that have a shape as input or output.
	types map[string]string
	uses  map[string][]string
	errs  []error
}

// Structs are the Go structs of a model, in the order of its parts and shapes.
func (m *Model) Structs() ([]Struct, error) {
	b := m.builder()
	var all []Struct
	for name := range m.Parts.All() {
		all = append(all, b.part(name))
	}
	for name, op := range m.Operations.All() {
		if op.Input == nil {
			typ := GoName(name) + "Request"
			all = append(all, Struct{Name: typ, Doc: typ + " is the input of " + name + "."})
		}
	}
	made := map[string]bool{}
	for name, s := range m.Shapes.All() {
		typ := b.types[name]
		if s.Type != "structure" || made[typ] || strings.ContainsAny(typ, ".{[") || m.Parts.By[typ] != nil ||
			typ == m.empty() || b.roles[name] == (roles{}) {
			continue
		}
		made[typ] = true
		all = append(all, b.structure(typ))
	}
	return all, errors.Join(b.errs...)
}

func (m *Model) empty() string { return cmp.Or(m.Metadata.Empty, "Empty") }

func (m *Model) builder() *builder {
	b := &builder{Model: m, roles: map[string]roles{}, types: map[string]string{}, uses: map[string][]string{}}
	for name, op := range m.Operations.All() {
		if op.Input != nil {
			b.reach(op.Input.Shape, roles{asked: true})
			b.uses[op.Input.Shape] = append(b.uses[op.Input.Shape], name)
			b.named(op.Input.Shape, GoName(name)+"Request")
		}
		if op.Output != nil {
			b.reach(op.Output.Shape, roles{answered: true})
			b.uses[op.Output.Shape] = append(b.uses[op.Output.Shape], name)
			answer := GoName(name) + "Response"
			if m.Shapes.By[op.Output.Shape].Members.IsZero() {
				answer = m.empty()
			}
			b.named(op.Output.Shape, answer)
		}
	}
	for name := range m.Shapes.All() {
		b.named(name, GoName(name))
	}
	return b
}

// Types are the Go types of what an operation takes and answers.
func (m *Model) Types(operation string) (in, out string) {
	b, op := m.builder(), m.Operations.By[operation]
	in, out = GoName(operation)+"Request", m.empty()
	if op.Input != nil {
		in = b.types[op.Input.Shape]
	}
	if op.Output != nil {
		out = b.types[op.Output.Shape]
	}
	return in, out
}

// named gives a shape the Go type that it says, or else this one.
func (b *builder) named(shape, typ string) {
	if b.types[shape] == "" {
		b.types[shape] = cmp.Or(b.Shapes.By[shape].Go, typ)
	}
}

// reach notes how messages have a shape and all below it.
func (b *builder) reach(shape string, as roles) {
	has := b.roles[shape]
	if both := (roles{has.asked || as.asked, has.answered || as.answered}); both != has {
		b.roles[shape] = both
	} else {
		return
	}
	s := b.Shapes.By[shape]
	for _, m := range s.Members.All() {
		if !m.Asked || as.asked {
			b.reach(m.Shape, as)
		}
	}
	for _, m := range []*Member{s.Member, s.Key, s.Value} {
		if m != nil {
			b.reach(m.Shape, as)
		}
	}
}

// use is a member of a structure as one shape has it.
type use struct {
	name string
	*Member
	Note
	roles
	// within is the path of the structure that is put into another, with > at its end.
	within string
	// payload says that the member is the body.
	payload bool
}

// usesOf are the members of a shape, with those of structures that are put into it.
func (b *builder) usesOf(shape string) (all []use) {
	s := b.Shapes.By[shape]
	for name, m := range s.Members.All() {
		r := b.roles[shape]
		r.answered = r.answered && !m.Asked
		if !m.Inline {
			all = append(all, use{name, m, m.Note, r, "", s.Payload == name})
			continue
		}
		for _, within := range b.usesOf(m.Shape) {
			within.roles, within.within = r, b.OnTheWire(name, m, false)+">"+within.within
			all = append(all, within)
		}
	}
	return all
}

// structure makes the struct of all shapes of one Go type.
func (b *builder) structure(typ string) Struct {
	s := Struct{Name: typ, Set: map[string]bool{}}
	var shapes []string
	fields, as := newFields(b, typ), roles{}
	for name, shape := range b.Shapes.All() {
		if b.types[name] != typ || b.roles[name] == (roles{}) {
			continue
		}
		shapes = append(shapes, name)
		as = roles{as.asked || b.roles[name].asked, as.answered || b.roles[name].answered}
		s.Doc, s.From = cmp.Or(s.Doc, shape.Doc), append(s.From, shape.From...)
		for _, u := range b.usesOf(name) {
			if part := b.partOf(shape.Embed, u.name); part != "" && !u.Own && u.within == "" {
				fields.embed(part)
				continue
			}
			fields.add(u)
			if u.Set {
				s.Set[fields.nameOf(u)] = true
			}
		}
		for _, part := range shape.Embed {
			fields.embed(part)
		}
	}
	s.Fields = fields.made(as, len(shapes))
	s.Doc = cmp.Or(s.Doc, b.doc(typ, shapes))
	return s
}

// part makes the struct of a part, of the members that the shapes have which embed it.
func (b *builder) part(name string) Struct {
	p := b.Parts.By[name]
	fields, as, shapes := newFields(b, name), roles{}, 0
	for _, member := range p.Members.Names {
		if within := b.partOf(p.Embed, member); within != "" {
			fields.embed(within)
			continue
		}
		fields.order = append(fields.order, member)
	}
	for _, within := range p.Embed {
		fields.embed(within)
	}
	for shape, s := range b.Shapes.All() {
		if b.types[shape] != name && !slices.ContainsFunc(s.Embed, func(e string) bool { return b.contains(e, name) }) {
			continue
		}
		if b.roles[shape] == (roles{}) {
			continue
		}
		shapes++
		as = roles{as.asked || b.roles[shape].asked, as.answered || b.roles[shape].answered}
		for _, u := range b.usesOf(shape) {
			note := p.Members.By[u.name]
			if note == nil || b.partOf(p.Embed, u.name) != "" {
				continue
			}
			u.Note = *note
			u.answered = u.answered && !note.Asked
			fields.add(u)
		}
	}
	return Struct{Name: name, Doc: cmp.Or(p.Doc, name+" is what several requests or answers have in common."),
		Fields: fields.made(as, shapes)}
}

// contains reports whether a part is another one or embeds it.
func (b *builder) contains(part, other string) bool {
	return part == other ||
		slices.ContainsFunc(b.Parts.By[part].Embed, func(within string) bool { return b.contains(within, other) })
}

// partOf is the part among some that gives a member; "" if none does.
func (b *builder) partOf(parts []string, member string) string {
	for _, part := range parts {
		if slices.Contains(b.Embedded(part), member) {
			return part
		}
	}
	return ""
}

// doc is the comment of a struct that has none of its own.
func (b *builder) doc(typ string, shapes []string) string {
	var inputs, outputs, others []string
	for _, shape := range shapes {
		r := b.roles[shape]
		switch used := b.uses[shape]; {
		case len(used) == 0:
			others = append(others, shape)
		case r.asked:
			inputs = append(inputs, used...)
		default:
			outputs = append(outputs, used...)
		}
	}
	switch {
	case len(inputs) > 0:
		return typ + " is the input of " + list(inputs) + "."
	case len(outputs) > 0:
		return typ + " is the answer of " + list(outputs) + "."
	}
	return typ + " is the structure " + list(others) + "."
}

func list(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// fields gathers the members of one struct, in the order in which they come first.
type fields struct {
	*builder
	struc string
	order []string // paths of members, and names of parts with a * before them
	uses  map[string][]use
}

func newFields(b *builder, struc string) *fields {
	return &fields{builder: b, struc: struc, uses: map[string][]use{}}
}

func (f *fields) add(u use) {
	key := u.within + u.name
	if !slices.Contains(f.order, key) {
		f.order = append(f.order, key)
	}
	f.uses[key] = append(f.uses[key], u)
}

func (f *fields) embed(part string) {
	if !slices.Contains(f.order, "*"+part) {
		f.order = append(f.order, "*"+part)
	}
}

func (f *fields) nameOf(u use) string { return cmp.Or(u.Note.Go, GoName(u.name)) }

// made are the fields of a struct that so many shapes share.
func (f *fields) made(as roles, shapes int) (all []Field) {
	for _, key := range f.order {
		if part, isPart := strings.CutPrefix(key, "*"); isPart {
			all = append(all, Field{Type: part})
			continue
		}
		uses := f.uses[key]
		if len(uses) == 0 {
			f.errs = append(f.errs, fmt.Errorf("%s.%s: no shape that has this part has the member", f.struc, key))
			continue
		}
		in, required := roles{}, len(uses) == shapes
		for _, u := range uses {
			in = roles{in.asked || u.asked, in.answered || u.answered}
			required = required && u.Required
		}
		var field Field
		for i, u := range uses {
			made, err := f.field(u, in, as, required)
			if err != nil {
				f.errs = append(f.errs, fmt.Errorf("%s.%s: %w", f.struc, key, err))
			}
			if i == 0 {
				field = made
			} else if made != field {
				f.errs = append(f.errs, fmt.Errorf("%s.%s: shapes that share the type differ: %s and %s; note what it is to be",
					f.struc, key, field, made))
			}
		}
		all = append(all, field)
	}
	return all
}

// String is the field as its struct has it.
func (f Field) String() string { return strings.TrimSpace(f.Name + " " + f.Type + " " + f.Tag) }

// field makes the field of a member.
func (f *fields) field(u use, in, as roles, required bool) (Field, error) {
	typ, err := f.typeOf(u, required)
	if err != nil {
		return Field{}, err
	}
	var tags []string
	tag := func(key, value string) { tags = append(tags, key+":"+fmt.Sprintf("%q", value)) }
	name := u.within + f.OnTheWire(u.name, u.Member, false)
	kept := f.zero(u, typ)
	xml := slices.Contains([]string{"ec2", "query"}, f.Metadata.Protocol)
	places := map[string]string{"uri": "uri", "querystring": "query", "header": "header"}
	switch {
	case u.payload:
		tag("payload", name)
	case places[u.Location] != "":
		tag(places[u.Location], name)
	case u.Location == "statusCode":
		tag("status", name)
	case u.Location != "":
		return Field{}, fmt.Errorf("members in %s are not served", u.Location)
	case xml:
		if in.asked {
			tag("query", f.OnTheWire(u.name, u.Member, true))
		}
		if in.answered {
			tag("xml", name+kept)
		} else if as.answered {
			tag("xml", "-")
		}
	case f.Metadata.Protocol == "rest-xml":
		if list := f.Shapes.By[u.Member.Shape]; list.Type == "list" && !list.Flattened {
			name += ">" + cmp.Or(list.Member.LocationName, "member")
		}
		tag("xml", name+kept)
	case in.answered:
		tag("json", name+kept)
	default:
		tag("json", name)
	}
	if in.asked {
		c, err := f.checks(u, required)
		if err != nil {
			return Field{}, err
		}
		if s := c.String(); s != "" {
			tag("check", s)
		}
	}
	return Field{f.nameOf(u), typ, strings.Join(tags, " "), u.Note.Doc}, nil
}

// typeOf is the type of a field.
func (f *fields) typeOf(u use, required bool) (string, error) {
	if u.Note.Type != "" {
		return u.Note.Type, nil
	}
	typ, err := f.typeIn(u.Member.Shape, u.roles)
	if f.Shapes.By[u.Member.Shape].Type == "structure" && !required {
		typ = "*" + typ
	}
	return typ, err
}

var scalars = map[string]string{
	"string": "string", "character": "string", "integer": "int32", "long": "int64", "boolean": "bool",
	"double": "float64", "float": "float64", "blob": "[]byte",
}

// instants are how protocols write times.
var instants = map[string]string{"ec2": "Instant", "query": "aws.Instant", "json": "aws.Timestamp",
	"rest-json": "aws.Timestamp", "rest-xml": "aws.Instant", "smithy-rpc-v2-cbor": "aws.Timestamp"}

func (b *builder) typeIn(shape string, as roles) (string, error) {
	s := b.Shapes.By[shape]
	switch {
	case s.Type == "structure":
		return b.types[shape], nil
	case s.Go != "":
		return s.Go, nil
	case scalars[s.Type] != "":
		return scalars[s.Type], nil
	case s.Type == "timestamp" && instants[b.Metadata.Protocol] != "":
		return instants[b.Metadata.Protocol], nil
	case s.Type == "list":
		element, err := b.typeIn(s.Member.Shape, as)
		switch {
		case as.answered && b.Metadata.Protocol == "ec2":
			return "Set[" + element + "]", err
		case as.answered && b.Metadata.Protocol == "query":
			return "aws.Members[" + element + "]", err
		}
		return "[]" + element, err
	case s.Type == "map":
		value, err := b.typeIn(s.Value.Shape, as)
		return "map[string]" + value, err
	}
	return "", fmt.Errorf("the type %s of the shape %s is not known here; note a type of ours", s.Type, shape)
}

// zero is the option of a tag for a zero value.
func (f *fields) zero(u use, typ string) string {
	s := f.Shapes.By[u.Member.Shape]
	pointer := strings.HasPrefix(typ, "*")
	omit := pointer || !f.Metadata.Keep && s.Type != "boolean" && s.Type != "list" && s.Type != "structure"
	switch u.Note.Zero {
	case "keep":
		omit = false
	case "omit":
		omit = true
	}
	switch {
	case !omit:
		return ""
	case (s.Type == "structure" || s.Type == "timestamp") && !pointer:
		return ",omitzero"
	}
	return ",omitempty"
}

// qualifier is the package of a type of another one.
var qualifier = regexp.MustCompile(`\b([a-z0-9]+)\.`)

// Imports are the packages that the types of structs need, by the names that they have there.
func Imports(structs []Struct, known map[string]string) []string {
	needed := map[string]bool{}
	for _, s := range structs {
		for _, f := range s.Fields {
			for _, found := range qualifier.FindAllStringSubmatch(f.Type, -1) {
				needed[known[found[1]]] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(needed))
}

// Reached are the shapes to which inputs lead, and those to which inputs or outputs do.
func (m *Model) Reached() (asked, reached map[string]bool) {
	asked, reached = map[string]bool{}, map[string]bool{}
	for name, as := range m.builder().roles {
		asked[name], reached[name] = as.asked, as.asked || as.answered
	}
	return asked, reached
}
