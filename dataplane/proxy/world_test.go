package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/dataplane/access"
	"pergola/dataplane/record"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/snapshot"
	"pergola/snapshot/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	serviceARN = "arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-1"
	networkARN = "arn:aws:vpc-lattice:us-west-2:111122223333:servicenetwork/sn-1"
	groupARN   = "arn:aws:vpc-lattice:us-west-2:111122223333:targetgroup/tg-1"
	vpcARN     = "arn:aws:ec2:us-west-2:111122223333:vpc/vpc-client"
	// theDoor is the key of the door of vpc-client.
	theDoor = "servicenetworkvpcassociation/snva-1"
)

var (
	clientAddress = &net.TCPAddr{IP: net.IPv4(10, 0, 0, 5), Port: 40000}
	targetA       = netip.MustParseAddrPort("10.0.0.10:8080")
	targetB       = netip.MustParseAddrPort("10.0.0.11:8080")
	targetC       = netip.MustParseAddrPort("10.0.0.12:8080")
)

// world is a proxy between in-memory clients and scripted targets.
type world struct {
	t       *testing.T
	proxy   *Proxy
	now     *snapshot.Snapshot
	order   []netip.AddrPort // the targets of the group, picked in turn
	targets map[netip.AddrPort]func(net.Conn)
	random  uint64
	// finish and cut end the connections that are served.
	finish, cut       context.Context
	finishAll, cutAll context.CancelFunc

	mu      sync.Mutex // guards all below
	next    int
	taken   int // picked and not done
	dials   []string
	records []record.Record
	heads   []string       // what targets were sent
	serving sync.WaitGroup // client connections
	running sync.WaitGroup // targets
}

// newWorld returns a world with one service, s.example, that listens on port 80 and forwards to targetA.
func newWorld(t *testing.T, more ...func(*Config)) *world {
	w := &world{t: t, order: []netip.AddrPort{targetA}, targets: map[netip.AddrPort]func(net.Conn){}, now: aSnapshot()}
	w.finish, w.finishAll = context.WithCancel(context.Background())
	w.cut, w.cutAll = context.WithCancel(context.Background())
	config := Config{
		Snapshot: func() *snapshot.Snapshot { return w.now },
		Guard:    aGuard(func() *snapshot.Snapshot { return w.now }),
		Picker:   w, Dial: w.dial, Record: w.record,
		Log:    slog.New(slog.DiscardHandler),
		Random: func() uint64 { return w.random },
	}
	for _, change := range more {
		change(&config)
	}
	w.proxy = New(config)
	t.Cleanup(w.close)
	return w
}

// aGuard is a real one, for a deployment whose key is all zeros.
func aGuard(now func() *snapshot.Snapshot) *access.Guard {
	box, err := sealing.New(make([]byte, sealing.KeySize))
	if err != nil {
		panic(err)
	}
	return access.New(access.Config{Region: "us-west-2", Box: box, Snapshot: now})
}

func aSnapshot() *snapshot.Snapshot {
	service := &snapshot.Service{ID: "svc-1", ARN: serviceARN, Name: "s", DomainName: "s.example", AuthType: lattice.AuthNone}
	listener := &snapshot.Listener{ID: "listener-1", Protocol: lattice.ProtocolHTTP, Port: 80, Service: service, Rules: []snapshot.Rule{forwarding(aGroup())}}
	service.Listeners = []*snapshot.Listener{listener}
	network := &snapshot.Network{
		ID: "sn-1", ARN: networkARN, AuthType: lattice.AuthNone,
		Ports: map[uint16]*snapshot.Port{80: {Listeners: table.Of(map[string]*snapshot.Listener{"s.example": listener})}},
		Names: table.Of(map[string]*snapshot.Service{"s.example": service}),
	}
	return &snapshot.Snapshot{
		VPCs: table.Of(map[string]*snapshot.VPC{"vpc-client": {ID: "vpc-client", ARN: vpcARN,
			Doors: []snapshot.Door{{Key: theDoor, Network: network,
				Entries: []snapshot.Entry{{Address: netip.MustParseAddr("169.254.171.1")}}}}},
			"vpc-alone": {ID: "vpc-alone"}}),
		Identities: &snapshot.Identities{Strangers: &snapshot.Account{}},
	}
}

func aGroup() *snapshot.TargetGroup {
	return &snapshot.TargetGroup{ID: "tg-1", ARN: groupARN, Type: lattice.TargetIP, Protocol: lattice.TargetHTTP, ProtocolVersion: lattice.HTTP1, VPC: "vpc-target"}
}

func forwarding(groups ...*snapshot.TargetGroup) snapshot.Rule {
	action := snapshot.Action{}
	for _, g := range groups {
		action.Forward = append(action.Forward, snapshot.WeightedTargetGroup{Group: g, Weight: 1})
		action.TotalWeight++
	}
	return snapshot.Rule{ID: "rule-1", Action: action}
}

func (w *world) network() *snapshot.Network { return w.now.VPCs.Get("vpc-client").Doors[0].Network }
func (w *world) listener() *snapshot.Listener {
	return w.network().Ports[80].Listeners.Get("s.example")
}

// picked is a target that counts itself done.
type picked struct {
	w       *world
	address netip.AddrPort
}

func (p *picked) Address() netip.AddrPort { return p.address }

func (p *picked) Done() {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.w.taken--
}

func (p *picked) Unreachable() {}
func (p *picked) Reached()     {}

// Pick picks in turn.
func (w *world) Pick(_ *snapshot.TargetGroup, tried ...netip.AddrPort) (Target, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range w.order {
		w.next++
		if address := w.order[(w.next-1)%len(w.order)]; !slices.Contains(tried, address) {
			w.taken++
			return &picked{w, address}, true
		}
	}
	return nil, false
}

func (w *world) dial(_ context.Context, vpc string, address netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dials = append(w.dials, vpc+" "+address.String())
	serve := w.targets[address]
	if serve == nil {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	w.running.Go(func() {
		defer there.Close()
		serve(there)
	})
	return here, nil
}

func (w *world) record(r *record.Record) {
	kept := *r
	kept.Method, kept.Path, kept.Host = []byte(string(r.Method)), []byte(string(r.Path)), []byte(string(r.Host))
	kept.RequestID, kept.UserAgent = []byte(string(r.RequestID)), []byte(string(r.UserAgent))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, kept)
}

// answers returns a target that gives these answers, one for each request, on each connection. An answer that ends in
// "HANGUP" is cut there and the connection closed, as it is after the last.
func (w *world) answers(answers ...string) func(net.Conn) {
	return func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for _, answer := range answers {
			if !w.takeRequest(in) {
				return
			}
			text, hangup := strings.CutSuffix(answer, "HANGUP")
			if _, err := io.WriteString(conn, text); err != nil || hangup {
				return
			}
		}
		w.takeRequest(in)
	}
}

// takeRequest reads a request with net/http and takes down its head, sorted by nothing, and its body.
func (w *world) takeRequest(in *bufio.Reader) bool {
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		b, err := in.ReadByte()
		if err != nil {
			return false
		}
		head.WriteByte(b)
	}
	request, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(head.String()), in)))
	if err != nil {
		w.t.Errorf("the target cannot read its request: %v", err)
		return false
	}
	body := ""
	if request.ContentLength != 0 {
		data, err := readExactly(request, in)
		if err != nil {
			return false
		}
		body = data
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heads = append(w.heads, head.String()+body)
	return true
}

// readExactly reads the body of a request without reading beyond it.
func readExactly(request *http.Request, in *bufio.Reader) (string, error) {
	if request.ContentLength > 0 {
		data := make([]byte, request.ContentLength)
		_, err := io.ReadFull(in, data)
		return string(data), err
	}
	var body strings.Builder
	for !strings.HasSuffix(body.String(), "0\r\n\r\n") {
		b, err := in.ReadByte()
		if err != nil {
			return "", err
		}
		body.WriteByte(b)
	}
	return body.String(), nil
}

// addressed is one end of a pipe with an address.
type addressed struct{ net.Conn }

func (addressed) RemoteAddr() net.Addr { return clientAddress }

// connect opens a client connection from a VPC to a port.
func (w *world) connect(at Arrival) net.Conn {
	here, there := net.Pipe()
	w.serving.Go(func() { w.proxy.ServeConn(w.finish, w.cut, addressed{there}, at) })
	w.t.Cleanup(func() { here.Close() })
	return here
}

// say sends text on a new connection and returns all that comes back until the proxy closes, or until it has answered as
// many requests as are in text and would wait for more.
func (w *world) say(text string, at Arrival) []*answer {
	conn := w.connect(at)
	defer conn.Close()
	go io.WriteString(conn, text)
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	in := bufio.NewReader(conn)
	var all []*answer
	for range strings.Count(text, " HTTP/1.") {
		a, err := readAnswer(in, strings.HasPrefix(text, "HEAD"))
		if err != nil {
			break
		}
		all = append(all, a)
	}
	return all
}

// answer is a response as a client sees it.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // in the body
	length int64
	close  bool
}

func readAnswer(in *bufio.Reader, toHead bool) (*answer, error) {
	request := &http.Request{Method: "GET"}
	if toHead {
		request.Method = "HEAD"
	}
	r, err := http.ReadResponse(in, request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	return &answer{r.StatusCode, r.Header, string(body), err, r.ContentLength, r.Close}, nil
}

func (a *answer) String() string {
	if a == nil {
		return "no answer"
	}
	return fmt.Sprintf("%d %q", a.status, a.body)
}

var inVPC = Arrival{VPC: "vpc-client", Door: theDoor, Port: 80}

// ask sends one request and returns the answer.
func (w *world) ask(text string) *answer {
	w.t.Helper()
	all := w.say(text, inVPC)
	if len(all) == 0 {
		w.t.Fatal("no answer")
	}
	return all[0]
}

// close ends the world and checks that nothing is left in it.
func (w *world) close() {
	w.finishAll()
	w.serving.Wait()
	w.proxy.Close()
	w.running.Wait()
	w.cutAll()
	if w.taken != 0 {
		w.t.Errorf("%d targets were picked and never done", w.taken)
	}
}

// last is the last record.
func (w *world) last() record.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.records) == 0 {
		w.t.Fatal("nothing was recorded")
	}
	return w.records[len(w.records)-1]
}
