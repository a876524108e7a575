package estate

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
)

// TestLargeBody passes a body through the data plane, there and back, in constant memory, by every protocol.
// PERGOLA_BODY_MIB is its size; 128 if unset.
func TestLargeBody(t *testing.T) {
	size := int64(128) << 20
	if n, err := strconv.ParseInt(os.Getenv("PERGOLA_BODY_MIB"), 10, 64); err == nil {
		size = n << 20
	}
	e := newEstate(t)
	for _, way := range e.everyWay() {
		t.Run(way.name, func(t *testing.T) { passLargeBody(t, way, size) })
	}
}

// way is a way of requests through the data plane to a target that sends back what it is sent.
type way struct {
	name    string
	client  *http.Client
	url     string
	version string // towards the target
}

// everyWay makes a service for each protocol.
func (e *estate) everyWay() []way {
	e.t.Helper()
	certificate, root := selfSigned(e.t, "large.example.com")
	server := e.RunInstance(e.owners, "10.20.1.11")
	e.serveAs(server, 8081, false, nil, http.HandlerFunc(sendBack))
	e.serveAs(server, 8082, true, nil, http.HandlerFunc(sendBack))
	e.serveAs(server, 8083, true, &certificate, http.HandlerFunc(sendBack))
	group := func(name string, port int32, protocol types.TargetGroupProtocol, version types.TargetGroupProtocolVersion) types.RuleAction {
		return only(e.makeGroupAs(name, &types.TargetGroupConfig{Port: &port, Protocol: protocol, ProtocolVersion: version}, server))
	}
	plainTo1 := group("plain-to-1", 8081, types.TargetGroupProtocolHttp, types.TargetGroupProtocolVersionHttp1)
	to1 := group("to-1", 8081, types.TargetGroupProtocolHttp, types.TargetGroupProtocolVersionHttp1)
	to2 := group("to-2", 8082, types.TargetGroupProtocolHttp, types.TargetGroupProtocolVersionHttp2)
	untouched := group("untouched", 8083, types.TargetGroupProtocolTcp, "")
	service := func(name string, protocol types.ListenerProtocol, action types.RuleAction) string {
		return e.makeServiceAs(&vpclattice.CreateServiceInput{Name: &name}, protocol, action).domain
	}
	plain := service("plain", types.ListenerProtocolHttp, plainTo1)
	secure := service("secure", types.ListenerProtocolHttps, to1)
	newer := service("newer", types.ListenerProtocolHttps, to2)
	e.makeServiceAs(&vpclattice.CreateServiceInput{Name: aws.String("passed"), CustomDomainName: aws.String("large.example.com")},
		types.ListenerProtocolTlsPassthrough, untouched)
	passed := e.client.Client()
	transport := passed.Transport.(*http.Transport)
	transport.TLSClientConfig, transport.ForceAttemptHTTP2 = &tls.Config{RootCAs: x509.NewCertPool()}, true
	transport.TLSClientConfig.RootCAs.AddCert(root)
	e.t.Cleanup(passed.CloseIdleConnections)
	return []way{
		{"HTTP/1.1", e.trusting(e.client, false), "http://" + plain, "HTTP/1.1"},
		{"HTTPS by HTTP/1.1", e.trusting(e.client, false), "https://" + secure, "HTTP/1.1"},
		{"HTTPS by HTTP/2", e.trusting(e.client, true), "https://" + newer, "HTTP/2.0"},
		{"HTTP/2 to HTTP/1.1", e.trusting(e.client, true), "https://" + secure, "HTTP/1.1"},
		{"TLS passthrough", passed, "https://large.example.com", "HTTP/2.0"},
	}
}

// sendBack answers with what it is sent, while it is sent.
func sendBack(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex()
	w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	w.Header().Set("Came-By", r.Proto)
	io.Copy(w, r.Body)
}

func passLargeBody(t *testing.T, way way, size int64) {
	request := must(http.NewRequestWithContext(t.Context(), http.MethodPost, way.url, io.LimitReader(zeros{}, size)))(t)
	request.ContentLength = size
	var before, peak runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	response := must(way.client.Do(request))(t)
	defer response.Body.Close()
	if by := response.Header.Get("Came-By"); response.StatusCode != 200 || by != way.version {
		t.Fatalf("answered %d by %q, want 200 by %s", response.StatusCode, by, way.version)
	}
	received := int64(0)
	buffer := make([]byte, 1<<20)
	for {
		n, err := response.Body.Read(buffer)
		if received += int64(n); received%(64<<20) < int64(n) {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			peak.HeapInuse = max(peak.HeapInuse, now.HeapInuse)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if received != size {
		t.Errorf("%d bytes came back of %d", received, size)
	}
	grown := int64(peak.HeapInuse) - int64(before.HeapInuse)
	t.Logf("%d MiB there and back; the heap grew by %d KiB", size>>20, grown>>10)
	// The store, the target and the client share this process, so the bound is generous; a body kept whole breaks it.
	if grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
