package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packages are those of the control plane, with the names of their models.
var packages = map[string]string{
	"": "vpc-lattice", "acm": "acm", "ec2": "ec2", "elbv2": "elbv2", "iam": "iam", "lambda": "lambda",
	"organizations": "organizations", "sts": "sts",
}

// TestGeneratedIsUpToDate holds the generated files to the methods that they call.
func TestGeneratedIsUpToDate(t *testing.T) {
	for name, model := range packages {
		directory := filepath.Join("../../control", name)
		want, err := generate(directory, "../../api/testdata/models/"+model+".json")
		if err != nil {
			t.Errorf("%s: %v", directory, err)
			continue
		}
		got, err := os.ReadFile(filepath.Join(directory, output))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not what its package says: run go generate ./control/...", filepath.Join(directory, output))
		}
	}
}

// TestUnknownOperation refuses a method that the model does not know.
func TestUnknownOperation(t *testing.T) {
	directory := t.TempDir()
	const source = "package x\n\n// Dance dances.\nfunc (op *call) Dance(in *y.Request) error { return nil }\n"
	if err := os.WriteFile(filepath.Join(directory, "x.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := generate(directory, "../../api/testdata/models/sts.json")
	if err == nil || !strings.Contains(err.Error(), "Dance") {
		t.Errorf("got %v", err)
	}
}
