package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// aReport has one scenario with figures of two subjects.
func aReport() report {
	return report{[]result{{
		Scenario: "plain", Title: "Plain", Columns: []column{{"CPU", true}, {"share", false}},
		Rows: []row{{subjectPergola, []measurement{{15, 15, 16}, {99}}}, {subjectNginx, []measurement{{10, 20, 8}, {98}}}},
	}}}
}

func TestReport(t *testing.T) {
	name := filepath.Join(t.TempDir(), "report")
	empty, err := readReport(name)
	if err != nil || len(empty.Results) != 0 {
		t.Fatalf("a report that is not there is %v, %v", empty, err)
	}
	kept := aReport()
	if err := kept.keep(comparison{results: name}); err != nil {
		t.Fatal(err)
	}
	read, err := readReport(name)
	if err != nil || fmt.Sprint(read) != fmt.Sprint(kept) {
		t.Errorf("%v is read as %v, %v", kept, read, err)
	}
	newer := aReport().Results[0]
	newer.Title = "Newer"
	read.add(newer)
	read.add(result{Scenario: scenarios[2].name})
	read.add(result{Scenario: scenarios[1].name})
	if len(read.Results) != 3 || read.Results[0].Title != "Newer" || read.Results[1].Scenario != scenarios[1].name {
		t.Errorf("got %v, want what is newer, and all in the order of the table", read)
	}
	if err := os.WriteFile(name, []byte("["), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readReport(name); err == nil || !strings.Contains(err.Error(), "not understood") {
		t.Errorf("the error is %v", err)
	}
}

func TestReportTable(t *testing.T) {
	var out strings.Builder
	aReport().Results[0].print(&out, false)
	want := "\nPlain\n\n" +
		"subject  CPU                     share\n" +
		"pergola  15.0 (15.0–16.0) ×1.50  99.0 (99.0–99.0)\n" +
		"nginx    10.0 (8.00–20.0) ×1.00  98.0 (98.0–98.0)\n\n"
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

// The plot is XML, and has a bar for each subject but nginx, which is the axis.
func TestPlot(t *testing.T) {
	drawn := string(aReport().svg())
	for decoder := xml.NewDecoder(strings.NewReader(drawn)); ; {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v:\n%s", err, drawn)
		}
	}
	if strings.Count(drawn, "<title>") != 1 || !strings.Contains(drawn, "<title>plain, pergola: 1.50</title>") {
		t.Errorf("got:\n%s", drawn)
	}
	if strings.Contains(string((&report{}).svg()), "<title>") {
		t.Error("an empty report has bars")
	}
}

// TestDocument: the document says what was measured, and the plot draws it.
func TestDocument(t *testing.T) {
	const page, kept, drawn = "../docs/performance.md", "../docs/performance.json", "../docs/performance.svg"
	read := func(name string) string {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	report, err := readReport(kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range report.Results {
		var out strings.Builder
		result.print(&out, true)
		table := out.String()[strings.Index(out.String(), "|"):]
		if !strings.Contains(read(page), strings.TrimSpace(table)) {
			t.Errorf("%s lacks the table of %s in %s:\n%s", page, result.Scenario, kept, table)
		}
	}
	if len(report.Results) != len(scenarios) {
		t.Errorf("%s has %d results, want one for each of %d scenarios", kept, len(report.Results), len(scenarios))
	}
	if read(drawn) != string(report.svg()) {
		t.Errorf("%s is not drawn from %s; run go run ./bench -scenarios '' -results %s -plot %s", drawn, kept, kept, drawn)
	}
}
