package organizations

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// small is an organisation of one unit in another, with an account in each place and one outside.
func small() Objects {
	return Objects{
		Organization: Organization{
			ID: "o-0123456789", Management: "100000000001", FeatureSet: FeaturesAll, PoliciesEnabled: true,
			Root: Root{ID: "r-abcd", Policies: []string{FullAccessID}},
		},
		Units: []Unit{
			{ID: "ou-abcd-2", Name: "inner", Parent: "ou-abcd-1", Policies: []string{"p-a", "p-b"}},
			{ID: "ou-abcd-1", Name: "outer", Parent: "r-abcd", Policies: []string{FullAccessID, "p-a"}},
		},
		Accounts: []Account{
			{ID: "100000000001", Parent: "ou-abcd-2", Policies: []string{"p-a"}},
			{ID: "100000000002", Parent: "r-abcd", Policies: []string{FullAccessID}},
			{ID: "100000000003", Parent: "ou-abcd-2", Policies: []string{"p-b"}},
			{ID: "100000000004"},
		},
		Policies: []Policy{{ID: "p-a", Content: "a"}, {ID: "p-b", Content: "b"}},
	}
}

func TestMembership(t *testing.T) {
	tree, err := NewTree(small())
	if err != nil {
		t.Fatal(err)
	}
	full := FullAccess().Content
	for account, want := range map[string]Membership{
		"100000000001": {"o-0123456789", "o-0123456789/r-abcd/ou-abcd-1/ou-abcd-2/", nil},
		"100000000002": {"o-0123456789", "o-0123456789/r-abcd/", [][]string{{full}, {full}}},
		"100000000003": {"o-0123456789", "o-0123456789/r-abcd/ou-abcd-1/ou-abcd-2/", [][]string{{full}, {full, "a"}, {"a", "b"}, {"b"}}},
	} {
		if got, ok := tree.Membership(account); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v\nwant %+v", account, got, ok, want)
		}
	}
	for _, account := range []string{"100000000004", "100000000005", ""} {
		if got, ok := tree.Membership(account); ok {
			t.Errorf("%s is a member: %+v", account, got)
		}
	}
	if got := tree.Accounts(); !slices.Equal(got, []string{"100000000001", "100000000002", "100000000003"}) {
		t.Errorf("accounts %v", got)
	}
}

func TestPoliciesThatAreNotEnabledBoundNobody(t *testing.T) {
	objects := small()
	objects.Organization.PoliciesEnabled = false
	tree, err := NewTree(objects)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := tree.Membership("100000000003"); !ok || got.Levels != nil || got.Path == "" {
		t.Errorf("%+v, %v", got, ok)
	}
}

func TestNoOrganization(t *testing.T) {
	if got, ok := new(Tree).Membership("100000000001"); ok {
		t.Errorf("a member of nothing: %+v", got)
	}
}

// TestLosingAPolicyIsNoWayOut wants what is not whole to be an error rather than an account without bounds.
func TestLosingAPolicyIsNoWayOut(t *testing.T) {
	for _, c := range []struct {
		name, names string
		damage      func(*Objects)
	}{
		{"parent of an account", "ou-gone", func(o *Objects) { o.Accounts[2].Parent = "ou-gone" }},
		{"parent of a unit", "ou-abcd-1", func(o *Objects) { o.Units = o.Units[:1] }},
		{"units in a circle", "ou-abcd-", func(o *Objects) { o.Units[1].Parent = "ou-abcd-2" }},
		{"policy of the root", "p-gone", func(o *Objects) { o.Organization.Root.Policies = []string{"p-gone"} }},
		{"policy of a unit", "p-b", func(o *Objects) { o.Policies = o.Policies[:1] }},
		{"policy of an account", "p-gone", func(o *Objects) { o.Accounts[2].Policies = []string{"p-gone"} }},
	} {
		objects := small()
		c.damage(&objects)
		if tree, err := NewTree(objects); err == nil || tree != nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %v, want an error that names %s", c.name, err, c.names)
		}
	}
}

// TestTreeAgainstWalks compares trees of random organisations with what walking up from each account finds.
func TestTreeAgainstWalks(t *testing.T) {
	for seed := range uint64(300) {
		objects := anyOrganization(rand.New(rand.NewPCG(seed, 0)))
		before := fmt.Sprintf("%+v", objects)
		tree, err := NewTree(objects)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, account := range objects.Accounts {
			want, member := walk(objects, account)
			if got, ok := tree.Membership(account.ID); ok != member || !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, account %s: %+v, %v\nwant %+v, %v", seed, account.ID, got, ok, want, member)
			}
		}
		if after := fmt.Sprintf("%+v", objects); after != before {
			t.Fatalf("seed %d: the objects have changed", seed)
		}
	}
}

func anyOrganization(random *rand.Rand) Objects {
	o := Objects{Organization: Organization{ID: "o-0123456789", Management: "100000000001", PoliciesEnabled: random.IntN(4) > 0, Root: Root{ID: "r-abcd"}}}
	ids := []string{FullAccessID}
	for i := range random.IntN(4) {
		o.Policies = append(o.Policies, Policy{ID: fmt.Sprint("p-", i), Content: fmt.Sprint("document ", i)})
		ids = append(ids, fmt.Sprint("p-", i))
	}
	some := func() (policies []string) {
		for _, i := range random.Perm(len(ids))[:random.IntN(len(ids)+1)] {
			policies = append(policies, ids[i])
		}
		return policies
	}
	o.Organization.Root.Policies = some()
	parents := []string{"r-abcd"}
	for i := range random.IntN(12) {
		id := fmt.Sprint("ou-abcd-", i)
		o.Units = append(o.Units, Unit{ID: id, Parent: parents[random.IntN(len(parents))], Policies: some()})
		parents = append(parents, id)
	}
	random.Shuffle(len(o.Units), func(i, j int) { o.Units[i], o.Units[j] = o.Units[j], o.Units[i] })
	for i := range random.IntN(10) + 1 {
		account := Account{ID: fmt.Sprintf("%012d", 100000000001+i), Policies: some()}
		if random.IntN(5) > 0 {
			account.Parent = parents[random.IntN(len(parents))]
		}
		o.Accounts = append(o.Accounts, account)
	}
	return o
}

// walk goes up from an account to the root, one object at a time.
func walk(o Objects, account Account) (Membership, bool) {
	if account.Parent == "" {
		return Membership{}, false
	}
	documents := func(policies []string) []string {
		found := []string{}
		for _, id := range policies {
			for _, policy := range append(slices.Clone(o.Policies), FullAccess()) {
				if policy.ID == id {
					found = append(found, policy.Content)
				}
			}
		}
		return found
	}
	path, levels := "", [][]string{documents(account.Policies)}
	at := account.Parent
	for at != o.Organization.Root.ID {
		unit := o.Units[slices.IndexFunc(o.Units, func(u Unit) bool { return u.ID == at })]
		path, levels, at = unit.ID+"/"+path, append(levels, documents(unit.Policies)), unit.Parent
	}
	levels = append(levels, documents(o.Organization.Root.Policies))
	slices.Reverse(levels)
	if account.ID == o.Organization.Management || !o.Organization.PoliciesEnabled {
		levels = nil
	}
	return Membership{o.Organization.ID, o.Organization.ID + "/" + at + "/" + path, levels}, true
}

func BenchmarkNewTree(b *testing.B) {
	o := small()
	for i := range 1000 {
		o.Accounts = append(o.Accounts, Account{ID: fmt.Sprint(200000000000 + i), Parent: "ou-abcd-2", Policies: []string{FullAccessID}})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewTree(o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMembership(b *testing.B) {
	tree, err := NewTree(small())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		tree.Membership("100000000003")
	}
}
