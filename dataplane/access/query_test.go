package access

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"pergola/sigv4"
)

// TestFault_A7_RepeatedKeysAreLinear asks about queries, and fields, that fill a request's head.
func TestFault_A7_RepeatedKeysAreLinear(t *testing.T) {
	const head = 55_000
	repeat := func(unit string) string { return strings.Repeat(unit, head/len(unit)) }
	var different strings.Builder
	for i := 0; different.Len() < head; i++ {
		fmt.Fprintf(&different, "k%d=%d&", i, i)
	}
	var fields sigv4.Fields
	for range 100 {
		fields = append(fields, sigv4.Field{Name: "X-Q", Value: strings.Repeat("1", 500)})
	}
	on := func(operator, key, value string) string {
		return fmt.Sprintf(`{%q: {"vpc-lattice-svcs:%s": %s}}`, operator, key, value)
	}
	const q = "RequestQueryString/q"
	for name, c := range map[string]struct {
		query, condition string
		want             bool
	}{
		"as seen":       {repeat("q=1&"), on("ForAllValues:StringEquals", q, `"1"`), true},
		"the last":      {repeat("q=1&") + "q=2", on("ForAllValues:StringEquals", q, `"1"`), false},
		"any":           {repeat("q=1&") + "q=2", on("ForAnyValue:StringEquals", q, `"2"`), true},
		"encoded":       {repeat("%71=%31&"), on("ForAllValues:StringEquals", q, `"1"`), true},
		"plus":          {repeat("q=+&"), on("ForAllValues:StringEquals", q, `" "`), true},
		"either case":   {repeat("q=1&Q=1&"), on("ForAllValues:StringEquals", q, `"1"`), true},
		"without value": {repeat("q&"), on("ForAllValues:StringEquals", q, `""`), true},
		"other names":   {different.String(), on("ForAllValues:StringEquals", "RequestQueryString/k4000", `"4000"`), true},
		"accents":       {repeat("é=1&É=1&"), on("ForAllValues:StringEquals", "RequestQueryString/é", `"1"`), true},
		"no set":        {repeat("q=1&"), on("StringEquals", q, `"1"`), false},
		"negated":       {repeat("q=1&"), on("ForAllValues:StringNotLike", q, `["2*"]`), true},
		"a field":       {"", on("ForAllValues:StringLike", "RequestHeader/x-q", `"1*"`), true},
	} {
		w := newWorld(t)
		w.service.Policy = authPolicy(t, allowAll+`,"Condition":`+c.condition)
		r := w.request("/?"+c.query, fields...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d := w.guard.Authorize(r)
		runtime.ReadMemStats(&after)
		if d.Allowed != c.want || strings.Contains(d.Refusal, "too long") {
			t.Errorf("%s: %v %s", name, d.Allowed, d.Refusal[max(0, len(d.Refusal)-200):])
		}
		// A name takes time by how many values it has before it, if the last place is not known; so count the memory, and
		// TestValuesAreFoundInOrder the steps.
		if used := after.TotalAlloc - before.TotalAlloc; used > 16*head && !raceEnabled {
			t.Errorf("%s: %d bytes for %d of query", name, used, len(c.query))
		}
	}
}

// TestValuesAreFoundInOrder holds that asking for one value after the other goes on from the last, and that asking out
// of order gives the same.
func TestValuesAreFoundInOrder(t *testing.T) {
	e := &evaluation{request: &Request{HTTP: sigv4.Request{RawQuery: strings.Repeat("q=1&r=2&", 50) + "%51=3",
		Header: sigv4.Fields{{Name: "A", Value: "1"}, {Name: "b", Value: "2"}, {Name: "a", Value: "3"}}}}}
	for _, i := range []int{0, 1, 2, 50, 51, 3, 4, 0, 49, 50, 51} {
		want, found := "1", i <= 50
		if i == 50 {
			want = "3"
		}
		if got, ok := e.parameter("q", i); ok != found || found && got != want {
			t.Errorf("value %d of q is %q, %v", i, got, ok)
		}
		if found && (e.query.asked != "q" || e.query.found.i != i) {
			t.Errorf("after value %d the place is %+v", i, e.query.found)
		}
		if got, ok := e.parameter("r", i); ok != (i < 50) || ok && got != "2" {
			t.Errorf("value %d of r is %q, %v", i, got, ok)
		}
	}
	for _, c := range []struct {
		i    int
		want string
	}{{0, "1"}, {1, "3"}, {2, ""}, {1, "3"}, {0, "1"}, {1, "3"}} {
		if got, _ := e.header("a", c.i); got != c.want {
			t.Errorf("value %d of a is %q, want %q", c.i, got, c.want)
		}
	}
}

// TestQueriesDoNotAllocate holds that requests with a query of usual size find its memory in place.
func TestQueriesDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what it is given")
	}
	w := newWorld(t)
	w.service.Policy = authPolicy(t,
		allowAll+`,"Condition":{"ForAllValues:StringEquals":{"vpc-lattice-svcs:RequestQueryString/q":["a b"]}}`)
	r := w.request("/?" + strings.Repeat("q=a%20b&Q=a+b&x=y&", 20))
	if n := testing.AllocsPerRun(100, func() {
		if d := w.guard.Authorize(r); !d.Allowed {
			t.Fatal(d.Refusal)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkQuery(b *testing.B) {
	for name, raw := range map[string]string{
		"usual": "day=1&zone=3&q=x", "one name": strings.Repeat("q&", 27_000), "names": strings.Repeat("ab&cd&ef&gh&", 4_500),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var q query
			for b.Loop() {
				q.reset()
				q.read(raw)
				q.value("q", 0)
			}
		})
	}
}
