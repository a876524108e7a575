package control

import (
	"strings"
	"testing"
	"time"

	"pergola/lattice"
)

// authenticated lets everybody call who has signed, and nobody else.
const authenticated = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalType":"Anonymous"}}}]}`

func TestAuthPolicy(t *testing.T) {
	w := newWorld(t)
	network := must(w.CreateServiceNetwork(w.ctx, w.caller, &lattice.CreateServiceNetworkRequest{Name: "mesh"}))
	service := w.service("orders")
	w.settleNow()
	for name, id := range map[string]string{"service network": network.ID, "service": service} {
		t.Run(name, func(t *testing.T) {
			get := func() *lattice.GetAuthPolicyResponse {
				return must(w.GetAuthPolicy(w.ctx, w.caller, &lattice.GetAuthPolicyRequest{ResourceIdentifier: id}))
			}
			if got := get(); *got != (lattice.GetAuthPolicyResponse{}) {
				t.Errorf("before a policy is put: %+v", got)
			}
			put := must(w.PutAuthPolicy(w.ctx, w.caller, &lattice.PutAuthPolicyRequest{ResourceIdentifier: id, Policy: authenticated}))
			if put.State != lattice.AuthPolicyInactive || put.Policy != authenticated {
				t.Errorf("put beside auth type NONE: %+v", put)
			}
			first := w.clock
			w.clock = w.clock.Add(time.Minute)
			must(w.PutAuthPolicy(w.ctx, w.caller, &lattice.PutAuthPolicyRequest{ResourceIdentifier: id, Policy: authenticated}))
			if got := get(); !got.CreatedAt.Equal(first) || !got.LastUpdatedAt.Equal(w.clock) {
				t.Errorf("created %v, last updated %v; want %v and %v", got.CreatedAt, got.LastUpdatedAt, first, w.clock)
			}
			w.guardWithIAM(id)
			if got := get(); got.State != lattice.AuthPolicyActive || got.Policy != authenticated {
				t.Errorf("beside auth type AWS_IAM: %+v", got)
			}
			for range 2 { // deleting what is not there is no error
				must(w.DeleteAuthPolicy(w.ctx, w.caller, &lattice.DeleteAuthPolicyRequest{ResourceIdentifier: id}))
			}
			if got := get(); *got != (lattice.GetAuthPolicyResponse{}) {
				t.Errorf("after it was deleted: %+v", got)
			}
		})
	}
}

// guardWithIAM sets the auth type of a service network or a service to AWS_IAM.
func (w *world) guardWithIAM(id string) {
	if strings.HasPrefix(id, "sn-") {
		must(w.UpdateServiceNetwork(w.ctx, w.caller, &lattice.UpdateServiceNetworkRequest{ServiceNetworkIdentifier: id, AuthType: lattice.AuthIAM}))
		return
	}
	must(w.UpdateService(w.ctx, w.caller, &lattice.UpdateServiceRequest{ServiceIdentifier: id, AuthType: lattice.AuthIAM}))
}

func TestRefusedAuthPolicies(t *testing.T) {
	w := newWorld(t)
	id := w.service("orders")
	for name, document := range map[string]string{
		"not JSON":           "allow everybody",
		"no statement":       `{"Version":"2012-10-17"}`,
		"no principal":       `{"Statement":[{"Effect":"Allow","Action":"vpc-lattice-svcs:Invoke","Resource":"*"}]}`,
		"an unknown element": `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Because":"yes"}]}`,
		"more than 10 KB":    strings.Replace(authenticated, "Anonymous", strings.Repeat("x", lattice.MaxAuthPolicySize), 1),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.PutAuthPolicy(w.ctx, w.caller, &lattice.PutAuthPolicyRequest{ResourceIdentifier: id, Policy: document})
			if e := refused(t, err, lattice.Validation, "policy"); e.Fields[0].Name != "policy" {
				t.Errorf("the field is %s", e.Fields[0].Name)
			}
		})
	}
	for identifier, kind := range map[string]lattice.ErrorKind{
		"svc-00000000000000000":  lattice.NotFound,
		"sn-00000000000000000":   lattice.NotFound,
		"rcfg-00000000000000000": lattice.NotFound,
		"arn:aws:vpc-lattice:us-west-2:100000000002:service/svc-00000000000000000": lattice.AccessDenied,
	} {
		_, err := w.PutAuthPolicy(w.ctx, w.caller, &lattice.PutAuthPolicyRequest{ResourceIdentifier: identifier, Policy: authenticated})
		refused(t, err, kind, "")
	}
}
