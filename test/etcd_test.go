package test

import (
	"bytes"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"pergola/internal/apiclient"
	"pergola/operator"
)

// startEtcd runs an etcd that is the operator's own.
func startEtcd(t *testing.T, dir, peer, client string) *embed.Etcd {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.UnsafeNoFsync = "own", dir, true
	cfg.TickMs, cfg.ElectionMs = 20, 200
	at := func(address string) []url.URL { return []url.URL{{Scheme: "http", Host: address}} }
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = at(peer), at(peer)
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = at(client), at(client)
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	<-etcd.Server.ReadyNotify()
	return etcd
}

// freeAddress is an address at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// TestFault_D3_AnEtcdThatIsAwayIsSaidSoon stops the etcd of a deployment, and starts it again.
func TestFault_D3_AnEtcdThatIsAwayIsSaidSoon(t *testing.T) {
	w := newWorkplace(t)
	dir, peer, client := filepath.Join(t.TempDir(), "etcd"), freeAddress(t), freeAddress(t)
	etcd := startEtcd(t, dir, peer, client)
	s := w.launch("", nil, "--network", "loopback", "--etcd", "http://"+client)
	s.ready()
	api := s.api()
	made, err := makeNetwork(api, "kept")
	s.must(err)
	session := sessionOf(t, api)
	node := s.process("node")
	etcd.Close()

	for service, call := range map[string]func() error{
		"vpc-lattice": func() error { return api.Lattice(t.Context(), "GET", "/servicenetworks/"+made.ID, nil, nil) },
		"lambda":      func() error { return api.Lambda(t.Context(), "GET", "/2015-03-31/functions", nil, nil) },
		"ec2":         func() error { return api.Query(t.Context(), "ec2", "DescribeVpcs", nil, nil) },
		"iam":         func() error { return api.Query(t.Context(), "iam", "ListUsers", nil, nil) },
		"sts":         func() error { return api.Query(t.Context(), "sts", "GetCallerIdentity", nil, nil) },
		"elb": func() error {
			return api.Query(t.Context(), "elasticloadbalancing", "DescribeLoadBalancers",
				nil, nil)
		},
		"acm": func() error { return api.Certificates(t.Context(), "ListCertificates", struct{}{}, nil) },
		"of a session": func() error {
			return session.Lattice(t.Context(), "GET", "/servicenetworks/"+made.ID, nil, nil)
		},
	} {
		noted := &noting{}
		api.HTTP, session.HTTP = &http.Client{Transport: noted}, &http.Client{Transport: noted}
		if err := call(); statusOf(err) != http.StatusServiceUnavailable ||
			!strings.Contains(err.Error(), "try again in a moment") || noted.retryAfter == "" {
			t.Errorf("%s answers %v, Retry-After %q", service, err, noted.retryAfter)
		}
	}
	if err := session.Query(t.Context(), "sts", "GetCallerIdentity", nil, nil); err != nil {
		t.Errorf("what needs no store: %v", err)
	}
	if _, err := operator.Env(t.Context(), s.data, ""); err == nil || !strings.Contains(err.Error(), "unavailable") {
		t.Errorf("pergola env answers %v", err)
	}
	if _, err := operator.Explain(t.Context(), s.data, operator.Question{From: "vpc-0", Method: "GET",
		URL: "http://x/"}); err == nil || !strings.Contains(err.Error(), "no such VPC") {
		t.Errorf("the node answers %v", err)
	}

	defer startEtcd(t, dir, peer, client).Close()
	s.until("the API answers again", func() bool {
		return api.Lattice(t.Context(), "GET", "/servicenetworks/"+made.ID, nil, nil) == nil
	})
	s.until("the log tells it", func() bool { return strings.Contains(s.stderr.String(), "etcd answers again") })
	if s.process("node") != node {
		t.Error("the node was started again")
	}
	s.must(s.cmd.Process.Signal(syscall.SIGTERM))
	<-s.ended
	s.must(s.err)
}

// noting notes when a client is asked to come again.
type noting struct{ retryAfter string }

// RoundTrip sends a request.
func (n *noting) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		n.retryAfter = answer.Header.Get("Retry-After")
	}
	return answer, err
}

// sessionOf is a client with temporary credentials of the administrator.
func sessionOf(t *testing.T, api *apiclient.Client) *apiclient.Client {
	t.Helper()
	var session struct {
		Key    string `xml:"GetSessionTokenResult>Credentials>AccessKeyId"`
		Secret string `xml:"GetSessionTokenResult>Credentials>SecretAccessKey"`
		Token  string `xml:"GetSessionTokenResult>Credentials>SessionToken"`
	}
	if err := api.Query(t.Context(), "sts", "GetSessionToken", nil, &session); err != nil {
		t.Fatal(err)
	}
	environment := api.Environment
	environment.AccessKeyID, environment.SecretAccessKey, environment.SessionToken = session.Key, session.Secret,
		session.Token
	return &apiclient.Client{Environment: environment}
}

// TestFault_C7_ProcessesOfOneStoreShareItsKey starts a second deployment on an etcd, with a key of its own.
func TestFault_C7_ProcessesOfOneStoreShareItsKey(t *testing.T) {
	client := freeAddress(t)
	defer startEtcd(t, filepath.Join(t.TempDir(), "etcd"), freeAddress(t), client).Close()
	first := newWorkplace(t).launch("", nil, "--network", "loopback", "--etcd", "http://"+client)
	first.ready()
	second := newWorkplace(t)
	if said := refusedStart(t, second, "--etcd", "http://"+client); !strings.Contains(said, "sealing.key is missing") ||
		!strings.Contains(said, "copy it from the process") {
		t.Errorf("the second says %s", said)
	}
}

// TestSIGTERMDuringTheStart stops a deployment whose etcd never comes.
func TestSIGTERMDuringTheStart(t *testing.T) {
	s := newWorkplace(t).launch("", nil, "--network", "loopback", "--etcd", "http://"+freeAddress(t))
	s.until("it says why it waits", func() bool { return strings.Contains(s.stderr.String(), "etcd is away") })
	s.must(s.cmd.Process.Signal(syscall.SIGTERM))
	<-s.ended
	if s.err != nil || bytes.Contains([]byte(s.stdout.String()), []byte("ready")) {
		t.Errorf("it ended with %v and said %q", s.err, s.stdout.String())
	}
}
