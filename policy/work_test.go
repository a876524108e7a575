package policy

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// costly are documents and requests that cost much, one for each thing that can.
func costly() map[string]struct {
	document string
	request  *Request
} {
	type one = struct {
		document string
		request  *Request
	}
	repeat := func(value string, to int) string {
		n := (to + len(value)) / (len(value) + 3)
		return "[" + strings.TrimSuffix(strings.Repeat(`"`+value+`",`, n), ",") + "]"
	}
	on := func(operator, key, operands string) string {
		return document("Allow", fmt.Sprintf(`{%q: {%q: %s}}`, operator, key, operands))
	}
	resource := func(pattern string) string {
		return fmt.Sprintf(`{"Version": "2012-10-17",
			"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": %s}}`, pattern)
	}
	statements := func(condition string) string {
		one := `{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": ` + condition + `}`
		return `{"Version": "2012-10-17", "Statement": [` + strings.Repeat(one+",", 9_000/len(one)) + one + `]}`
	}
	const path = 55_000
	long := func(unit string) string { return strings.Repeat(unit, path/len(unit)) }
	about := func(value string) *Request {
		return &Request{Action: "a:b", Resource: "arn:aws:a:r:1:x/" + value, Context: Values{"t:v": {value}, "t:e": {""},
			"t:a": {"a"}}}
	}
	each := func(value string) *Request {
		return &Request{Action: "a:b", Resource: "*", Context: values(func(int) string { return value })}
	}
	return map[string]one{
		"many values, one operand":   {on("ForAllValues:StringEquals", "t:k", `"1"`), each("1")},
		"many values, many operands": {on("ForAllValues:StringNotEquals", "t:k", repeat("x", 9_000)), each("1")},
		"many values, few operands": {on("ForAllValues:StringNotEquals", "t:k", `["a","b","c","d","e","f"]`),
			each("1")},
		"many values, folded": {on("ForAllValues:StringNotEqualsIgnoreCase", "t:k", repeat("x", 9_000)),
			each("y")},
		"many values, patterns":     {on("ForAllValues:StringNotLike", "t:k", repeat("*x", 9_000)), each("1")},
		"many values, runs":         {on("ForAllValues:StringNotLike", "t:k", repeat("*x*", 9_000)), each("1")},
		"many values, numbers":      {on("ForAllValues:NumericNotEquals", "t:k", repeat("2", 9_000)), each("1")},
		"many values, dates":        {on("ForAllValues:DateNotEquals", "t:k", `"2026"`), each("2025")},
		"many values, no dates":     {statements(`{"ForAllValues:DateEquals": {"t:k": "2026"}}`), each("x")},
		"many values, addresses":    {on("ForAllValues:NotIpAddress", "t:k", `"10.0.0.0/8"`), each("1.1.1.1")},
		"many values, no addresses": {on("ForAnyValue:IpAddress", "t:k", `"10.0.0.0/8"`), each("1.1.1.1.1")},
		"many values, ARNs": {on("ForAllValues:ArnNotLike", "t:k", repeat("arn:*:*:*:*:x*", 9_000)),
			each("arn:::::y")},
		"many values, variables":            {on("ForAllValues:StringNotLike", "t:k", repeat("${t:a}", 9_000)), each("1")},
		"many statements, many values":      {statements(`{"ForAllValues:StringNotEquals": {"t:k": "2"}}`), each("1")},
		"one long value, searched":          {on("StringNotLike", "t:v", repeat("*b*", 9_000)), about(long("a"))},
		"one long value, searched for more": {on("StringNotLike", "t:v", repeat("*aab*", 9_000)), about(long("a"))},
		"one long value, searched in vain": {on("StringNotLike", "t:v", `"*`+strings.Repeat("a", 70)+`b*"`),
			about(long("a"))},
		"one long value, searched for 20": {on("StringNotLike", "t:v", repeat("*"+strings.Repeat("a", 18)+"b*", 9_000)),
			about(long("a"))},
		"one long value, searched for 15": {on("StringNotLike", "t:v", repeat("*"+strings.Repeat("a", 14)+"b*", 9_000)),
			about(long("a"))},
		"one long value, searched for 8": {on("StringNotLike", "t:v", repeat("*"+strings.Repeat("a", 7)+"b*", 9_000)),
			about(long("a"))},
		"one long value, ? before text": {on("StringNotLike", "t:v", repeat("*a?a?a?a?a?a?b*", 9_000)), about(long("a"))},
		"one long value, 70 ? after text": {on("StringNotLike", "t:v", `"*`+strings.Repeat("a?", 35)+`b*"`),
			about(long("a"))},
		"one long value, searched for 60": {on("StringNotLike", "t:v", repeat("*"+strings.Repeat("a", 59)+"b*", 9_000)),
			about(long("a"))},
		"one long value, ? after text": {on("StringNotLike", "t:v", `"*a?a?a?a?a?a?b*"`), about(long("a"))},
		"one long value, many ? after text": {on("StringNotLike", "t:v", `"*`+strings.Repeat("a?", 4_000)+`b*"`),
			about(long("a"))},
		"one long value, no text": {on("StringNotLike", "t:v", `"*${t:e}?${t:e}?x*"`), about(long("a"))},
		"one long value, accents": {on("StringNotLike", "t:v", `"*é?é?é?b*"`), about(long("é"))},
		"one long value, long ?": {on("StringNotLike", "t:v", repeat(strings.Repeat("?", 300), 9_000)),
			about(long("a"))},
		"one long value, ends": {on("StringNotLike", "t:v", repeat("*"+strings.Repeat("?", 300), 9_000)),
			about(long("a"))},
		"one long value, many runs": {on("StringNotLike", "t:v", `"`+strings.Repeat("*a", 4_000)+`b"`),
			about(long("a"))},
		"one long value, variables": {on("StringNotLike", "t:v", `"`+strings.Repeat("*${t:a}", 1_200)+`b"`),
			about(long("a"))},
		"one long value, itself":          {on("StringNotLike", "t:v", repeat("${t:v}b", 9_000)), about(long("a"))},
		"one long value, it itself twice": {on("StringNotLike", "t:v", repeat("*${t:v}?", 9_000)), about(long("a"))},
		"one long value, digits":          {statements(`{"NumericNotEquals": {"t:v": "2"}}`), about(long("1"))},
		"one long value, fraction": {statements(`{"DateNotEquals": {"t:v": "2026"}}`),
			about("2026-01-02T03:04:05." + long("1"))},
		"one long value, colons":    {on("ArnNotLike", "t:v", repeat("arn:*:*:*:*:*x*", 9_000)), about("arn:" + long(":"))},
		"resource, runs in parts":   {resource(repeat("arn:aws:a:*:*?*?*?*:*y*", 9_000)), about(long("a"))},
		"resource, runs over parts": {resource(repeat("arn:aws:a:*:*:*:*y*", 9_000)), about(long(":"))},
		"resource, folded":          {resource(repeat("arn:aws:a:*:*:x/*b*", 9_000)), about(long("a"))},
	}
}

// TestNothingTakesLong holds that no evaluation spends more than MaxWork, and not much more in one step.
func TestNothingTakesLong(t *testing.T) {
	for name, c := range costly() {
		kind := Identity
		if strings.Contains(c.document, `"Principal"`) {
			kind = Resource
		}
		p := compile(t, c.document, kind)
		p.Evaluate(c.request)
		if c.request.work > MaxWork+MaxWork/4 {
			t.Errorf("%s: %d steps, want %d at most", name, c.request.work, MaxWork)
		}
	}
}

// processorTime is what the process has used so far.
func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkWork measures what a step takes, in everything that costs many.
func BenchmarkWork(b *testing.B) {
	for name, c := range costly() {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			kind := Identity
			if strings.Contains(c.document, `"Principal"`) {
				kind = Resource
			}
			p := compile(b, c.document, kind)
			before := processorTime()
			for b.Loop() {
				p.Evaluate(c.request)
			}
			spent := processorTime() - before
			b.ReportMetric(float64(c.request.work), "steps")
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/float64(c.request.work), "ns/step")
		})
	}
}
