package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"pergola/store"
)

// The model: things with unique names, at most quota of them, and references to them that must not dangle. Workers
// run random transactions at once. Each notes what it found and the revision at which that was true; then the same
// steps are taken one after the other, in the order of revisions, on a plain map. If every step finds there what
// it found in the store, the concurrent run was equal to that serial one: no name ever had two owners, the quota was
// never exceeded, and no reference ever dangled.
const quota = 4

type step struct {
	kind, id, name string
	outcome        string
	revision       int64
}

type model struct {
	things map[string]string // name by id
	refs   map[string]bool   // "id/ref"
}

var stepKinds = []string{"create", "create", "create", "rename", "refer", "refer", "release", "delete", "delete all", "swap"}

// sets are what the model keeps in the store: counted ones, or such as etcd counts.
type sets struct {
	things store.Kind[thing]
	refs   store.Index
}

var (
	plain   = sets{things, refs}
	counted = sets{things.Counted(), refs.Counted()}
)

func testModel(t *testing.T, s *store.Store, in sets, effort int) {
	const workers = 6
	batches, _ := follow(t, s, "")
	var mu sync.Mutex
	var taken []step
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			for range effort {
				st := step{kind: stepKinds[random.IntN(len(stepKinds))], id: fmt.Sprint("id", random.IntN(6)), name: fmt.Sprint("name", random.IntN(8))}
				if err := in.take(t, s, &st); err != nil {
					t.Errorf("%+v: %v", st, err)
					return
				}
				mu.Lock()
				taken = append(taken, st)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	replay(t, s, taken, batches)
}

// take runs one step in the store. A step that is refused writes nothing, and holds at the revision it read.
func (in sets) take(t *testing.T, s *store.Store, st *step) (err error) {
	st.revision, err = s.Update(background(t), func(tx *store.Tx) (err error) {
		switch st.kind {
		case "create":
			st.outcome, err = in.create(tx, st.id, st.name)
		case "rename":
			st.outcome, err = in.rename(tx, st.id, st.name)
		case "refer":
			st.outcome, err = in.refer(tx, st.id, st.name)
		case "release":
			_, err := in.refs.Get(tx, st.id+"/"+st.name)
			in.refs.Delete(tx, st.id+"/"+st.name)
			st.outcome = found(err)
			return passNotFound(err)
		case "delete":
			st.outcome, err = in.remove(tx, st.id, false)
		case "delete all":
			st.outcome, err = in.remove(tx, st.id, true)
		case "swap":
			st.outcome, err = in.swap(tx)
		}
		return err
	})
	return err
}

func found(err error) string {
	if errors.Is(err, store.ErrNotFound) {
		return "missing"
	}
	return "ok"
}

func passNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func (in sets) create(tx *store.Tx, id, name string) (string, error) {
	n, err := in.things.Count(tx, "")
	if err != nil || n >= quota {
		return "quota", err
	}
	if _, err := in.things.Get(tx, id); !errors.Is(err, store.ErrNotFound) {
		return "exists", err
	}
	if _, err := names.Get(tx, name); !errors.Is(err, store.ErrNotFound) {
		return "taken", err
	}
	return "ok", errors.Join(in.things.Put(tx, id, thing{Name: name}), names.Put(tx, name, id))
}

func (in sets) rename(tx *store.Tx, id, name string) (string, error) {
	old, err := in.things.Get(tx, id)
	if err != nil {
		return "missing", passNotFound(err)
	}
	if _, err := names.Get(tx, name); !errors.Is(err, store.ErrNotFound) {
		return "taken", err
	}
	names.Delete(tx, old.Name)
	return "ok", errors.Join(names.Put(tx, name, id), in.things.Put(tx, id, thing{Name: name}))
}

func (in sets) refer(tx *store.Tx, id, ref string) (string, error) {
	if _, err := in.things.Get(tx, id); err != nil {
		return "missing", passNotFound(err)
	}
	return "ok", in.refs.Put(tx, id+"/"+ref, "")
}

func (in sets) remove(tx *store.Tx, id string, withRefs bool) (string, error) {
	old, err := in.things.Get(tx, id)
	if err != nil {
		return "missing", passNotFound(err)
	}
	empty, err := in.refs.Empty(tx, id+"/")
	if err != nil {
		return "", err
	}
	if !empty && !withRefs {
		return "in use", nil
	}
	in.things.Delete(tx, id)
	names.Delete(tx, old.Name)
	if withRefs {
		return "ok", in.refs.DeletePrefix(tx, id+"/")
	}
	return "ok", nil
}

// swap exchanges the names of the first two things of a listing.
func (in sets) swap(tx *store.Tx) (string, error) {
	first, _, err := in.things.List(tx, "", "", 2)
	if err != nil || len(first) < 2 {
		return "few", err
	}
	a, b := first[0], first[1]
	return "ok " + a.ID + b.ID, errors.Join(
		in.things.Put(tx, a.ID, b.Value), in.things.Put(tx, b.ID, a.Value),
		names.Put(tx, b.Value.Name, a.ID), names.Put(tx, a.Value.Name, b.ID))
}

func replay(t *testing.T, s *store.Store, taken []step, batches <-chan store.Batch) {
	wrote := func(st step) int { // at one revision the write comes before those who only read it
		if strings.HasPrefix(st.outcome, "ok") || st.kind == "release" {
			return 0
		}
		return 1
	}
	slices.SortFunc(taken, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.revision, b.revision), cmp.Compare(wrote(a), wrote(b)))
	})
	m := model{map[string]string{}, map[string]bool{}}
	outcomes := map[string]int{}
	for _, st := range taken {
		if got := m.take(st); got != st.outcome {
			t.Fatalf("at revision %d the store answered %q to %s %s %s, the model %q", st.revision, st.outcome, st.kind, st.id, st.name, got)
		}
		outcomes[st.kind+": "+strings.Fields(st.outcome)[0]]++
	}
	t.Logf("%d steps: %v", len(taken), outcomes)
	m.compare(t, s, batches)
}

func (m model) owner(name string) string {
	for id, n := range m.things {
		if n == name {
			return id
		}
	}
	return ""
}

func (m model) referred(id string) bool {
	for ref := range m.refs {
		if strings.HasPrefix(ref, id+"/") {
			return true
		}
	}
	return false
}

// take is one step in the model: long because it is every rule of it, one after the other.
func (m model) take(st step) string {
	_, exists := m.things[st.id]
	ref := st.id + "/" + st.name
	switch {
	case st.kind == "create" && len(m.things) >= quota:
		return "quota"
	case st.kind == "create" && exists:
		return "exists"
	case st.kind == "release" && !m.refs[ref]:
		return "missing"
	case st.kind != "create" && st.kind != "release" && st.kind != "swap" && !exists:
		return "missing"
	case (st.kind == "create" || st.kind == "rename") && m.owner(st.name) != "":
		return "taken"
	case st.kind == "delete" && m.referred(st.id):
		return "in use"
	case st.kind == "swap" && len(m.things) < 2:
		return "few"
	}
	switch st.kind {
	case "create", "rename":
		m.things[st.id] = st.name
	case "refer":
		m.refs[ref] = true
	case "release":
		delete(m.refs, ref)
	case "delete", "delete all":
		delete(m.things, st.id)
		maps.DeleteFunc(m.refs, func(ref string, _ bool) bool { return strings.HasPrefix(ref, st.id+"/") })
	case "swap":
		first := slices.Sorted(maps.Keys(m.things))
		a, b := first[0], first[1]
		m.things[a], m.things[b] = m.things[b], m.things[a]
		return "ok " + a + b
	}
	return "ok"
}

// compare checks that the model, the store and what a follower put together are the same in the end.
func (m model) compare(t *testing.T, s *store.Store, batches <-chan store.Batch) {
	want := map[string]string{}
	for id, name := range m.things {
		want["object/thing/"+id] = fmt.Sprintf(`{"Name":%q,"Size":0}`, name)
		want["index/name/"+name] = id
	}
	for ref := range m.refs {
		want["index/ref/"+ref] = ""
	}
	last := update(t, s, func(tx *store.Tx) error { return names.Put(tx, "the end", "") })
	want["index/name/the end"] = ""
	got, counts := map[string]string{}, map[string]string{}
	for b := range batches {
		if b.Reset {
			clear(got)
		}
		for _, c := range b.Changes {
			switch {
			case strings.HasPrefix(c.Key, "count/"):
				counts[strings.TrimPrefix(c.Key, "count/")] = string(c.Value)
			case !strings.HasPrefix(c.Key, "object/thing/") && !strings.HasPrefix(c.Key, "index/"):
			case c.Value == nil:
				delete(got, c.Key)
			default:
				got[c.Key] = string(c.Value)
			}
		}
		if b.Revision == last {
			break
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("followed to %v\nwant %v", got, want)
	}
	for directory, count := range counts {
		n := 0
		for key := range want {
			if key[:strings.LastIndexByte(key, '/')+1] == directory {
				n++
			}
		}
		if count != "" && count != fmt.Sprint(n) {
			t.Errorf("%s is counted as %s, it holds %d", directory, count, n)
		}
	}
}
