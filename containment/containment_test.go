package containment_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pergola/containment"
)

func TestAPanicBecomesAnErrorAndIsCounted(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	before := containment.Panics()
	err := containment.Do(log, "a health check", func() error { panic("no such target") }, "target", "10.0.0.1")
	if !errors.Is(err, containment.ErrPanicked) || !strings.Contains(err.Error(), "no such target") {
		t.Errorf("Do returned %v", err)
	}
	if got := containment.Panics() - before; got != 1 {
		t.Errorf("%d panics were counted, want 1", got)
	}
	for _, want := range []string{"a health check panicked", "target=10.0.0.1", "TestAPanicBecomesAnErrorAndIsCounted"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %q: %s", want, out.String())
		}
	}
}

func TestAnErrorOfTheWorkIsItsOwn(t *testing.T) {
	want := errors.New("refused")
	if err := containment.Do(slog.New(slog.DiscardHandler), "a check", func() error { return want }); err != want {
		t.Errorf("Do returned %v, want %v", err, want)
	}
}

func TestAcceptOutlivesALackOfDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var out bytes.Buffer
		tries, admitted := 0, 0
		accept := func() (int, error) {
			switch tries++; {
			case tries <= 20:
				return 0, &net.OpError{Op: "accept", Err: syscall.EMFILE}
			case tries == 21:
				return 7, nil
			}
			cancel()
			return 0, net.ErrClosed
		}
		began := time.Now()
		err := containment.Accept(ctx, slog.New(slog.NewTextHandler(&out, nil)), "a door", accept,
			func(conn int) { admitted += conn })
		if err != nil || admitted != 7 {
			t.Errorf("Accept returned %v after it admitted %d, want nil after 7", err, admitted)
		}
		if lines := strings.Count(out.String(), "\n"); lines != 1 {
			t.Errorf("%d lines were logged, want 1: %s", lines, out.String())
		}
		if waited := time.Since(began); waited < 10*time.Second || waited > 20*time.Second {
			t.Errorf("Accept waited %v in all, want pauses that grow to a second", waited)
		}
	})
}

func TestAcceptSaysWhenSomebodyElseClosedTheListener(t *testing.T) {
	err := containment.Accept(t.Context(), slog.New(slog.DiscardHandler), "a door",
		func() (int, error) { return 0, net.ErrClosed }, func(int) {})
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept returned %v, want net.ErrClosed", err)
	}
}
