package containment_test

import (
	"net"
	"testing"
	"time"

	"pergola/containment"
)

func TestTheLongestQuietGivesWay(t *testing.T) {
	crowd := containment.NewCrowd(2)
	var mine, theirs [4]net.Conn
	isClosed := func(i int) bool {
		err := theirs[i].SetDeadline(time.Time{})
		return err != nil
	}
	for i := range mine {
		mine[i], theirs[i] = net.Pipe()
		defer theirs[i].Close()
	}
	crowd.Quiet(theirs[0])
	crowd.Quiet(theirs[1])
	crowd.Busy(theirs[0])
	crowd.Quiet(theirs[2])
	if isClosed(0) || !isClosed(1) || isClosed(2) {
		t.Error("not the one that was quiet gave way")
	}
	crowd.Busy(theirs[2])
	crowd.Quiet(theirs[3])
	if !isClosed(3) {
		t.Error("one came in although all are busy")
	}
	crowd.Gone(theirs[0])
	crowd.Gone(theirs[1]) // it gave way before
	crowd.Busy(theirs[1])
	crowd.Quiet(theirs[2])
	if isClosed(2) {
		t.Error("one gave way although there is room")
	}
}

func TestClientsLeaveAReserve(t *testing.T) {
	for descriptors, want := range map[int]int{100: 50, 256: 192, 512: 448, 20_000: 17_500, 1 << 20: 1<<20 - 4096} {
		if got := containment.ForClients(descriptors); got != want {
			t.Errorf("of %d descriptors clients may use %d, want %d", descriptors, got, want)
		}
	}
	if containment.Descriptors() < 1 {
		t.Error("no descriptor may be open")
	}
}
