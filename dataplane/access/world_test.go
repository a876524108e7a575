package access

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"pergola/aws/iam"
	"pergola/lattice"
	"pergola/policy"
	"pergola/sealing"
	"pergola/sigv4"
	"pergola/snapshot"
	"pergola/snapshot/table"
)

const (
	account    = "111122223333"
	region     = "us-west-2"
	serviceARN = "arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-0e5f3d2b3db4c7962"
	networkARN = "arn:aws:vpc-lattice:us-west-2:111122223333:servicenetwork/sn-1"
	roleARN    = "arn:aws:iam::111122223333:role/teams/caller"
	sessionARN = "arn:aws:sts::111122223333:assumed-role/caller/job"
	userARN    = "arn:aws:iam::111122223333:user/alice"
	roleID     = "AROAAAAAAAAAAAAAAAAAA"
	userID     = "AIDAAAAAAAAAAAAAAAAAA"
	userKey    = "AKIAIOSFODNN7EXAMPLE"
	userSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	host       = "parking.example"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// world is a service in a service network, both with auth type AWS_IAM, a user with an access key and a role. Every
// policy allows everything; tests change what they are about.
type world struct {
	t       testing.TB
	box     *sealing.Box
	guard   *Guard
	now     time.Time
	vpc     *snapshot.VPC
	network *snapshot.Network
	service *snapshot.Service
	current *snapshot.Snapshot
	user    *snapshot.Principal
	role    *snapshot.Principal
}

func newWorld(t testing.TB) *world {
	box, err := sealing.New(make([]byte, sealing.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, box: box, now: noon,
		network: &snapshot.Network{ID: "sn-1", ARN: networkARN, AuthType: lattice.AuthIAM, Policy: authPolicy(t, allowAll)},
		service: &snapshot.Service{ID: "svc-0e5f3d2b3db4c7962", ARN: serviceARN, AuthType: lattice.AuthIAM, Policy: authPolicy(t, allowAll)},
		user: &snapshot.Principal{Type: policy.User, Account: account, Name: "alice", ARN: userARN, UniqueID: userID,
			Policies: []*policy.Policy{identityPolicy(t, allow)}},
		role: &snapshot.Principal{Type: policy.AssumedRole, Account: account, Name: "caller", ARN: roleARN, UniqueID: roleID,
			Policies: []*policy.Policy{identityPolicy(t, allow)}},
	}
	w.vpc = &snapshot.VPC{ID: "vpc-1", Account: "444455556666"}
	w.current = &snapshot.Snapshot{Identities: &snapshot.Identities{
		Keys: table.Of(map[string]*snapshot.Key{userKey: {ID: userKey, Sealed: box.SealSecret(userKey, userSecret),
			Principal: w.user}}),
		Principals: table.Of(map[string]*snapshot.Principal{userID: w.user, roleID: w.role}),
		Accounts:   map[string]*snapshot.Account{},
		Strangers:  &snapshot.Account{},
	}}
	w.guard = New(Config{
		Region: region, Box: box,
		Snapshot: func() *snapshot.Snapshot { return w.current },
		Now:      func() time.Time { return w.now },
	})
	return w
}

const (
	allow    = `"Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"*"`
	deny     = `"Effect":"Deny","Action":"vpc-lattice-svcs:Invoke","Resource":"*"`
	allowAll = allow + `,"Principal":"*"`
	denyAll  = deny + `,"Principal":"*"`
)

func compiled(t testing.TB, kind policy.Kind, statements ...string) *policy.Policy {
	t.Helper()
	document := `{"Version":"2012-10-17","Statement":[{` + strings.Join(statements, "},{") + `}]}`
	parsed, err := policy.Parse([]byte(document), kind, 0)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Compile(parsed)
}

func authPolicy(t testing.TB, statements ...string) *policy.Policy {
	t.Helper()
	return compiled(t, policy.Resource, statements...)
}

func identityPolicy(t testing.TB, statements ...string) *policy.Policy {
	t.Helper()
	return compiled(t, policy.Identity, statements...)
}

// session is a session of the role.
func (w *world) session(change ...func(*iam.Caller)) sealing.Credential {
	w.t.Helper()
	caller := iam.Caller{
		Account: account, ARN: sessionARN, UserID: roleID + ":job", Type: iam.TypeAssumedRole, RoleARN: roleARN,
		Session: &iam.Session{Name: "job", Issued: noon.Add(-time.Minute), Expires: noon.Add(time.Hour)},
	}
	for _, f := range change {
		f(&caller)
	}
	credential, err := w.box.SealSession(caller)
	if err != nil {
		w.t.Fatal(err)
	}
	return credential
}

// signerOf signs for the data plane.
func signerOf(c sealing.Credential) *sigv4.Signer {
	return &sigv4.Signer{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret, SessionToken: c.Token,
		Region: region, Service: "vpc-lattice-svcs", Payload: sigv4.PayloadUnsigned, Path: sigv4.PathAsSent,
	}
}

func alice() *sigv4.Signer {
	return signerOf(sealing.Credential{AccessKeyID: userKey, Secret: userSecret})
}

// request is a GET of a path, unsigned.
func (w *world) request(path string, fields ...sigv4.Field) *Request {
	path, query, _ := strings.Cut(path, "?")
	return &Request{
		VPC: w.vpc, Network: w.network, Listener: &snapshot.Listener{Service: w.service, Port: 80},
		Client: netip.MustParseAddr("10.20.1.10"),
		HTTP:   sigv4.Request{Method: "GET", Path: path, RawQuery: query, Host: host, Header: sigv4.Fields(fields)},
	}
}

// signed is a request with a signature of the world's instant.
func (w *world) signed(s *sigv4.Signer, path string, fields ...sigv4.Field) *Request {
	w.t.Helper()
	r := w.request(path, fields...)
	added, err := s.Sign(&r.HTTP, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	r.HTTP.Header = append(sigv4.Fields(fields), added...)
	return r
}

// edit replaces text in the field of a request.
func edit(r *Request, name, old, new string) {
	fields := r.HTTP.Header
	for i := range fields {
		if strings.EqualFold(fields[i].Name, name) {
			fields[i].Value = strings.Replace(fields[i].Value, old, new, 1)
		}
	}
}

// without takes a field out of a request.
func without(r *Request, name string) {
	var kept sigv4.Fields
	for _, f := range r.HTTP.Header {
		if !strings.EqualFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	r.HTTP.Header = kept
}
