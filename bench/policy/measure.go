package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// comparison is one thing that several contenders do. The first of them is what the others are compared with.
type comparison struct {
	title      string
	contenders []contender
}

// contender does it once.
type contender struct {
	name string
	run  func() error
}

// figures are what one contender needs for one run.
type figures struct {
	nanoseconds []float64 // one for each round
	allocations float64
	bytes       float64
}

// measure lets the contenders of a comparison take turns, and returns the figures of each.
func (c comparison) measure(o options) ([]figures, error) {
	all := make([]figures, len(c.contenders))
	for range o.rounds {
		for i, contender := range c.contenders {
			if err := all[i].add(contender, o.duration); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", c.title, contender.name, err)
			}
		}
	}
	return all, nil
}

// add measures one round of at least a duration. Collecting the garbage of the round is part of it.
func (f *figures) add(c contender, duration time.Duration) error {
	const batch = 100 // so that looking at the clock costs nothing
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	elapsed, runs := time.Duration(0), 0
	for start := time.Now(); elapsed < duration; elapsed = time.Since(start) {
		for range batch {
			if err := c.run(); err != nil {
				return err
			}
		}
		runs += batch
	}
	runtime.ReadMemStats(&after)
	f.nanoseconds = append(f.nanoseconds, float64(elapsed)/float64(runs))
	f.allocations = float64(after.Mallocs-before.Mallocs) / float64(runs)
	f.bytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(runs)
	return nil
}

// median is the median of the rounds.
func (f *figures) median() float64 {
	sorted := slices.Sorted(slices.Values(f.nanoseconds))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// rows are the lines of a comparison in a table.
func (c comparison) rows(all []figures) [][]string {
	rows := make([][]string, len(all))
	for i, f := range all {
		rows[i] = []string{c.title, c.contenders[i].name,
			fmt.Sprintf("%.0f (%.0f–%.0f)", f.median(), slices.Min(f.nanoseconds), slices.Max(f.nanoseconds)),
			fmt.Sprintf("×%.2f", f.median()/all[0].median()),
			fmt.Sprintf("%.0f", f.allocations), fmt.Sprintf("%.0f", f.bytes)}
	}
	return rows
}

// printTable prints rows with aligned columns, as text or as Markdown.
func printTable(out io.Writer, markdown bool, rows [][]string) error {
	header := []string{"request", "by", "ns", "ratio", "allocations", "bytes"}
	before, between, after := "", "\t", "\n"
	if markdown {
		before, between, after = "| ", "\t| ", "\t|\n"
		rows = slices.Insert(rows, 0, slices.Repeat([]string{"---"}, len(header)))
	}
	table := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	if !markdown {
		table.Init(out, 0, 0, 2, ' ', 0)
	}
	for _, row := range slices.Insert(rows, 0, header) {
		fmt.Fprint(table, before+strings.Join(row, between)+after)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}
