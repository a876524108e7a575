package lambda

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"pergola/aws/lambda"
	"pergola/control/operation"
	"pergola/sealing"
	"pergola/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newControl is the service on a store, with a sealing key of repeated bytes.
func newControl(t *testing.T, objects *store.Store, seed byte) *Control {
	t.Helper()
	box, err := sealing.New(bytes.Repeat([]byte{seed}, sealing.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{Config: operation.Config{Store: objects, Region: "us-west-2"}, Box: box})
}

// TestVariablesAreSealedInTheStore writes a function and a version with a secret among their variables, which no object in
// the store shows, and which is there again for those who read them with the same key.
func TestVariablesAreSealedInTheStore(t *testing.T) {
	objects, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(t.TempDir(), "store"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer objects.Close()
	c := newControl(t, objects, 1)
	const account = "100000000001"
	variables := map[string]string{"TOKEN": "s3cret", "EMPTY": ""}
	name := lambda.Name{Region: "us-west-2", Account: account, Function: "spots"}
	f := &lambda.Function{Account: account, Name: "spots", LastVersion: 1, Latest: lambda.Version{Number: lambda.Latest, Environment: variables}}
	bare := &lambda.Function{Account: account, Name: "bare", Latest: lambda.Version{Number: lambda.Latest}}
	published := f.Latest
	published.Number = "1"
	_, err = objects.Update(t.Context(), func(tx *store.Tx) error {
		op := &call{operation.Within(tx, account), c}
		for _, one := range []*lambda.Function{f, bare} {
			if err := op.put(one); err != nil {
				return err
			}
		}
		return op.putVersion(f, published)
	})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(f.Latest.Environment, variables) || f.Latest.SealedEnvironment != nil {
		t.Errorf("writing has changed what was written to %+v", f.Latest)
	}
	check := func(what string, v lambda.Version, want map[string]string, err error) {
		t.Helper()
		if err != nil || !maps.Equal(v.Environment, want) || v.SealedEnvironment != nil {
			t.Errorf("%s: %+v, %v", what, v, err)
		}
	}
	err = objects.View(t.Context(), func(tx *store.Tx) error {
		functions, _, err := functionObjects.List(tx, "", "", 0)
		versions, _, err2 := versionObjects.List(tx, "", "", 0)
		raw, err3 := json.Marshal([]any{functions, versions})
		if err != nil || err2 != nil || err3 != nil || len(functions) != 2 || len(versions) != 1 || bytes.Contains(raw, []byte("TOKEN")) || bytes.Contains(raw, []byte("s3cret")) {
			t.Errorf("the store has %s, %v, %v, %v", raw, err, err2, err3)
		}
		got, err := c.getFunction(tx, name)
		if err != nil {
			return err
		}
		check("the function", got.Latest, variables, nil)
		one, err := c.getVersion(tx, got, "1")
		check("the version", one, variables, err)
		if !alike(got.Latest, one) {
			t.Error("what was published last is not like the latest")
		}
		all, err := c.listFunctions(tx, account)
		if err != nil || len(all) != 2 {
			t.Fatalf("listed %v, %v", all, err)
		}
		check("the function without variables", all[0].Latest, nil, nil)
		check("the listed function", all[1].Latest, variables, nil)
		list, err := c.listVersions(tx, got)
		if err != nil || len(list) != 1 {
			t.Fatalf("listed %v, %v", list, err)
		}
		check("the listed version", list[0], variables, nil)

		other := newControl(t, objects, 2)
		if f, err := other.find(tx, name); f != nil || err == nil || !strings.Contains(err.Error(), name.ARN()) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("with another key: %+v, %v", f, err)
		}
		if _, err := other.listFunctions(tx, account); err == nil {
			t.Error("with another key the functions are listed")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
