package acm

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/aws"
	nouns "pergola/aws/acm"
	"pergola/aws/elbv2"
	"pergola/aws/iam"
	"pergola/certificate"
	"pergola/control"
	"pergola/control/operation"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that must happen; never how long it takes.
const patience = 30 * time.Second

const (
	region  = "us-west-2"
	account = "100000000001"
)

// world is the service with one caller, on a store and a clock of its own.
type world struct {
	*Control
	t       testing.TB
	ctx     context.Context
	objects *store.Store
	caller  iam.Caller
	clock   time.Time
}

// root is an account's root user, who needs no policies.
func root(account string) iam.Caller {
	return iam.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account, Type: iam.TypeAccount}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	objects, err := store.Open(ctx, store.Config{Dir: filepath.Join(t.TempDir(), "store"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Close() })
	box, err := sealing.New(bytes.Repeat([]byte{1}, sealing.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ctx: ctx, objects: objects, caller: root(account), clock: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)}
	w.Control = New(Config{Config: operation.Config{Store: objects, Region: region,
		Now: func() time.Time { return w.clock }}, Box: box})
	return w
}

// must carries out an operation that cannot fail.
func must[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), in In) *Out {
	w.t.Helper()
	answer, err := f(w.ctx, w.caller, &in)
	if err != nil {
		w.t.Fatalf("%T: %v", in, err)
	}
	return answer
}

// refused carries out an operation that must fail with a code and a message.
func refused[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), in In, code, message string) {
	w.t.Helper()
	_, err := f(w.ctx, w.caller, &in)
	var named *aws.Error
	if !errors.As(err, &named) || named.Code != code || !strings.Contains(named.Message, message) {
		w.t.Errorf("%v, want %s: … %s", err, code, message)
	}
}

// keys are RSA keys that tests share, since they take a while to make.
var keys = sync.OnceValue(func() (keys [3]*rsa.PrivateKey) {
	for i, bits := range []int{2048, 2048, 3072} {
		keys[i], _ = rsa.GenerateKey(rand.Reader, bits)
	}
	return keys
})

// selfSigned is the import of a certificate that certifies itself, from a minute ago to an hour from now.
func (w *world) selfSigned(key *rsa.PrivateKey, names ...string) nouns.ImportCertificateRequest {
	w.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xab01), Subject: pkix.Name{CommonName: "Example", Organization: []string{"Example Inc"}}, DNSNames: names,
		NotBefore: w.clock.Add(-time.Minute), NotAfter: w.clock.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
		IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	return nouns.ImportCertificateRequest{
		Certificate: certificate.PEM(der), PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

func (w *world) describe(arn string) nouns.Description {
	w.t.Helper()
	return must(w, w.DescribeCertificate, nouns.Reference{CertificateARN: arn}).Certificate
}

// stored is the object of a certificate.
func (w *world) stored(arn string) nouns.Certificate {
	w.t.Helper()
	id, ok := nouns.ID(arn, region)
	if !ok {
		w.t.Fatalf("%s is no ARN", arn)
	}
	var object nouns.Certificate
	err := w.objects.View(w.ctx, func(tx *store.Tx) (err error) {
		object, err = certificates.Objects.Get(tx, id)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return object
}

func TestImport(t *testing.T) {
	w := newWorld(t)
	in := w.selfSigned(keys()[0], "a.example.com", "*.b.example.com")
	in.Chain, in.Tags = in.Certificate, []nouns.Tag{{Key: "team", Value: new("red")}}
	arn := must(w, w.ImportCertificate, in).CertificateARN
	at := aws.Timestamp{Time: w.clock}
	want := nouns.Description{
		CertificateARN: arn, DomainName: "a.example.com", AlternativeNames: []string{"a.example.com", "*.b.example.com"}, Serial: "ab:01",
		Subject: "CN=Example,O=Example Inc", Issuer: "Example Inc", Created: at, Imported: &at, Status: "ISSUED", Type: "IMPORTED",
		NotBefore: aws.Timestamp{Time: w.clock.Add(-time.Minute)}, NotAfter: aws.Timestamp{Time: w.clock.Add(time.Hour)}, KeyAlgorithm: "RSA_2048",
		SignatureAlgorithm: "SHA256WITHRSA", InUseBy: []string{}, RenewalEligibility: "INELIGIBLE",
		KeyUsages: []nouns.KeyUsage{{Name: "DIGITAL_SIGNATURE"}, {Name: "KEY_ENCIPHERMENT"}, {Name: "CERTIFICATE_SIGNING"}},
		ExtendedKeyUsages: []nouns.ExtendedKeyUsage{
			{Name: "TLS_WEB_SERVER_AUTHENTICATION", OID: "1.3.6.1.5.5.7.3.1"}, {Name: "TLS_WEB_CLIENT_AUTHENTICATION", OID: "1.3.6.1.5.5.7.3.2"},
		},
	}
	if got, want := encoded(t, w.describe(arn)), encoded(t, want); got != want {
		t.Errorf("described as %s\nwant         %s", got, want)
	}
	if got := must(w, w.GetCertificate, nouns.Reference{CertificateARN: arn}); got.Certificate != string(in.Certificate) || got.Chain != string(in.Chain) {
		t.Errorf("got %+v", got)
	}
	if got := must(w, w.ListTagsForCertificate, nouns.Reference{CertificateARN: arn}); encoded(t, got) != `{"Tags":[{"Key":"team","Value":"red"}]}` {
		t.Errorf("tags %s", encoded(t, got))
	}
	w.clock = w.clock.Add(2 * time.Hour)
	if got := w.describe(arn).Status; got != "EXPIRED" {
		t.Errorf("after its end it is %s", got)
	}
	refused(w, w.ImportCertificate, in, "ValidationException", "has expired")
}

func encoded(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestKeysAreSealed holds that a private key is in the store in no form but the sealed one, and that this is the key of
// the certificate.
func TestKeysAreSealed(t *testing.T) {
	w := newWorld(t)
	imported := must(w, w.ImportCertificate, w.selfSigned(keys()[0], "a.example.com")).CertificateARN
	requested := must(w, w.RequestCertificate, nouns.RequestCertificateRequest{DomainName: "b.example.com"}).CertificateARN
	var everything []string
	ctx, cancel := context.WithCancel(w.ctx)
	_ = w.objects.Follow(ctx, "object/", func(batch store.Batch) error {
		for _, change := range batch.Changes {
			everything = append(everything, string(change.Value))
		}
		cancel()
		return nil
	})
	if len(everything) != 3 {
		t.Fatalf("there are %d objects, want two certificates and the authority", len(everything))
	}
	for _, arn := range []string{imported, requested} {
		object := w.stored(arn)
		der, err := w.box.OpenKey(arn, object.SealedKey)
		if err != nil {
			t.Fatal(err)
		}
		key, err := certificate.ParseKey(der)
		leaf, _ := x509.ParseCertificate(object.Chain[0])
		if err != nil || !key.Public().(*rsa.PublicKey).Equal(leaf.PublicKey) {
			t.Errorf("%s: the key is not that of the certificate: %v", arn, err)
		}
		secret := key.(*rsa.PrivateKey)
		for _, part := range [][]byte{der[len(der)-64:], secret.D.Bytes(), secret.Primes[0].Bytes()} {
			for _, form := range []string{string(part), encoded(t, part)[1:40], fmt.Sprintf("%x", part)} {
				if slices.ContainsFunc(everything, func(object string) bool { return strings.Contains(object, form) }) {
					t.Errorf("%s: its key is in the store in clear", arn)
				}
			}
		}
	}
}

func TestReimport(t *testing.T) {
	w := newWorld(t)
	arn := must(w, w.ImportCertificate, w.selfSigned(keys()[0], "a.example.com")).CertificateARN
	created := w.describe(arn).Created
	again := w.selfSigned(keys()[1], "b.example.com")
	again.CertificateARN = arn
	w.clock = w.clock.Add(time.Minute)
	if got := must(w, w.ImportCertificate, again).CertificateARN; got != arn {
		t.Errorf("it became %s", got)
	}
	got := w.describe(arn)
	if got.DomainName != "b.example.com" || got.Created != created || !got.Imported.Equal(w.clock) {
		t.Errorf("described as %+v", got)
	}
	if _, err := w.box.OpenKey(arn, w.stored(arn).SealedKey); err != nil {
		t.Error(err)
	}
	tagged := again
	tagged.Tags = []nouns.Tag{{Key: "a"}}
	refused(w, w.ImportCertificate, tagged, "InvalidParameterException", "AddTagsToCertificate")
	larger := w.selfSigned(keys()[2], "b.example.com")
	larger.CertificateARN = arn
	refused(w, w.ImportCertificate, larger, "InvalidParameterException", "RSA_3072")
	larger.CertificateARN = must(w, w.RequestCertificate, nouns.RequestCertificateRequest{DomainName: "b.example.com"}).CertificateARN
	refused(w, w.ImportCertificate, larger, "InvalidParameterException", "was not imported")
	larger.CertificateARN = strings.Replace(arn, "certificate/", "certificate/0", 1)
	refused(w, w.ImportCertificate, larger, "ResourceNotFoundException", larger.CertificateARN)
}

func TestRequest(t *testing.T) {
	w := newWorld(t)
	in := nouns.RequestCertificateRequest{
		DomainName: "A.example.com", AlternativeNames: []string{"*.b.example.com", "a.example.com"}, ValidationMethod: "DNS", KeyAlgorithm: "RSA_2048",
	}
	arn := must(w, w.RequestCertificate, in).CertificateARN
	got := w.describe(arn)
	if got.Status != "ISSUED" || got.Type != "AMAZON_ISSUED" || got.KeyAlgorithm != "RSA_2048" || got.Issuer != "Pergola" || got.SignatureAlgorithm != "SHA256WITHECDSA" ||
		!slices.Equal(got.AlternativeNames, []string{"a.example.com", "*.b.example.com"}) || !got.Issued.Equal(w.clock) || got.Renewal != nil {
		t.Errorf("described as %s", encoded(t, got))
	}
	for i, name := range got.AlternativeNames {
		v := got.Validations[i]
		if v.DomainName != name || v.Status != "SUCCESS" || v.Method != "DNS" || v.Record.Type != "CNAME" || !strings.HasSuffix(v.Record.Name, strings.TrimPrefix(name, "*")+".") {
			t.Errorf("%s: validated by %s", name, encoded(t, v))
		}
	}
	text := must(w, w.GetCertificate, nouns.Reference{CertificateARN: arn})
	block, _ := pem.Decode([]byte(text.Certificate))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := w.Authority(w.ctx)
	if err != nil || text.Chain != string(certificate.PEM(authority)) {
		t.Fatalf("the chain is not the authority: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(text.Chain))
	for name, good := range map[string]bool{"a.example.com": true, "x.b.example.com": true, "b.example.com": false} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: w.clock}); (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
	byEmail := w.describe(must(w, w.RequestCertificate, nouns.RequestCertificateRequest{
		DomainName: "a.example.com", ValidationOptions: []nouns.ValidationOption{{DomainName: "a.example.com", ValidationDomain: "example.com"}},
	}).CertificateARN).Validations[0]
	if byEmail.Method != "EMAIL" || byEmail.ValidationDomain != "example.com" || !slices.Contains(byEmail.Emails, "postmaster@example.com") {
		t.Errorf("validated by %s", encoded(t, byEmail))
	}
}

func TestRequestRefuses(t *testing.T) {
	w := newWorld(t)
	for want, in := range map[string]nouns.RequestCertificateRequest{
		"must be RSA_2048":                 {KeyAlgorithm: "EC_prime256v1"},
		"KeyAlgorithm RSA_4096":            {KeyAlgorithm: "RSA_4096"},
		"no private certificate authority": {AuthorityARN: "arn:aws:acm-pca:us-west-2:100000000001:certificate-authority/1"},
		"There is no CLOUDFRONT":           {ManagedBy: "CLOUDFRONT"},
		"Export must be DISABLED":          {Options: nouns.Options{Export: "ENABLED"}},
	} {
		in.DomainName = "a.example.com"
		refused(w, w.RequestCertificate, in, "InvalidParameterException", want)
	}
	for _, option := range []nouns.ValidationOption{{DomainName: "b.example.com", ValidationDomain: "example.com"}, {DomainName: "a.example.com", ValidationDomain: "ample.com"}} {
		in := nouns.RequestCertificateRequest{DomainName: "a.example.com", ValidationOptions: []nouns.ValidationOption{option}}
		refused(w, w.RequestCertificate, in, "InvalidDomainValidationOptionsException", option.DomainName)
	}
	refused(w, w.RequestCertificate, nouns.RequestCertificateRequest{DomainName: "a.example.com", Tags: []nouns.Tag{{Key: "AWS:x"}}}, "InvalidTagException", "reserved")
}

func TestRequestIsIdempotentForAnHour(t *testing.T) {
	w := newWorld(t)
	in := nouns.RequestCertificateRequest{DomainName: "a.example.com", Token: "once"}
	request := func() string { return must(w, w.RequestCertificate, in).CertificateARN }
	first := request()
	w.clock = w.clock.Add(time.Hour)
	if got := request(); got != first {
		t.Errorf("within the hour: %s, want %s", got, first)
	}
	w.clock = w.clock.Add(time.Second)
	second := request()
	if second == first {
		t.Error("after the hour it is still the first")
	}
	must(w, w.DeleteCertificate, nouns.Reference{CertificateARN: first})
	if got := request(); got != second {
		t.Errorf("once the first is deleted, whose token it was too: %s, want %s", got, second)
	}
	must(w, w.DeleteCertificate, nouns.Reference{CertificateARN: second})
	if got := request(); got == second {
		t.Error("it is one that was deleted")
	}
	in.Token = ""
	if one, other := request(), request(); one == other {
		t.Error("two requests without a token are one")
	}
}

// TestUse has a service use a certificate by the real control plane.
func TestUse(t *testing.T) {
	w := newWorld(t)
	services := control.New(control.Config{Config: operation.Config{Store: w.objects, Region: region}})
	arn := must(w, w.RequestCertificate, nouns.RequestCertificateRequest{DomainName: "*.example.com"}).CertificateARN
	var used []string
	for _, name := range []string{"one", "two"} {
		service, err := services.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: name, CustomDomainName: name + ".example.com", CertificateARN: arn})
		if err != nil {
			t.Fatal(err)
		}
		used = append(used, service.ARN)
	}
	got := w.describe(arn)
	if slices.Sort(got.InUseBy); !slices.Equal(got.InUseBy, slices.Sorted(slices.Values(used))) || got.RenewalEligibility != "ELIGIBLE" {
		t.Errorf("in use by %v, want %v", got.InUseBy, used)
	}
	if list := must(w, w.ListCertificates, nouns.ListCertificatesRequest{}); len(list.Certificates) != 1 || !list.Certificates[0].InUse {
		t.Errorf("listed as %+v", list)
	}
	refused(w, w.DeleteCertificate, nouns.Reference{CertificateARN: arn}, "ResourceInUseException", "service/svc-")

	disguised := strings.Replace(arn, "arn:aws:", "arn:aws-cn:", 1) // under which nobody would see that it is in use
	_, err := services.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "three", CustomDomainName: "three.example.com", CertificateARN: disguised})
	if err == nil {
		t.Errorf("a service uses %s", disguised)
	}
}

// TestLoadBalancersUseCertificates has the listeners of a load balancer use a certificate.
func TestLoadBalancersUseCertificates(t *testing.T) {
	w := newWorld(t)
	arn := must(w, w.RequestCertificate, nouns.RequestCertificateRequest{DomainName: "*.example.com"}).CertificateARN
	l := elbv2.LoadBalancer{ARN: "arn:aws:elasticloadbalancing:us-west-2:100000000001:loadbalancer/app/shop/1", Listeners: []elbv2.Listener{
		{Port: 80}, {Port: 443, Certificate: arn}, {Port: 8443, Certificate: arn},
	}}
	balancers := store.NewKind[elbv2.LoadBalancer](elbv2.KindLoadBalancer)
	change := func(f func(*store.Tx) error) {
		t.Helper()
		if _, err := w.objects.Update(w.ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	change(func(tx *store.Tx) error { return balancers.Put(tx, "1", l) })
	if got := w.describe(arn); !slices.Equal(got.InUseBy, []string{l.ARN}) || got.RenewalEligibility != "ELIGIBLE" {
		t.Errorf("in use by %v, want %s once", got.InUseBy, l.ARN)
	}
	refused(w, w.DeleteCertificate, nouns.Reference{CertificateARN: arn}, "ResourceInUseException", l.ARN)
	change(func(tx *store.Tx) error { balancers.Delete(tx, "1"); return nil })
	must(w, w.DeleteCertificate, nouns.Reference{CertificateARN: arn})
}

// TestDeleteAndUseRace lets a service begin to use a certificate while it is deleted: one of the two fails.
func TestDeleteAndUseRace(t *testing.T) {
	w := newWorld(t)
	services := control.New(control.Config{Config: operation.Config{Store: w.objects, Region: region}})
	in := w.selfSigned(keys()[0], "a.example.com")
	for i := range 20 {
		arn := must(w, w.ImportCertificate, in).CertificateARN
		var running sync.WaitGroup
		var deleted, created error
		running.Go(func() {
			_, deleted = w.DeleteCertificate(w.ctx, w.caller, &nouns.Reference{CertificateARN: arn})
		})
		running.Go(func() {
			_, created = services.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{
				Name: fmt.Sprint("service-", i), CustomDomainName: "a.example.com", CertificateARN: arn,
			})
		})
		running.Wait()
		if (deleted == nil) == (created == nil) {
			t.Fatalf("deleted: %v, created: %v", deleted, created)
		}
	}
}

func TestList(t *testing.T) {
	w := newWorld(t)
	var made []string
	for _, key := range []*rsa.PrivateKey{keys()[0], keys()[2], keys()[1], keys()[0]} {
		made = append(made, must(w, w.ImportCertificate, w.selfSigned(key, "a.example.com")).CertificateARN)
		w.clock = w.clock.Add(time.Minute)
	}
	other := *w
	other.caller = root("100000000002")
	must(&other, other.ImportCertificate, w.selfSigned(keys()[0], "a.example.com"))
	all := []string{"RSA_2048", "RSA_3072"}
	byID := slices.Sorted(slices.Values(made))
	for name, tt := range map[string]struct {
		in   nouns.ListCertificatesRequest
		want []string
	}{
		"all keys":       {nouns.ListCertificatesRequest{Includes: nouns.Filters{KeyTypes: all}}, byID},
		"common keys":    {nouns.ListCertificatesRequest{SortBy: "CREATED_AT", SortOrder: "ASCENDING"}, []string{made[0], made[2], made[3]}},
		"newest first":   {nouns.ListCertificatesRequest{SortBy: "CREATED_AT", SortOrder: "DESCENDING"}, []string{made[3], made[2], made[0]}},
		"large keys":     {nouns.ListCertificatesRequest{Includes: nouns.Filters{KeyTypes: []string{"RSA_3072"}}}, made[1:2]},
		"a use":          {nouns.ListCertificatesRequest{Includes: nouns.Filters{KeyTypes: all, ExtendedKeyUsages: []string{"CODE_SIGNING", "TLS_WEB_CLIENT_AUTHENTICATION"}}}, byID},
		"another use":    {nouns.ListCertificatesRequest{Includes: nouns.Filters{KeyTypes: all, ExtendedKeyUsages: []string{"CODE_SIGNING"}}}, nil},
		"a key's use":    {nouns.ListCertificatesRequest{Includes: nouns.Filters{KeyTypes: all, KeyUsages: []string{"KEY_ENCIPHERMENT"}}}, byID},
		"no such use":    {nouns.ListCertificatesRequest{Includes: nouns.Filters{KeyTypes: all, KeyUsages: []string{"CRL_SIGNING"}}}, nil},
		"a status":       {nouns.ListCertificatesRequest{Statuses: []string{"ISSUED", "FAILED"}, Includes: nouns.Filters{KeyTypes: all}}, byID},
		"another status": {nouns.ListCertificatesRequest{Statuses: []string{"EXPIRED"}, Includes: nouns.Filters{KeyTypes: all}}, nil},
		"exportable":     {nouns.ListCertificatesRequest{Includes: nouns.Filters{ExportOption: "ENABLED"}}, nil},
		"managed":        {nouns.ListCertificatesRequest{Includes: nouns.Filters{ManagedBy: "CLOUDFRONT"}}, nil},
	} {
		for size := range int32(4) { // 0 is all at once
			var got []string
			in := tt.in
			for in.MaxItems = size; ; {
				page := must(w, w.ListCertificates, in)
				for _, c := range page.Certificates {
					got = append(got, c.CertificateARN)
				}
				if in.NextToken = page.NextToken; in.NextToken == "" {
					break
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s, by %d: %v, want %v", name, size, got, tt.want)
			}
		}
	}
	refused(w, w.ListCertificates, nouns.ListCertificatesRequest{SortBy: "CREATED_AT"}, "InvalidArgsException", "go together")
	refused(w, w.ListCertificates, nouns.ListCertificatesRequest{NextToken: "nonsense"}, "InvalidArgsException", "NextToken")
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	arn := must(w, w.ImportCertificate, w.selfSigned(keys()[0], "a.example.com")).CertificateARN
	change := func(tags ...nouns.Tag) nouns.TagsRequest {
		return nouns.TagsRequest{CertificateARN: arn, Tags: tags}
	}
	must(w, w.AddTagsToCertificate, change(nouns.Tag{Key: "a", Value: new("1")}, nouns.Tag{Key: "b"}, nouns.Tag{Key: "c", Value: new("3")}))
	must(w, w.AddTagsToCertificate, change(nouns.Tag{Key: "a", Value: new("2")}))
	must(w, w.RemoveTagsFromCertificate, change(nouns.Tag{Key: "a", Value: new("1")}, nouns.Tag{Key: "b"}, nouns.Tag{Key: "none"}))
	if got := encoded(t, must(w, w.ListTagsForCertificate, nouns.Reference{CertificateARN: arn})); got != `{"Tags":[{"Key":"a","Value":"2"},{"Key":"c","Value":"3"}]}` {
		t.Errorf("tags %s", got)
	}
	refused(w, w.AddTagsToCertificate, change(nouns.Tag{Key: "aws:a"}), "InvalidTagException", "reserved")
	var many []nouns.Tag
	for i := range 50 {
		many = append(many, nouns.Tag{Key: fmt.Sprint(i)})
	}
	refused(w, w.AddTagsToCertificate, change(many...), "TooManyTagsException", "50")
}

func TestReferences(t *testing.T) {
	w := newWorld(t)
	arn := must(w, w.ImportCertificate, w.selfSigned(keys()[0], "a.example.com")).CertificateARN
	for reference, code := range map[string]string{
		strings.Replace(arn, region, "eu-west-1", 1):                   "InvalidArnException",
		strings.Replace(arn, ":acm:", ":iam:", 1):                      "InvalidArnException",
		strings.Replace(arn, "arn:aws:", "arn:aws-cn:", 1):             "InvalidArnException", // past policies that name it
		strings.Replace(arn, "certificate/", "certificate/a/", 1):      "InvalidArnException",
		strings.Replace(arn, "certificate/", "certificate/a", 1):       "ResourceNotFoundException",
		strings.Replace(arn, account, "100000000002", 1):               "AccessDeniedException",
		lattice.ARN{Service: "acm", Region: region}.String() + "a/a/a": "InvalidArnException",
	} {
		refused(w, w.DescribeCertificate, nouns.Reference{CertificateARN: reference}, code, "")
		refused(w, w.DeleteCertificate, nouns.Reference{CertificateARN: reference}, code, "")
	}
	must(w, w.DeleteCertificate, nouns.Reference{CertificateARN: arn})
	refused(w, w.GetCertificate, nouns.Reference{CertificateARN: arn}, "ResourceNotFoundException", arn)
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	imported := must(w, w.ImportCertificate, w.selfSigned(keys()[0], "a.example.com")).CertificateARN
	requested := must(w, w.RequestCertificate, nouns.RequestCertificateRequest{DomainName: "a.example.com"}).CertificateARN
	change := func(arn string, o nouns.Options) nouns.UpdateCertificateOptionsRequest {
		return nouns.UpdateCertificateOptionsRequest{CertificateARN: arn, Options: o}
	}
	must(w, w.UpdateCertificateOptions, change(requested, nouns.Options{Transparency: "DISABLED"}))
	if got := w.describe(requested).Options; got != (nouns.Options{Transparency: "DISABLED", Export: "DISABLED"}) {
		t.Errorf("options %+v", got)
	}
	refused(w, w.UpdateCertificateOptions, change(imported, nouns.Options{Transparency: "DISABLED"}), "InvalidStateException", "imported")
	refused(w, w.UpdateCertificateOptions, change(requested, nouns.Options{Export: "ENABLED"}), "InvalidStateException", "not given out")
}

// TestThereIsOneAuthority lets several processes ask for the authority of one store at once.
func TestThereIsOneAuthority(t *testing.T) {
	w := newWorld(t)
	var found [8][]byte
	var running sync.WaitGroup
	for i := range found {
		running.Go(func() {
			var err error
			if found[i], err = New(Config{Config: operation.Config{Store: w.objects, Region: region},
				Box: w.box}).Authority(w.ctx); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	for _, der := range found {
		if len(der) == 0 || !bytes.Equal(der, found[0]) {
			t.Fatal("there are several authorities")
		}
	}
}

func TestRenewal(t *testing.T) {
	w := newWorld(t)
	imported := must(w, w.ImportCertificate, w.selfSigned(keys()[0], "a.example.com")).CertificateARN
	requested := must(w, w.RequestCertificate, nouns.RequestCertificateRequest{DomainName: "a.example.com"}).CertificateARN
	before, kept := w.stored(requested), w.stored(imported)
	start := w.clock
	renewedAfter := func(age time.Duration) bool {
		w.clock = start.Add(age)
		if err := w.renewDue(w.ctx); err != nil {
			t.Fatal(err)
		}
		return !bytes.Equal(w.stored(requested).Chain[0], before.Chain[0])
	}
	due := certificate.Lifetime - certificate.RenewBefore
	if renewedAfter(due - time.Second) {
		t.Error("it is renewed before it is due")
	}
	if !renewedAfter(due) {
		t.Fatal("it is not renewed when it is due")
	}
	got := w.describe(requested)
	if !got.NotAfter.Equal(w.clock.Add(certificate.Lifetime)) || got.Renewal == nil || got.Renewal.Status != "SUCCESS" || !got.Renewal.Updated.Equal(w.clock) {
		t.Errorf("renewed as %s", encoded(t, got))
	}
	if after := w.stored(requested); !bytes.Equal(after.SealedKey, before.SealedKey) {
		t.Error("the key changed")
	}
	if after := w.stored(imported); !bytes.Equal(after.Chain[0], kept.Chain[0]) {
		t.Error("what was imported changed")
	}
	if !renewedAfter(due + 365*24*time.Hour) {
		t.Error("one that has expired long since is not renewed")
	}
}

// TestRenewRuns renews what is due when it starts, and ends with its context.
func TestRenewRuns(t *testing.T) {
	w := newWorld(t)
	arn := must(w, w.RequestCertificate, nouns.RequestCertificateRequest{DomainName: "a.example.com"}).CertificateARN
	before := w.stored(arn)
	w.clock = w.clock.Add(certificate.Lifetime)
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	go func() { done <- w.Renew(ctx) }()
	_ = w.objects.Follow(ctx, "object/", func(batch store.Batch) error {
		if !bytes.Equal(w.stored(arn).Chain[0], before.Chain[0]) {
			cancel()
		}
		return nil
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// FuzzResume reads any page token. What is read is written the same again.
func FuzzResume(f *testing.F) {
	f.Add(token(nouns.CertificateSummary{CertificateARN: "arn:1", Created: aws.Timestamp{Time: time.Unix(1, 2)}}))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		named, err := resume(text)
		if err != nil {
			return
		}
		if again, err := resume(token(named)); err != nil || again.CertificateARN != named.CertificateARN || !again.Created.Equal(named.Created.Time) {
			t.Errorf("%q names %+v, and then %+v, %v", text, named, again, err)
		}
	})
}
