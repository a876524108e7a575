package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pergola/internal/apimodel"
)

const publishedDances = `{"metadata":{"apiVersion":"1","protocol":"ec2","serviceId":"x"},"documentation":"words","operations":{
"Dance":{"name":"Dance","http":{"method":"POST","requestUri":"/"},"input":{"shape":"In"},"output":{"shape":"Out"},
 "documentation":"words","errors":[{"shape":"Tired"}]},
"Sing":{"http":{"method":"POST","requestUri":"/"}}},
"shapes":{"In":{"type":"structure","required":["Step"],"documentation":"words","members":{
 "Step":{"shape":"Step","locationName":"step","documentation":"words"},"Partner":{"shape":"Person"},"Shoes":{"shape":"Step"}}},
"Out":{"type":"structure","members":{"Mood":{"shape":"Mood","locationName":"mood"}}},
"Mood":{"type":"string","enum":["good","bad"]},
"Person":{"type":"structure","members":{"Name":{"shape":"Step"}}},
"Step":{"type":"string","max":5},"Tired":{"type":"structure"}}}`

func renewed(t *testing.T, kept *apimodel.Model, wanted ...string) (lines, news []string) {
	t.Helper()
	p := &published{}
	if err := json.Unmarshal([]byte(publishedDances), p); err != nil {
		t.Fatal(err)
	}
	news, err := renew(kept, p, wanted)
	if err != nil {
		t.Fatal(err)
	}
	written, err := kept.Write()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(written), "\n"), news
}

// TestRenewal takes in an operation, loses a member and changes a note as a developer would, and renews.
func TestRenewal(t *testing.T) {
	kept := &apimodel.Model{Metadata: apimodel.Metadata{Protocol: "ec2"}}
	lines, news := renewed(t, kept, "Dance")
	for _, want := range []string{`"Step": {"shape":"Step","required":true,"locationName":"step"},`,
		`"Partner": {"shape":"Person"},`, `"Mood": {"type":"string","open":true}}}`, `"Step": {"type":"string","max":5},`} {
		if !slices.Contains(lines, want) {
			t.Errorf("%s is not in\n%s", want, strings.Join(lines, "\n"))
		}
	}
	if text := strings.Join(lines, ""); strings.Contains(text, "words") || strings.Contains(text, "Tired") ||
		len(news) > 0 {
		t.Errorf("more than the facts: %v %s", news, text)
	}

	in := kept.Shapes.By["In"]
	in.Members.Delete("Partner")
	in.Members.Delete("Shoes")
	in.Members.By["Step"].Go = "Pace"
	lines, news = renewed(t, kept)
	if !slices.Equal(news, []string{"left out: In.Partner", "left out: In.Shoes"}) {
		t.Errorf("got %v", news)
	}
	for _, want := range []string{`"In": {"type":"structure","left":["Partner","Shoes"], "members": {`,
		`"Step": {"shape":"Step","required":true,"locationName":"step","go":"Pace"}}},`} {
		if !slices.Contains(lines, want) {
			t.Errorf("%s is not in\n%s", want, strings.Join(lines, "\n"))
		}
	}
	if kept.Shapes.By["Person"] != nil {
		t.Error("a shape stays to which nothing leads")
	}

	if _, news = renewed(t, kept, "In.Partner"); len(news) > 0 || kept.Shapes.By["Person"] == nil ||
		!slices.Equal(in.Left, []string{"Shoes"}) {
		t.Errorf("got %v, left out %v", news, in.Left)
	}
}

// TestRun makes a file, and refuses what is not published.
func TestRun(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "service-2.json"), filepath.Join(t.TempDir(), "model.json")
	if err := os.WriteFile(from, []byte(publishedDances), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ wanted, fault string }{
		{"Dance", ""}, {"Sing", ""}, {"Jump", "there is no operation Jump"}, {"In.Hat", "has a member In.Hat"},
	} {
		err := run(from, to, []string{c.wanted})
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v", c.wanted, err)
		}
	}
	if m, err := apimodel.Read(to); err != nil || !slices.Equal(m.Operations.Names, []string{"Dance", "Sing"}) {
		t.Errorf("got %v, %v", m, err)
	}
}
