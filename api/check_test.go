package api

import (
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// TestChecksOfStrings reads tags as internal/generate writes them.
func TestChecksOfStrings(t *testing.T) {
	for _, c := range []struct{ tag, value, fault string }{
		{"len=2..", "ab", ""},
		{"len=2..", "a", "must have at least 2 characters, has 1"},
		{"len=..2", "", ""},
		{"len=..2", "äbc", "must have at most 2 characters, has 3"},
		{"len=1..2", "", "must have 1 to 2 characters, has 0"},
		{"match=[a-z%2C]+%28-%29?", "a,b", ""},
		{"match=[a-z%2C]+%28-%29?", "a-", ""},
		{"match=[a-z%2C]+%28-%29?", "a--", `must match [a-z,]+(-)?, is "a--"`},
		{"match=a|b", "ab", `must match a|b, is "ab"`},
		{"len=1..,match=%25", "%", ""},
	} {
		checks, err := parseChecks(c.tag)
		if err != nil {
			t.Errorf("%s: %v", c.tag, err)
			continue
		}
		if got := checks.stringFault(c.value); got != c.fault {
			t.Errorf("%s of %q: got %q, want %q", c.tag, c.value, got, c.fault)
		}
	}
	for _, tag := range []string{"match=%zz", "match=[", "len=a..", "len=3..2", "len=3"} {
		if _, err := parseChecks(tag); err == nil {
			t.Errorf("%s is taken", tag)
		}
	}
}

func TestChecksOfNumbers(t *testing.T) {
	for _, c := range []struct {
		tag   string
		value int64
		fault string
	}{
		{"range=1..", 1, ""}, {"range=1..", 0, "must be at least 1, is 0"}, {"range=..5", -1 << 62, ""},
		{"range=..5", 6, "must be at most 5, is 6"}, {"range=1..5", 6, "must be from 1 to 5, is 6"},
	} {
		checks, err := parseChecks(c.tag)
		if err != nil {
			t.Fatal(err)
		}
		if got := checks.numberFault(c.value); got != c.fault {
			t.Errorf("%s of %d: got %q, want %q", c.tag, c.value, got, c.fault)
		}
	}
}

// TestHeadOfAnswers has an answer with members outside of its body.
func TestHeadOfAnswers(t *testing.T) {
	type answer struct {
		Status  int    `status:"StatusCode"`
		Version string `header:"X-Version"`
		Absent  string `header:"X-Absent"`
		Log     []byte `header:"X-Log"`
		Payload []byte `payload:"Payload"`
	}
	op := operation{status: 200, head: newHeadShape(reflect.TypeFor[answer]())}
	for _, c := range []struct {
		output answer
		status int
		fields string
	}{
		{answer{Status: 202, Version: "7", Log: []byte("end"), Payload: []byte("said")}, 202, "7  ZW5k"},
		{answer{Payload: []byte("said")}, 200, "  "},
	} {
		w := httptest.NewRecorder()
		if err := (restJSON{}).answer(w, &op, &c.output, ""); err != nil {
			t.Fatal(err)
		}
		fields := []string{w.Header().Get("X-Version"), w.Header().Get("X-Absent"), w.Header().Get("X-Log")}
		if got := strings.Join(fields, " "); w.Code != c.status || got != c.fields || w.Body.String() != "said" {
			t.Errorf("got %d %q %s", w.Code, got, w.Body)
		}
	}
}

// TestVersionsOfAWSJSON has answers and errors in the version that a service speaks.
func TestVersionsOfAWSJSON(t *testing.T) {
	for version, want := range map[string]string{"": awsJSONType, "application/x-amz-json-1.0": "application/x-amz-json-1.0"} {
		p := newAWSJSON(jsonStyle{prefix: "X", version: version}, nil)
		for name, send := range map[string]func(*httptest.ResponseRecorder){
			"answer": func(w *httptest.ResponseRecorder) {
				if err := p.answer(w, &operation{name: "Dance"}, &struct{}{}, ""); err != nil {
					t.Fatal(err)
				}
			},
			"error": func(w *httptest.ResponseRecorder) { p.refuse(w, unavailable("later"), "") },
		} {
			w := httptest.NewRecorder()
			send(w)
			if got := w.Header().Get("Content-Type"); got != want {
				t.Errorf("%s of version %q: got %s", name, version, got)
			}
		}
	}
}
