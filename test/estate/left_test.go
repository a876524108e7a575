package estate

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
)

// descriptors counts the open descriptors of this process by what they are.
func descriptors(t *testing.T) map[string]int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("there is no /proc to count descriptors in")
	}
	open := map[string]int{}
	for _, entry := range entries {
		if what, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil {
			kind, _, _ := strings.Cut(what, ":")
			open[kind]++
		}
	}
	return open
}

// TestNoDescriptorIsLeft runs a deployment twice, with calls by every protocol that end well and others that are broken off.
// When the second one has ended, no more descriptors are open than after the first. (Goroutines are counted when all tests
// have ended.) Nothing is collected meanwhile, since the collector closes what was forgotten.
func TestNoDescriptorIsLeft(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	t.Run("first", callEveryWay)
	before := descriptors(t)
	t.Run("second", callEveryWay)
	deadline := time.After(30 * time.Second)
	for more := moreOf(descriptors(t), before); more != ""; more = moreOf(descriptors(t), before) {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatalf("of these are more open than before: %s", more)
		}
	}
}

// moreOf names the kinds that have more objects than before.
func moreOf(after, before map[string]int) (kinds string) {
	for kind, n := range after {
		if n > before[kind] {
			kinds += fmt.Sprintf(" %s (%d, not %d)", kind, n, before[kind])
		}
	}
	return kinds
}

func callEveryWay(t *testing.T) {
	e := newEstate(t)
	for _, way := range e.everyWay() {
		call(t, way, 1<<20, 1<<20)
		call(t, way, 1<<40, 1<<20)
		way.client.CloseIdleConnections()
	}
	_, group := e.makeCalls("calls", e.RunInstance(e.owners, "10.20.1.12"), 8090)
	s := e.makeServiceAs(&vpclattice.CreateServiceInput{Name: aws.String("api")}, types.ListenerProtocolHttps, only(group))
	watch(t, e.dialCalls(s.domain))
}

// call sends a body and gives up the request when some of the answer has come, unless that was all.
func call(t *testing.T, way way, sends, takes int64) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request := must(http.NewRequestWithContext(ctx, http.MethodPost, way.url, io.LimitReader(zeros{}, sends)))(t)
	request.ContentLength = sends
	response := must(way.client.Do(request))(t)
	defer response.Body.Close()
	if _, err := io.CopyN(io.Discard, response.Body, takes); err != nil {
		t.Fatal(err)
	}
}
