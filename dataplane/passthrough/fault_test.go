package passthrough

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"pergola/containment"
	"pergola/dataplane/record"
)

// TestFault_A4_ClientsThatLeaveWhileTheTargetIsSilent end the target's connection a moment later, also if they merely
// end their side, long before the idle timeout.
func TestFault_A4_ClientsThatLeaveWhileTheTargetIsSilent(t *testing.T) {
	for name, leave := range map[string]func(*half){
		"FIN":   func(c *half) { c.CloseWrite() },
		"close": func(c *half) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.arrival.Listener.Service.IdleTimeout = time.Hour
				w.dialTo(func(target net.Conn) {
					io.Copy(io.Discard, target) // and then nothing, although the client's end has come
				})
				client, done := w.serve(t.Context())
				time.Sleep(time.Second)
				leave(client.(*half))
				<-done
				if w.record.Failure != record.ClientConnectionClosed || w.record.Duration > time.Second+partingTime {
					t.Errorf("recorded %+v", w.record)
				}
			})
		})
	}
}

// TestFault_A4_AnAnswerThatGoesOnReachesAClientThatListens as long as no pause in it is longer than that moment.
func TestFault_A4_AnAnswerThatGoesOnReachesAClientThatListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dialTo(func(target net.Conn) {
			io.Copy(io.Discard, target)
			for range 10 {
				time.Sleep(partingTime * 9 / 10)
				io.WriteString(target, "x")
			}
			target.Close()
		})
		client, done := w.serve(t.Context())
		client.(*half).CloseWrite()
		if got, err := io.ReadAll(client); string(got) != "xxxxxxxxxx" || err != nil {
			t.Errorf("the client read %q, %v", got, err)
		}
		<-done
	})
}

// TestFault_B2_ThePickerIsTold which targets could be reached, by connections that are passed through too.
func TestFault_B2_ThePickerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.refusing[w.targets[0]] = true
		first, second := w.targets[0], w.targets[1]
		w.dialTo(func(target net.Conn) {
			expect(t, target, hello)
			target.Close()
		})
		client, done := w.serve(t.Context())
		io.Copy(io.Discard, client)
		client.Close()
		<-done
		if len(w.unreachable) != 1 || w.unreachable[0] != first || len(w.reached) != 1 || w.reached[0] != second {
			t.Errorf("told that %v cannot be reached and %v can", w.unreachable, w.reached)
		}
	})
}

// TestFault_A11_APanicOnTheWayBackEndsOneConnection.
func TestFault_A11_APanicOnTheWayBackEndsOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := containment.Panics()
		w := newWorld(t)
		w.dialTo(func(target net.Conn) { io.Copy(io.Discard, target) })
		dial := w.config.Dial
		w.config.Dial = panicking(dial)
		_, done := w.serve(t.Context())
		<-done
		if containment.Panics() != before+1 || w.occupied != 0 {
			t.Errorf("%d panics, %d occupied", containment.Panics()-before, w.occupied)
		}
	})
}
