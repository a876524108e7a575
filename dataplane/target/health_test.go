package target

import (
	"strings"
	"testing"

	"pergola/lattice"
	"pergola/snapshot"
)

// Each result is a letter: + passed, - failed. Each status is that after the result above it.
func TestHealthFollowsResults(t *testing.T) {
	tests := []struct{ name, results, statuses string }{
		{"the first success counts", "+", "H"},
		{"a new target is given its threshold", "--", "IU"},
		{"a new target that fails and then passes", "-+", "IH"},
		{"recovery takes a run of successes", "--+++", "IUUUH"},
		{"a failure breaks the run", "--++-+++", "IUUUUUUH"},
		{"a success forgives a failure", "+-+-+--", "HHHHHHU"},
		{"flapping changes nothing", "+-+-+-+-", "HHHHHHHH"},
		{"flapping does not recover either", "--+-+-+-", "IUUUUUUU"},
	}
	settings := &snapshot.HealthCheck{HealthyThreshold: 3, UnhealthyThreshold: 2}
	letters := map[lattice.TargetStatus]string{
		lattice.TargetInitial: "I", lattice.TargetHealthy: "H", lattice.TargetUnhealthy: "U",
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := unjudged()
			var statuses strings.Builder
			for _, result := range test.results {
				before := h.status
				if changed := h.record(result == '+', settings); changed != (h.status != before) {
					t.Errorf("record says %v, but %s became %s", changed, before, h.status)
				}
				statuses.WriteString(letters[h.status])
			}
			if got := statuses.String(); got != test.statuses {
				t.Errorf("%s makes %s, want %s", test.results, got, test.statuses)
			}
		})
	}
}
