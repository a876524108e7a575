// Package conformance holds Pergola against the test suites that others keep for the protocols it speaks. It is a module
// of its own, so that nothing these suites need is a dependency of Pergola.
package conformance

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"pergola/fabric"
	"pergola/internal/inside"
	"pergola/internal/testenv"
	"pergola/lattice"
	"pergola/operator"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// world is a deployment with a service that has an HTTPS listener, a client's instance and a target's.
type world struct {
	*testenv.Env
	t              *testing.T
	client, server inside.Instance
	network, vpc   string
}

func newWorld(t *testing.T) *world {
	w := &world{Env: testenv.Start(t), t: t}
	clients, owners := w.MakeVPC("10.20.0.0/16"), w.MakeVPC("10.20.0.0/16")
	w.client, w.server, w.vpc = w.RunInstance(clients, "10.20.1.10"), w.RunInstance(owners, "10.20.1.10"), owners.ID
	var network lattice.CreateServiceNetworkResponse
	w.call("POST", "/servicenetworks", map[string]any{"name": "conformance"}, &network)
	w.network = network.ID
	w.call("POST", "/servicenetworkvpcassociations", map[string]any{"serviceNetworkIdentifier": w.network, "vpcIdentifier": clients.ID}, nil)
	return w
}

func (w *world) call(method, path string, in, out any) {
	w.t.Helper()
	if err := w.API.Lattice(w.t.Context(), method, path, in, out); err != nil {
		w.t.Fatal(err)
	}
}

// serve makes a service whose HTTPS listener forwards to a port of the target's instance, waits until it is served, and
// returns its name.
func (w *world) serve(name string, port int, version lattice.ProtocolVersion) (domain string) {
	w.t.Helper()
	var group lattice.CreateTargetGroupResponse
	w.call("POST", "/targetgroups", map[string]any{"name": name, "type": "INSTANCE", "config": map[string]any{
		"port": port, "protocol": "HTTP", "protocolVersion": version, "vpcIdentifier": w.vpc, "healthCheck": map[string]any{"enabled": false},
	}}, &group)
	w.Eventually("the target group is active", func() bool {
		var got lattice.GetTargetGroupResponse
		w.call("GET", "/targetgroups/"+group.ID, nil, &got)
		return got.Status == lattice.StatusActive
	})
	w.call("POST", "/targetgroups/"+group.ID+"/registertargets", map[string]any{"targets": []map[string]any{{"id": w.server.ID}}}, nil)
	var service lattice.CreateServiceResponse
	w.call("POST", "/services", map[string]any{"name": name}, &service)
	w.call("POST", "/services/"+service.ID+"/listeners", map[string]any{"name": "https", "protocol": "HTTPS", "defaultAction": map[string]any{
		"forward": map[string]any{"targetGroups": []map[string]any{{"targetGroupIdentifier": group.ID}}},
	}}, nil)
	w.call("POST", "/servicenetworkserviceassociations", map[string]any{"serviceNetworkIdentifier": w.network, "serviceIdentifier": service.ID}, nil)
	w.Eventually("the service is resolved", func() bool {
		_, err := w.client.Lookup(w.t.Context(), service.DNSEntry.DomainName)
		return err == nil
	})
	return service.DNSEntry.DomainName
}

// tool builds a tool of this module and returns its path.
func tool(t *testing.T, name string) string {
	path, err := exec.CommandContext(t.Context(), "go", "tool", "-n", name).Output()
	if err != nil {
		t.Fatalf("go tool -n %s: %v", name, err)
	}
	return strings.TrimSpace(string(path))
}

// inClient runs a program in the client's instance and returns what it prints and its exit status.
func (w *world) inClient(args ...string) (output string, status int) {
	w.t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	defer reader.Close()
	process, err := w.Start(w.t.Context(), operator.Program{Place: w.client.ID, Args: args, Dir: w.t.TempDir()},
		operator.Streams{Out: writer, Err: writer})
	writer.Close()
	if err != nil {
		w.t.Fatal(err)
	}
	printed, err := io.ReadAll(reader)
	if err != nil {
		w.t.Fatal(err)
	}
	status, err = process.Wait()
	if err != nil {
		w.t.Fatal(err)
	}
	return string(printed), status
}

var summary = regexp.MustCompile(`(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed`)

// TestH2spec runs the whole of h2spec, RFC 9113's predecessor and HPACK, with what it calls strict, against an HTTPS listener, from within a VPC.
func TestH2spec(t *testing.T) {
	w := newWorld(t)
	if w.Fabric().Name() != fabric.Netns {
		t.Skip("h2spec connects by itself, which takes network namespaces")
	}
	// h2spec has cases for windows smaller than the answer, so there has to be one.
	stop := w.Serve(w.server, 8080, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		rw.Write(bytes.Repeat([]byte("pergola "), 1000))
	}))
	defer stop()
	domain := w.serve("h2spec", 8080, lattice.HTTP1)
	printed, status := w.inClient(tool(t, "h2spec"), "--host", domain, "--port", "443", "--tls", "--insecure", "--strict", "--timeout", "5")
	counts := summary.FindStringSubmatch(printed)
	if status != 0 || counts == nil {
		t.Fatalf("h2spec ended with %d:\n%s", status, printed)
	}
	t.Log(counts[0])
	if passed, _ := strconv.Atoi(counts[2]); counts[1] != counts[2] || passed < 146 {
		t.Errorf("%s, want all of them passed:\n%s", counts[0], printed)
	}
}

// TestGRPCInterop runs the cases of grpc-go's interoperability client through a service to grpc-go's interoperability
// server: all but those that need credentials of Google's, several addresses of a server, or load reports.
func TestGRPCInterop(t *testing.T) {
	w := newWorld(t)
	listener, err := w.server.Listen(t.Context(), 8090)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(server, interop.NewTestServer())
	go server.Serve(listener)
	defer server.Stop()
	domain := w.serve("interop", 8090, lattice.GRPC)
	conn := w.dial(domain)
	defer conn.Close()
	client := testgrpc.NewTestServiceClient(conn)
	unimplemented := testgrpc.NewUnimplementedServiceClient(conn)
	for _, test := range []struct {
		name string
		run  func(context.Context)
	}{
		{"empty_unary", func(ctx context.Context) { interop.DoEmptyUnaryCall(ctx, client) }},
		{"large_unary", func(ctx context.Context) { interop.DoLargeUnaryCall(ctx, client) }},
		{"client_streaming", func(ctx context.Context) { interop.DoClientStreaming(ctx, client) }},
		{"server_streaming", func(ctx context.Context) { interop.DoServerStreaming(ctx, client) }},
		{"ping_pong", func(ctx context.Context) { interop.DoPingPong(ctx, client) }},
		{"empty_stream", func(ctx context.Context) { interop.DoEmptyStream(ctx, client) }},
		{"timeout_on_sleeping_server", func(ctx context.Context) { interop.DoTimeoutOnSleepingServer(ctx, client) }},
		{"cancel_after_begin", func(ctx context.Context) { interop.DoCancelAfterBegin(ctx, client) }},
		{"cancel_after_first_response", func(ctx context.Context) { interop.DoCancelAfterFirstResponse(ctx, client) }},
		{"status_code_and_message", func(ctx context.Context) { interop.DoStatusCodeAndMessage(ctx, client) }},
		{"special_status_message", func(ctx context.Context) { interop.DoSpecialStatusMessage(ctx, client) }},
		{"custom_metadata", func(ctx context.Context) { interop.DoCustomMetadata(ctx, client) }},
		{"unimplemented_method", func(ctx context.Context) { interop.DoUnimplementedMethod(ctx, conn) }},
		{"unimplemented_service", func(ctx context.Context) { interop.DoUnimplementedService(ctx, unimplemented) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			test.run(ctx) // a case that fails ends the process, and says which it is
			if ctx.Err() != nil {
				t.Error(ctx.Err())
			}
		})
	}
}

// dial connects a gRPC client in the client's instance to a service, trusting the built-in authority.
func (w *world) dial(domain string) *grpc.ClientConn {
	w.t.Helper()
	authority, err := w.Authority(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(authority)) {
		w.t.Fatal("the authority's certificate cannot be read")
	}
	dialer := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		addresses, err := w.client.Lookup(ctx, domain)
		if err != nil {
			return nil, err
		}
		return w.client.Dial(ctx, netip.AddrPortFrom(addresses[0], 443))
	})
	conn, err := grpc.NewClient(fmt.Sprintf("passthrough:///%s:443", domain), dialer,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})))
	if err != nil {
		w.t.Fatal(err)
	}
	return conn
}
