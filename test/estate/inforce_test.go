package estate

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"pergola/deployment"
	"pergola/internal/testenv"
)

// TestFault_B3_AChangeIsInForceWhenItIsAnswered changes how a service answers a thousand times, by its rules, its auth
// type and its auth policy, while clients call it without pause. No request that begins after the answer to a change,
// and ends before the next change, is decided by what was before.
func TestFault_B3_AChangeIsInForceWhenItIsAnswered(t *testing.T) {
	dir, err := os.MkdirTemp("", "pergola-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	e := newEstateOn(t, testenv.StartIn(t, deployment.Config{Dir: dir, NoSync: true, RequestsPerSecond: -1}))
	s := e.makeService("toggled",
		&types.RuleActionMemberFixedResponse{Value: types.FixedResponseAction{StatusCode: aws.Int32(404)}})
	const changes = 1000
	// state is twice the number of the change with the status that it leads to above it, one more while it is under way.
	var state atomic.Int64
	pack := func(change int, status int64) int64 { return status<<32 | int64(change)<<1 }
	state.Store(pack(0, 404))
	var calls, decided atomic.Int64
	stop, judged := make(chan struct{}), make(chan int64) // judged says after which change
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			client := e.client.Client()
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := state.Load()
				response, err := client.Get("http://" + s.domain + "/")
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				calls.Add(1)
				if before&1 != 0 || state.Load() != before {
					continue
				}
				decided.Add(1)
				select {
				case judged <- before:
				case <-stop:
				default:
				}
				if want := int(before >> 32); response.StatusCode != want {
					t.Errorf("after change %d the status is %d, want %d", before>>1&(1<<31-1), response.StatusCode, want)
				}
			}
		})
	}
	for change := 1; change <= changes && !t.Failed(); change++ {
		state.Add(1)
		now := pack(change, e.toggle(s, change))
		state.Store(now)
		for is := int64(0); is != now && !t.Failed(); {
			select {
			case is = <-judged:
			case <-time.After(30 * time.Second):
				t.Errorf("nobody could call after change %d", change)
			}
		}
	}
	close(stop)
	running.Wait()
	if decided.Load() < changes {
		t.Errorf("only %d of %d calls fell between changes", decided.Load(), calls.Load())
	}
	t.Logf("%d calls, %d of them between changes", calls.Load(), decided.Load())
}

// toggle makes one change after the other, and returns the status that calls have from then on.
func (e *estate) toggle(s service, change int) (status int64) {
	update := func(auth types.AuthType) {
		must(e.Lattice.UpdateService(e.t.Context(), &vpclattice.UpdateServiceInput{ServiceIdentifier: &s.id,
			AuthType: auth}))(e.t)
	}
	answer := func(code int32) {
		must(e.Lattice.UpdateListener(e.t.Context(), &vpclattice.UpdateListenerInput{
			ServiceIdentifier: &s.id, ListenerIdentifier: &s.listener,
			DefaultAction: &types.RuleActionMemberFixedResponse{Value: types.FixedResponseAction{StatusCode: &code}},
		}))(e.t)
	}
	policy := func(effect string) {
		document := fmt.Sprintf(
			`{"Version":"2012-10-17","Statement":[{"Effect":%q,"Principal":"*","Action":"*","Resource":"*"}]}`, effect)
		must(e.Lattice.PutAuthPolicy(e.t.Context(), &vpclattice.PutAuthPolicyInput{ResourceIdentifier: &s.id,
			Policy: &document}))(e.t)
	}
	switch change % 6 {
	case 1:
		answer(500)
		return http.StatusInternalServerError
	case 2:
		answer(404)
		return http.StatusNotFound
	case 3: // the first time there is no policy yet
		update(types.AuthTypeAwsIam)
		return http.StatusForbidden
	case 4:
		policy("Allow")
		return http.StatusNotFound
	case 5:
		policy("Deny")
		return http.StatusForbidden
	}
	update(types.AuthTypeNone)
	return http.StatusNotFound
}
