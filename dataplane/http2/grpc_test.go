package http2

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"pergola/dataplane/http1"
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

// carry is a proxy in small: it carries each stream of a Server over a Client, both ways at a time, and ends one side when
// the other is left.
func carry(c *Client) func(*Stream) {
	return func(from *Stream) {
		var request http1.Request
		if from.In.ReadRequest(&request) != nil {
			return
		}
		to, err := c.Open()
		if err != nil {
			return
		}
		defer to.Close()
		defer from.OnReset(nil)
		from.OnReset(to.Cut)
		to.Out.StartRequest(request.Method, request.Target)
		to.Out.FieldBytes("host", request.Host)
		for _, f := range request.All() {
			if !f.Hop {
				to.Out.Copy(f)
			}
		}
		if request.TakesTrailers() {
			to.Out.Field("te", "trailers")
		}
		to.Out.EndHead(request.Framing())
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			if relay(to, from) == nil {
				to.Out.End()
			}
		}()
		answer(from, to)
		from.StopReading()
		<-sent
	}
}

func answer(from, to *Stream) {
	var response http1.Response
	if to.In.ReadResponse(&response, false) != nil {
		return
	}
	from.Out.StartResponse(response.Status, nil)
	for _, f := range response.All() {
		if !f.Hop {
			from.Out.Copy(f)
		}
	}
	from.Out.EndHead(response.Framing())
	if relay(from, to) == nil {
		from.Out.End()
	}
}

// grpcThrough connects a gRPC client to a gRPC server through a Server and a Client.
func grpcThrough(t *testing.T, desc *grpc.ServiceDesc) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}))
	server.RegisterService(desc, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	c := dial(t, l.Addr().String(), Config{}, nil)
	h := serve(t, Config{}, nil, carry(c))
	client, err := grpc.NewClient(h.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// echoService answers a unary call with what it was sent, or with an error if that is "fail", and a stream with all that
// comes on it.
func echoService(cancelled chan<- error) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Once", Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var message []byte
			if err := decode(&message); err != nil {
				return nil, err
			}
			if string(message) == "fail" {
				return nil, status.Error(codes.DataLoss, "it failed")
			}
			return &message, nil
		}}},
		Streams: []grpc.StreamDesc{{StreamName: "Both", ServerStreams: true, ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			for {
				var message []byte
				if err := s.RecvMsg(&message); err == io.EOF {
					return nil
				} else if err != nil {
					cancelled <- s.Context().Err()
					return err
				}
				if err := s.SendMsg(&message); err != nil {
					return err
				}
			}
		}}},
	}
}

func TestGRPC(t *testing.T) {
	cancelled := make(chan error, 1)
	client := grpcThrough(t, echoService(cancelled))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	for _, size := range []int{0, 10, 1 << 20} {
		message, got := bytes.Repeat([]byte("x"), size), []byte(nil)
		if err := client.Invoke(ctx, "/echo/Once", &message, &got); err != nil || !bytes.Equal(got, message) {
			t.Errorf("a call with %d bytes: %d came back, %v", size, len(got), err)
		}
	}
	message := []byte("fail")
	if err := client.Invoke(ctx, "/echo/Once", &message, &message); status.Code(err) != codes.DataLoss {
		t.Errorf("a call that fails: %v", err)
	}

	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := client.NewStream(ctx, desc, "/echo/Both")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 { // each is answered before the next is sent
		message, got := bytes.Repeat([]byte{byte(i)}, i*100), []byte(nil)
		if err := stream.SendMsg(&message); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(&got); err != nil || !bytes.Equal(got, message) {
			t.Fatalf("message %d: %d bytes, %v", i, len(got), err)
		}
	}
	stream.CloseSend()
	if err := stream.RecvMsg(&message); err != io.EOF {
		t.Errorf("the stream ended with %v", err)
	}

	leaving, leave := context.WithCancel(ctx)
	stream, err = client.NewStream(leaving, desc, "/echo/Both")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(&message); err != nil {
		t.Fatal(err)
	}
	stream.RecvMsg(&message)
	leave()
	select {
	case err := <-cancelled:
		if err != context.Canceled {
			t.Errorf("at the target the call ended with %v", err)
		}
	case <-ctx.Done():
		t.Error("the target does not learn that the client has cancelled")
	}
}
