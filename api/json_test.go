package api

import (
	"strings"
	"testing"
)

// TestBodiesAreBounded holds that a body cannot become many times its size in memory: one for Lambda may have 70 MB.
func TestBodiesAreBounded(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"many values":       {`{"a":[` + strings.Repeat("0,", maxValues) + `0]}`, "it has more than 100000 values"},
		"many members":      {`{` + strings.Repeat(`"":[],`, maxValues) + `"a":0}`, "twice"},
		"many objects":      {`{"a":[` + strings.Repeat("{},", maxValues) + `{}]}`, "it has more than 100000 values"},
		"as many as may":    {`{"a":[` + strings.Repeat("0,", maxValues-3) + `0]}`, ""},
		"deep":              {strings.Repeat(`{"a":`, maxDepth+1) + "0" + strings.Repeat("}", maxDepth+1), "nests deeper"},
		"as deep as it may": {strings.Repeat(`{"a":`, maxDepth) + "0" + strings.Repeat("}", maxDepth), ""},
	} {
		switch _, err := parseJSON([]byte(c.body)); {
		case err == nil && c.want != "", err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
