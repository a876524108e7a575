package dataplane

import (
	"maps"
	"net/netip"
	"testing"
	"testing/synctest"

	"pergola/snapshot"
)

// TestSeveralDoorsOfAVPC opens each door at its own place and address, closes one without the other, and moves one
// whose addresses have changed.
func TestSeveralDoorsOfAVPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hold, 0)
		apply := func(doors ...snapshot.Door) {
			s := &snapshot.Snapshot{}
			s.VPCs = s.VPCs.With("vpc-a", &snapshot.VPC{ID: "vpc-a", Doors: doors})
			if err := r.Apply(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		at := func(place, address string) socket {
			return socket{"vpc-a", place, netip.AddrPortFrom(netip.MustParseAddr(address), 80)}
		}
		listening := func(want ...socket) {
			t.Helper()
			all := map[socket]bool{}
			for _, s := range want {
				all[s] = true
			}
			if got := r.network.sockets(); !maps.Equal(got, all) {
				t.Errorf("listening at %v, want %v", got, all)
			}
		}
		door := func(key, place, address string) snapshot.Door {
			return snapshot.Door{Key: key, Network: networkOn(80),
				Entries: []snapshot.Entry{{Interface: place, Address: netip.MustParseAddr(address)}}}
		}
		one, two := door("one", "", "169.254.171.1"), door("two", "eni-1", "10.0.0.9")
		apply(one, two)
		listening(at("", "169.254.171.1"), at("eni-1", "10.0.0.9"))
		kept := r.connect(at("eni-1", "10.0.0.9"))
		synctest.Wait()
		apply(two)
		listening(at("eni-1", "10.0.0.9"))
		if isClosed(kept) {
			t.Error("a connection through one door was cut with the other")
		}
		apply(door("two", "eni-1", "10.0.0.10"))
		listening(at("eni-1", "10.0.0.10"))
	})
}
