package estate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"pergola/internal/inside"
	"pergola/sealing"
	"pergola/sigv4"
)

// rawCodec carries bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "raw" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// calls is a gRPC server that takes every call. It answers with its name and the method, except that a method Watch sends
// everything back, Fail fails, and Wait waits until the call is given up.
type calls struct {
	name  string
	ended chan error // of Wait
}

func (c *calls) serve(_ any, s grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(s)
	var message []byte
	switch {
	case strings.HasSuffix(method, "/Fail"):
		return status.Error(codes.DataLoss, "it failed: 100 %")
	case strings.HasSuffix(method, "/Wait"):
		<-s.Context().Done()
		c.ended <- s.Context().Err()
		return s.Context().Err()
	case strings.HasSuffix(method, "/Watch"):
		for {
			if err := s.RecvMsg(&message); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := s.SendMsg(&message); err != nil {
				return err
			}
		}
	}
	if err := s.RecvMsg(&message); err != nil {
		return err
	}
	answer := []byte(c.name + " " + method)
	return s.SendMsg(&answer)
}

// makeCalls makes a target group of one gRPC server.
func (e *estate) makeCalls(name string, instance inside.Instance, port uint16) (*calls, string) {
	e.t.Helper()
	c := &calls{name, make(chan error, 1)}
	server := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}), grpc.UnknownServiceHandler(c.serve))
	listener := must(instance.Listen(e.t.Context(), port))(e.t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	e.t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return c, e.makeCallGroup(name, port, instance)
}

func (e *estate) makeCallGroup(name string, port uint16, members ...inside.Instance) string {
	e.t.Helper()
	return e.makeGroupAs(name, &types.TargetGroupConfig{
		Port: aws.Int32(int32(port)), Protocol: types.TargetGroupProtocolHttp, ProtocolVersion: types.TargetGroupProtocolVersionGrpc,
	}, members...)
}

// dialCalls connects a gRPC client in the client's instance to a service, whose certificate it verifies.
func (e *estate) dialCalls(domain string) *grpc.ClientConn {
	e.t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(must(e.Authority(e.t.Context()))(e.t))) {
		e.t.Fatal("the authority's certificate cannot be read")
	}
	dialer := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		addresses, err := e.client.Lookup(ctx, domain)
		if err != nil {
			return nil, err
		}
		return e.client.Dial(ctx, netip.AddrPortFrom(addresses[0], 443))
	})
	conn := must(grpc.NewClient("passthrough:///"+domain+":443", dialer, grpc.WithAuthority(domain),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: domain})),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{}))))(e.t)
	e.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// invoke makes a unary call and returns the answer, or the status with its message.
func invoke(ctx context.Context, conn *grpc.ClientConn, method string) string {
	message, answer := []byte("message"), []byte(nil)
	if err := conn.Invoke(ctx, method, &message, &answer); err != nil {
		return status.Code(err).String() + ": " + status.Convert(err).Message()
	}
	return string(answer)
}

// TestGRPC calls methods of gRPC through an HTTPS listener: what matches which rule, and what a call can end in.
func TestGRPC(t *testing.T) {
	e := newEstate(t)
	instance := e.RunInstance(e.owners, "10.20.1.11")
	others, othersGroup := e.makeCalls("others", instance, 8090)
	_, rates := e.makeCalls("rates", instance, 8091)
	_, billing := e.makeCalls("billing", instance, 8092)
	s := e.makeServiceAs(&vpclattice.CreateServiceInput{Name: aws.String("api")}, types.ListenerProtocolHttps, only(othersGroup))
	for i, rule := range []struct {
		name   string
		path   types.PathMatchType
		action types.RuleAction
	}{
		{"one-method", &types.PathMatchTypeMemberExact{Value: "/api.parking/GetRates"}, only(rates)},
		{"one-service", &types.PathMatchTypeMemberPrefix{Value: "/api.billing/"}, only(billing)},
		{"nobody", &types.PathMatchTypeMemberPrefix{Value: "/api.nobody/"}, only(e.makeCallGroup("nobody", 8093))},
		{"refused", &types.PathMatchTypeMemberPrefix{Value: "/api.refused/"}, &types.RuleActionMemberFixedResponse{Value: types.FixedResponseAction{StatusCode: aws.Int32(404)}}},
	} {
		must(e.Lattice.CreateRule(t.Context(), &vpclattice.CreateRuleInput{
			ServiceIdentifier: &s.id, ListenerIdentifier: &s.listener, Name: &rule.name, Priority: aws.Int32(int32(i + 1)), Action: rule.action,
			Match: &types.RuleMatchMemberHttpMatch{Value: types.HttpMatch{PathMatch: &types.PathMatch{Match: rule.path, CaseSensitive: aws.Bool(true)}}},
		}))(t)
	}
	conn := e.dialCalls(s.domain)
	e.Eventually("the last rule is live", func() bool { return strings.HasPrefix(invoke(t.Context(), conn, "/api.refused/Any"), "Unimplemented") })
	for method, want := range map[string]string{
		"/api.parking/GetRates":     "rates /api.parking/GetRates",
		"/api.parking/GetRatesSoon": "others /api.parking/GetRatesSoon",
		"/api.parking/getrates":     "others /api.parking/getrates",
		"/api.Parking/GetRates":     "others /api.Parking/GetRates",
		"/api.billing/GetRates":     "billing /api.billing/GetRates",
		"/api.billing/Pay":          "billing /api.billing/Pay",
		"/api.billing.more/Pay":     "others /api.billing.more/Pay",
		"/api.nobody/Any":           "Unavailable: Service Unavailable",
		"/api.parking/Fail":         "DataLoss: it failed: 100 %",
	} {
		if got := invoke(t.Context(), conn, method); got != want {
			t.Errorf("%s: %q, want %q", method, got, want)
		}
	}
	t.Run("both directions", func(t *testing.T) { watch(t, conn) })
	t.Run("a deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if got := invoke(ctx, conn, "/api.parking/Wait"); !strings.HasPrefix(got, "DeadlineExceeded: ") {
			t.Errorf("the call ended in %q", got)
		}
		if err := <-others.ended; !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			t.Errorf("at the target it ended in %v", err)
		}
	})
	t.Run("a cancelled call", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		stream := must(conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/api.parking/Wait"))(t)
		message := []byte("message")
		if err := stream.SendMsg(&message); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := stream.RecvMsg(&message); status.Code(err) != codes.Canceled {
			t.Errorf("the call ended in %v", err)
		}
	})
}

// watch has each message answered before the next is sent.
func watch(t *testing.T, conn *grpc.ClientConn) {
	stream := must(conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/api.parking/Watch"))(t)
	for i := range 100 {
		sent, got := []byte(strings.Repeat("x", 1000*i)), []byte(nil)
		if err := stream.SendMsg(&sent); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(&got); err != nil || string(got) != string(sent) {
			t.Fatalf("message %d came back as %d bytes, %v", i, len(got), err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var message []byte
	if err := stream.RecvMsg(&message); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
}

// signedCall is a context whose call bears a signature.
func signedCall(t *testing.T, c sealing.Credential, host, method string) context.Context {
	t.Helper()
	s := &sigv4.Signer{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret, SessionToken: c.Token,
		Region: "us-west-2", Service: "vpc-lattice-svcs", Payload: sigv4.PayloadUnsigned, Path: sigv4.PathAsSent,
	}
	fields := must(s.Sign(&sigv4.Request{Method: http.MethodPost, Path: method, Host: host, Header: sigv4.Fields{}}, time.Now()))(t)
	ctx := t.Context()
	for _, f := range fields {
		ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(f.Name), f.Value)
	}
	return ctx
}

// TestGRPCAuthorization guards a service of gRPC by a policy that names one method, as the user guide writes it in "Resource
// format for auth policies".
func TestGRPCAuthorization(t *testing.T) {
	g := newGuarded(t)
	_, group := g.makeCalls("calls", g.RunInstance(g.owners, "10.20.1.12"), 8090)
	s := g.makeServiceAs(&vpclattice.CreateServiceInput{Name: aws.String("api"), AuthType: types.AuthTypeAwsIam}, types.ListenerProtocolHttps, only(group))
	g.arn = "arn:aws:vpc-lattice:us-west-2:100000000001:service/" + s.id
	conn, session := g.dialCalls(s.domain), g.assume()
	const rates, other = "/api.parking/GetRates", "/api.parking/SetRates"
	refused := func(who, method string) string {
		return "PermissionDenied: " + strings.TrimPrefix(g.refused(who, method, silent("service")), "403 ")
	}
	if got, want := invoke(t.Context(), conn, rates), refused("anonymous", rates); got != want {
		t.Errorf("without a policy: %q, want %q", got, want)
	}
	signed := func(method string) string { return invoke(signedCall(t, session, s.domain, method), conn, method) }
	for _, resource := range []string{g.arn + rates, g.arn + "/api.parking/Get*", "*/GetRates"} {
		g.putPolicy(s.id, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"`+callersARN+
			`"},"Action":"vpc-lattice-svcs:Invoke","Resource":"`+resource+`"}}`)
		g.Eventually("the method is allowed by "+resource, func() bool { return signed(rates) == "calls "+rates })
		if got, want := signed(other), refused(sessionARN, other); got != want {
			t.Errorf("%s: another method: %q, want %q", resource, got, want)
		}
		if got, want := invoke(t.Context(), conn, rates), refused("anonymous", rates); got != want {
			t.Errorf("%s: unsigned: %q, want %q", resource, got, want)
		}
		if got := invoke(signedCall(t, session, s.domain, other), conn, rates); got != "PermissionDenied: "+strings.TrimPrefix(mismatch, "403 ") {
			t.Errorf("%s: signed for another method: %q", resource, got)
		}
	}
}

// TestSignedHTTPS signs requests that come by TLS, for a Host without the port that https stands for.
func TestSignedHTTPS(t *testing.T) {
	g := newGuarded(t)
	name := "secure"
	s := g.makeServiceAs(&vpclattice.CreateServiceInput{Name: &name, AuthType: types.AuthTypeAwsIam}, types.ListenerProtocolHttps,
		only(g.makeGroup(name, nil, g.target("10.20.1.12", says("parked")))))
	g.putPolicy(s.id, statement("Allow", `{"AWS":"`+callersARN+`"}`, ""))
	session := g.assume()
	url := "https://" + s.domain + "/a%20b?x=1"
	for version, client := range map[string]*http.Client{"HTTP/1.1": g.trusting(g.client, false), "HTTP/2.0": g.trusting(g.client, true)} {
		ask := func(sign signer, method string) string {
			response := must(client.Do(sign(t, method, url)))(t)
			defer response.Body.Close()
			body := must(io.ReadAll(response.Body))(t)
			if response.Proto != version {
				t.Errorf("answered by %s", response.Proto)
			}
			return response.Status[:4] + string(body)
		}
		for who, sign := range map[string]signer{"Pergola": pergolaSigner(session), "SDK for Go": goSigner(session, true, unsignedPayload, time.Now())} {
			g.Eventually(who+"'s signature is taken by "+version, func() bool { return ask(sign, "GET") == parked })
			altered := func(t *testing.T, method, url string) *http.Request {
				request := sign(t, method, url)
				request.Method = "PUT"
				return request
			}
			if got := ask(altered, "GET"); got != mismatch {
				t.Errorf("%s by %s: an altered method: %q", who, version, got)
			}
		}
		if got := ask(unsigned, "GET"); !strings.HasPrefix(got, "403 AccessDeniedException: User: anonymous") {
			t.Errorf("unsigned by %s: %q", version, got)
		}
	}
}
