package proxy

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestRates holds how many requests a service may take: a second's worth at once after a rest, then as many as its rate
// lets come, and no service at the expense of another.
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rates := newRates(100)
		take := func(service string, offered int) (taken int) {
			for range offered {
				if rates.allow(service, time.Now()) {
					taken++
				}
			}
			return taken
		}
		for _, step := range []struct {
			pause         time.Duration
			service       string
			offered, want int
		}{
			{0, "svc-1", 150, 100},
			{0, "svc-1", 1, 0},
			{0, "svc-2", 10, 10},
			{10 * time.Millisecond, "svc-1", 5, 1},
			{500 * time.Millisecond, "svc-1", 80, 50},
			{time.Hour, "svc-1", 150, 100},
		} {
			time.Sleep(step.pause)
			if got := take(step.service, step.offered); got != step.want {
				t.Errorf("after %v %s took %d of %d, want %d", step.pause, step.service, got, step.offered, step.want)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		rates, began := newRates(100), time.Now()
		time.Sleep(2 * time.Second)
		if !rates.allow("svc-1", time.Now()) || !rates.allow("svc-1", began) {
			t.Error("a request that took its time to arrive counts as one too many")
		}
		for rates.allow("svc-1", time.Now()) {
		}
		if rates.allow("svc-1", began) {
			t.Error("a request that took its time to arrive is exempt")
		}
	})
	unlimited := newRates(-1)
	for range 2 * DefaultRequestsPerSecond {
		if !unlimited.allow("svc-1", time.Now()) {
			t.Fatal("a limit that was taken away refused a request")
		}
	}
}
