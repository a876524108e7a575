package api

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"pergola/aws"
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
	for version, want := range map[string]string{"": awsJSONType,
		"application/x-amz-json-1.0": "application/x-amz-json-1.0"} {
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

// TestTimesInRequests has times as the protocols write them.
func TestTimesInRequests(t *testing.T) {
	type request struct {
		At *aws.Timestamp `json:"At"`
	}
	for _, c := range []struct {
		from  any
		want  string
		fault string
	}{
		{json.Number("1700000000.25"), "2023-11-14T22:13:20.25Z", ""},
		{json.Number("-1"), "1969-12-31T23:59:59Z", ""},
		{"2023-11-14T22:13:20.25Z", "2023-11-14T22:13:20.25Z", ""},
		{text("2023-11-14T23:13:20+01:00"), "2023-11-14T22:13:20Z", ""},
		{"yesterday", "", `must be a time such as 2030-01-31T12:00:00Z, is "yesterday"`},
		{json.Number("1e300"), "", "must be a time in seconds since 1970, is a number"},
		{json.Number("NaN"), "", "must be a time in seconds since 1970, is a number"},
		{true, "", "must be a time in seconds since 1970, is a truth value"},
		{object{"a": "b"}, "", "must be a time in seconds since 1970, is an object"},
	} {
		var b binding
		in := request{}
		b.structure(reflect.ValueOf(&in).Elem(), newShape(reflect.TypeFor[request]()), "",
			func(*member) any { return c.from })
		switch {
		case c.fault != "":
			if len(b.faults) != 1 || b.faults[0].Message != c.fault {
				t.Errorf("%v: got %v, want %s", c.from, b.faults, c.fault)
			}
		case len(b.faults) > 0 || in.At.Format(time.RFC3339Nano) != c.want:
			t.Errorf("%v: got %v and %v, want %s", c.from, in.At, b.faults, c.want)
		}
	}
}
