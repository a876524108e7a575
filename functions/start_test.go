package functions

import (
	"errors"
	"path/filepath"
	"testing"

	"pergola/fabric"
)

// BenchmarkStart is an invocation that must start its environment, and the end of that.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	f, err := fabric.Open(fabric.Config{Kind: fabric.Loopback, StateDir: filepath.Join(dir, "fabric")})
	if err != nil {
		b.Fatal(err)
	}
	codes, err := OpenCodes(filepath.Join(dir, "code"))
	if err != nil {
		b.Fatal(err)
	}
	r, err := New(Config{Fabric: f, Codes: codes, Dir: filepath.Join(dir, "tmp"), Region: "us-west-2"})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := errors.Join(r.Close(), f.Close()); err != nil {
			b.Error(err)
		}
	}()
	function := functionOf(b, codes, shell(respond+`1`))
	for b.Loop() {
		if result, err := r.Invoke(b.Context(), function, Call{Payload: []byte("{}")}); err != nil || result.Error != "" {
			b.Fatal(err, string(result.Payload))
		}
		r.Forget(function.ARN)
	}
}
