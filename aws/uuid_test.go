package aws_test

import (
	"bytes"
	"testing"

	"pergola/aws"
)

func TestNewUUID(t *testing.T) {
	if got, want := aws.NewUUID(bytes.NewReader(bytes.Repeat([]byte{0xff}, 16))), "ffffffff-ffff-4fff-bfff-ffffffffffff"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	defer func() {
		if recover() == nil {
			t.Error("an id without randomness")
		}
	}()
	aws.NewUUID(bytes.NewReader(nil))
}
