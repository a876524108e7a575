package resource_test

import (
	"errors"
	"maps"
	"testing"

	"pergola/control/operation"
	"pergola/control/resource"
	"pergola/store"
)

// named is a kind of bowls whose paths begin with the account and end with a name. An account may have two.
func named() resource.Definition[bowl] {
	d := definition()
	d.ByAccount = true
	d.Head = func(b *bowl) resource.Head {
		return resource.Head{Path: b.Account + "/" + b.Name, ARN: arnOf(b.Account, b.ID), Tags: &b.Tags}
	}
	d.Holds = func(b *bowl) (holds []resource.Hold) {
		for _, fruit := range b.Fruits {
			holds = append(holds, resource.Hold{Index: fruits, Key: fruit + "/" + b.Name})
		}
		return holds
	}
	d.Taken = func(b *bowl) error { return taken{b.Name} }
	d.Room = &resource.Room{Code: "L-NAMED", Default: 2, Exceeded: func(int) error { return errFull }}
	return d
}

// TestPathsAreTaken makes resources whose paths others have, and more than there may be. Each account has its own.
func TestPathsAreTaken(t *testing.T) {
	k := newKitchen(t, named())
	for _, name := range []string{"red", "blue"} {
		if _, err := k.create(bowl{ID: name, Account: account, Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	var of taken
	if _, err := k.create(bowl{ID: "bowl", Account: account, Name: "red"}); !errors.As(err, &of) || of.holder != "red" {
		t.Errorf("a path that is taken, where there is no room either: %v", err)
	}
	if _, err := k.create(bowl{ID: "bowl", Account: account, Name: "green"}); !errors.Is(err, errFull) {
		t.Errorf("a third one: %v", err)
	}
	if _, err := k.create(bowl{ID: "bowl", Account: other, Name: "red"}); err != nil {
		t.Errorf("another account's: %v", err)
	}
}

// TestMove gives a resource another path, with what it holds, which must be free and needs no room.
func TestMove(t *testing.T) {
	k := newKitchen(t, named())
	red := bowl{ID: "bowl-1", Account: account, Name: "red", Fruits: []string{"apple"}}
	for _, b := range []bowl{red, {ID: "bowl-2", Account: account, Name: "blue"}} {
		if _, err := k.create(b); err != nil {
			t.Fatal(err)
		}
	}
	k.bowls.Room.Default = 1
	move := func(name string) error {
		now := red
		now.Name = name
		_, err := k.do(account, func(op *operation.Call) (*bowl, error) { return &now, k.bowls.Move(op, &red, &now) })
		return err
	}
	if err := move("blue"); !errors.As(err, new(taken)) {
		t.Errorf("to a path that is taken: %v", err)
	}
	if err := errors.Join(move("red"), move("green")); err != nil {
		t.Fatal(err)
	}
	if got := k.held(); !maps.Equal(got, map[string]string{"fruit/apple/green": ""}) {
		t.Errorf("held are %v", got)
	}
	if n := k.count(account); n != 2 {
		t.Errorf("there are %d", n)
	}
}

// TestGlobal has resources that belong to the deployment as a whole and do not know their ARNs.
func TestGlobal(t *testing.T) {
	d := definition()
	d.Global = true
	d.Head = func(b *bowl) resource.Head { return resource.Head{Path: b.ID, Tags: &b.Tags} }
	k := newKitchen(t, d)
	for _, b := range []bowl{{ID: "bowl-1", Account: account, Name: "red"}, {ID: "bowl-2", Account: other, Name: "blue"}} {
		if _, err := k.create(b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.find(account, "bowl-1"); err != nil {
		t.Errorf("by its id: %v", err)
	}
	if n := k.count(""); n != 2 {
		t.Errorf("there are %d", n)
	}
}

// count counts the bowls of an account.
func (k *kitchen) count(account string) (n int) {
	k.t.Helper()
	if err := k.Store.View(k.t.Context(), func(tx *store.Tx) (err error) {
		n, err = k.bowls.Count(tx, account)
		return err
	}); err != nil {
		k.t.Fatal(err)
	}
	return n
}
