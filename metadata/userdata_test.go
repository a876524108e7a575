package metadata

import "testing"

// TestFault_D8_UserDataIsServed asks for the user data of an instance that has some, and of one that has none.
func TestFault_D8_UserDataIsServed(t *testing.T) {
	with := web()
	with.UserData = "#!/bin/sh\necho hello\n"
	for _, c := range []struct {
		instance Instance
		status   int
		body     string
	}{{with, 200, with.UserData}, {web(), 404, ""}} {
		w := newWorld(t, c.instance)
		status, body := w.get("/latest/user-data")
		if status != c.status || c.status == 200 && body != c.body {
			t.Errorf("%d %q, want %d %q", status, body, c.status, c.body)
		}
	}
}
