// Package older opens data directories of older versions: what they hold is served, and can be changed and deleted.
// testdata has one of each version whose successor keeps things differently, with the key that seals the secrets of
// that deployment and of no other.
package older

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pergola/addressing"
	"pergola/deployment"
	"pergola/internal/inside"
	"pergola/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// unpack writes the files of an archive into a directory.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	compressed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(compressed); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, header.Name)
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else {
			err = write(path, files)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func write(path string, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// open starts a deployment on the data of an archive.
func open(t *testing.T, archive string) *testenv.Env {
	t.Helper()
	dir, err := os.MkdirTemp("", "pergola-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	unpack(t, filepath.Join("testdata", archive), dir)
	return testenv.StartIn(t, deployment.Config{Dir: dir, NoSync: true})
}

// listed is one page of a listing of VPC Lattice.
type listed struct {
	Items []struct{ ID, Name, Status string }
}

// old is the deployment of November 2026: what an owner has made with the AWS CLI.
type old struct {
	*testenv.Env
	t                       *testing.T
	service, group, network string
	domain                  string
}

func (o *old) lattice(method, path string, in, out any) {
	o.t.Helper()
	if err := o.API.Lattice(o.t.Context(), method, path, in, out); err != nil {
		o.t.Fatalf("%s %s: %v", method, path, err)
	}
}

func (o *old) query(service, action string, parameters url.Values, out any) {
	o.t.Helper()
	if err := o.API.Query(o.t.Context(), service, action, parameters, out); err != nil {
		o.t.Fatalf("%s: %v", action, err)
	}
}

// only returns the one item of a listing, which must be ACTIVE if it has a status.
func (o *old) only(path string) (id string) {
	o.t.Helper()
	var all listed
	o.lattice("GET", path, nil, &all)
	if len(all.Items) != 1 || all.Items[0].Status != "" && all.Items[0].Status != "ACTIVE" {
		o.t.Fatalf("%s has %+v", path, all.Items)
	}
	return all.Items[0].ID
}

// instance is the one instance, to act from.
func (o *old) instance() inside.Instance {
	o.t.Helper()
	var described struct {
		ID    string `xml:"reservationSet>item>instancesSet>item>instanceId"`
		VPC   string `xml:"reservationSet>item>instancesSet>item>vpcId"`
		IP    string `xml:"reservationSet>item>instancesSet>item>privateIpAddress"`
		State string `xml:"reservationSet>item>instancesSet>item>instanceState>name"`
	}
	o.query("ec2", "DescribeInstances", nil, &described)
	if described.State != "running" {
		o.t.Fatalf("the instance is %+v", described)
	}
	return inside.Instance{Fabric: o.Fabric(), VPC: described.VPC, ID: described.ID,
		Address: netip.MustParseAddr(described.IP), Resolver: netip.MustParseAddr("10.20.0.2")}
}

// TestNovember2026 opens the data of the version whose objects had their statuses in themselves.
func TestNovember2026(t *testing.T) {
	o := &old{Env: open(t, "2026-11.tar.gz"), t: t}
	o.network, o.service, o.group = o.only("/servicenetworks"), o.only("/services"), o.only("/targetgroups")
	var service struct {
		Status   string
		DNSEntry struct{ DomainName string }
	}
	o.lattice("GET", "/services/"+o.service, nil, &service)
	o.domain = service.DNSEntry.DomainName
	client := o.instance()
	o.admit(client)
	for path, want := range map[string]int{"/": 404, "/broken": 500, "/rates": 503} { // the target never was there
		if response, _ := o.Get(client, "http://"+o.domain+path); response.StatusCode != want {
			t.Errorf("%s is answered with %s, want %d", path, response.Status, want)
		}
	}
	o.neighbours()
	o.again()
	o.change()
	o.remove()
	o.terminate(client.ID)
}

// admit lets clients in to the service network, whose association is in a security group that nothing enforced.
func (o *old) admit(client inside.Instance) {
	association := o.only("/servicenetworkvpcassociations?vpcIdentifier=" + client.VPC)
	var described struct{ SecurityGroupIDs []string }
	o.lattice("GET", "/servicenetworkvpcassociations/"+association, nil, &described)
	if len(described.SecurityGroupIDs) != 1 {
		o.t.Fatalf("the association is in %v", described.SecurityGroupIDs)
	}
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Second)
	defer cancel()
	if _, err := client.Dial(ctx, netip.AddrPortFrom(addressing.FirstDoor, 80)); ctx.Err() == nil {
		o.t.Errorf("the group of the association lets nobody in, but the answer is: %v", err)
	}
	o.Rule("AuthorizeSecurityGroupIngress", described.SecurityGroupIDs[0], url.Values{
		"IpPermissions.1.IpProtocol": {"tcp"}, "IpPermissions.1.FromPort": {"80"}, "IpPermissions.1.ToPort": {"80"},
		"IpPermissions.1.IpRanges.1.CidrIp": {client.Address.String() + "/32"}})
}

// terminate ends the instance, which had its state in itself.
func (o *old) terminate(instance string) {
	o.query("ec2", "TerminateInstances", url.Values{"InstanceId.1": {instance}}, nil)
	o.Eventually("the instance is terminated", func() bool {
		var described struct {
			State string `xml:"reservationSet>item>instancesSet>item>instanceState>name"`
		}
		o.query("ec2", "DescribeInstances", nil, &described)
		return described.State == "terminated"
	})
}

// neighbours looks for what the other services have.
func (o *old) neighbours() {
	var balancers struct {
		State string `xml:"DescribeLoadBalancersResult>LoadBalancers>member>State>Code"`
	}
	o.query("elasticloadbalancing", "DescribeLoadBalancers", nil, &balancers)
	var policies struct {
		Name string `xml:"ListAttachedRolePoliciesResult>AttachedPolicies>member>PolicyName"`
	}
	o.query("iam", "ListAttachedRolePolicies", url.Values{"RoleName": {"caller"}}, &policies)
	if balancers.State != "active" || policies.Name != "invoke" {
		o.t.Errorf("the load balancer is %q, the role's policy %q", balancers.State, policies.Name)
	}
}

// again repeats a creation: its idempotency token still counts.
func (o *old) again() {
	var made struct{ ID string }
	o.lattice("POST", "/services", map[string]any{"name": "rates", "authType": "NONE",
		"tags":        map[string]string{"team": "parking"},
		"clientToken": "svc-token"}, &made)
	if made.ID != o.service {
		o.t.Errorf("a repeated creation made %s, there was %s", made.ID, o.service)
	}
}

// change changes what is there, and finds that its name is taken and what refers to it.
func (o *old) change() {
	if err := o.API.Lattice(o.t.Context(), "POST", "/services", map[string]any{"name": "rates"}, nil); err == nil {
		o.t.Error("a name was given twice")
	}
	o.lattice("PATCH", "/services/"+o.service, map[string]any{"authType": "AWS_IAM"}, nil)
	if response, _ := o.Get(o.instance(), "http://"+o.domain+"/"); response.StatusCode != 403 {
		o.t.Errorf("a service that asks who calls answers with %s", response.Status)
	}
	if err := o.API.Lattice(o.t.Context(), "DELETE", "/targetgroups/"+o.group, nil, nil); err == nil {
		o.t.Error("a target group was deleted that a rule forwards to")
	}
}

// remove deletes everything of VPC Lattice, whose associations must then be gone.
func (o *old) remove() {
	for _, kind := range []string{"servicenetworkserviceassociations", "servicenetworkvpcassociations"} {
		of := "/" + kind + "?serviceNetworkIdentifier=" + o.network
		o.lattice("DELETE", "/"+kind+"/"+o.only(of), nil, nil)
		o.Eventually(kind+" are gone", func() bool {
			var left listed
			o.lattice("GET", of, nil, &left)
			return len(left.Items) == 0
		})
	}
	o.lattice("DELETE", "/services/"+o.service, nil, nil)
	o.Eventually("the service is gone", func() bool {
		var left listed
		o.lattice("GET", "/services", nil, &left)
		return len(left.Items) == 0
	})
	o.lattice("DELETE", "/targetgroups/"+o.group, nil, nil)
	o.lattice("DELETE", "/servicenetworks/"+o.network, nil, nil)
}
