package target

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"pergola/lattice"
	"pergola/snapshot"
	"pergola/snapshot/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	vpcID = "vpc-0123456789abcdef0"
	ok    = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
	down  = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
	mute  = "" // accepts, and never answers
)

// asked is a health check as a target saw it.
type asked struct {
	at      time.Duration // since the network was made
	address netip.AddrPort
	vpc     string
	head    string
}

// network is where targets answer health checks.
type network struct {
	born time.Time

	mu      sync.Mutex // guards what follows
	answers map[netip.AddrPort]string
	delay   time.Duration
	asked   []asked
	open    int
	most    int // of open
}

func newNetwork() *network {
	return &network{born: time.Now(), answers: map[netip.AddrPort]string{}}
}

// answer makes a target give an answer from now on.
func (n *network) answer(address netip.AddrPort, with string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[address] = with
}

func (n *network) dial(ctx context.Context, vpc string, address netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	answer, known := n.answers[address]
	if !known {
		n.asked = append(n.asked, asked{time.Since(n.born), address, vpc, ""})
		return nil, errors.New("connection refused")
	}
	n.open++
	n.most = max(n.most, n.open)
	client, server := net.Pipe()
	began := time.Since(n.born)
	go func() {
		defer server.Close()
		head := readHead(server)
		n.mu.Lock()
		n.asked = append(n.asked, asked{began, address, vpc, head})
		delay := n.delay
		n.mu.Unlock()
		if answer != mute {
			select {
			case <-time.After(delay):
				io.WriteString(server, answer)
			case <-ctx.Done(): // the check has ended
			}
		}
		io.Copy(io.Discard, server) // until the check closes its connection
	}()
	return &counted{Conn: client, ended: func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.open--
	}}, nil
}

// counted is a connection that calls ended when it is closed, once.
type counted struct {
	net.Conn
	once  sync.Once
	ended func()
}

func (c *counted) Close() error {
	c.once.Do(c.ended)
	return c.Conn.Close()
}

// checks is how many checks were made, and connections how many of theirs are open.
func (n *network) checks() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.asked)
}

func (n *network) connections() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open
}

func readHead(from io.Reader) string {
	var head strings.Builder
	for lines := bufio.NewReader(from); ; {
		line, err := lines.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String()
		}
	}
}

// times are when checks were made, leaving out the first one's delay.
func (n *network) times() (times []time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.asked {
		times = append(times, a.at-n.asked[0].at)
	}
	return times
}

// deployment is a Set under test, with one target group.
type deployment struct {
	*network
	t     *testing.T
	set   *Set
	spec  *snapshot.TargetGroup
	wakes atomic.Int64 // calls of Changed
	logs  strings.Builder
}

func deploy(t *testing.T, spec *snapshot.TargetGroup) *deployment {
	d := &deployment{network: newNetwork(), t: t, spec: spec}
	d.set = New(Config{
		Dial:    d.dial,
		Logger:  slog.New(slog.NewTextHandler(&d.logs, nil)),
		Rand:    rand.New(rand.NewPCG(1, 2)),
		Changed: func() { d.wakes.Add(1) },
	})
	t.Cleanup(d.set.Close)
	d.apply()
	return d
}

func (d *deployment) apply() {
	spec := *d.spec
	spec.Targets = slices.Clone(d.spec.Targets)
	d.spec = &spec
	d.set.Apply(&snapshot.Snapshot{TargetGroups: table.Of(map[string]*snapshot.TargetGroup{spec.ID: d.spec})})
}

// after lets time pass, and then everything that is due.
func (d *deployment) after(pass time.Duration) *deployment {
	time.Sleep(pass)
	synctest.Wait()
	return d
}

func (d *deployment) expect(key string, want lattice.TargetStatus) {
	d.t.Helper()
	if got := d.set.Report()[d.spec.ID][key].Status; got != want {
		d.t.Errorf("after %v %s is %q, want %s", time.Since(d.born), key, got, want)
	}
}

// picks are the addresses picked by n requests.
func (d *deployment) picks(n int) (addresses []string) {
	for range n {
		if t, ok := d.set.Pick(d.spec); ok {
			addresses = append(addresses, t.Address().String())
			t.Done()
		}
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
}

func address(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// groupOf is a group in use with the default health check, of targets whose keys are their addresses.
func groupOf(addresses ...string) *snapshot.TargetGroup {
	g := &snapshot.TargetGroup{
		ID: "tg-0123456789abcdef0", Type: lattice.TargetIP, Protocol: lattice.TargetHTTP, ProtocolVersion: lattice.HTTP1,
		VPC: vpcID, InUse: true,
		HealthCheck: &snapshot.HealthCheck{
			Protocol: lattice.TargetHTTP, ProtocolVersion: lattice.HTTP1, Path: "/",
			Interval: 30 * time.Second, Timeout: 5 * time.Second, HealthyThreshold: 5, UnhealthyThreshold: 2,
			Codes: []lattice.CodeRange{{From: 200, To: 200}},
		},
	}
	for _, a := range addresses {
		g.Targets = append(g.Targets, snapshot.Target{Key: a, Address: address(a)})
	}
	return g
}

const one, two, three = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"

func TestFirstSuccessMakesHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one))
		d.answer(address(one), ok)
		want := lattice.TargetHealth{Status: lattice.TargetInitial, ReasonCode: lattice.ReasonHealthCheckInProgress}
		if got := d.set.Report()[d.spec.ID][one]; got != want {
			t.Errorf("before the first check the target is %+v, want %+v", got, want)
		}
		d.after(spread)
		if got, want := d.set.Report()[d.spec.ID][one], (lattice.TargetHealth{Status: lattice.TargetHealthy}); got != want {
			t.Errorf("after its first success the target is %+v, want %+v", got, want)
		}
	})
}

func TestThresholds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one))
		interval := d.spec.HealthCheck.Interval
		d.after(spread).expect(one, lattice.TargetInitial) // refused once
		d.after(interval).expect(one, lattice.TargetUnhealthy)
		d.answer(address(one), ok)
		d.after(4*interval).expect(one, lattice.TargetUnhealthy)
		d.after(interval).expect(one, lattice.TargetHealthy)
		d.answer(address(one), down)
		d.after(interval).expect(one, lattice.TargetHealthy)
		d.after(interval).expect(one, lattice.TargetUnhealthy)
		if got := strings.Count(d.logs.String(), "became"); got != 3 {
			t.Errorf("3 changes of health were logged %d times:\n%s", got, d.logs.String())
		}
	})
}

func TestChecksKeepTheirInterval(t *testing.T) {
	tests := []struct {
		name     string
		delay    time.Duration
		timeout  time.Duration
		answer   string
		interval time.Duration
	}{
		{name: "quick", answer: ok, timeout: 5 * time.Second, interval: 30 * time.Second},
		{name: "slow", answer: ok, delay: 4 * time.Second, timeout: 5 * time.Second, interval: 5 * time.Second},
		{name: "mute", answer: mute, timeout: 5 * time.Second, interval: 30 * time.Second},
		{name: "mute for longer than the interval", answer: mute, timeout: 12 * time.Second, interval: 5 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				spec := groupOf(one)
				spec.HealthCheck.Interval, spec.HealthCheck.Timeout = test.interval, test.timeout
				d := deploy(t, spec)
				d.delay = test.delay
				d.answer(address(one), test.answer)
				d.after(spread + 4*test.interval)
				for i, at := range d.times() {
					if want := time.Duration(i) * test.interval; at != want {
						t.Errorf("check %d began after %v, want %v", i, at, want)
					}
				}
				if got := len(d.times()); got != 5 {
					t.Errorf("%d checks, want 5", got)
				}
			})
		})
	}
}

func TestTimeoutCoversAllOfACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one, two))
		d.delay = 6 * time.Second
		d.answer(address(one), ok)
		d.answer(address(two), mute)
		d.after(spread+d.spec.HealthCheck.Timeout).expect(one, lattice.TargetInitial)
		if d.connections() != 0 {
			t.Errorf("%d connections are open after the timeout", d.connections())
		}
		d.after(d.spec.HealthCheck.Interval)
		d.expect(one, lattice.TargetUnhealthy)
		d.expect(two, lattice.TargetUnhealthy)
		if !strings.Contains(d.logs.String(), one+" did not respond within 5s") {
			t.Errorf("the log does not say that the target was too slow:\n%s", d.logs.String())
		}
	})
}

func TestFirstChecksAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := groupOf()
		for i := range 1000 {
			a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80)
			spec.Targets = append(spec.Targets, snapshot.Target{Key: a.String(), Address: a})
		}
		d := deploy(t, spec)
		for _, s := range spec.Targets {
			d.answer(s.Address, ok)
		}
		d.after(spread)
		if d.checks() != 1000 {
			t.Fatalf("%d checks within %v, want 1000", d.checks(), spread)
		}
		instants := map[time.Duration]int{}
		for _, a := range d.asked {
			instants[a.at/time.Millisecond]++
		}
		for at, n := range instants {
			if n > 20 {
				t.Errorf("%d checks in millisecond %d", n, at)
			}
		}
	})
}

func TestChecksUnderWayAreBoundedAndFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := groupOf()
		for i := range 4 * maxChecks {
			a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80)
			spec.Targets = append(spec.Targets, snapshot.Target{Key: a.String(), Address: a})
		}
		spec.HealthCheck.Interval = 5 * time.Second // a check takes all of it
		d := deploy(t, spec)
		for _, s := range spec.Targets {
			d.answer(s.Address, mute)
		}
		// The slots serve every target once in four timeouts: twice as long suffices for two failures.
		d.after(spread + 8*spec.HealthCheck.Timeout)
		if d.most != maxChecks {
			t.Errorf("%d checks were under way at once, want %d", d.most, maxChecks)
		}
		for key, health := range d.set.Report()[spec.ID] {
			if health.Status != lattice.TargetUnhealthy {
				t.Fatalf("%s is %s, it was not given its turns", key, health.Status)
			}
		}
		// Once targets answer there is no backlog: one check of each has waited, and one or two become due.
		for _, s := range spec.Targets {
			d.answer(s.Address, ok)
		}
		before := d.checks()
		d.after(spec.HealthCheck.Timeout)
		if made := d.checks() - before; made > 3*len(spec.Targets) {
			t.Errorf("%d checks within %v for %d targets", made, spec.HealthCheck.Timeout, len(spec.Targets))
		}
	})
}

func TestSettingsChangeUnderARunningChecker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one))
		d.answer(address(one), ok)
		d.after(time.Second).expect(one, lattice.TargetHealthy)
		d.answer(address(one), down)
		d.after(30*time.Second).expect(one, lattice.TargetHealthy) // failed once

		settings := *d.spec.HealthCheck
		settings.Interval, settings.UnhealthyThreshold, settings.Path, settings.Port = 10*time.Second, 3, "/health?deep", 8080
		d.spec.HealthCheck = &settings
		d.answer(address("10.0.0.1:8080"), down)
		d.apply()
		d.expect(one, lattice.TargetHealthy)
		d.after(10*time.Second).expect(one, lattice.TargetHealthy) // twice
		d.after(10*time.Second).expect(one, lattice.TargetUnhealthy)
		want := []time.Duration{0, 30 * time.Second, 40 * time.Second, 50 * time.Second}
		if got := d.times(); !slices.Equal(got, want) {
			t.Errorf("checks at %v, want %v", got, want)
		}
		last := d.asked[len(d.asked)-1]
		if last.address.Port() != 8080 || !strings.HasPrefix(last.head, "GET /health?deep HTTP/1.1\r\nhost: 10.0.0.1:8080\r\n") {
			t.Errorf("the check went to %v and was\n%s", last.address, last.head)
		}
	})
}

func TestAShorterIntervalTakesEffectAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := groupOf(one)
		spec.HealthCheck.Interval = 300 * time.Second
		d := deploy(t, spec)
		d.after(100 * time.Second)
		settings := *d.spec.HealthCheck
		settings.Interval = 5 * time.Second
		d.spec.HealthCheck = &settings
		d.apply()
		d.after(time.Millisecond)
		if got := d.checks(); got != 2 {
			t.Errorf("%d checks after an interval has long passed, want 2", got)
		}
	})
}

func TestDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one))
		d.answer(address(one), ok)
		d.after(time.Second).expect(one, lattice.TargetHealthy)
		held, picked := d.set.Pick(d.spec)
		if !picked || held.target.vpc != vpcID || held.Address() != address(one) {
			t.Fatalf("picked %+v, %v", held, picked)
		}

		d.spec.Targets[0].Draining = true
		d.apply()
		draining := lattice.TargetHealth{Status: lattice.TargetDraining, ReasonCode: lattice.ReasonDeregistrationProgress}
		if got := d.set.Report()[d.spec.ID][one]; got != draining {
			t.Errorf("with a request in flight the target is %+v, want %+v", got, draining)
		}
		if got := d.picks(3); got != nil {
			t.Errorf("picked %v, which drains", got)
		}
		checks := d.checks()
		d.after(time.Minute)
		if d.checks() != checks {
			t.Error("a draining target is still checked")
		}

		d.wakes.Store(0)
		held.Done()
		draining.Drained = true
		if got := d.set.Report()[d.spec.ID][one]; got != draining || d.wakes.Load() != 1 {
			t.Errorf("after its last request the target is %+v, want %+v; %d calls of Changed", got, draining, d.wakes.Load())
		}

		d.spec.Targets[0].Draining = false
		d.apply()
		d.expect(one, lattice.TargetHealthy) // as it was
		if got := d.picks(1); !slices.Equal(got, []string{one}) {
			t.Errorf("registered again, but %v was picked", got)
		}
		d.after(time.Second)
		if d.checks() != checks+1 {
			t.Error("a target that was registered again is not checked")
		}
	})
}

func TestDrainingTargetOutlivesItsInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one))
		held, _ := d.set.Pick(d.spec)
		d.spec.Targets[0] = snapshot.Target{Key: one, Draining: true}
		d.apply()
		if d.set.Report()[d.spec.ID][one].Drained {
			t.Error("the target is said to be drained with a request in flight")
		}
		held.Done()
		if !d.set.Report()[d.spec.ID][one].Drained {
			t.Error("the target is not said to be drained")
		}
	})
}

func TestTargetAtANewAddressIsJudgedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one))
		d.answer(address(one), ok)
		d.after(time.Second).expect(one, lattice.TargetHealthy)
		d.spec.Targets[0].Address = address(two)
		d.apply()
		d.expect(one, lattice.TargetInitial)
		if got := d.picks(1); !slices.Equal(got, []string{two}) {
			t.Errorf("picked %v", got)
		}
	})
}

func TestRemovalWhileChecking(t *testing.T) {
	for _, answer := range []string{mute, ok} {
		synctest.Test(t, func(t *testing.T) {
			d := deploy(t, groupOf(one, two))
			d.delay = 3 * time.Second
			d.answer(address(one), answer)
			d.answer(address(two), answer)
			d.after(time.Second)
			d.spec.Targets = d.spec.Targets[:1]
			d.apply()
			d.set.Apply(&snapshot.Snapshot{})
			if reports := d.set.Report(); len(reports) != 0 {
				t.Errorf("reports on what is gone: %v", reports)
			}
			if _, picked := d.set.Pick(d.spec); picked {
				t.Error("picked from a group that is gone")
			}
			d.after(time.Hour)
			if d.checks() != 2 || d.connections() != 0 {
				t.Errorf("%d checks of 2 targets, %d connections open", d.checks(), d.connections())
			}
		})
	}
}

func TestCloseEndsChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one))
		d.answer(address(one), mute)
		d.after(time.Second)
		d.set.Close()
		d.after(time.Hour)
		d.apply()
		if d.checks() != 1 || d.connections() != 0 {
			t.Errorf("%d checks, %d connections open after Close", d.checks(), d.connections())
		}
	})
}

func TestStatusesWithoutChecks(t *testing.T) {
	tests := []struct {
		name   string
		change func(*snapshot.TargetGroup)
		want   lattice.TargetHealth
		picked []string
	}{
		{"not in use", func(g *snapshot.TargetGroup) { g.InUse = false },
			lattice.TargetHealth{Status: lattice.TargetUnused, ReasonCode: lattice.ReasonTargetGroupNotInUse}, []string{one}},
		{"checks disabled", func(g *snapshot.TargetGroup) { g.HealthCheck = nil },
			lattice.TargetHealth{Status: lattice.TargetUnavailable, ReasonCode: lattice.ReasonHealthCheckNotSupported}, []string{one}},
		{"function", func(g *snapshot.TargetGroup) {
			g.Type, g.HealthCheck, g.Targets[0].Address = lattice.TargetLambda, nil, netip.AddrPort{}
		}, lattice.TargetHealth{Status: lattice.TargetUnavailable, ReasonCode: lattice.ReasonHealthCheckNotSupported}, nil},
		{"without address", func(g *snapshot.TargetGroup) { g.Targets[0].Address = netip.AddrPort{} },
			lattice.TargetHealth{Status: lattice.TargetUnhealthy, ReasonCode: lattice.ReasonHealthCheckFailed}, nil},
		{"draining and not in use", func(g *snapshot.TargetGroup) { g.InUse, g.Targets[0].Draining = false, true },
			lattice.TargetHealth{Status: lattice.TargetDraining, ReasonCode: lattice.ReasonDeregistrationProgress, Drained: true}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := deploy(t, groupOf(one))
				d.answer(address(one), ok)
				d.after(time.Second).expect(one, lattice.TargetHealthy)
				checks := d.checks()
				test.change(d.spec)
				d.apply()
				d.after(time.Hour)
				if got := d.set.Report()[d.spec.ID][one]; got != test.want {
					t.Errorf("the target is %+v, want %+v", got, test.want)
				}
				if got := d.picks(1); !slices.Equal(got, test.picked) {
					t.Errorf("picked %v, want %v", got, test.picked)
				}
				if d.checks() != checks {
					t.Error("the target is checked")
				}
			})
		})
	}
}

func TestHealthIsForgottenWhileNotChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one))
		d.answer(address(one), ok)
		d.after(time.Second).expect(one, lattice.TargetHealthy)
		d.spec.InUse = false
		d.apply()
		d.spec.InUse = true
		d.apply()
		d.expect(one, lattice.TargetInitial)
		d.after(time.Second).expect(one, lattice.TargetHealthy)
	})
}

func TestUnsupportedProtocolsFail(t *testing.T) {
	tests := []struct {
		protocol lattice.TargetProtocol
		version  lattice.ProtocolVersion
	}{{"UDP", lattice.HTTP1}, {lattice.TargetHTTPS, lattice.GRPC}}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			spec := groupOf(one)
			spec.HealthCheck.Protocol, spec.HealthCheck.ProtocolVersion = test.protocol, test.version
			d := deploy(t, spec)
			d.answer(address(one), ok)
			d.after(time.Hour).expect(one, lattice.TargetUnhealthy)
			if d.checks() != 0 {
				t.Error("a check was sent in another protocol")
			}
			if got := strings.Count(d.logs.String(), "are not supported"); got != 1 {
				t.Errorf("the reason was logged %d times, want once:\n%s", got, d.logs.String())
			}
		})
	}
}

func TestChangedIsCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one, two, three))
		for _, a := range []string{one, two, three} {
			d.answer(address(a), ok)
		}
		d.after(time.Second)
		if d.wakes.Load() != 1 {
			t.Errorf("%d calls of Changed before any Report, want 1", d.wakes.Load())
		}
		d.set.Report()
		d.after(time.Hour)
		if d.wakes.Load() != 1 {
			t.Errorf("%d calls of Changed although nothing changed, want 1", d.wakes.Load())
		}
		d.set.Apply(&snapshot.Snapshot{TargetGroups: table.Of(map[string]*snapshot.TargetGroup{d.spec.ID: d.spec})})
		if d.wakes.Load() != 1 {
			t.Error("Changed was called although the same group was applied again")
		}
		d.apply()
		if d.wakes.Load() != 2 {
			t.Error("Changed was not called although another group was applied")
		}
	})
}

func TestGroupsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one))
		d.answer(address(one), ok)
		d.after(time.Second)
		other := groupOf(two)
		other.ID = "tg-0fedcba9876543210"
		d.set.Apply(&snapshot.Snapshot{TargetGroups: table.Of(map[string]*snapshot.TargetGroup{d.spec.ID: d.spec,
			other.ID: other})})
		d.expect(one, lattice.TargetHealthy) // it is the same as before
		d.set.Apply(&snapshot.Snapshot{TargetGroups: table.Of(map[string]*snapshot.TargetGroup{other.ID: other})})
		if reports := d.set.Report(); len(reports) != 1 || reports[other.ID] == nil {
			t.Errorf("reports %v, want one on %s", reports, other.ID)
		}
	})
}
