package store

import "testing"

// TestFault_D5_AStartHasRoom leaves, on a small disk too, as much free as etcd needs to make the next file of its log:
// on one of 192 MiB it was less, and a store whose own files had filled the disk could not be started again.
func TestFault_D5_AStartHasRoom(t *testing.T) {
	for _, total := range []int64{96 << 20, 192 << 20, 200 << 20, 512 << 20, 1 << 30, 1 << 40} {
		low, reserve := portions(total)
		if low < roomToRepair || reserve < roomToRepair {
			t.Errorf("of %d MiB %d stay free, and %d are the reserve: a start needs %d", total>>20, low>>20, reserve>>20,
				int64(roomToRepair)>>20)
		}
		if low > lowSpace || reserve > reserveSize || low > reserve {
			t.Errorf("of %d MiB %d stay free, and %d are the reserve", total>>20, low>>20, reserve>>20)
		}
	}
}
