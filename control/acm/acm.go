// Package acm keeps the certificates of accounts, and the built-in authority that issues those that are requested and
// certifies the generated names of services. The rules about certificates are those of package certificate.
//
// Package api has already enforced the check tags of the requests before an operation here is called. Every change is
// one transaction that reads what it relies on: of a service that begins to use a certificate and a call that deletes
// it, one comes first. Private keys are sealed before they are written, and no operation returns one.
//
// # Choices where the documentation is silent
//
//   - What is requested is issued at once by the built-in authority: nobody is asked to prove that a name is theirs.
//     What a proof would ask for is described all the same, since tools wait for it.
//   - Only RSA keys are issued and imported: RSA_2048, which services take, and up to 4096 bits on import, which load
//     balancers take too.
//   - What was issued lasts 90 days and is renewed, with the same key, 30 days before its end, in use or not.
//   - A certificate that its owner imported once more serves from then on, under any names that it has now.
//   - There is no quota, no private authority, and no export of keys.
//   - An idempotency token counts for an hour and while its certificate exists, though the second request may say
//     something else.
package acm

import (
	"pergola/aws"
	"pergola/aws/acm"
	"pergola/aws/elbv2"
	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/store"
)

//go:generate go run pergola/internal/generate operations ../../aws/acm/model.json

// Config is what the package needs from outside.
type Config struct {
	operation.Config
	// Box seals private keys. It is required.
	Box *sealing.Box
}

// Control carries out operations. Its methods may be called from any goroutine, and several processes may have one each
// on the same store.
type Control struct {
	*operation.Service[*call]
	box *sealing.Box
}

// New makes the service. Certificates are renewed only while Renew runs, here or in another process. Keys never come
// from the configured source of randomness.
func New(cfg Config) *Control {
	c := &Control{box: cfg.Box}
	c.Service = operation.New(cfg.Config, operation.Description[*call]{
		Name:    "acm",
		Begin:   func(of *operation.Call) (*call, error) { return &call{of, c}, nil },
		Explain: explain,
	})
	return c
}

// certificates are kept by account. Their tokens are not those of package resource: see tokens.
var certificates = resource.New(resource.Definition[acm.Certificate]{
	Name: acm.KindCertificate,
	Head: func(c *acm.Certificate) resource.Head {
		return resource.Head{Path: lattice.AccountOf(c.ARN) + "/" + lattice.IDOf(c.ARN), ARN: c.ARN, Tags: &c.Tags}
	},
	Missing: func(ref resource.Ref) error {
		return aws.Errorf("ResourceNotFoundException", "Could not find certificate %s", ref.Named)
	},
	ByAccount: true,
	Tagging:   "AddTagsToCertificate",
})

// The built-in authority, and the services and load balancers that use certificates, which are only read here.
var (
	authorityObjects = store.NewKind[acm.Authority](acm.KindAuthority)
	serviceObjects   = store.NewKind[lattice.Service](lattice.KindService.Name)
	balancerObjects  = store.NewKind[elbv2.LoadBalancer](elbv2.KindLoadBalancer)
)

// call is one operation under way.
type call struct {
	*operation.Call
	*Control
}

// explain puts refusals, and outages of the store, into the words of the service.
func explain(err error) error {
	return authority.Explained(err, aws.Error{Code: "AccessDeniedException"}, aws.Error{Code: "InternalFailure", Status: 500})
}

// arn names a certificate of the caller's account.
func (op *call) arn(uuid string) string {
	return lattice.ARN{Service: "acm", Region: op.Region, Account: op.Account, Resource: acm.Resource(uuid)}.String()
}

// find reads the certificate that an operation is about, if the caller may perform it on that.
func (op *call) find(arn string) (*acm.Certificate, error) {
	id, ok := acm.ID(arn, op.Region)
	if !ok {
		return nil, aws.Errorf("InvalidArnException", "%q is not the ARN of a certificate in %s", arn, op.Region)
	}
	return certificates.Find(op.Call, resource.Ref{Path: id, ARN: arn, Named: arn})
}
