// Package testenv runs a whole deployment in a test process: a real store, a real fabric, the real front door, and
// clients on both sides. Only the disk is spared: the store does not sync.
package testenv

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"go.uber.org/goleak"

	"pergola/deployment"
	"pergola/fabric"
	"pergola/internal/apiclient"
	"pergola/internal/inside"
	"pergola/operator"
)

// Main is the body of TestMain for packages that start deployments: fabrics run the test binary again. Goroutines that
// outlive all tests fail them.
func Main(m *testing.M) {
	fabric.Main()
	if err := fabric.Enter(network()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// network is the kind of fabric that tests run on: PERGOLA_NETWORK, or what works here.
func network() string {
	if kind := os.Getenv("PERGOLA_NETWORK"); kind != "" {
		return kind
	}
	return fabric.Auto
}

// patience bounds every wait. A test that reaches it has failed.
const patience = 30 * time.Second

// Env is a deployment under test.
type Env struct {
	*deployment.Deployment
	// API calls as the administrator of the management account.
	API *apiclient.Client
	// Lattice is the Go SDK's client, for the same principal.
	Lattice *vpclattice.Client

	t testing.TB
}

// Start starts a deployment that ends with the test.
func Start(t testing.TB) *Env {
	t.Helper()
	// Not t.TempDir, whose path, made of the test's name, can be too long for a socket.
	dir, err := os.MkdirTemp("", "pergola-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return StartIn(t, deployment.Config{Dir: dir, NoSync: true})
}

// wide are quotas that have room for the estates of tests, which make more than the defaults allow. A test that looks
// at the defaults gives Quotas that are empty and not nil.
func wide() map[string]int {
	return map[string]int{"L-F678F1CE": 1000, "L-1216C47A": 1000} // VPCs and instances
}

// StartIn starts a deployment with a configuration of the test's own, on the fabric that tests run on unless that names
// one.
func StartIn(t testing.TB, cfg deployment.Config) *Env {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cfg.Listen = "127.0.0.1:0"
	if cfg.Network == "" {
		cfg.Network = network()
	}
	if cfg.Quotas == nil {
		cfg.Quotas = wide()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	d, err := deployment.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close the deployment: %v", err)
		}
	})
	environment, err := d.Environment(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	return &Env{Deployment: d, API: &apiclient.Client{Environment: environment}, Lattice: sdk(environment), t: t}
}

// testWriter writes log lines where the test's own output goes.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

func sdk(e operator.Environment) *vpclattice.Client {
	return vpclattice.New(vpclattice.Options{
		BaseEndpoint: aws.String(e.Endpoint), Region: e.Region,
		Credentials:      credentials.NewStaticCredentialsProvider(e.AccessKeyID, e.SecretAccessKey, e.SessionToken),
		RetryMaxAttempts: 1,
	})
}

// Eventually waits until a condition holds.
func (e *Env) Eventually(what string, holds func() bool) {
	e.t.Helper()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			e.t.Fatalf("it did not happen within %v: %s", patience, what)
		}
	}
}

// VPC is a VPC with one subnet that spans it.
type VPC struct {
	ID, Subnet string
	// Group is the VPC's default security group.
	Group string
	CIDR  netip.Prefix
}

// MakeVPC makes a VPC. What is in its default security group lets in VPC Lattice, and each other.
func (e *Env) MakeVPC(cidr string) VPC {
	e.t.Helper()
	var vpc struct {
		ID string `xml:"vpc>vpcId"`
	}
	e.query("CreateVpc", url.Values{"CidrBlock": {cidr}}, &vpc)
	var subnet struct {
		ID string `xml:"subnet>subnetId"`
	}
	e.query("CreateSubnet", url.Values{"VpcId": {vpc.ID}, "CidrBlock": {cidr}}, &subnet)
	group, _, err := e.API.AdmitLattice(e.t.Context(), vpc.ID)
	if err != nil {
		e.t.Fatal(err)
	}
	return VPC{vpc.ID, subnet.ID, group, netip.MustParsePrefix(cidr)}
}

// Rule authorises or revokes a rule of a security group, which the parameters tell.
func (e *Env) Rule(action, group string, rule url.Values) {
	e.t.Helper()
	parameters := maps.Clone(rule)
	parameters.Set("GroupId", group)
	e.query(action, parameters, &struct{}{})
}

func (e *Env) query(action string, parameters url.Values, out any) {
	e.t.Helper()
	if err := e.API.Query(e.t.Context(), "ec2", action, parameters, out); err != nil {
		e.t.Fatal(err)
	}
}

// RunInstance runs an instance in some security groups, or in the default one, and waits until it is running.
func (e *Env) RunInstance(vpc VPC, address string, groups ...string) inside.Instance {
	e.t.Helper()
	var run struct {
		ID string `xml:"instancesSet>item>instanceId"`
	}
	parameters := url.Values{
		"SubnetId": {vpc.Subnet}, "PrivateIpAddress": {address}, "MinCount": {"1"}, "MaxCount": {"1"},
	}
	for i, group := range groups {
		parameters.Set(fmt.Sprint("SecurityGroupId.", i+1), group)
	}
	e.query("RunInstances", parameters, &run)
	e.Eventually("instance "+run.ID+" runs", func() bool {
		var described struct {
			State string `xml:"reservationSet>item>instancesSet>item>instanceState>name"`
		}
		e.query("DescribeInstances", url.Values{"InstanceId.1": {run.ID}}, &described)
		return described.State == "running"
	})
	return inside.Instance{
		Fabric: e.Fabric(), VPC: vpc.ID, ID: run.ID,
		Address: netip.MustParseAddr(address), Resolver: vpc.CIDR.Addr().Next().Next(),
	}
}

// Serve serves HTTP on a port of an instance until the test ends or stop is called.
func (e *Env) Serve(instance inside.Instance, port uint16, handler http.Handler) (stop func()) {
	e.t.Helper()
	listener, err := instance.Listen(e.t.Context(), port)
	if err != nil {
		e.t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go server.Serve(listener)
	stop = func() { _ = server.Close() }
	e.t.Cleanup(stop)
	return stop
}

// Get calls a URL from an instance and returns the answer with its body.
func (e *Env) Get(from inside.Instance, url string) (*http.Response, string) {
	e.t.Helper()
	request, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	return e.Do(from, request)
}

// Do sends a request from an instance and returns the answer with its body.
func (e *Env) Do(from inside.Instance, request *http.Request) (*http.Response, string) {
	e.t.Helper()
	client := from.Client()
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		e.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return response, string(content)
}
