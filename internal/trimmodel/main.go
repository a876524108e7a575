// Command trimmodel makes the model of a service from a published one, as botocore has it (service-2.json, packed or
// not), and renews it: the facts alone, without documentation and traits of clients.
//
//	go run ./internal/trimmodel service-2.json.gz aws/ec2/model.json [OPERATION …] [SHAPE.MEMBER …]
//
// A new operation brings all its members with it; the lines of those that are not to be served are then deleted, and
// another run notes their names in the file. A member that was left out so far is taken in by its name. The file keeps
// what it has, with its notes. Members that are new in the published model are reported, and left out.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"pergola/internal/apimodel"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: trimmodel PUBLISHED MODEL [OPERATION …] [SHAPE.MEMBER …]")
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
	kept, err := apimodel.Read(to)
	if errors.Is(err, fs.ErrNotExist) {
		kept, err = &apimodel.Model{Metadata: published.Metadata}, nil
	}
	if err != nil {
		return err
	}
	news, err := renew(kept, published, wanted)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	for _, line := range news {
		fmt.Println(line)
	}
	written, err := kept.Write()
	if err != nil {
		return err
	}
	return os.WriteFile(to, written, 0o644)
}

// renewal is the renewal of a model.
type renewal struct {
	*apimodel.Model
	from *published
	// brought are the shapes that come new, with all their members.
	brought []string
	news    []string
}

// renew brings a model up to date with the published one, and takes in what is wanted. It returns what there is to say.
func renew(kept *apimodel.Model, from *published, wanted []string) (news []string, err error) {
	r := &renewal{Model: kept, from: from}
	for name, op := range kept.Operations.All() {
		if err := r.operation(name, op); err != nil {
			return nil, err
		}
	}
	for _, name := range wanted {
		if shape, member, ok := strings.Cut(name, "."); ok {
			err = r.member(shape, member)
		} else if kept.Operations.By[name] == nil {
			op := &apimodel.Operation{}
			kept.Operations.Set(name, op)
			err = r.operation(name, op)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Clone(kept.Shapes.Names) {
		if err := r.shape(name); err != nil {
			return nil, err
		}
	}
	asked := r.prune()
	for _, name := range r.brought {
		if s := kept.Shapes.By[name]; s != nil && !asked[name] && len(s.Enum) > 0 {
			s.Open, s.Enum = true, nil // nothing checks the values of answers
		}
	}
	for name, s := range kept.Shapes.All() {
		if err := r.leave(name, s, asked[name]); err != nil {
			return nil, err
		}
	}
	return r.news, nil
}

// operation gives an operation the published facts.
func (r *renewal) operation(name string, op *apimodel.Operation) error {
	fact := r.from.Operations[name]
	if fact == nil {
		return fmt.Errorf("there is no operation %s", name)
	}
	op.HTTP, op.Input, op.Output = fact.HTTP, fact.Input, fact.Output
	for _, target := range []*apimodel.Target{op.Input, op.Output} {
		if target == nil {
			continue
		}
		if err := r.bring(target.Shape); err != nil {
			return err
		}
	}
	return nil
}

// bring takes in a shape that is not there, with all below it.
func (r *renewal) bring(name string) error {
	if name == "" || r.Shapes.By[name] != nil {
		return nil
	}
	fact := r.from.Shapes[name]
	if fact == nil {
		return fmt.Errorf("there is no shape %s", name)
	}
	s := &apimodel.Shape{}
	r.Shapes.Set(name, s)
	r.brought = append(r.brought, name)
	for member := range fact.Members.All() {
		s.Members.Set(member, &apimodel.Member{})
	}
	return r.shape(name)
}

// member takes in a member of a shape that is there.
func (r *renewal) member(shape, member string) error {
	s, fact := r.Shapes.By[shape], r.from.Shapes[shape]
	if s == nil || fact == nil || fact.Members.By[member] == nil {
		return fmt.Errorf("no shape that is served has a member %s.%s", shape, member)
	}
	if s.Members.By[member] == nil {
		s.Members.Set(member, &apimodel.Member{})
	}
	return nil
}

// shape gives a shape the published facts, and takes in the shapes that it needs.
func (r *renewal) shape(shape string) error {
	s, fact := r.Shapes.By[shape], r.from.Shapes[shape]
	if fact == nil {
		return fmt.Errorf("there is no shape %s any more", shape)
	}
	s.Type, s.Payload, s.Min, s.Max = fact.Type, fact.Payload, fact.Min, fact.Max
	s.Pattern, s.Union, s.Flattened = fact.Pattern, fact.Union, fact.Flattened
	s.Member, s.Key, s.Value = fact.Member.fact(), fact.Key.fact(), fact.Value.fact()
	if !s.Open && !slices.Equal(slices.Sorted(slices.Values(s.Enum)), slices.Sorted(slices.Values(fact.Enum))) {
		s.Enum = fact.Enum // else in the order of the file
	}
	below := []*apimodel.Member{s.Member, s.Key, s.Value}
	for name, member := range s.Members.All() {
		f := fact.Members.By[name]
		if f == nil {
			return fmt.Errorf("%s has no member %s any more", shape, name)
		}
		note := member.Note
		*member = *f.fact()
		member.Required, member.Note = slices.Contains(fact.Required, name), note
		below = append(below, member)
	}
	for _, member := range below {
		if member == nil {
			continue
		}
		if err := r.bring(member.Shape); err != nil {
			return err
		}
	}
	return nil
}

// prune drops the shapes to which nothing leads, and returns those to which inputs lead.
func (r *renewal) prune() (asked map[string]bool) {
	var reached map[string]bool
	asked, reached = r.Reached()
	for _, name := range slices.Clone(r.Shapes.Names) {
		if !reached[name] {
			r.Shapes.Delete(name)
		}
	}
	return asked
}

// leave notes the members of a shape that are not served.
func (r *renewal) leave(name string, s *apimodel.Shape, asked bool) error {
	before := s.Left
	s.Left = nil
	for member, fact := range r.from.Shapes[name].Members.All() {
		if s.Members.By[member] != nil {
			continue
		}
		if asked && fact.Location == "header" { // of an answer, nothing is lost
			return fmt.Errorf("%s.%s is in a header, where no stranger is looked for: it has to be a member", name, member)
		}
		wire := r.OnTheWire(member, fact.fact(), asked)
		s.Left = append(s.Left, wire)
		if !slices.Contains(before, wire) {
			r.news = append(r.news, fmt.Sprintf("left out: %s.%s", name, member))
		}
	}
	slices.Sort(s.Left)
	return nil
}
