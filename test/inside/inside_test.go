// Package inside acts from within instances and functions of a whole deployment: what they reach, and what not. Each
// row of the table in docs/operate.md is a test here, or in the package that the row is about.
package inside

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"pergola/deployment"
	"pergola/fabric"
	"pergola/internal/apiclient"
	"pergola/internal/testenv"
	"pergola/operator"
)

// programVariable makes this test binary one of the programs that run in instances.
const programVariable = "INSIDE_TEST_PROGRAM"

func TestMain(m *testing.M) {
	fabric.Main()
	if name := os.Getenv(programVariable); name != "" {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		said, err := program(ctx, name, os.Args[1:])
		if err != nil {
			said = "error: " + err.Error()
		}
		fmt.Println(said)
		os.Exit(0)
	}
	testenv.Main(m)
}

// program calls the API as a program in an instance does, knowing no more than its environment.
func program(ctx context.Context, name string, args []string) (string, error) {
	var provider aws.CredentialsProvider = ec2rolecreds.New()
	if os.Getenv("AWS_ACCESS_KEY_ID") != "" {
		provider = credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"),
			os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN"))
	}
	client := sts.New(sts.Options{
		BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL")), Region: os.Getenv("AWS_REGION"), Credentials: provider,
		RetryMaxAttempts: 1,
	})
	switch name {
	case "identity":
		out, err := client.GetCallerIdentity(ctx, nil)
		if err != nil {
			return "", err
		}
		return *out.Arn, nil
	case "assume":
		out, err := client.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &args[0], RoleSessionName: aws.String("inside")})
		if err != nil {
			return "", err
		}
		return *out.AssumedRoleUser.Arn, nil
	case "vpcs":
		key, err := provider.Retrieve(ctx)
		if err != nil {
			return "", err
		}
		api := apiclient.Client{Environment: operator.Environment{
			Endpoint: os.Getenv("AWS_ENDPOINT_URL"), Region: os.Getenv("AWS_REGION"),
			AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken,
		}}
		return "described", api.Query(ctx, "ec2", "DescribeVpcs", url.Values{}, nil)
	case "dial":
		c, err := net.DialTimeout(args[0], args[1], 2*time.Second)
		if err != nil {
			return "", err
		}
		return "connected", c.Close()
	case "read":
		_, err := os.ReadFile(args[0])
		return "read", err
	}
	return "", fmt.Errorf("no program %s", name)
}

// onEach runs a test on a deployment of each kind of fabric that this host has.
func onEach(t *testing.T, test func(t *testing.T, w *world)) {
	for _, kind := range []string{fabric.Netns, fabric.Loopback} {
		t.Run(kind, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "pergola-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			if kind == fabric.Netns {
				probe, err := fabric.Open(fabric.Config{Kind: kind, StateDir: filepath.Join(dir, "probe")})
				if err != nil {
					t.Skip("not here: ", err)
				}
				if err := probe.Close(); err != nil {
					t.Fatal(err)
				}
			}
			w := &world{Env: testenv.StartIn(t, deployment.Config{Dir: dir, NoSync: true, Network: kind}), kind: kind,
				dir: dir, t: t}
			w.vpc = w.makeVPC()
			test(t, w)
		})
	}
}

// world is a deployment with a VPC.
type world struct {
	*testenv.Env
	kind, dir string
	vpc       testenv.VPC
	t         *testing.T
}

// makeVPC makes a VPC and waits until this host has it.
func (w *world) makeVPC() testenv.VPC {
	w.t.Helper()
	vpc := w.MakeVPC("10.0.0.0/16")
	w.Eventually("the VPC is there", func() bool { return w.runs(vpc.ID) })
	return vpc
}

// runs reports whether programs run at a place.
func (w *world) runs(place string) bool {
	process, err := w.Start(w.t.Context(), operator.Program{Place: place, Args: []string{"true"},
		Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/"}, operator.Streams{})
	if err != nil {
		return false
	}
	_, err = process.Wait()
	return err == nil
}

// exec runs a program in an instance, or a VPC, as pergola exec does, and returns what it says.
func (w *world) exec(place, name string, env []string, args ...string) string {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	defer read.Close()
	process, err := w.Start(w.t.Context(), operator.Program{
		Place: place, Args: append([]string{self}, args...),
		Env: append([]string{"PATH=/usr/bin:/bin", programVariable + "=" + name}, env...), Dir: "/",
	}, operator.Streams{Out: write, Err: write})
	write.Close()
	if err != nil {
		w.t.Fatal(err)
	}
	said, err := io.ReadAll(read)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := process.Wait(); err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(string(said))
}

// iam calls IAM and fails the test if that fails.
func (w *world) iam(action string, parameters url.Values, out any) {
	w.t.Helper()
	if err := w.API.Query(w.t.Context(), "iam", action, parameters, out); err != nil {
		w.t.Fatal(err)
	}
}

// keysOf are the variables of an environment with its credentials.
func keysOf(e operator.Environment) []string {
	return []string{"AWS_ACCESS_KEY_ID=" + e.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + e.SecretAccessKey}
}

// The API answers in a VPC, to a caller whose shell has the endpoint of the host, or none.
func TestFault_D10_TheAPIAnswersInAVPC(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		administrator := keysOf(w.API.Environment)
		for _, env := range [][]string{administrator, append(administrator, "AWS_ENDPOINT_URL="+w.Endpoint())} {
			if got := w.exec(w.vpc.ID, "identity", env); got != "arn:aws:iam::100000000001:root" &&
				!strings.HasPrefix(got, "arn:aws:iam::100000000001:user/") {
				t.Errorf("it is %s", got)
			}
		}
		chosen := append(administrator, "AWS_ENDPOINT_URL=http://127.0.0.1:9", "AWS_REGION=eu-north-1")
		if got := w.exec(w.vpc.ID, "identity", chosen); !strings.Contains(got, "127.0.0.1:9") &&
			!strings.Contains(got, "error") {
			t.Errorf("another endpoint is left alone: %s", got)
		}
	})
}

// Policies see which VPC a call comes from, and at which address, and no address of the host's network.
func TestFault_D10_PoliciesSeeTheVPC(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		other := w.makeVPC()
		w.iam("CreateUser", url.Values{"UserName": {"ada"}}, nil)
		w.iam("PutUserPolicy", url.Values{"UserName": {"ada"}, "PolicyName": {"inside"},
			"PolicyDocument": {fmt.Sprintf(
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:DescribeVpcs","Resource":"*",
			"Condition":{"StringEquals":{"aws:SourceVpc":%q},
			"IpAddress":{"aws:VpcSourceIp":"10.0.0.0/16"},"Null":{"aws:SourceIp":"true"}}}]}`, w.vpc.ID)}}, nil)
		var made struct {
			ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
			Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
		}
		w.iam("CreateAccessKey", url.Values{"UserName": {"ada"}}, &made)
		ada := w.API.Environment
		ada.AccessKeyID, ada.SecretAccessKey = made.ID, made.Secret
		if got := w.exec(w.vpc.ID, "vpcs", keysOf(ada)); got != "described" {
			t.Errorf("from the VPC: %s", got)
		}
		if got := w.exec(other.ID, "vpcs", keysOf(ada)); !strings.Contains(got, "UnauthorizedOperation") {
			t.Errorf("from another VPC: %s", got)
		}
		outside := apiclient.Client{Environment: ada}
		if err := outside.Query(t.Context(), "ec2", "DescribeVpcs", url.Values{}, nil); err == nil {
			t.Error("from the host it is allowed, too")
		}
	})
}

// A program in an instance finds its role by itself, and assumes others with it.
func TestFault_D10_AnInstancesRoleCallsTheAPI(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		if w.kind == fabric.Loopback {
			t.Skip("SDKs ask for an instance's role past any proxy, and there is no other way in this fabric")
		}
		trust := func(principal string) string {
			return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal +
				`,"Action":"sts:AssumeRole"}]}`
		}
		w.iam("CreateRole", url.Values{"RoleName": {"client"},
			"AssumeRolePolicyDocument": {trust(`{"Service":"ec2.amazonaws.com"}`)}}, nil)
		w.iam("CreateRole", url.Values{"RoleName": {"next"},
			"AssumeRolePolicyDocument": {trust(`{"AWS":"arn:aws:iam::100000000001:role/client"}`)}}, nil)
		w.iam("CreateInstanceProfile", url.Values{"InstanceProfileName": {"client"}}, nil)
		w.iam("AddRoleToInstanceProfile", url.Values{"InstanceProfileName": {"client"}, "RoleName": {"client"}}, nil)
		var run struct {
			ID string `xml:"instancesSet>item>instanceId"`
		}
		if err := w.API.Query(t.Context(), "ec2", "RunInstances", url.Values{
			"SubnetId": {w.vpc.Subnet}, "PrivateIpAddress": {"10.0.1.10"}, "MinCount": {"1"}, "MaxCount": {"1"},
			"IamInstanceProfile.Name": {"client"},
		}, &run); err != nil {
			t.Fatal(err)
		}
		w.Eventually("the instance runs", func() bool { return w.runs(run.ID) })
		if got := w.exec(run.ID, "identity", nil); got != "arn:aws:sts::100000000001:assumed-role/client/"+run.ID {
			t.Errorf("it is %s", got)
		}
		if got := w.exec(run.ID, "assume", nil,
			"arn:aws:iam::100000000001:role/next"); got != "arn:aws:sts::100000000001:assumed-role/next/inside" {
			t.Errorf("with its role it becomes %s", got)
		}
	})
}

// What a program in an instance reaches of the deployment, by fabric.
func TestFault_C8_WhatAnInstanceReaches(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		hosts, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer hosts.Close()
		netns := w.kind == fabric.Netns
		for _, a := range []struct {
			could bool
			name  string
			args  []string
		}{
			{true, "read", []string{filepath.Join(w.dir, "ca-bundle.pem")}},
			{false, "read", []string{filepath.Join(w.dir, "sealing.key")}},
			{false, "dial", []string{"unix", filepath.Join(w.dir, "operator.sock")}},
			{false, "dial", []string{"unix", filepath.Join(w.dir, "inside.sock")}},
			{!netns, "dial", []string{"tcp", hosts.Addr().String()}},
			{!netns, "dial", []string{"tcp", strings.TrimPrefix(w.Endpoint(), "http://")}},
			{netns, "dial", []string{"tcp", "169.254.169.254:80"}},
			{netns, "dial", []string{"tcp", "169.254.169.252:80"}},
		} {
			if !netns && strings.HasPrefix(a.args[1%len(a.args)], "169.254.") {
				continue // the host may have something there itself
			}
			if got := w.exec(w.vpc.ID, a.name, nil, a.args...); a.could != !strings.HasPrefix(got, "error") {
				t.Errorf("%s %s: %s", a.name, strings.Join(a.args, " "), got)
			}
		}
	})
}
