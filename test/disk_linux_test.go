package test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFault_A5_AFailingDiskEndsTheStoreAlone lets the writes of the process with the store fail from a moment on. It
// ends and comes back, with all that was acknowledged, and the node goes on.
func TestFault_A5_AFailingDiskEndsTheStoreAlone(t *testing.T) {
	s := newWorkplace(t).launch("", nil, "--network", "loopback")
	s.ready()
	api := s.api()
	node := s.process("node")
	var kept []string
	for round := range 3 {
		control := s.process("control")
		made, err := makeNetwork(api, fmt.Sprint("kept-", round))
		s.must(err)
		kept = append(kept, made.ID)
		none := unix.Rlimit{} // no file may grow: each write of the log and of the database fails
		s.must(unix.Prlimit(control, unix.RLIMIT_FSIZE, &none, nil))
		if _, err := makeNetwork(api, fmt.Sprint("lost-", round)); err == nil {
			t.Error("a write was acknowledged that cannot be on the disk")
		}
		s.until("another process has the store", func() bool { return s.process("control") != control })
		for _, id := range kept {
			s.until(id+" is there", func() bool {
				return api.Lattice(t.Context(), "GET", "/servicenetworks/"+id, nil,
					nil) == nil
			})
		}
	}
	if s.process("node") != node {
		t.Error("the node was started again")
	}
	if said := s.stderr.String(); strings.Contains(said, "goroutine ") || strings.Count(said, "is started again") < 3 {
		t.Errorf("the log: %.5000s", said)
	}
}
