package acm

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"pergola/aws"
	"pergola/aws/acm"
	"pergola/aws/iam"
	"pergola/certificate"
	"pergola/control/operation"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

// ImportCertificate keeps a certificate that the caller brings, or with an ARN replaces what was imported before.
func (op *call) ImportCertificate(in *acm.ImportCertificateRequest) (*acm.ImportCertificateResponse, error) {
	object, err := op.imported(in)
	if err != nil {
		return nil, err
	}
	pair, err := certificate.Import(in.Certificate, in.PrivateKey, in.Chain, op.Now())
	if err != nil {
		return nil, aws.Errorf("ValidationException", "%v", err) // as users of the service have seen it
	}
	if err := sameSize(object, pair); err != nil {
		return nil, err
	}
	object.Chain, object.SealedKey, object.Issued = pair.Chain, op.box.SealKey(object.ARN, pair.Key), op.Now()
	answer := &acm.ImportCertificateResponse{CertificateARN: object.ARN}
	if in.CertificateARN != "" {
		return answer, certificates.Put(op.Call, object)
	}
	return answer, certificates.Add(op.Call, object)
}

// imported is the object of an import: a new one, or the one that the request names.
func (op *call) imported(in *acm.ImportCertificateRequest) (*acm.Certificate, error) {
	if in.CertificateARN == "" {
		tags, err := op.mayCreate(in.Tags)
		if err != nil {
			return nil, err
		}
		if err := op.RoomFor(acm.QuotaCertificates, certificates.Count, 1); err != nil {
			return nil, err
		}
		return &acm.Certificate{ARN: op.arn(aws.NewUUID(op.Random)), Type: acm.Imported, Tags: tags, Created: op.Now()}, nil
	}
	object, err := op.find(in.CertificateARN)
	switch {
	case err != nil:
		return nil, err
	case object.Type != acm.Imported:
		return nil, invalid("Certificate %s was not imported, so no other one can be imported in its place", object.ARN)
	case len(in.Tags) > 0:
		return nil, invalid("Tags cannot be given for a certificate that exists; use AddTagsToCertificate")
	}
	return object, nil
}

// sameSize refuses to replace a key by one of another size (ACM user guide, "Reimport a certificate").
func sameSize(object *acm.Certificate, pair *certificate.Pair) error {
	if len(object.Chain) == 0 {
		return nil
	}
	was, err := x509.ParseCertificate(object.Chain[0])
	if err != nil {
		return err
	}
	is, err := x509.ParseCertificate(pair.Chain[0])
	if err == nil && keyAlgorithm(was) != keyAlgorithm(is) {
		return invalid("The certificate has a key of type %s, the one that it would replace %s; import it as another one", keyAlgorithm(is), keyAlgorithm(was))
	}
	return err
}

// invalid refuses a request for what is in it.
func invalid(format string, args ...any) error {
	return aws.Errorf("InvalidParameterException", format, args...)
}

// tokens remembers which certificate was requested with which idempotency token: account, kind, token. Package resource
// keeps those of other kinds there. It cannot keep these, since they end, and go from one certificate to a later one.
var tokens = store.NewIndex("token")

// tokenLife is how long an idempotency token counts (ACM API reference, RequestCertificate).
const tokenLife = time.Hour

func tokenKey(account, token string) string { return account + "/" + acm.KindCertificate + "/" + token }

// keyMaker makes a key, the same one each time that it is called.
type keyMaker func() (*rsa.PrivateKey, error)

// RequestCertificate has the built-in authority issue a certificate, at once. One key is made for all attempts.
func (c *Control) RequestCertificate(ctx context.Context, caller iam.Caller, in *acm.RequestCertificateRequest) (*acm.RequestCertificateResponse, error) {
	newKey := sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, certificate.ServiceKeyBits) })
	request := func(op *call, in *acm.RequestCertificateRequest) (*acm.RequestCertificateResponse, error) {
		return op.requestCertificate(in, newKey)
	}
	return operation.Do(ctx, c.Service, operation.Request{Caller: caller, Action: "RequestCertificate"}, request, in)
}

func (op *call) requestCertificate(in *acm.RequestCertificateRequest,
	newKey keyMaker) (*acm.RequestCertificateResponse, error) {
	op.describeRequest(in)
	tags, err := op.mayCreate(in.Tags)
	if err != nil {
		return nil, err
	}
	if err := checkRequest(in); err != nil {
		return nil, err
	}
	if known, err := op.requestedBefore(in.Token); err != nil || known != "" {
		return &acm.RequestCertificateResponse{CertificateARN: known}, err
	}
	if err := op.RoomFor(acm.QuotaCertificates, certificates.Count, 1); err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	object := op.requested(in, tags)
	if err := op.issue(object, key); err != nil {
		return nil, err
	}
	if in.Token != "" {
		err = tokens.Put(op.Tx, tokenKey(op.Account, in.Token), object.ARN)
	}
	return &acm.RequestCertificateResponse{CertificateARN: object.ARN},
		errors.Join(err, certificates.Add(op.Call, object))
}

// describeRequest sets the condition keys of a request (Service Authorization Reference, "AWS Certificate Manager").
func (op *call) describeRequest(in *acm.RequestCertificateRequest) {
	op.Set("acm:DomainNames", namesOf(in)...)
	op.Set("acm:KeyAlgorithm", in.KeyAlgorithm)
	op.Set("acm:ValidationMethod", in.ValidationMethod)
	op.Set("acm:CertificateTransparencyLogging", in.Options.Transparency)
	op.Set("acm:Export", in.Options.Export)
}

// namesOf are the names that a request is about, the domain name first, each once.
func namesOf(in *acm.RequestCertificateRequest) []string {
	var names []string
	for _, name := range append([]string{in.DomainName}, in.AlternativeNames...) {
		if name = strings.ToLower(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func checkRequest(in *acm.RequestCertificateRequest) error {
	switch {
	case in.KeyAlgorithm != "" && in.KeyAlgorithm != acm.RSA2048:
		return invalid("KeyAlgorithm %s is not issued here: services use RSA keys, so it must be %s", in.KeyAlgorithm, acm.RSA2048)
	case in.AuthorityARN != "":
		return invalid("There is no private certificate authority %s here; leave out CertificateAuthorityArn to have the built-in one issue the certificate", in.AuthorityARN)
	case in.ManagedBy != "":
		return invalid("There is no %s here that could manage the certificate", in.ManagedBy)
	case in.Options.Export == enabled:
		return invalid("Private keys are not given out, so the option Export must be %s", disabled)
	}
	for _, option := range in.ValidationOptions {
		name, domain := strings.TrimPrefix(option.DomainName, "*."), option.ValidationDomain
		if !slices.Contains(namesOf(in), strings.ToLower(option.DomainName)) || !strings.HasSuffix("."+strings.ToLower(name), "."+strings.ToLower(domain)) {
			return aws.Errorf("InvalidDomainValidationOptionsException", "%s cannot vouch for %s: it must be that name or one above it, and the name one that is requested", domain, option.DomainName)
		}
	}
	return nil
}

// requestedBefore is the certificate that was requested with the token within the last hour, or "".
func (op *call) requestedBefore(token string) (arn string, err error) {
	if token == "" {
		return "", nil
	}
	if arn, err = resource.Holder(op.Tx, tokens, tokenKey(op.Account, token)); err != nil || arn == "" {
		return "", err
	}
	id, _ := acm.ID(arn, op.Region)
	known, err := certificates.Objects.Get(op.Tx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && op.Now().Sub(known.Created) > tokenLife {
		return "", nil
	}
	return arn, err
}

// forgetToken frees the token with which a certificate was requested, unless it is that of a later one by now.
func (op *call) forgetToken(object *acm.Certificate) error {
	if object.Token == "" {
		return nil
	}
	key := tokenKey(op.Account, object.Token)
	holder, err := resource.Holder(op.Tx, tokens, key)
	if holder == object.ARN {
		tokens.Delete(op.Tx, key)
	}
	return err
}

func (op *call) requested(in *acm.RequestCertificateRequest, tags map[string]string) *acm.Certificate {
	object := &acm.Certificate{
		ARN: op.arn(aws.NewUUID(op.Random)), Type: acm.Issued, Names: namesOf(in),
		ValidationMethod: cmp.Or(in.ValidationMethod, validatedByEmail), ValidationDomains: map[string]string{},
		Options: acm.Options{Transparency: cmp.Or(in.Options.Transparency, enabled), Export: disabled},
		Tags:    tags, Created: op.Now(), Token: in.Token,
	}
	for _, option := range in.ValidationOptions {
		object.ValidationDomains[strings.ToLower(option.DomainName)] = option.ValidationDomain
	}
	return object
}

// issue has the built-in authority issue a certificate with a new key.
func (op *call) issue(object *acm.Certificate, key *rsa.PrivateKey) error {
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	object.SealedKey = op.box.SealKey(object.ARN, encoded)
	return op.certify(op.Tx, object, &key.PublicKey)
}

// certify issues the chain of a certificate, from now on.
func (c *Control) certify(tx *store.Tx, object *acm.Certificate, key *rsa.PublicKey) error {
	authority, err := c.openAuthority(tx)
	if err != nil {
		return err
	}
	leaf, err := authority.Issue(key, c.Now(), object.Names...)
	if err != nil {
		return err
	}
	object.Chain, object.Issued = [][]byte{leaf, authority.Certificate()}, c.Now()
	return nil
}

// GetCertificate returns a certificate and those that certify it. Its key stays where it is.
func (op *call) GetCertificate(in *acm.Reference) (*acm.GetCertificateResponse, error) {
	object, err := op.find(in.CertificateARN)
	if err != nil {
		return nil, err
	}
	return &acm.GetCertificateResponse{
		Certificate: string(certificate.PEM(object.Chain[0])), Chain: string(certificate.PEM(object.Chain[1:]...)),
	}, nil
}

// DeleteCertificate deletes a certificate that no service and no load balancer uses.
func (op *call) DeleteCertificate(in *acm.Reference) (*lattice.Empty, error) {
	object, err := op.find(in.CertificateARN)
	if err != nil {
		return nil, err
	}
	users, err := op.users()
	if err != nil {
		return nil, err
	}
	if by := users[object.ARN]; len(by) > 0 {
		return nil, aws.Errorf("ResourceInUseException", "Certificate %s is used by %s and %d more; take it off them first",
			object.ARN, by[0], len(by)-1)
	}
	if err := op.forgetToken(object); err != nil {
		return nil, err
	}
	certificates.Delete(op.Tx, object)
	return &lattice.Empty{}, nil
}

// users are the services and load balancers that use certificates, by the certificates' ARNs. It reads all of them, so
// that none begins to use a certificate that is being deleted.
func (op *call) users() (map[string][]string, error) {
	entries, _, err := serviceObjects.List(op.Tx, "", "", 0)
	users := map[string][]string{}
	for _, entry := range entries {
		if arn := entry.Value.CertificateARN; arn != "" {
			users[arn] = append(users[arn], entry.Value.ARN)
		}
	}
	if err != nil {
		return nil, err
	}
	balancers, _, err := balancerObjects.List(op.Tx, "", "", 0)
	for _, entry := range balancers {
		for _, listener := range entry.Value.Listeners {
			if arn := listener.Certificate; arn != "" && !slices.Contains(users[arn], entry.Value.ARN) {
				users[arn] = append(users[arn], entry.Value.ARN)
			}
		}
	}
	return users, err
}

// UpdateCertificateOptions changes the options of a certificate that was requested.
func (op *call) UpdateCertificateOptions(in *acm.UpdateCertificateOptionsRequest) (*lattice.Empty, error) {
	object, err := op.find(in.CertificateARN)
	switch {
	case err != nil:
		return nil, err
	case object.Type != acm.Issued:
		return nil, aws.Errorf("InvalidStateException", "Certificate %s was imported, and has no options", object.ARN)
	case in.Options.Export == enabled:
		return nil, aws.Errorf("InvalidStateException", "Private keys are not given out, so the option Export must be %s",
			disabled)
	}
	object.Options.Transparency = cmp.Or(in.Options.Transparency, object.Options.Transparency)
	return &lattice.Empty{}, certificates.Put(op.Call, object)
}
