package passthrough

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pergola/containment"
	"pergola/dataplane/access"
	"pergola/dataplane/record"
	"pergola/snapshot"
)

func TestBytesGoBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dialTo(func(target net.Conn) {
			expect(t, target, hello)
			time.Sleep(time.Second)
			io.WriteString(target, "server hello")
			expect(t, target, "question")
			rest, err := io.ReadAll(target) // the client's end arrives, and the answer still goes back
			if len(rest) != 0 || err != nil {
				t.Errorf("the target read %q and %v", rest, err)
			}
			io.WriteString(target, "answer")
			target.Close()
		})
		client, done := w.serve(t.Context())
		expect(t, client, "server hello")
		io.WriteString(client, "question")
		client.(*half).CloseWrite()
		if rest, err := io.ReadAll(client); string(rest) != "answer" || err != nil {
			t.Errorf("the client read %q and %v", rest, err)
		}
		<-done
		listener := w.arrival.Listener
		want := record.Record{
			Protocol: record.TLS, Start: w.record.Start, Duration: time.Second, RequestToTarget: time.Second,
			VPC: w.arrival.VPC, Network: w.arrival.Network, Listener: listener, Rule: &listener.Rules[0],
			TargetGroup: w.group, Target: netip.MustParseAddrPort("10.0.1.1:443"), ServerName: "orders.example",
			BytesReceived: int64(len(hello + "question")), BytesSent: int64(len("server hello" + "answer")),
		}
		if !reflect.DeepEqual(*w.record, want) {
			t.Errorf("recorded\n%+v, want\n%+v", *w.record, want)
		}
		if w.occupied != 0 {
			t.Errorf("%d targets are occupied", w.occupied)
		}
		if w.asked.VPC != w.arrival.VPC || w.asked.Network != w.arrival.Network || w.asked.Listener != listener {
			t.Errorf("the guard was asked about %+v", w.asked)
		}
	})
}

// alert is how a client is told of the end.
func alert(code byte) string { return string([]byte{21, 3, 3, 0, 2, 2, code}) }

func TestClientsThatAreTurnedAway(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(w *world)
		alert  byte
		want   record.Record
		dials  int
	}{
		{"denied", func(w *world) { w.decision = access.Decision{DeniedBy: access.DeniedByService} }, 49,
			record.Record{DeniedBy: access.DeniedByService, Failure: record.ClientAccessDenied}, 0},
		{"no decision could be made", func(w *world) { w.decision = access.Decision{Err: errors.New("broken")} }, 80,
			record.Record{Failure: record.InternalError}, 0},
		{"no target", func(w *world) { w.targets = nil }, 80, record.Record{Failure: record.TargetConnectionError}, 0},
		{"no target group", func(w *world) { w.arrival.Listener.Rules[0].Action = snapshot.Action{} }, 80,
			record.Record{Failure: record.TargetConnectionError}, 0},
		{"no weight", func(w *world) { w.arrival.Listener.Rules[0].Action.TotalWeight = 0 }, 80,
			record.Record{Failure: record.TargetConnectionError}, 0},
		{"no target can be reached", func(w *world) {
			for _, address := range w.targets {
				w.refusing[address] = true
			}
		}, 80, record.Record{Failure: record.TargetConnectionError, Target: netip.MustParseAddrPort("10.0.1.4:443")}, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.dialTo(func(target net.Conn) { target.Close() })
				tt.change(w)
				client, done := w.serve(t.Context())
				if got, err := io.ReadAll(client); string(got) != alert(tt.alert) || err != nil {
					t.Errorf("the client read %q and %v", got, err)
				}
				client.Close()
				<-done
				r := w.record
				if r.DeniedBy != tt.want.DeniedBy || r.Failure != tt.want.Failure || r.Target != tt.want.Target || r.BytesReceived != int64(len(hello)) || r.BytesSent != 0 {
					t.Errorf("recorded %+v", r)
				}
				if len(w.dials) != tt.dials || w.occupied != 0 {
					t.Errorf("%d targets were dialled and %d are occupied", len(w.dials), w.occupied)
				}
			})
		})
	}
}

func TestAClientThatIsTurnedAwayAndStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.targets = nil
		_, done := w.serve(t.Context()) // it does not even read
		<-done
		if w.record.Duration != time.Second {
			t.Errorf("it was waited for for %v", w.record.Duration)
		}
	})
}

func TestOtherTargetsAreTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.refusing[w.targets[0]], w.refusing[w.targets[1]] = true, true
		want := slices.Clone(w.targets[:3])
		w.dialTo(func(target net.Conn) {
			expect(t, target, hello)
			target.Close()
		})
		client, done := w.serve(t.Context())
		io.Copy(io.Discard, client)
		client.Close()
		<-done
		if !slices.Equal(w.dials, want) || w.record.Target != want[2] || w.record.Failure != "" || w.occupied != 0 {
			t.Errorf("dialled %v, recorded %+v, %d occupied", w.dials, w.record, w.occupied)
		}
	})
}

func TestASlowDialIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.config.Dial = func(ctx context.Context, _ string, address netip.AddrPort) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		client, done := w.serve(t.Context())
		io.Copy(io.Discard, client)
		client.Close()
		<-done
		if w.record.Duration != 3*DefaultDialTimeout || w.record.Failure != record.TargetConnectionError {
			t.Errorf("recorded %+v", w.record)
		}
	})
}

// TestASlowDialCountsAsLife ends a connection at its age, which counts the time before the target was reached.
func TestASlowDialCountsAsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.arrival.Listener.Service.IdleTimeout = DefaultLifetime
		w.dialTo(func(target net.Conn) { io.Copy(io.Discard, target) })
		dial := w.config.Dial
		w.config.Dial = func(ctx context.Context, vpc string, address netip.AddrPort) (net.Conn, error) {
			time.Sleep(3 * time.Second)
			return dial(ctx, vpc, address)
		}
		client, done := w.serve(t.Context())
		<-done
		client.Close()
		if w.record.Duration != DefaultLifetime || w.record.Failure != record.ConnectionDurationExceeded {
			t.Errorf("recorded %+v", w.record)
		}
	})
}

func TestTargetGroupsShareByWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		other := &snapshot.TargetGroup{ID: "tg-2"}
		w.arrival.Listener.Rules[0].Action = snapshot.Action{
			Forward: []snapshot.WeightedTargetGroup{{Group: other, Weight: 1}, {Group: w.group, Weight: 1}}, TotalWeight: 2,
		}
		w.dialTo(func(target net.Conn) { target.Close() })
		for random, want := range map[uint64]*snapshot.TargetGroup{0: other, math.MaxUint64: w.group} {
			w.config.Random = func() uint64 { return random }
			client, done := w.serve(t.Context())
			io.Copy(io.Discard, client)
			client.Close()
			<-done
			if w.record.TargetGroup != want {
				t.Errorf("%d leads to %v", random, w.record.TargetGroup)
			}
		}
	})
}

// end is how and when a connection ends.
type end struct {
	failure record.Failure
	after   time.Duration
}

func TestConnectionsEndInTime(t *testing.T) {
	silent := func(target net.Conn) { io.Copy(io.Discard, target) }
	greets := func(target net.Conn) {
		io.WriteString(target, "server hello")
		io.Copy(io.Discard, target)
	}
	// every says something every so often.
	every := func(pause time.Duration, conn net.Conn) {
		for {
			if _, err := io.WriteString(conn, "x"); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}
	for _, tt := range []struct {
		name   string
		idle   time.Duration // of the service; 0 for the default
		target func(net.Conn)
		client func(net.Conn)
		want   end
	}{
		{"nobody says anything", 0, silent, nil, end{record.TargetDataTimeout, time.Minute}},
		{"the target has said something", 0, greets, nil, end{"", time.Minute}},
		{"by the service's own idle timeout", 90 * time.Second, greets, nil, end{"", 90 * time.Second}},
		{"the last byte counts", 0, greets, func(client net.Conn) {
			time.Sleep(59 * time.Second)
			io.WriteString(client, "x")
		}, end{"", 59*time.Second + time.Minute}},
		{"the client speaks on", 0, silent, func(client net.Conn) { every(50*time.Second, client) },
			end{record.ConnectionDurationExceeded, DefaultLifetime}},
		{"the target speaks on", 0, func(target net.Conn) {
			go io.Copy(io.Discard, target)
			every(50*time.Second, target)
		}, nil, end{record.ConnectionDurationExceeded, DefaultLifetime}},
		{"idle longer than it may live", 20 * time.Minute, greets, nil,
			end{record.ConnectionDurationExceeded, DefaultLifetime}},
		{"one half is closed", 0, func(target net.Conn) {
			io.WriteString(target, "server hello")
			target.(*half).CloseWrite()
			io.Copy(io.Discard, target)
		}, nil, end{"", time.Minute}},
		{"the target does not read", 0, func(target net.Conn) { io.WriteString(target, "server hello") }, nil, end{"", time.Minute}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.config.Lifetime = 0
				w.arrival.Listener.Service.IdleTimeout = tt.idle
				w.dialTo(tt.target)
				client, done := w.serve(t.Context())
				go io.Copy(io.Discard, client)
				if tt.client != nil {
					go tt.client(client)
				}
				<-done
				if got := (end{w.record.Failure, w.record.Duration}); got != tt.want {
					t.Errorf("it ended by %+v, want %+v", got, tt.want)
				}
				client.Close()
				time.Sleep(time.Minute) // until the sender has noticed
			})
		})
	}
}

func TestWhoBreaksOff(t *testing.T) {
	for _, tt := range []struct {
		name   string
		target func(target net.Conn)
		client func(client net.Conn)
		want   record.Failure
	}{
		{"the target, amid what the client says", func(target net.Conn) {
			expect(t, target, hello)
			target.(*half).Conn.Close() // it no longer reads, and says nothing
			time.Sleep(time.Second)
			target.Close()
		}, func(client net.Conn) {
			time.Sleep(100 * time.Millisecond)
			io.WriteString(client, "question")
			io.Copy(io.Discard, client)
		}, record.TargetConnectionClosed},
		{"the client, amid what the target says", func(target net.Conn) {
			expect(t, target, hello)
			time.Sleep(time.Second)
			io.WriteString(target, "answer")
			io.Copy(io.Discard, target)
		}, func(client net.Conn) {
			client.(*half).Conn.Close()
			time.Sleep(2 * time.Second)
		}, record.ClientConnectionClosed},
		{"the client, when the target has said all", func(target net.Conn) {
			expect(t, target, hello)
			io.WriteString(target, "answer")
			target.Close()
		}, func(client net.Conn) {
			expect(t, client, "answer")
			time.Sleep(time.Second)
			io.WriteString(client, "close notify")
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.dialTo(tt.target)
				client, done := w.serve(t.Context())
				tt.client(client)
				client.Close()
				<-done
				if w.record.Failure != tt.want {
					t.Errorf("recorded %+v, want %q", w.record, tt.want)
				}
			})
		})
	}
}

func TestCut(t *testing.T) {
	for _, during := range []string{"dialling", "carrying"} {
		t.Run(during, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.dialTo(func(target net.Conn) { io.Copy(io.Discard, target) })
				if during == "dialling" {
					w.config.Dial = func(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
						<-ctx.Done()
						return nil, fmt.Errorf("dial: %w", ctx.Err())
					}
				}
				cut, cancel := context.WithCancel(t.Context())
				client, done := w.serve(cut)
				time.AfterFunc(time.Second, cancel)
				go io.Copy(io.Discard, client)
				synctest.Wait()
				time.Sleep(time.Second)
				client.Close()
				<-done
				if w.record.Duration != time.Second || w.occupied != 0 {
					t.Errorf("recorded %+v, %d occupied", w.record, w.occupied)
				}
			})
		})
	}
}

// TestFault_A11_APanicEndsOneConnection on either way, and both its ends.
func TestFault_A11_APanicEndsOneConnection(t *testing.T) {
	for _, way := range []string{"there", "back"} {
		t.Run(way, func(t *testing.T) {
			before := containment.Panics()
			w := newWorld(t)
			ended := make(chan struct{})
			w.dialTo(func(conn net.Conn) {
				defer close(ended)
				io.Copy(io.Discard, conn)
				conn.Close()
			})
			dial := w.config.Dial
			w.config.Dial = func(ctx context.Context, vpc string, address netip.AddrPort) (net.Conn, error) {
				conn, err := dial(ctx, vpc, address)
				return &alarming{conn.(*half), way == "back"}, err
			}
			client, done := w.serve(t.Context())
			go io.WriteString(client, "more")
			if _, err := client.Read(make([]byte, 1)); err == nil {
				t.Error("the client got something")
			}
			client.Close()
			<-done
			<-ended
			if w.record.Failure != record.InternalError || w.occupied != 0 {
				t.Errorf("failure %q, %d targets are occupied", w.record.Failure, w.occupied)
			}
			if got := containment.Panics() - before; got != 1 {
				t.Errorf("%d panics were counted, want 1", got)
			}
		})
	}
}

// alarming panics when it is read from, or when more than a ClientHello is written to it.
type alarming struct {
	*half
	reading bool
}

func (a *alarming) Read(p []byte) (int, error) {
	if a.reading {
		panic("no such target")
	}
	return a.half.Read(p)
}

func (a *alarming) Write(p []byte) (int, error) {
	if !a.reading && string(p) == "more" {
		panic("no such target")
	}
	return a.half.Write(p)
}
