package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pergola/internal/apiclient"
	"pergola/lattice"
)

// shortForm is how long the test takes unless PERGOLA_SOAK says otherwise.
const shortForm = 30 * time.Second

// TestSoak lets two good clients call a service while everything around them goes wrong, twice, and then looks for what
// they have noticed and what is left. Memory is compared after the first time and after the second: a peak leaves spans
// that the runtime cannot give back, the first one more than those after it, and a leak grows with each.
func TestSoak(t *testing.T) {
	whole := shortForm
	if d, err := time.ParseDuration(os.Getenv("PERGOLA_SOAK")); err == nil {
		whole = d
	}
	w := newWorld(t)
	if w.loopback {
		t.Skip("the loopback fabric has one way to services, its proxy, which floods cannot go around")
	}
	e := newEstate(w)
	quiet := w.figures()
	clients := []func() []byte{w.role(e.clients[0], "client", e.name), w.role(e.clients[1], "client", e.name)}
	wait(t.Context(), whole/10)
	w.trouble(e, whole*3/10)
	wait(t.Context(), whole/10)
	before := w.figures()

	w.trouble(e, whole*3/10)
	wait(t.Context(), whole/10)
	after := w.figures()
	for i, stop := range clients {
		checkOutcomes(t, i, stop())
	}
	w.compareMemory(quiet, before, after, whole)
	w.compareDescriptors(quiet)
}

// checkOutcomes fails the test if a good client has noticed anything.
func checkOutcomes(t *testing.T, client int, printed []byte) {
	t.Helper()
	var outcomes map[string]int
	if err := json.Unmarshal(printed, &outcomes); err != nil {
		t.Fatalf("client %d printed %q: %v", client, printed, err)
	}
	well := 0
	for outcome, count := range outcomes {
		if strings.HasSuffix(outcome, " 200 OK") {
			well += count
			continue
		}
		t.Errorf("client %d, %d times: %s", client, count, outcome)
	}
	t.Logf("client %d: %d requests were answered", client, well)
	if well < 100 {
		t.Errorf("client %d made %d requests, which shows nothing", client, well)
	}
}

// trouble makes all the trouble there is for a while, and ends it.
func (w *world) trouble(e *estate, d time.Duration) {
	w.t.Helper()
	var stops []func() []byte
	for i, role := range []string{"abandon", "flood-http1", "flood-http2", "flood-tls", "flood-dns"} {
		stops = append(stops, w.role(e.attackers[i%len(e.attackers)], role, e.name))
	}
	var busy sync.WaitGroup
	during(w.t.Context(), d, func(ctx context.Context) {
		busy.Go(func() { e.churn(ctx) })
		busy.Go(func() { w.makeAll(ctx, e.member) })
		busy.Go(func() {
			wait(ctx, d/6)
			w.fillDisk(ctx, d/6)
			wait(ctx, d/6)
			w.stopStore(ctx, d/6)
		})
		busy.Wait()
	})
	for _, stop := range stops {
		stop()
	}
	w.t.Logf("%d changes were made, %d were refused", e.changes.Load(), e.refused.Load())
}

// fillDisk fills the disk of the deployment for a while.
func (w *world) fillDisk(ctx context.Context, d time.Duration) {
	if !w.hasDisk {
		return
	}
	path := filepath.Join(w.dir, "filler")
	file, err := os.Create(path)
	if err != nil {
		w.t.Errorf("fill the disk: %v", err)
		return
	}
	defer os.Remove(path)
	defer file.Close()
	block := make([]byte, 1<<16)
	during(ctx, d, func(ctx context.Context) {
		for ctx.Err() == nil {
			if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
				wait(ctx, 50*time.Millisecond) // what is let go is filled too
			}
		}
	})
}

// stopStore stops the process of the store for a while.
func (w *world) stopStore(ctx context.Context, d time.Duration) {
	for _, p := range w.processes() {
		if p.name == "control" {
			if err := syscall.Kill(p.pid, syscall.SIGSTOP); err != nil {
				w.t.Errorf("stop the store: %v", err)
			}
			wait(ctx, d)
			_ = syscall.Kill(p.pid, syscall.SIGCONT)
		}
	}
}

// figures are what each process of the deployment holds, by part.
func (w *world) figures() map[string]figures {
	all := map[string]figures{}
	for _, p := range w.processes() {
		all[p.name] = figuresOf(p.pid)
	}
	return all
}

// compareMemory fails the test if a process holds more after the second trouble than after the first.
func (w *world) compareMemory(quiet, before, after map[string]figures, whole time.Duration) {
	w.t.Helper()
	for part, a := range after {
		b, spare := before[part], 0
		switch {
		case whole < 10*time.Minute: // a short run ends before the runtime has given its memory back
			spare = 64 << 10
		case part == "control":
			spare = history
		}
		w.t.Logf("%s: memory %d KiB without clients, %d after the first trouble, %d after the second", part,
			quiet[part].memory, b.memory, a.memory)
		if a.memory > b.memory*11/10+spare {
			w.t.Errorf("%s holds %d KiB, after the first trouble it was %d", part, a.memory, b.memory)
		}
	}
}

// history is what etcd keeps of the last changes, in KiB: between two snapshots of its log, and between two compactions
// of its revisions, it has more or less of it.
const history = 32 << 10

// compareDescriptors fails the test if more descriptors are open without any client than before the first came.
func (w *world) compareDescriptors(quiet map[string]figures) {
	w.t.Helper()
	began, more := time.Now(), map[string]int{}
	for deadline := began.Add(settle); ; wait(w.t.Context(), time.Second) {
		clear(more)
		for part, now := range w.figures() {
			if now.descriptors > quiet[part].descriptors+slack {
				more[part] = now.descriptors
			}
		}
		if len(more) == 0 || time.Now().After(deadline) {
			break
		}
	}
	w.t.Logf("descriptors were looked at for %v", time.Since(began).Round(time.Second))
	for part, descriptors := range more {
		w.t.Errorf("%s holds %d descriptors, it began with %d", part, descriptors, quiet[part].descriptors)
	}
}

// slack is how many descriptors may differ between two moments without a client: health checks come and go.
const slack = 4

// settle is how long the node may keep the connections of the last requests: one to a target is kept unused for at
// most a minute, twice the pool's period.
const settle = 75 * time.Second

// estate is what the good clients call.
type estate struct {
	w                           *world
	clients, attackers, targets []string
	network, service, group     string
	listener, name              string
	member                      *apiclient.Client
	changes, refused            atomic.Int64
}

func newEstate(w *world) *estate {
	w.t.Helper()
	e := &estate{w: w, member: w.memberAccount()}
	payments, callers := w.vpc("10.20.0.0/24", "10.20.0.", 4)
	e.clients, e.attackers = callers[:2], callers[2:]
	partner, targets := w.vpc("10.20.0.0/24", "10.20.0.", 3)
	e.targets = targets
	for _, id := range e.targets {
		w.role(id, "target", "")
	}
	var made struct{ ID, ARN string }
	e.must("POST", "/servicenetworks", map[string]any{"name": "mesh", "authType": "AWS_IAM"}, &made)
	e.network = made.ID
	var service lattice.CreateServiceResponse
	e.must("POST", "/services", map[string]any{"name": "enrichment", "authType": "AWS_IAM"}, &service)
	e.service, e.name = service.ID, service.DNSEntry.DomainName
	for _, id := range []string{e.network, e.service} {
		e.allow(id, 0)
	}
	e.must("POST", "/targetgroups", map[string]any{"name": "enrichment", "type": "INSTANCE", "config": map[string]any{
		"port": 8080, "protocol": "HTTP", "vpcIdentifier": partner, "healthCheck": map[string]any{"enabled": true,
			"healthCheckIntervalSeconds": 5},
	}}, &made)
	e.group = made.ID
	w.eventually("the target group is active", func() bool {
		var group struct{ Status string }
		e.must("GET", "/targetgroups/"+e.group, nil, &group)
		return group.Status == "ACTIVE"
	})
	for _, id := range e.targets {
		e.must("POST", "/targetgroups/"+e.group+"/registertargets",
			map[string]any{"targets": []any{map[string]any{"id": id}}}, nil)
	}
	e.must("POST", "/services/"+e.service+"/listeners", e.listenerOf("http", "HTTP", 80), &made)
	e.listener = made.ID
	e.must("POST", "/services/"+e.service+"/listeners", e.listenerOf("https", "HTTPS", 443), nil)
	e.must("POST", "/servicenetworkserviceassociations", map[string]any{"serviceNetworkIdentifier": e.network,
		"serviceIdentifier": e.service}, nil)
	e.must("POST", "/servicenetworkvpcassociations", map[string]any{"serviceNetworkIdentifier": e.network,
		"vpcIdentifier": payments}, &made)
	w.eventually("the VPC is associated", func() bool {
		var association struct{ Status string }
		e.must("GET", "/servicenetworkvpcassociations/"+made.ID, nil, &association)
		return association.Status == "ACTIVE"
	})
	w.eventually("all targets are healthy", func() bool {
		var listed struct{ Items []struct{ Status string } }
		e.must("POST", "/targetgroups/"+e.group+"/listtargets", map[string]any{}, &listed)
		healthy := 0
		for _, target := range listed.Items {
			if target.Status == "HEALTHY" {
				healthy++
			}
		}
		return healthy == len(e.targets)
	})
	return e
}

func (e *estate) listenerOf(name, protocol string, port int) map[string]any {
	return map[string]any{"name": name, "protocol": protocol, "port": port, "defaultAction": e.forward(100)}
}

func (e *estate) forward(weight int) map[string]any {
	return map[string]any{"forward": map[string]any{"targetGroups": []any{map[string]any{"targetGroupIdentifier": e.group,
		"weight": weight}}}}
}

func (e *estate) call(method, path string, in, out any) error {
	return e.w.api.Lattice(e.w.t.Context(), method, path, in, out)
}

func (e *estate) must(method, path string, in, out any) {
	e.w.t.Helper()
	e.w.must(e.call(method, path, in, out))
}

// allow puts a policy that lets everybody call, in one of its many forms.
func (e *estate) allow(id string, form int) {
	if err := e.putPolicy(id, form); err != nil {
		e.w.t.Fatal(err)
	}
}

func (e *estate) putPolicy(id string, form int) error {
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{
		"Sid":"form%d","Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*"}]}`, form)
	return e.call("PUT", "/authpolicy/"+id, map[string]any{"policy": policy}, nil)
}

// churn changes all that can change without anybody noticing: policies, rules, weights and targets.
func (e *estate) churn(ctx context.Context) {
	var rule struct{ ID string }
	rules := "/services/" + e.service + "/listeners/" + e.listener + "/rules"
	for n := 0; ctx.Err() == nil; n++ {
		var err error
		switch n % 6 {
		case 0:
			err = e.putPolicy(e.service, n)
		case 1:
			err = e.putPolicy(e.network, n)
		case 2:
			err = e.call("POST", rules, map[string]any{
				"name": fmt.Sprintf("churn-%d", n), "priority": 1 + n%90, "action": e.forward(1),
				"match": map[string]any{
					"httpMatch": map[string]any{"pathMatch": map[string]any{"match": map[string]any{"prefix": "/elsewhere"}}}},
			}, &rule)
		case 3:
			if rule.ID != "" {
				if err = e.call("DELETE", rules+"/"+rule.ID, nil, nil); err == nil {
					rule.ID = ""
				}
			}
		case 4:
			err = e.call("PATCH", "/services/"+e.service+"/listeners/"+e.listener,
				map[string]any{"defaultAction": e.forward(1 + n%100)}, nil)
		case 5:
			operation := []string{"deregistertargets", "registertargets"}[n/6%2]
			err = e.call("POST", "/targetgroups/"+e.group+"/"+operation,
				map[string]any{"targets": []any{map[string]any{"id": e.targets[2]}}}, nil)
		}
		if err != nil {
			e.refused.Add(1)
			wait(ctx, 100*time.Millisecond)
			continue
		}
		e.changes.Add(1)
	}
}

// memberAccount makes an organisation with one account, and calls as that account.
func (w *world) memberAccount() *apiclient.Client {
	w.t.Helper()
	ctx := w.t.Context()
	w.must(w.api.Organizations(ctx, "CreateOrganization", map[string]any{"FeatureSet": "ALL"}, nil))
	var created struct{ CreateAccountStatus struct{ AccountId string } }
	w.must(w.api.Organizations(ctx, "CreateAccount",
		map[string]any{"AccountName": "member", "Email": "member@example.com"}, &created))
	return w.client(created.CreateAccountStatus.AccountId)
}

// makeAll makes, as an account of the organisation, all that is allowed, and removes it again. A VPC whose request had
// no answer may be there all the same: at the end those are looked for.
func (w *world) makeAll(ctx context.Context, api *apiclient.Client) {
	var remove []func(ctx context.Context)
	clear := func(ctx context.Context, keep int) {
		for len(remove) > keep {
			remove[len(remove)-1](ctx)
			remove = remove[:len(remove)-1]
		}
	}
	for n := 0; ctx.Err() == nil; n++ {
		if undo := makeAnything(ctx, api, n); undo != nil {
			remove = append(remove, undo)
		} else {
			wait(ctx, 10*time.Millisecond)
		}
		if len(remove) > 40 {
			clear(ctx, 0)
		}
	}
	clear(w.t.Context(), 0)
	w.removeVPCs(api)
}

// removeVPCs deletes all VPCs of an account.
func (w *world) removeVPCs(api *apiclient.Client) {
	var left struct {
		IDs []string `xml:"vpcSet>item>vpcId"`
	}
	if err := api.Query(w.t.Context(), "ec2", "DescribeVpcs", nil, &left); err != nil {
		w.t.Errorf("list the VPCs of the member account: %v", err)
	}
	for _, id := range left.IDs {
		if err := api.Query(w.t.Context(), "ec2", "DeleteVpc", url.Values{"VpcId": {id}}, nil); err != nil {
			w.t.Errorf("delete a VPC of the member account: %v", err)
		}
	}
	w.t.Logf("%d VPCs were left by requests that failed", len(left.IDs))
}

// cidrs are ranges that an account may think of.
var cidrs = []string{"10.0.0.0/16", "127.0.0.0/16", "169.254.0.0/16", "224.0.0.0/16", "192.168.7.0/24", "0.0.0.0/16",
	"255.255.0.0/16", "100.64.0.0/16", "10.20.0.0/24"}

// makeAnything makes something, and returns how to remove it, or nil if it was refused.
func makeAnything(ctx context.Context, api *apiclient.Client, n int) (undo func(context.Context)) {
	name := fmt.Sprintf("member-%d", n)
	var made struct{ ID string }
	rest := func(path string, in map[string]any) func(context.Context) {
		if api.Lattice(ctx, "POST", path, in, &made) != nil {
			return nil
		}
		return func(ctx context.Context) { _ = api.Lattice(ctx, "DELETE", path+"/"+made.ID, nil, nil) }
	}
	switch n % 5 {
	case 0:
		return rest("/services", map[string]any{"name": name})
	case 1:
		return rest("/servicenetworks", map[string]any{"name": name})
	case 2:
		return rest("/targetgroups", map[string]any{"name": name, "type": "LAMBDA"})
	case 3:
		if api.Query(ctx, "iam", "CreateUser", url.Values{"UserName": {name}}, nil) != nil {
			return nil
		}
		return func(ctx context.Context) {
			_ = api.Query(ctx, "iam", "DeleteUser", url.Values{"UserName": {name}}, nil)
		}
	}
	var vpc struct {
		ID string `xml:"vpc>vpcId"`
	}
	cidr := cidrs[rand.IntN(len(cidrs))]
	if api.Query(ctx, "ec2", "CreateVpc", url.Values{"CidrBlock": {cidr}}, &vpc) != nil {
		return nil
	}
	return func(ctx context.Context) {
		_ = api.Query(ctx, "ec2", "DeleteVpc", url.Values{"VpcId": {vpc.ID}}, nil)
	}
}
