package control

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/aws/ec2"
	"pergola/aws/elbv2"
	"pergola/aws/iam"
	"pergola/control/operation"
	"pergola/control/settling"
	"pergola/lattice"
	"pergola/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that must happen; never how long it takes.
const patience = 30 * time.Second

const (
	account = "100000000001"
	other   = "100000000002"
	region  = "us-west-2"
)

// world is a control plane on a store of its own, with a clock that stands still unless it is moved.
type world struct {
	*Control
	t      testing.TB
	ctx    context.Context
	caller iam.Caller
	clock  time.Time
	log    bytes.Buffer
}

// newWorld makes a world. Quotas are the real ones but for those given, as pairs of a quota and a number.
func newWorld(t testing.TB, quotas ...quotaOf) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	opened, err := store.Open(ctx, store.Config{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() }) // a test may have closed it
	w := &world{t: t, ctx: ctx, caller: callerOf(account), clock: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)}
	limits := map[string]int{}
	for _, q := range quotas {
		limits[q.Code] = q.limit
	}
	w.Control = New(Config{Config: operation.Config{
		Store: opened, Region: region, Quotas: limits, Now: func() time.Time { return w.clock },
		Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
	}})
	for _, account := range []string{account, other} {
		w.user(account, "admin", iam.Permissions{Attached: []string{"arn:aws:iam::aws:policy/AdministratorAccess"}})
	}
	return w
}

type quotaOf struct {
	lattice.Quota
	limit int
}

func callerOf(account string) iam.Caller {
	return iam.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":user/admin", UserID: "AIDA" + account, Type: iam.TypeUser}
}

// user makes a user, or gives it other permissions.
func (w *world) user(account, name string, permissions iam.Permissions) iam.Caller {
	w.t.Helper()
	user := iam.User{Entity: iam.Entity{Account: account, Name: name, Path: "/", UniqueID: "AIDA" + account}, Permissions: permissions}
	w.write(func(tx *store.Tx) error {
		return store.NewKind[iam.User](iam.KindUser).Put(tx, iam.ID(account, name), user)
	})
	return iam.Caller{Account: account, ARN: user.ARN(), UserID: user.UniqueID, Type: iam.TypeUser}
}

// must is for calls that cannot fail unless the test is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("unexpected error: %v", err))
	}
	return v
}

// refused checks that an error is of a kind and says something.
func refused(t testing.TB, err error, kind lattice.ErrorKind, says string) *lattice.Error {
	t.Helper()
	var refusal *lattice.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("got error %v, want %v with %q", err, kind, says)
	}
	if refusal.Kind != kind || !strings.Contains(refusal.Message, says) {
		t.Fatalf("got %v, want %v with %q", refusal, kind, says)
	}
	return refusal
}

// settleNow settles everything as if a node had applied all there is, once.
func (w *world) settleNow() {
	w.t.Helper()
	w.settleAs(w.waiting(), lattice.Failure{})
}

// settleAs settles objects as if a node had applied them as they were, or had failed to.
func (w *world) settleAs(waiting []store.Change, failure lattice.Failure) {
	w.t.Helper()
	for _, change := range waiting {
		kind, path, _ := strings.Cut(change.Key, "/")
		verdict := settling.Verdict{Revision: change.Revision, Failure: failure}
		w.write(func(tx *store.Tx) error { return rows()[kind].Settle(tx, path, verdict) })
	}
}

// waiting are the objects that wait for nodes, by kind and path, with the revisions since when they do.
func (w *world) waiting() (waiting []store.Change) {
	w.t.Helper()
	for _, prefix := range []string{"object/", "status/"} {
		err := w.Store.Follow(w.ctx, prefix, func(batch store.Batch) error {
			for _, change := range batch.Changes {
				change.Key = strings.TrimPrefix(change.Key, prefix)
				kind, _, _ := strings.Cut(change.Key, "/")
				row, ok := rows()[kind]
				if !ok || row.Apart != (prefix == "status/") {
					continue
				}
				if wait, err := row.Waits(change.Value); err != nil {
					return err
				} else if wait.Nodes {
					waiting = append(waiting, change)
				}
			}
			return errRead
		})
		if !errors.Is(err, errRead) {
			w.t.Fatal(err)
		}
	}
	return waiting
}

// rows are those of this package, and a load balancer's, which becomes ACTIVE.
func rows() map[string]settling.Row {
	rows := map[string]settling.Row{elbv2.KindLoadBalancer: {
		Kind: elbv2.KindLoadBalancer, Waits: settling.StatusWaits,
		Settle: func(tx *store.Tx, path string, verdict settling.Verdict) error {
			balancer, err := loadBalancers.Get(tx, path)
			if err != nil {
				return err
			}
			verdict.Judge(&balancer.Status, &balancer.Failure, true)
			return loadBalancers.Put(tx, path, balancer)
		},
	}}
	for _, row := range Rows() {
		rows[row.Kind] = row
	}
	return rows
}

// objectPrefix begins the keys of objects.
const objectPrefix = "object/"

// keys are all keys in the store that say something of the world, but for its users.
func (w *world) keys() (keys []string) {
	w.t.Helper()
	for _, prefix := range []string{objectPrefix, "status/", "index/"} {
		_ = w.Store.Follow(w.ctx, prefix, func(batch store.Batch) error {
			for _, change := range batch.Changes {
				// Users are the test's, and the marks of what is complete are for ever.
				if !strings.HasPrefix(change.Key, objectPrefix+iam.KindUser+"/") &&
					!strings.HasPrefix(change.Key, "index/owned-complete/") &&
					!strings.HasPrefix(change.Key, "index/claim-complete/") &&
					!strings.HasPrefix(change.Key, "index/status-apart/") {
					keys = append(keys, change.Key)
				}
			}
			return errRead
		})
	}
	return keys
}

// What other services have is put there as they would.
var (
	instances     = store.NewKind[ec2.Instance](ec2.KindInstance)
	loadBalancers = store.NewKind[elbv2.LoadBalancer](elbv2.KindLoadBalancer)
)

func (w *world) write(f func(tx *store.Tx) error) {
	w.t.Helper()
	if _, err := w.Store.Update(w.ctx, f); err != nil {
		w.t.Fatal(err)
	}
}

// id makes an id of a prefix and the digits of a name, so that tests can say names.
func id(prefix, name string) string {
	return prefix + fmt.Sprintf("%x", sha256.Sum256([]byte(name)))[:17]
}

// vpc makes a VPC with the addresses 10.0.0.0/16 and a subnet with 10.0.1.0/24.
func (w *world) vpc(name string) string {
	w.t.Helper()
	vpc := id("vpc-", name)
	w.write(func(tx *store.Tx) error {
		return errors.Join(
			vpcs.Put(tx, vpc, ec2.VPC{ID: vpc, Account: w.caller.Account, CIDR: netip.MustParsePrefix("10.0.0.0/16")}),
			references.Put(tx, vpc+"/"+id("subnet-", name), ""),
			subnets.Put(tx, id("subnet-", name), ec2.Subnet{ID: id("subnet-", name), VPC: vpc,
				CIDR: netip.MustParsePrefix("10.0.1.0/24")}),
		)
	})
	return vpc
}

func (w *world) securityGroup(name, vpc string) string {
	w.t.Helper()
	group := id("sg-", name)
	w.write(func(tx *store.Tx) error {
		return securityGroups.Put(tx, group, ec2.SecurityGroup{ID: group, Account: w.caller.Account, VPC: vpc})
	})
	return group
}

func (w *world) instance(name, vpc string, status lattice.Status) string {
	w.t.Helper()
	instance := id("i-", name)
	w.write(func(tx *store.Tx) error {
		return instances.Put(tx, instance, ec2.Instance{ID: instance, Account: w.caller.Account, VPC: vpc,
			Stage: lattice.Stage{Status: status}, Intent: lattice.Intent{Deleting: status == lattice.StatusGone}})
	})
	return instance
}

func (w *world) network(name string) string {
	return must(w.CreateServiceNetwork(w.ctx, w.caller, &lattice.CreateServiceNetworkRequest{Name: name})).ID
}

func (w *world) service(name string) string {
	return must(w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: name})).ID
}

func (w *world) serviceWithDomain(name, domain string) string {
	return must(w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: name, CustomDomainName: domain})).ID
}

func (w *world) listener(service, name string, port int32, action lattice.RuleAction) string {
	return must(w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{
		ServiceIdentifier: service, Name: name, Protocol: lattice.ProtocolHTTP, Port: port, DefaultAction: action,
	})).ID
}

func (w *world) rule(service, listener, name string, priority int32, action lattice.RuleAction) string {
	return must(w.CreateRule(w.ctx, w.caller, &lattice.CreateRuleRequest{
		ServiceIdentifier: service, ListenerIdentifier: listener, Name: name, Priority: priority, Match: get, Action: action,
	})).ID
}

// group makes a target group with HTTP on port 80 in a VPC.
func (w *world) group(name, vpc string) string {
	return w.groupOf(name, lattice.TargetIP, lattice.TargetGroupConfig{VPCIdentifier: vpc, Protocol: lattice.TargetHTTP})
}

func (w *world) groupOf(name string, kind lattice.TargetGroupType, config lattice.TargetGroupConfig) string {
	return must(w.CreateTargetGroup(w.ctx, w.caller, &lattice.CreateTargetGroupRequest{Name: name, Type: kind, Config: &config})).ID
}

func (w *world) associate(network, service string) string {
	return must(w.CreateServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkServiceAssociationRequest{
		ServiceNetworkIdentifier: network, ServiceIdentifier: service,
	})).ID
}

func (w *world) associateVPC(network, vpc string, groups ...string) string {
	return must(w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkVPCAssociationRequest{
		ServiceNetworkIdentifier: network, VPCIdentifier: vpc, SecurityGroupIDs: groups,
	})).ID
}

// get matches requests with the method GET, answer404 answers them.
var (
	get       = lattice.RuleMatch{HTTPMatch: &lattice.HTTPMatch{Method: "GET"}}
	answer404 = lattice.RuleAction{FixedResponse: &lattice.FixedResponseAction{StatusCode: 404}}
	answer500 = lattice.RuleAction{FixedResponse: &lattice.FixedResponseAction{StatusCode: 500}}
)

// forward makes an action that gives each of several target groups the weight 1.
func forward(groups ...string) lattice.RuleAction {
	action := &lattice.ForwardAction{}
	for _, group := range groups {
		weighted := lattice.WeightedTargetGroup{TargetGroupIdentifier: group}
		if len(groups) > 1 {
			weighted.Weight = new(int32(1))
		}
		action.TargetGroups = append(action.TargetGroups, weighted)
	}
	return lattice.RuleAction{Forward: action}
}

func TestFailuresOfTheStoreArePassedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.Store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "parking"})
	if !errors.Is(err, store.ErrClosed) {
		t.Errorf("a creation: %v", err)
	}
	_, err = w.ListServices(w.ctx, w.caller, &lattice.ListServicesRequest{})
	if !errors.Is(err, store.ErrClosed) {
		t.Errorf("a listing: %v", err)
	}
}

func TestNewFillsInDefaults(t *testing.T) {
	c := New(Config{Config: operation.Config{Region: region}})
	if c.Now == nil || c.Random == nil || c.Logger == nil {
		t.Error("a default is missing")
	}
	if got := c.limit(lattice.QuotaServices); got != 2000 {
		t.Errorf("the quota of services is %d, want its default", got)
	}
}
