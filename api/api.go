// Package api is the front door: one address at which every service answers, told apart by the scope of the signature
// that each request carries. A request is authenticated, turned into the input of an operation and checked against
// the published constraints; what the operation returns, or refuses with, goes back in the words of the service's
// wire protocol.
//
// An operation is one row of its service's table. Everything else (reading, checking, answering, the rendering of
// errors) happens once, for all of them. Authorisation does not happen here but inside the operations.
package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"pergola/aws"
	"pergola/aws/iam"
	lambdanouns "pergola/aws/lambda"
	"pergola/control"
	"pergola/control/acm"
	"pergola/control/ec2"
	"pergola/control/elbv2"
	iamcontrol "pergola/control/iam"
	"pergola/control/lambda"
	"pergola/control/organizations"
	"pergola/control/route53"
	"pergola/control/sts"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/sigv4"
)

// maxBody is the longest body that a request may have. What the other services take is a tenth of it at most, but for the
// chain of a certificate, and no chain is as long as its constraints allow. Lambda alone takes code, as base64 in JSON.
const maxBody = 1 << 20

// maxLambdaBody has room for the longest zip file and for what else belongs to a function.
const maxLambdaBody = lambdanouns.MaxZip*4/3 + maxBody

// largeBodies is how many requests with bodies longer than maxBody are read at once. Others wait: who sends them has not
// proved yet who they are, since it is the body that their signature covers.
const largeBodies = 4

// Config is what the front door opens to.
type Config struct {
	// Lattice, EC2, ELBv2, IAM and STS are the services behind the door.
	Lattice *control.Control
	EC2     *ec2.Control
	ELBv2   *elbv2.Control
	IAM     *iamcontrol.Control
	STS     *sts.Control
	// ACM keeps the certificates.
	ACM *acm.Control
	// Route53 keeps the hosted zones.
	Route53 *route53.Control
	// Organizations keeps the accounts.
	Organizations *organizations.Control
	// Lambda keeps the functions.
	Lambda *lambda.Control
	// Keys knows the callers with long-term keys, and Box opens the tokens of those with temporary ones.
	Keys Keys
	Box  *sealing.Box
	// Region is the one region that signatures may be scoped to.
	Region string
	// InForce knows when what an operation has changed is in force on all nodes; nil answers without asking.
	InForce InForce
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Random is the source of request ids; nil means crypto/rand.
	Random io.Reader
	// Logger hears of failures and panics inside of operations; nil is silent.
	Logger *slog.Logger
}

// InForce knows which changes all nodes serve, as *settling.Settler does.
type InForce interface {
	// Begin begins to watch what is committed with the context that it returns. wait waits, for no more than a few
	// seconds, until all live nodes serve that, and reports whether they do.
	Begin(ctx context.Context) (watched context.Context, wait func() bool)
}

// inForceHeader says, with the value pending, that a change was answered before all nodes serve it.
const inForceHeader = "Pergola-In-Force"

// door is the handler.
type door struct {
	services map[string]*service
	region   string
	inForce  InForce
	random   io.Reader
	log      *slog.Logger
	large    chan struct{} // holds one element for each large body that is being read
}

// service is one service: who may come in, signing for which regions, and the protocol that it speaks.
type service struct {
	verifier *sigv4.Verifier[iam.Caller]
	regions  []string
	protocol protocol
	maxBody  int64
}

// protocol is how a service puts operations, results and errors on the wire.
type protocol interface {
	// decode finds the operation that a request asks for, and makes its input. With a fault in the input, it may
	// return the operation and the error.
	decode(r *http.Request, body []byte) (*operation, any, error)
	answer(w http.ResponseWriter, op *operation, output any, requestID string) error
	refuse(w http.ResponseWriter, err error, requestID string)
}

// New makes the handler of the API's address.
func New(cfg Config) http.Handler {
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return newDoor(cfg, protocols(cfg))
}

// protocols are the services behind the door, by the names that signatures have for them. The shapes of VPC Lattice
// have every member of its model; what is newer than that is taken there, as AWS takes what it does not know.
func protocols(cfg Config) map[string]protocol {
	strangersOf := func(service string, refuse bool) strangers {
		note := func(operation string, names []string) {
			cfg.Logger.Info("parameters were taken without effect", "service", service, "operation", operation,
				"parameters", names)
		}
		return strangers{refuse, tolerated[service], note}
	}
	queried := func(service string, s style, operations []operation) query {
		q := newQuery(s, operations)
		q.strangers = strangersOf(service, true)
		return q
	}
	targeted := func(service string, s jsonStyle, operations []operation) awsJSON {
		p := newAWSJSON(s, operations)
		p.strangers = strangersOf(service, true)
		return p
	}
	routed := func(service string, refuse bool, operations []operation) restJSON {
		p := newRESTJSON(operations)
		p.strangers = strangersOf(service, refuse)
		return p
	}
	return map[string]protocol{
		"vpc-lattice": routed("vpc-lattice", false, latticeOperations(cfg.Lattice)),
		"ec2":         queried("ec2", ec2Style, ec2Operations(cfg.EC2)),
		"iam":         queried("iam", iamStyle, iamOperations(cfg.IAM)),
		"sts":         queried("sts", stsStyle, stsOperations(cfg.STS)),

		"elasticloadbalancing": queried("elasticloadbalancing", elbv2Style, elbv2Operations(cfg.ELBv2)),

		"route53": newRoute53(cfg.Route53, strangersOf("route53", true)),

		"acm":    targeted("acm", acmStyle, acmOperations(cfg.ACM)),
		"lambda": routed("lambda", true, lambdaOperations(cfg.Lambda)),

		"organizations": targeted("organizations", organizationsStyle, organizationsOperations(cfg.Organizations)),
	}
}

func newDoor(cfg Config, protocols map[string]protocol) *door {
	d := &door{
		services: map[string]*service{}, region: cfg.Region, inForce: cfg.InForce, random: cfg.Random, log: cfg.Logger,
		large: make(chan struct{}, largeBodies),
	}
	for name, protocol := range protocols {
		regions := []string{cfg.Region}
		if slices.Contains(globalServices(), name) {
			regions = append(regions, globalRegion)
		}
		verifier := sigv4.New(sigv4.Config[iam.Caller]{
			Rules: sigv4.ControlPlane(name, regions...), Credentials: credentials{cfg.Keys, cfg.Box}, Now: cfg.Now,
		})
		d.services[name] = &service{verifier, regions, protocol, maxBody}
	}
	if s := d.services["lambda"]; s != nil {
		s.maxBody = maxLambdaBody
	}
	return d
}

// globalRegion is what some clients sign for when they call a service that AWS has once for all regions.
const globalRegion = "us-east-1"

func globalServices() []string {
	return []string{"iam", "organizations", "route53", webIdentityService}
}

// webIdentityService is the one service that has an operation for callers who cannot sign yet.
const webIdentityService = "sts"

// ServeHTTP answers one request, for any service or for none.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	requestID := aws.NewUUID(d.random)
	w.Header().Set("X-Amzn-Requestid", requestID)

	signed := sigv4.FromHTTP(r, nil)
	service, err := d.serviceOf(r, signed)
	if err != nil {
		refuseForeign(w, r, err, requestID)
		return
	}
	refuse := func(err error) {
		err = d.explained(r, err, requestID)
		retryLater(w, err)
		service.protocol.refuse(w, err, requestID)
	}

	body, err := d.readBody(w, r, service.maxBody)
	if err != nil {
		refuse(err)
		return
	}
	signed.BodyHash = sha256.Sum256(body)
	caller, denied := service.verifier.Verify(signed)
	if denied != nil && sigv4.Signed(signed) {
		refuse(denied)
		return
	}
	op, input, err := service.protocol.decode(r, body)
	if denied != nil && (op == nil || !op.unsigned) {
		refuse(denied)
		return
	}
	if err != nil {
		refuse(err)
		return
	}
	caller.Principal.Origin = originOf(r)
	output, inForce, err := d.carryOut(r.Context(), op, caller.Principal, input)
	if err != nil {
		refuse(err)
		return
	}
	if !inForce {
		w.Header().Set(inForceHeader, "pending")
		d.log.Warn("a change was answered before all nodes serve it", "request", requestID, "operation", op.name)
	}
	if err := service.protocol.answer(w, op, output, requestID); err != nil {
		refuse(err)
	}
}

// Source is the place in a VPC that a request comes from.
type Source struct {
	VPC     string
	Address netip.Addr
}

// sourceKey is where the context of a request has its Source.
type sourceKey struct{}

// WithSource is the context of a request that comes from a VPC. Who calls it vouches for that.
func WithSource(ctx context.Context, source Source) context.Context {
	return context.WithValue(ctx, sourceKey{}, source)
}

// originOf is how a request came: over the connection that it came over. What a proxy may say about others in front of it
// is not believed.
func originOf(r *http.Request) iam.Origin {
	if source, ok := r.Context().Value(sourceKey{}).(Source); ok {
		return iam.Origin{Address: source.Address, VPC: source.VPC, Secure: r.TLS != nil, UserAgent: r.UserAgent()}
	}
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // of a connection that has one
	return iam.Origin{Address: peer.Addr(), Secure: r.TLS != nil, UserAgent: r.UserAgent(), Referer: r.Referer()}
}

// serviceOf finds the service that a request is signed for. A form that is not signed can only be for the one service
// that may let it in.
func (d *door) serviceOf(r *http.Request, signed *sigv4.Request) (*service, error) {
	if service := d.services[webIdentityService]; service != nil && !sigv4.Signed(signed) && isForm(r) {
		return service, nil
	}
	scope, err := sigv4.ScopeOf(signed)
	if err != nil {
		return nil, err
	}
	service, ok := d.services[scope.Service]
	if !ok {
		return nil, &notServed{scope.Service, slices.Sorted(maps.Keys(d.services))}
	}
	if scope.Algorithm == sigv4.V4 && !slices.Contains(service.regions, scope.Region) {
		return nil, &sigv4.Refusal{Code: sigv4.Invalid, Text: fmt.Sprintf(
			"Credential should be scoped to a valid Region, not %s: this deployment is %s; set AWS_REGION", quoted(scope.Region), d.region)}
	}
	return service, nil
}

func isForm(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), formType) || r.URL.Query().Has("Action")
}

// readBody reads the whole body, since its hash is signed.
func (d *door) readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if limit > maxBody && (r.ContentLength < 0 || r.ContentLength > maxBody) {
		select {
		case d.large <- struct{}{}:
			defer func() { <-d.large }()
		case <-r.Context().Done():
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, &lattice.Error{
			Kind: lattice.Validation, Reason: lattice.ReasonOther,
			Message: fmt.Sprintf("the body is longer than %d bytes", tooLong.Limit),
		}
	case err != nil:
		return nil, &lattice.Error{
			Kind: lattice.Validation, Reason: lattice.ReasonCannotParse, Message: "the body did not arrive whole",
		}
	}
	return body, nil
}

// carryOut runs an operation and waits until what it has changed is in force, so that a client with the answer can rely
// on it. An operation whose result is a resource in progress is not waited for: its status tells.
func (d *door) carryOut(ctx context.Context, op *operation, caller iam.Caller,
	input any) (output any, inForce bool, err error) {
	if d.inForce == nil || op.settles {
		output, err = d.call(ctx, op, caller, input)
		return output, true, err
	}
	watched, wait := d.inForce.Begin(ctx)
	if output, err = d.call(watched, op, caller, input); err != nil {
		return nil, false, err
	}
	return output, wait(), nil
}

// call runs an operation. A panic in it fails this one request.
func (d *door) call(ctx context.Context, op *operation, caller iam.Caller, input any) (output any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	return op.call(admitted(ctx, op), caller, input)
}

// panicError is a panic of an operation.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// explained returns the errors that callers may see as they are. Any other is a failure of ours: it is logged here, and
// the caller learns under which request id.
func (d *door) explained(r *http.Request, err error, requestID string) error {
	var (
		ofLattice   *lattice.Error
		ofNeighbour *aws.Error
		ofSignature *sigv4.Refusal
		panicked    *panicError
	)
	switch {
	case errors.As(err, &ofLattice):
		return ofLattice
	case errors.As(err, &ofNeighbour):
		return ofNeighbour
	case errors.As(err, &ofSignature):
		return ofSignature
	}
	if away := outage(err); away != nil {
		return away // the store has told the log
	}
	log := d.log.With("request", requestID, "method", r.Method, "path", r.URL.Path)
	if errors.As(err, &panicked) {
		log = log.With("stack", string(panicked.stack))
	}
	if r.Context().Err() == nil { // nobody waits for the answer of one that was given up
		log.Error("a request failed", "error", err)
	}
	return &lattice.Error{Kind: lattice.Internal, RetryAfterSeconds: 1,
		Message: "The request failed inside the service; its log tells more about request " + requestID}
}
