package containment

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
)

func TestFailuresAreOfEachThing(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	var failed Failures[string]
	if failed.Err() != nil || errors.Is(failed, io.EOF) {
		t.Errorf("without a failure there is %v", failed.Err())
	}
	tries := 0
	for of, work := range map[string]func() error{
		"good": func() error { tries++; return nil }, "bad": func() error { tries++; return io.EOF },
		"worse": func() error { tries++; panic("made to") },
	} {
		if ok := failed.Try(t.Context(), log, "a work", of, work); ok != (of == "good") {
			t.Errorf("%s: %t", of, ok)
		}
	}
	if len(failed) != 2 || !errors.Is(failed["bad"], io.EOF) || !errors.Is(failed["worse"], ErrPanicked) || tries != 3 {
		t.Errorf("after %d tries: %v", tries, failed)
	}
	if err := failed.Err(); !errors.Is(err, io.EOF) || !errors.Is(err, ErrPanicked) || err.Error() != "bad: EOF\nworse: "+
		failed["worse"].Error() {
		t.Errorf("as one error: %v", err)
	}
	failed.Note("bad", io.ErrUnexpectedEOF)
	failed.Note("good", nil)
	if !errors.Is(failed["bad"], io.EOF) || len(failed) != 2 {
		t.Errorf("the first failure does not stay: %v", failed)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if failed.Try(ended, log, "a work", "late", func() error { tries++; return nil }) || tries != 3 {
		t.Error("it was tried after its time")
	}
	if !errors.Is(failed["late"], ErrUntried) || !errors.Is(failed["late"], context.Canceled) {
		t.Errorf("late: %v", failed["late"])
	}
}
