package policy

import (
	"encoding/json"
	"strings"
	"testing"
)

// The quotas of documents and of a request's head.
const (
	quotaDocument = 10_240
	quotaHead     = 60 << 10
)

// FuzzWork looks for time: no document and request within the quotas may cost more than MaxWork, which BenchmarkWork
// holds against a millisecond, or much more than that in one step. A document is made of an operator, a unit that is
// repeated as a pattern and the number of patterns; a request of a unit that is repeated as a value and the number of
// values.
func FuzzWork(f *testing.F) {
	f.Add("StringLike", "*a?", uint16(40), uint16(20), "a", uint16(10_000), uint16(3))
	f.Add("ForAllValues:StringNotEquals", "x", uint16(1), uint16(900), "y", uint16(1), uint16(30_000))
	f.Add("ArnLike", "arn:*:*?*:*:*:*", uint16(1), uint16(300), "arn:a", uint16(9), uint16(500))
	f.Add("Resource", "*?*:", uint16(9), uint16(30), ":", uint16(50_000), uint16(1))
	f.Add("NumericEquals", "1", uint16(300), uint16(30), "1", uint16(300), uint16(200))
	f.Add("DateLessThan", "2026-01-01T00:00:00.", uint16(1), uint16(30), "2026-01-01T00:00:00.11111", uint16(1),
		uint16(2_000))
	f.Add("NotIpAddress", "10.0.0.0/8", uint16(1), uint16(600), "1.1.1.1.", uint16(2), uint16(3_000))
	f.Add("ForAnyValue:StringLikeIfExists", "*${t:k}?", uint16(5), uint16(100), "ab", uint16(2), uint16(9_000))
	f.Add("StringEqualsIgnoreCase", "\u212a", uint16(100), uint16(20), "k", uint16(100), uint16(500))
	f.Fuzz(func(t *testing.T, operator, unit string, length, patterns uint16, value string, long, values uint16) {
		pattern := repeated(unit, int(length), quotaDocument)
		n := min(max(1, int(patterns)), quotaDocument/(len(pattern)+3)+1)
		list := make([]string, n)
		for i := range list {
			list[i] = pattern
		}
		text := repeated(value, int(long), quotaHead)
		r := &Request{
			Action: "a:b", Resource: "arn:aws:a:r:1:x/" + text,
			Context: many{text, min(max(1, int(values)), quotaHead/(len(text)+2)+1)},
		}
		quoted, _ := json.Marshal(list)
		statement := `{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"` + operator + `": {"t:k": ` +
			string(quoted) + `}}}`
		if operator == "Resource" || operator == "NotResource" {
			statement = `{"Effect": "Deny", "Action": "*", "` + operator + `": ` + string(quoted) + `}`
		}
		d, err := Parse([]byte(`{"Version": "2012-10-17", "Statement": [`+statement+`]}`), Identity, quotaDocument)
		if err != nil {
			return
		}
		p := Compile(d)
		before := processorTime()
		v := p.Evaluate(r)
		if took := processorTime() - before; took.Seconds() > 0.1 {
			t.Errorf("%v for %d steps", took, r.work) // a hundred times what it may take, so that it is no accident
		}
		if r.work > MaxWork+MaxWork/2 {
			t.Errorf("%d steps", r.work)
		}
		if r.exhausted() && v != (Verdict{Deny, -1}) {
			t.Errorf("%d steps, and the verdict is %v", r.work, v)
		}
	})
}

// repeated is a unit as often as asked for, within a bound.
func repeated(unit string, times, most int) string {
	if unit == "" {
		return ""
	}
	return strings.Repeat(unit, min(max(1, times), max(1, most/len(unit))))
}

// many is a Context with one key that has one value many times.
type many struct {
	value string
	n     int
}

func (m many) Value(key Key, i int) (string, bool) {
	if key.Name() != "t:k" || i >= m.n {
		return "", false
	}
	return m.value, true
}
