package resource_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const account, other = "100000000001", "100000000002"

// bowl is a resource: it has a name that is unique in its account, and refers to what is in it.
type bowl struct {
	ID, Account, Name, Token string
	Fruits                   []string
	Tags                     map[string]string
}

var (
	errMissing, errReused, errFull = errors.New("missing"), errors.New("reused"), errors.New("full")
	names                          = store.NewIndex("bowl-name").Counted()
	fruits                         = store.NewIndex("fruit")
)

// taken is that another bowl has a name.
type taken struct{ holder string }

func (t taken) Error() string { return "taken by " + t.holder }

func arnOf(account, id string) string {
	return lattice.ARN{Service: "test", Region: "us-west-2", Account: account, Resource: "bowl/" + id}.String()
}

func holdsOf(b *bowl) []resource.Hold {
	holds := []resource.Hold{{
		Index: names, Key: b.Account + "/" + b.Name, Value: b.ID,
		Taken: func(holder string) error { return taken{holder} },
		Room: &resource.Room{Set: b.Account + "/", Code: "L-BOWLS", Default: 5,
			Exceeded: func(limit int) error { return fmt.Errorf("%w: %d", errFull, limit) }},
	}}
	for _, fruit := range b.Fruits {
		holds = append(holds, resource.Hold{Index: fruits, Key: fruit + "/" + b.ID})
	}
	return holds
}

func definition() resource.Definition[bowl] {
	return resource.Definition[bowl]{
		Name: "bowl",
		Head: func(b *bowl) resource.Head {
			return resource.Head{Path: b.ID, ARN: arnOf(b.Account, b.ID), Tags: &b.Tags, Token: b.Token}
		},
		Missing: func(resource.Ref) error { return errMissing },
		Holds:   holdsOf,
		Keys:    func(k authority.Keys, _ string, b *bowl) { k.Set("test:name", b.Name) },
		Tagging: "TagBowl",
		Reused:  func(string) error { return errReused },
	}
}

// kitchen is a service that has bowls.
type kitchen struct {
	*operation.Service[*operation.Call]
	bowls *resource.Kind[bowl]
	t     *testing.T
}

func newKitchen(t *testing.T, d resource.Definition[bowl]) *kitchen {
	t.Helper()
	objects, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(t.TempDir(), "store"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := objects.Close(); err != nil {
			t.Error(err)
		}
	})
	return &kitchen{operation.New(operation.Config{Store: objects}, operation.Description[*operation.Call]{
		Name:    "test",
		Begin:   func(of *operation.Call) (*operation.Call, error) { return of, nil },
		Explain: func(err error) error { return err },
	}), resource.New(d), t}
}

func root(account string) iam.Caller {
	return iam.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":root", Type: iam.TypeAccount}
}

// do carries out an operation of a root user.
func (k *kitchen) do(account string, f func(op *operation.Call) (*bowl, error)) (*bowl, error) {
	request := operation.Request{Caller: root(account), Action: "ChangeBowl"}
	return operation.Do(k.t.Context(), k.Service, request,
		func(op *operation.Call, _ *bowl) (*bowl, error) { return f(op) }, &bowl{})
}

func (k *kitchen) create(b bowl) (*bowl, error) {
	return k.do(b.Account, func(op *operation.Call) (*bowl, error) {
		order := resource.Order{ARN: arnOf(b.Account, "*"), Tags: b.Tags, Token: b.Token, Request: b.Name}
		return k.bowls.Create(op, order, func() (*bowl, error) { return &b, nil })
	})
}

func ref(account, id string) resource.Ref {
	return resource.Ref{Path: id, ARN: arnOf(account, id), Named: id}
}

func (k *kitchen) find(account, id string) (*bowl, error) {
	return k.do(account, func(op *operation.Call) (*bowl, error) { return k.bowls.Find(op, ref(account, id)) })
}

// held are all keys of the indexes with their values.
func (k *kitchen) held() map[string]string {
	all := map[string]string{}
	err := k.Store.View(k.t.Context(), func(tx *store.Tx) error {
		for name, index := range map[string]store.Index{"name": names, "fruit": fruits} {
			entries, _, err := index.List(tx, "", "", 0)
			if err != nil {
				return err
			}
			for _, entry := range entries {
				all[name+"/"+entry.ID] = entry.Value
			}
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return all
}

// TestHoldsFollowResources makes, changes and deletes bowls at random, and compares what is held with what those that
// there are should hold.
func TestHoldsFollowResources(t *testing.T) {
	k := newKitchen(t, definition())
	model := map[string]bowl{}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func() bowl {
		b := bowl{ID: fmt.Sprint("bowl-", random.IntN(6)), Account: account, Name: fmt.Sprint("n", random.IntN(8))}
		for _, fruit := range []string{"apple", "pear", "plum"} {
			if random.IntN(2) == 0 {
				b.Fruits = append(b.Fruits, fruit)
			}
		}
		return b
	}
	holder := func(name string) string {
		for _, b := range model {
			if b.Name == name {
				return b.ID
			}
		}
		return ""
	}
	for range 400 {
		b := pick()
		_, exists := model[b.ID]
		by := holder(b.Name)
		switch {
		case !exists:
			_, err := k.create(b)
			switch {
			case by != "" && err != taken{by}:
				t.Fatalf("a name of %s was taken: %v", by, err)
			case by == "" && len(model) >= 5 && !errors.Is(err, errFull):
				t.Fatalf("a sixth bowl: %v", err)
			case by == "" && len(model) < 5 && err != nil:
				t.Fatal(err)
			}
			if err == nil {
				model[b.ID] = b
			}
		case random.IntN(3) == 0:
			if _, err := k.do(account, func(op *operation.Call) (*bowl, error) {
				value, err := k.bowls.Find(op, ref(account, b.ID))
				if err == nil {
					k.bowls.Delete(op.Tx, value)
				}
				return value, err
			}); err != nil {
				t.Fatal(err)
			}
			delete(model, b.ID)
		default:
			_, err := k.do(account, func(op *operation.Call) (*bowl, error) { return &b, k.bowls.Put(op, &b) })
			if refused := by != "" && by != b.ID; refused != (err != nil) {
				t.Fatalf("the name of %q is given to %s: %v", by, b.ID, err)
			}
			if err == nil {
				model[b.ID] = b
			}
		}
		want := map[string]string{}
		for _, b := range model {
			for _, hold := range holdsOf(&b) {
				index := "fruit/"
				if hold.Index == names {
					index = "name/"
				}
				want[index+hold.Key] = hold.Value
			}
		}
		if got := k.held(); !maps.Equal(got, want) {
			t.Fatalf("held are %v, want %v", got, want)
		}
	}
}

// TestExchange has two bowls exchange their names, in one change.
func TestExchange(t *testing.T) {
	k := newKitchen(t, definition())
	one, two := bowl{ID: "bowl-1", Account: account, Name: "red"}, bowl{ID: "bowl-2", Account: account, Name: "blue"}
	for _, b := range []bowl{one, two} {
		if _, err := k.create(b); err != nil {
			t.Fatal(err)
		}
	}
	one.Name, two.Name = two.Name, one.Name
	if _, err := k.do(account, func(op *operation.Call) (*bowl, error) {
		return &one,
			k.bowls.Put(op, &one, &two)
	}); err != nil {
		t.Fatal(err)
	}
	if got := k.held(); got["name/"+account+"/red"] != "bowl-2" || got["name/"+account+"/blue"] != "bowl-1" {
		t.Errorf("held are %v", got)
	}
}

// TestTokens answers a repeated creation with what there is, and refuses another one with its token.
func TestTokens(t *testing.T) {
	k := newKitchen(t, definition())
	first := bowl{ID: "bowl-1", Account: account, Name: "red", Token: "t"}
	if _, err := k.create(first); err != nil {
		t.Fatal(err)
	}
	again := first
	again.ID = "bowl-2"
	if got, err := k.create(again); err != nil || got.ID != first.ID {
		t.Errorf("again: %v, %v", got, err)
	}
	another := bowl{ID: "bowl-3", Account: account, Name: "blue", Token: "t"}
	if _, err := k.create(another); !errors.Is(err, errReused) {
		t.Errorf("another one: %v", err)
	}
	if _, err := k.do(account, func(op *operation.Call) (*bowl, error) {
		k.bowls.Delete(op.Tx, &first)
		return &first, op.May("*", nil)
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := k.create(another); err != nil || got.ID != another.ID {
		t.Errorf("after the first is gone: %v, %v", got, err)
	}
}

// TestOthersResources are refused, or hidden.
func TestOthersResources(t *testing.T) {
	k := newKitchen(t, definition())
	if _, err := k.create(bowl{ID: "bowl-1", Account: other, Name: "red"}); err != nil {
		t.Fatal(err)
	}
	var denied *authority.Denied
	if _, err := k.find(account, "bowl-1"); !errors.As(err, &denied) {
		t.Errorf("by its id: %v", err)
	}
	theirs := func(op *operation.Call) (*bowl, error) { return k.bowls.Find(op, ref(other, "bowl-1")) }
	if _, err := k.do(account, theirs); !errors.As(err, &denied) {
		t.Errorf("by its ARN: %v", err)
	}
	hidden := definition()
	hidden.Hidden = true
	k.bowls = resource.New(hidden)
	if _, err := k.find(account, "bowl-1"); !errors.Is(err, errMissing) {
		t.Errorf("a hidden one: %v", err)
	}
}

// TestWithoutARN finds resources that have an account alone, and refuses names that cannot be any.
func TestWithoutARN(t *testing.T) {
	d := definition()
	d.Hidden = true
	d.Head = func(b *bowl) resource.Head {
		return resource.Head{Path: b.ID, Account: b.Account, Tags: &b.Tags, Token: b.Token}
	}
	k := newKitchen(t, d)
	if _, err := k.create(bowl{ID: "bowl-1", Account: account, Name: "red"}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.find(account, "bowl-1"); err != nil {
		t.Error(err)
	}
	if _, err := k.find(other, "bowl-1"); !errors.Is(err, errMissing) {
		t.Errorf("another account's: %v", err)
	}
	malformed := errors.New("malformed")
	_, err := k.do(account, func(op *operation.Call) (*bowl, error) {
		return k.bowls.Find(op, resource.Ref{ARN: arnOf(account, ""), Malformed: malformed})
	})
	if !errors.Is(err, malformed) {
		t.Errorf("no name at all: %v", err)
	}
}

// TestFindAsks lets nobody without permission learn whether there is a resource.
func TestFindAsks(t *testing.T) {
	k := newKitchen(t, definition())
	if _, err := k.create(bowl{ID: "bowl-1", Account: account, Name: "red"}); err != nil {
		t.Fatal(err)
	}
	nobody := iam.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":user/nobody", UserID: "AIDA",
		Type: iam.TypeUser}
	for _, id := range []string{"bowl-1", "bowl-2"} {
		request := operation.Request{Caller: nobody, Action: "GetBowl"}
		_, err := operation.Do(t.Context(), k.Service, request, func(op *operation.Call, _ *bowl) (*bowl, error) {
			return k.bowls.Find(op, ref(account, id))
		}, &bowl{})
		var denied *authority.Denied
		if !errors.As(err, &denied) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := k.find(account, "bowl-2"); !errors.Is(err, errMissing) {
		t.Errorf("a caller with permission: %v", err)
	}
}

// TestKeysAreOfOneQuestion finds a resource, after which nothing is asked with the condition keys that it has.
func TestKeysAreOfOneQuestion(t *testing.T) {
	k := newKitchen(t, definition())
	if _, err := k.create(bowl{ID: "bowl-1", Account: account, Name: "red"}); err != nil {
		t.Fatal(err)
	}
	_, err := k.do(account, func(op *operation.Call) (*bowl, error) {
		op.Set("test:asked", "for")
		b, err := k.bowls.Find(op, ref(account, "bowl-1"))
		if op.Has("test:name") || !op.Has("test:asked") {
			t.Errorf("the keys are %v", op.Keys)
		}
		return b, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestWithoutTags finds a resource of a kind that has no tags.
func TestWithoutTags(t *testing.T) {
	d := definition()
	head := d.Head
	d.Head = func(b *bowl) resource.Head {
		h := head(b)
		h.Tags = nil
		return h
	}
	k := newKitchen(t, d)
	if _, err := k.create(bowl{ID: "bowl-1", Account: account, Name: "red"}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.find(account, "bowl-1"); err != nil {
		t.Error(err)
	}
}

// TestExactNames holds a given ARN to the resource's own.
func TestExactNames(t *testing.T) {
	k := newKitchen(t, definition())
	if _, err := k.create(bowl{ID: "bowl-1", Account: account, Name: "red"}); err != nil {
		t.Fatal(err)
	}
	exact := ref(account, "bowl-1")
	exact.Exact, exact.ARN = true, exact.ARN+"x"
	if _, err := k.do(account, func(op *operation.Call) (*bowl, error) { return k.bowls.Find(op, exact) }); !errors.Is(err,
		errMissing) {
		t.Errorf("another ARN: %v", err)
	}
}

// TestOwn lists what each account has.
func TestOwn(t *testing.T) {
	k := newKitchen(t, definition())
	for i, of := range []string{account, other, account} {
		if _, err := k.create(bowl{ID: fmt.Sprint("bowl-", i), Account: of, Name: fmt.Sprint("n", i)}); err != nil {
			t.Fatal(err)
		}
	}
	err := k.Store.View(t.Context(), func(tx *store.Tx) error {
		entries, more, err := k.bowls.Own(tx, account, "", 0)
		var ids []string
		for _, entry := range entries {
			ids = append(ids, entry.ID)
		}
		if !slices.Equal(ids, []string{"bowl-0", "bowl-2"}) || more {
			t.Errorf("%v, %v", ids, more)
		}
		n, countErr := k.bowls.Count(tx, other)
		if n != 1 {
			t.Errorf("the other has %d", n)
		}
		return errors.Join(err, countErr)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPage goes through items in any order by pages of any size.
func TestPage(t *testing.T) {
	items := []string{"d", "a", "c", "e", "b"}
	itself := func(s string) string { return s }
	for size := range 7 {
		var all []string
		for after, more := "", true; more; {
			page, next := resource.Page(items, itself, after, size)
			if size > 0 && len(page) > size {
				t.Errorf("a page of %d has %v", size, page)
			}
			all, after, more = append(all, page...), next, next != ""
		}
		if !slices.Equal(all, []string{"a", "b", "c", "d", "e"}) {
			t.Errorf("pages of %d: %v", size, all)
		}
	}
	if items[0] != "d" {
		t.Error("the items were put in order in place")
	}
}

// TestMalformedNames tells the error of a malformed name to callers with permission, and to nobody else.
func TestMalformedNames(t *testing.T) {
	k := newKitchen(t, definition())
	malformed := errors.New("malformed")
	find := func(op *operation.Call) (*bowl, error) {
		return k.bowls.Find(op, resource.Ref{ARN: arnOf(account, "?"), Malformed: malformed})
	}
	if _, err := k.do(account, find); !errors.Is(err, malformed) {
		t.Errorf("a caller with permission: %v", err)
	}
	var denied *authority.Denied
	if _, err := k.do(other, find); !errors.As(err, &denied) {
		t.Errorf("another account: %v", err)
	}
}
