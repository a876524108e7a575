package passthrough

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"pergola/aws/ec2"
	"pergola/dataplane/record"
	"pergola/lattice"
	"pergola/snapshot"
)

// resourceVPC is a VPC whose clients reach a resource on port 5432 of 129.224.1.1.
func resourceVPC(t *testing.T) *snapshot.VPC {
	t.Helper()
	var changes []snapshot.Change
	for key, object := range map[string]any{
		ec2.KindVPC + "/vpc-1": ec2.VPC{ID: "vpc-1", Account: "1",
			CIDR: netip.MustParsePrefix("10.0.0.0/16")},
		"servicenetwork/sn-1": lattice.ServiceNetwork{ID: "sn-1"},
		"servicenetworkvpcassociation/snva-1": lattice.ServiceNetworkVPCAssociation{ID: "snva-1", ServiceNetworkID: "sn-1",
			VPCID: "vpc-1"},
		"resourcegateway/rgw-1": lattice.ResourceGateway{ID: "rgw-1", VPCID: "vpc-2",
			Nodes: []lattice.GatewayNode{{Address: netip.MustParseAddr("10.0.0.4")}}},
		"servicenetworkresourceassociation/sn": lattice.ServiceNetworkResourceAssociation{ID: "sn", ServiceNetworkID: "sn-1",
			ResourceConfigurationID: "rcfg-1"},
		"resourceconfiguration/rcfg-1": lattice.ResourceConfiguration{ID: "rcfg-1", Type: lattice.ResourceSingle,
			ResourceGatewayID: "rgw-1",
			PortRanges:        []string{"5432"}, Address: netip.MustParseAddr("129.224.1.1"),
			ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{
				IPResource: &lattice.IPResource{IPAddress: "10.0.0.9"}}},
	} {
		value, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, snapshot.Change{Key: key, Value: value})
	}
	s, err := snapshot.Compile("us-west-2", 1, changes)
	if err != nil {
		t.Fatal(err)
	}
	return s.VPCs.Get("vpc-1")
}

// opened is a connection that was opened to an address.
type opened struct {
	*half
	to string
}

func (o opened) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(o.to)) }

// resourceServe has a Resources serve a connection to an address. It returns the client's end, the resource's, and the
// record, which comes when serving has ended.
func resourceServe(t *testing.T, cut context.Context, to string,
	dial error) (client, resource *half, end <-chan *record.Record) {
	t.Helper()
	client, ours := duplex()
	resource, theirs := duplex()
	records, ended := make(chan *record.Record, 1), make(chan *record.Record, 1)
	r := NewResources(ResourceConfig{
		Dial: func(_ context.Context, of *snapshot.Resource, port uint16) (net.Conn, error) {
			if of.ID != "rcfg-1" || port != 5432 {
				t.Errorf("dialled %s on %d", of.ID, port)
			}
			return theirs, dial
		},
		Record: func(of *record.Record) { records <- of },
	})
	go func() {
		r.Serve(cut, opened{ours, to}, resourceVPC(t))
		select {
		case of := <-records:
			ended <- of
		default:
			ended <- nil
		}
	}()
	return client, resource, ended
}

// TestAResourceHearsAHalfOfAConnectionEnd has a client end its side and listen for five minutes.
func TestAResourceHearsAHalfOfAConnectionEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, resource, end := resourceServe(t, t.Context(), "129.224.1.1:5432", nil)
		go func() {
			_, _ = client.Write([]byte("question"))
			_ = client.CloseWrite()
		}()
		said, err := io.ReadAll(resource)
		if string(said) != "question" || err != nil {
			t.Errorf("the resource hears %q, %v", said, err)
		}
		time.Sleep(5 * time.Minute)
		go func() {
			_, _ = resource.Write([]byte("answer"))
			_ = resource.CloseWrite()
		}()
		if heard, err := io.ReadAll(client); string(heard) != "answer" || err != nil {
			t.Errorf("the client hears %q, %v", heard, err)
		}
		of := <-end
		if of == nil || of.Failure != "" || of.BytesReceived != 8 || of.BytesSent != 6 || of.Protocol != record.TCP ||
			of.Network.ID != "sn-1" || of.Resource.Reach.Association != "sn" || of.Resource.Destination.Port() != 5432 {
			t.Errorf("the record is %+v", of)
		}
	})
}

// TestAnIdleConnectionToAResourceEnds after 350 seconds, and one that is not idle does not.
func TestAnIdleConnectionToAResourceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, resource, end := resourceServe(t, t.Context(), "129.224.1.1:5432", nil)
		for range 10 {
			time.Sleep(ResourceIdle - time.Second)
			go func() { _, _ = client.Write([]byte("x")) }()
			expect(t, resource, "x")
		}
		began := time.Now()
		if n, err := client.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("the client reads %d, %v", n, err)
		}
		if quiet := time.Since(began); quiet != ResourceIdle {
			t.Errorf("it ended after %v", quiet)
		}
		<-end
	})
}

// TestConnectionsToNoResource are reset without a record, and those to one that cannot be reached with one.
func TestConnectionsToNoResource(t *testing.T) {
	for to, test := range map[string]struct {
		dial error
		want record.Failure
	}{
		"129.224.1.2:5432": {nil, ""}, "129.224.1.1:5433": {nil, ""}, "0.0.0.0:0": {nil, ""},
		"129.224.1.1:5432": {errors.New("refused"), record.TargetConnectionError},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, _, end := resourceServe(t, t.Context(), to, test.dial)
			if n, err := client.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Errorf("%s: the client reads %d, %v", to, n, err)
			}
			switch of := <-end; {
			case (of == nil) != (test.want == ""):
				t.Errorf("%s: the record is %+v", to, of)
			case of != nil && of.Failure != test.want:
				t.Errorf("%s: the failure is %s", to, of.Failure)
			}
		})
	}
}

// TestAConnectionToAResourceIsCut when its VPC goes.
func TestAConnectionToAResourceIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cut := context.WithCancel(t.Context())
		client, resource, end := resourceServe(t, ctx, "129.224.1.1:5432", nil)
		go func() { _, _ = client.Write([]byte("x")) }()
		expect(t, resource, "x")
		cut()
		if n, err := client.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("the client reads %d, %v", n, err)
		}
		<-end
	})
}
