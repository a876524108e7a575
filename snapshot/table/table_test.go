package table

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
)

// value is what tests keep: two of them are the same only if they are the same pointer.
type value = *int

// TestTablesAreMaps does the same with tables and with maps, and compares all that can be asked of them.
func TestTablesAreMaps(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var table Table[value]
	model := map[string]value{}
	for range 200 {
		was, before := table, maps.Clone(model)
		for range random.IntN(40) {
			key := fmt.Sprint("key-", random.IntN(300))
			if random.IntN(3) == 0 {
				table = table.Without(key)
				delete(model, key)
			} else {
				model[key] = new(int)
				table = table.With(key, model[key])
			}
		}
		check(t, was, before)
		check(t, table, model)
		checkChanges(t, was, table, before, model)
	}
	check(t, Of(model), model)
}

func check(t *testing.T, table Table[value], model map[string]value) {
	t.Helper()
	if all := maps.Collect(table.All()); !maps.Equal(all, model) || table.Len() != len(model) {
		t.Fatalf("a table of length %d has the entries %v, want %v", table.Len(), all, model)
	}
	for i := range 310 {
		key := fmt.Sprint("key-", i)
		want, has := model[key]
		if table.Get(key) != want || table.GetBytes([]byte(key)) != want || table.Has(key) != has {
			t.Fatalf("%s: %v, %v and %v, want %v and %v", key, table.Get(key), table.GetBytes([]byte(key)),
				table.Has(key), want, has)
		}
	}
	count := 0
	for range table.Values() {
		count++
	}
	if count != len(model) {
		t.Fatalf("%d values, want %d", count, len(model))
	}
}

func checkChanges(t *testing.T, was, is Table[value], before, after map[string]value) {
	t.Helper()
	want := map[string]Change[value]{}
	for key, value := range before {
		if after[key] != value {
			want[key] = Change[*int]{key, value, after[key]}
		}
	}
	for key, value := range after {
		if before[key] == nil {
			want[key] = Change[*int]{key, nil, value}
		}
	}
	got := map[string]Change[value]{}
	for change := range Changes(was, is) {
		if _, twice := got[change.Key]; twice {
			t.Fatalf("%s changed twice", change.Key)
		}
		got[change.Key] = change
	}
	if !maps.Equal(got, want) {
		t.Fatalf("the changes are %v, want %v", got, want)
	}
}

// TestCollisions does the same on nodes whose keys share many bits of their hashes, or all.
func TestCollisions(t *testing.T) {
	for name, hash := range map[string]func(int) uint64{
		"all alike":            func(int) uint64 { return 7 },
		"two hashes":           func(i int) uint64 { return uint64(i % 2) },
		"only the last bits":   func(i int) uint64 { return uint64(i) << 60 },
		"only the middle bits": func(i int) uint64 { return uint64(i%8) << 30 },
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(3, 4))
			var root *node[value]
			model := map[string]value{}
			for range 3000 {
				was, before := root, maps.Clone(model)
				i := random.IntN(20)
				key := fmt.Sprint("key-", i)
				if random.IntN(2) == 0 {
					root, _ = root.without(hash(i), key, 0)
					delete(model, key)
				} else {
					model[key] = new(int)
					root, _ = root.with(entry[value]{hash(i), key, model[key]}, 0)
				}
				for i := range 21 {
					key := fmt.Sprint("key-", i)
					if got, _ := find(root, hash(i), key, 0); got != model[key] {
						t.Fatalf("%s is %v, want %v", key, got, model[key])
					}
				}
				checkChanges(t, Table[value]{root: was}, Table[value]{root: root}, before, model)
				if len(model) == 0 && root != nil {
					t.Fatal("an empty trie has a root")
				}
			}
		})
	}
}

// TestChangesLookAtWhatChanged counts the nodes that two large tables do not share: the rest is not looked at.
func TestChangesLookAtWhatChanged(t *testing.T) {
	var table Table[value]
	for i := range 20_000 {
		table = table.With(fmt.Sprint("key-", i), new(int))
	}
	allocations := testing.AllocsPerRun(100, func() { _ = table.With("key-77", nil) })
	if allocations > 12 {
		t.Errorf("a change of one entry among 20,000 takes %v allocations", allocations)
	}
	changed, visited := table.With("key-77", nil).Without("key-78"), 0
	for range Changes(table, changed) {
		visited++
	}
	if visited != 2 {
		t.Errorf("%d changes, want 2", visited)
	}
}

func TestStopping(t *testing.T) {
	table := Of(map[string]value{"a": new(int), "b": new(int), "c": new(int)})
	for range table.All() {
		break
	}
	for range table.Values() {
		break
	}
	for range Changes(Table[value]{}, table) {
		break
	}
	for range Changes(table, Table[value]{}) {
		break
	}
}

func BenchmarkGetBytes(b *testing.B) {
	for _, size := range []int{10, 1000, 20_000} {
		model := map[string]value{}
		for i := range size {
			model[fmt.Sprintf("bench-%d.7d67968.vpc-lattice-svcs.us-west-2.on.aws", i)] = new(int)
		}
		table, key := Of(model), []byte("bench-7.7d67968.vpc-lattice-svcs.us-west-2.on.aws")
		b.Run(fmt.Sprint("table of ", size), func(b *testing.B) {
			for b.Loop() {
				if table.GetBytes(key) == nil {
					b.Fatal("missing")
				}
			}
		})
		b.Run(fmt.Sprint("map of ", size), func(b *testing.B) {
			for b.Loop() {
				if model[string(key)] == nil {
					b.Fatal("missing")
				}
			}
		})
	}
}

func BenchmarkWith(b *testing.B) {
	var table Table[value]
	for i := range 20_000 {
		table = table.With(fmt.Sprint("key-", i), new(int))
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = table.With("key-77", nil)
	}
}
