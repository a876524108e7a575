package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/fabric"
)

// TestMain lets the test binary be what this program starts: itself.
func TestMain(m *testing.M) {
	fabric.Main()
	if len(os.Args) > 1 && os.Args[1] == childCommand {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// TestPropagation runs the measurement on a small deployment.
func TestPropagation(t *testing.T) {
	var out strings.Builder
	err := run(t.Context(), []string{"-propagation", "-services", "20", "-rules", "3", "-changes", "3"}, &out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"20 services with 3 rules each", "3 rules created and deleted", "CreateRule answers", "memory: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for _, test := range []struct{ arguments, want string }{
		{"-subjects nosuch", "subject"},
		{"more", `unexpected argument "more"`},
		{"-rounds 0", "at least 1"},
		{"-propagation -rules 0", "at least 1"},
		{"child", "what to be"},
		{"child nosuch", "subject"},
		{"child estate", "directory"},
	} {
		err := run(context.Background(), strings.Fields(test.arguments), new(strings.Builder))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: the error is %v, want one with %q", test.arguments, err, test.want)
		}
	}
}

func TestTable(t *testing.T) {
	sample := table{"µs", []string{"subject", "p50"}, [][]string{{"a", "1 µs"}, {"longer name", "2"}}}
	for markdown, want := range map[bool]string{
		false: "\nµs\n\nsubject      p50\na            1 µs\nlonger name  2\n\n",
		true:  "\nµs\n\n| subject     | p50  |\n| ----------- | ---- |\n| a           | 1 µs |\n| longer name | 2    |\n\n",
	} {
		var out strings.Builder
		if sample.print(&out, markdown); out.String() != want {
			t.Errorf("Markdown %t:\n%s\nwant:\n%s", markdown, out.String(), want)
		}
	}
}

func TestMeasurement(t *testing.T) {
	for want, m := range map[string]measurement{
		"2.00 (1.00–10.0)":    {10, 1, 2},
		"1.50 (1.00–2.00)":    {2, 1},
		"12346 (12346–12346)": {12345.6},
		"0 (0–0)":             {0},
		"0.123 (0.123–0.123)": {0.1234},
	} {
		if m.String() != want {
			t.Errorf("%v is %s, want %s", []float64(m), m, want)
		}
	}
}

func TestQuantile(t *testing.T) {
	var times []time.Duration
	for i := range 101 {
		times = append(times, time.Duration(100-i)*time.Millisecond)
	}
	if got := fmt.Sprint(distribution("x", times)); got != "[x 0.00 50.00 90.00 99.00 100.00]" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(distribution("none", nil)); got != "[none 0.00 0.00 0.00 0.00 0.00]" {
		t.Errorf("got %s", got)
	}
}
