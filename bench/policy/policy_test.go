package main

import (
	"strings"
	"testing"
	"time"
)

// TestEnginesAgree: policies that mean something else would be compared for nothing. The calls that are measured come
// first; then every mixture of what they differ in.
func TestEnginesAgree(t *testing.T) {
	all, err := engines()
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range append(calls(), mixtures()...) {
		for _, e := range all {
			if allowed, err := e.prepare(call)(); err != nil || allowed != call.allowed {
				t.Errorf("%+v: %s says %v, %v", call, e.name, allowed, err)
			}
		}
	}
}

func mixtures() (all []call) {
	for _, organization := range []string{"o-123456example", "o-another"} {
		for _, method := range []string{"GET", "HEAD", "POST", "get"} {
			for _, path := range []string{"/v1/", "/v1/orders", "/v1", "/", "/v2/v1/"} {
				ours := organization == "o-123456example" && (method == "GET" || method == "HEAD") && strings.HasPrefix(path, "/v1/")
				all = append(all, call{organization: organization, method: method, path: path, allowed: ours},
					call{anonymous: true, method: method, path: path})
			}
		}
	}
	return all
}

func TestRunPrintsEveryContender(t *testing.T) {
	for _, args := range [][]string{{}, {"-markdown"}} {
		var out strings.Builder
		if err := run(append(args, "-rounds", "2", "-time", time.Nanosecond.String()), &out); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]int{"pergola": 8, "cedar-go": 5, "opa": 5, "alone": 3, "×1.00": 8} {
			if got := strings.Count(out.String(), name); got < want {
				t.Errorf("%v: %q appears %d times, want %d:\n%s", args, name, got, want, out.String())
			}
		}
	}
}

func TestDecisionsOfPergolaDoNotAllocate(t *testing.T) {
	all, err := engines()
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range calls() {
		ask := all[0].prepare(call)
		if n := testing.AllocsPerRun(100, func() { _, _ = ask() }); n != 0 {
			t.Errorf("%s: %v allocations", call.name, n)
		}
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-time", "0s"}, {"more"}, {"-unknown"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
