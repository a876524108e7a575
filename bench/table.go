package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// table is a table of results.
type table struct {
	title  string
	header []string
	rows   [][]string
}

// print prints the table with aligned columns, as text or as Markdown, which looks the same but for its rules.
func (t table) print(out io.Writer, markdown bool) {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	before, between, after := "", "  ", ""
	if markdown {
		before, between, after = "| ", " | ", " |"
	}
	line := func(row []string) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		}
		fmt.Fprintln(out, strings.TrimRight(before+strings.Join(cells, between)+after, " "))
	}
	fmt.Fprintf(out, "\n%s\n\n", t.title)
	line(t.header)
	if markdown {
		rule := make([]string, len(widths))
		for i, width := range widths {
			rule[i] = strings.Repeat("-", width)
		}
		line(rule)
	}
	for _, row := range t.rows {
		line(row)
	}
	fmt.Fprintln(out)
}

// measurement is one figure, with a value for each round.
type measurement []float64

func (m measurement) median() float64 {
	sorted := slices.Sorted(slices.Values(m))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// ratios are the ratios to another figure, round by round: a machine that is slower for a while is so for both.
func (m measurement) ratios(to measurement) measurement {
	ratios := make(measurement, min(len(m), len(to)))
	for i := range ratios {
		ratios[i] = m[i] / to[i]
	}
	return ratios
}

// String is the median with the range.
func (m measurement) String() string {
	return fmt.Sprintf("%s (%s–%s)", short(m.median()), short(slices.Min(m)), short(slices.Max(m)))
}

// short writes a number with three digits or more.
func short(f float64) string {
	digits := 0
	if f > 0 {
		digits = max(0, 2-int(math.Floor(math.Log10(f))))
	}
	return fmt.Sprintf("%.*f", min(digits, 3), f)
}

// quantile is a quantile of sorted times, the nearest of those that were measured.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(math.Round(q*float64(len(sorted)-1)))]
}

// distribution is what is printed of times.
func distribution(name string, times []time.Duration) []string {
	sorted := slices.Sorted(slices.Values(times))
	row := []string{name}
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 1} {
		row = append(row, fmt.Sprintf("%.2f", quantile(sorted, q).Seconds()*1000))
	}
	return row
}
