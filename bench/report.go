package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// report is what has been measured, scenario by scenario. What is compared was measured in one run.
type report struct {
	Results []result `json:"results"`
}

// result is a scenario's.
type result struct {
	Scenario string   `json:"scenario"`
	Title    string   `json:"title"`
	Columns  []column `json:"columns"`
	Rows     []row    `json:"rows"`
}

// column is something that is measured.
type column struct {
	Name string `json:"name"`
	// Ratio says that the ratio to nginx tells something.
	Ratio bool `json:"ratio"`
}

// row is what is measured of one subject, by column.
type row struct {
	Subject string        `json:"subject"`
	Figures []measurement `json:"figures"`
}

// readReport reads a report; where there is no file, or no name, it is empty.
func readReport(name string) (r report, err error) {
	if name == "" {
		return r, nil
	}
	content, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return r, fmt.Errorf("%s is not understood: %w", name, err)
	}
	return r, nil
}

// keep writes the report, and draws it, into the files that are asked for.
func (r *report) keep(c comparison) error {
	if c.results != "" {
		content, err := json.MarshalIndent(r, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.results, append(content, '\n'), 0o644); err != nil {
			return err
		}
	}
	if c.plot == "" {
		return nil
	}
	return os.WriteFile(c.plot, r.svg(), 0o644)
}

// reprint prints, and draws, what was measured before.
func reprint(o options, out io.Writer) error {
	r, err := readReport(o.comparison.results)
	if err != nil {
		return err
	}
	for _, result := range r.Results {
		result.print(out, o.markdown)
	}
	return r.keep(o.comparison)
}

// add adds a result, in place of an older one of the same scenario.
func (r *report) add(new result) {
	for i := range r.Results {
		if r.Results[i].Scenario == new.Scenario {
			r.Results[i] = new
			return
		}
	}
	r.Results = append(r.Results, new)
	slices.SortStableFunc(r.Results, func(a, b result) int { return scenarioOrder(a.Scenario) - scenarioOrder(b.Scenario) })
}

// of is what was measured of a subject; nil if nothing was.
func (r result) of(subject string) []measurement {
	for _, row := range r.Rows {
		if row.Subject == subject {
			return row.Figures
		}
	}
	return nil
}

// print prints a result as a table.
func (r result) print(out io.Writer, markdown bool) {
	t := table{title: r.Title, header: []string{"subject"}}
	for _, column := range r.Columns {
		t.header = append(t.header, column.Name)
	}
	reference := r.of(subjectNginx)
	for _, row := range r.Rows {
		cells := []string{row.Subject}
		for i, m := range row.Figures {
			cell := m.String()
			if reference != nil && r.Columns[i].Ratio {
				cell += fmt.Sprintf(" ×%.2f", m.ratios(reference[i]).median())
			}
			cells = append(cells, cell)
		}
		t.rows = append(t.rows, cells)
	}
	t.print(out, markdown)
}
