package route53_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/aws"
	resources "pergola/aws/ec2"
	"pergola/aws/iam"
	nouns "pergola/aws/route53"
	"pergola/control/ec2"
	"pergola/control/operation"
	"pergola/control/route53"
	"pergola/control/settling"
	"pergola/lattice"
	"pergola/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that must happen; never how long it takes.
const patience = 30 * time.Second

const (
	region  = "us-west-2"
	account = "100000000001"
	other   = "100000000002"
)

// world is Route 53 and EC2 with one caller, on a store of their own.
type world struct {
	*route53.Control
	networks *ec2.Control
	t        *testing.T
	ctx      context.Context
	caller   iam.Caller
	store    *store.Store
	quotas   aws.Quotas
	zones    int
}

// root is an account's root user, who needs no policies.
func root(account string) iam.Caller {
	return iam.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account, Type: iam.TypeAccount}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	objects, err := store.Open(ctx, store.Config{Dir: filepath.Join(t.TempDir(), "store"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := objects.Close(); err != nil {
			t.Error(err)
		}
	})
	second := int64(1_800_000_000)
	now := func() time.Time { second++; return time.Unix(second, 0) }
	w := &world{networks: ec2.New(operation.Config{Store: objects, Region: region}), t: t, ctx: ctx, caller: root(account),
		store: objects, quotas: aws.Quotas{}}
	w.Control = route53.New(operation.Config{Store: objects, Region: region, Now: now, Quotas: w.quotas})
	return w
}

// must carries out an operation that cannot fail.
func must[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), in In) *Out {
	w.t.Helper()
	answer, err := f(w.ctx, w.caller, &in)
	if err != nil {
		w.t.Fatalf("%+v: %v", in, err)
	}
	return answer
}

// refused carries out an operation that must fail with a code, and a message that has some words.
func refused[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), in In, code, words string) {
	w.t.Helper()
	_, err := f(w.ctx, w.caller, &in)
	var named *aws.Error
	if !errors.As(err, &named) || named.Code != code || !strings.Contains(named.Message, words) {
		w.t.Errorf("%+v: %v, want %s: %s", in, err, code, words)
	}
}

func (w *world) vpc() string {
	return must(w, w.networks.CreateVPC, resources.CreateVPCRequest{CIDRBlock: "10.0.0.0/16"}).VPC.ID
}

func vpc(id string) nouns.VPC { return nouns.VPC{VPCRegion: region, VPCID: id} }

// zone makes a zone, private in the VPCs that it is given, and returns its id.
func (w *world) zone(name string, vpcs ...string) string {
	w.t.Helper()
	w.zones++
	in := nouns.CreateHostedZoneRequest{Name: name, CallerReference: fmt.Sprint(w.zones)}
	for i, id := range vpcs {
		if i == 0 {
			in.VPC = &nouns.VPC{VPCRegion: region, VPCID: id}
		}
	}
	id := must(w, w.CreateHostedZone, in).HostedZone.ID
	for _, more := range vpcs[min(1, len(vpcs)):] {
		must(w, w.AssociateVPCWithHostedZone, nouns.AssociationRequest{HostedZoneID: id, VPC: vpc(more)})
	}
	return nouns.ID(id, nouns.ZonePrefix)
}

// change is one change, of words: CREATE www.example.com A 192.0.2.1. The values are what is after the type, separated
// by semicolons; → is an alias of a name in a zone.
func change(zone, words string) nouns.RecordChange {
	f := strings.SplitN(words, " ", 4)
	set := nouns.ResourceRecordSet{Name: f[1], Type: f[2]}
	if target, ok := strings.CutPrefix(f[3], "→"); ok {
		name, of, given := strings.Cut(target, "@")
		if !given {
			of = zone
		}
		set.Alias = &nouns.AliasTarget{HostedZoneID: of, DNSName: name}
		return nouns.RecordChange{Action: f[0], ResourceRecordSet: set}
	}
	set.TTL = new(int64(60))
	for value := range strings.SplitSeq(f[3], ";") {
		set.Records = append(set.Records, nouns.ResourceRecord{Value: value})
	}
	return nouns.RecordChange{Action: f[0], ResourceRecordSet: set}
}

// batch is a batch of changes that are told in words.
func batch(zone string, changes ...string) nouns.ChangeResourceRecordSetsRequest {
	in := nouns.ChangeResourceRecordSetsRequest{HostedZoneID: zone}
	for _, words := range changes {
		in.ChangeBatch.Changes = append(in.ChangeBatch.Changes, change(zone, words))
	}
	return in
}

// records are the record sets of a zone besides its first, each as "name type values".
func (w *world) records(zone string) (all []string) {
	w.t.Helper()
	for _, r := range must(w, w.ListResourceRecordSets,
		nouns.ListResourceRecordSetsRequest{HostedZoneID: zone}).ResourceRecordSets {
		if r.Type == "SOA" || r.Type == "NS" {
			continue
		}
		var values []string
		for _, record := range r.Records {
			values = append(values, record.Value)
		}
		if r.Alias != nil {
			values = []string{"→" + r.Alias.DNSName}
		}
		all = append(all, strings.TrimSpace(r.Name+" "+r.Type+" "+strings.Join(values, ";")))
	}
	return all
}

// TestZones makes, lists, finds and deletes zones.
func TestZones(t *testing.T) {
	w := newWorld(t)
	v := w.vpc()
	made := must(w, w.CreateHostedZone, nouns.CreateHostedZoneRequest{Name: "WWW.Example.com", CallerReference: "x",
		HostedZoneConfig: &nouns.ZoneConfig{Comment: "one"}})
	zone := made.HostedZone
	if !strings.HasPrefix(zone.ID, "/hostedzone/Z") || zone.Name != "www.example.com." || zone.Records != 2 ||
		len(made.DelegationSet.NameServers) != 4 ||
		!strings.HasSuffix(made.Location, strings.TrimPrefix(zone.ID, "/hostedzone")) ||
		made.ChangeInfo.Status != "PENDING" || zone.Config.PrivateZone {
		t.Errorf("%+v", made)
	}
	refused(w, w.CreateHostedZone, nouns.CreateHostedZoneRequest{Name: "other.test", CallerReference: "x"},
		"HostedZoneAlreadyExists", "caller reference x")
	refused(w, w.CreateHostedZone, nouns.CreateHostedZoneRequest{Name: "a..b", CallerReference: "y"},
		"InvalidDomainName", "")
	refused(w, w.CreateHostedZone, nouns.CreateHostedZoneRequest{Name: "a.b", CallerReference: "y",
		HostedZoneConfig: &nouns.ZoneConfig{PrivateZone: true}}, "InvalidInput", "VPCId")
	inner, second := w.zone("corp.test", v), w.zone("www.example.com")
	got := must(w, w.GetHostedZone, nouns.ZoneRequest{ID: inner})
	if !got.HostedZone.Config.PrivateZone || got.DelegationSet != nil || !slices.Equal(got.VPCs, []nouns.VPC{vpc(v)}) {
		t.Errorf("a private zone: %+v", got)
	}
	byName := must(w, w.ListHostedZonesByName, nouns.ListHostedZonesByNameRequest{DNSName: "corp.test", MaxItems: "1"})
	if len(byName.HostedZones) != 1 || byName.HostedZones[0].ID != nouns.ZonePrefix+inner || byName.IsTruncated {
		t.Errorf("by name, from corp.test: %+v", byName) // com comes before test
	}
	first := must(w, w.ListHostedZones, nouns.ListHostedZonesRequest{MaxItems: "2"})
	rest := must(w, w.ListHostedZones, nouns.ListHostedZonesRequest{Marker: first.NextMarker})
	if len(first.HostedZones) != 2 || len(rest.HostedZones) != 1 || !first.IsTruncated || rest.IsTruncated {
		t.Errorf("pages: %+v, %+v", first, rest)
	}
	private := must(w, w.ListHostedZones, nouns.ListHostedZonesRequest{HostedZoneType: "PrivateHostedZone"})
	if len(private.HostedZones) != 1 {
		t.Errorf("private ones: %+v", private)
	}
	must(w, w.UpdateHostedZoneComment, nouns.UpdateHostedZoneCommentRequest{ID: inner, Comment: "new"})
	if got := must(w, w.GetHostedZone, nouns.ZoneRequest{ID: inner}); got.HostedZone.Config.Comment != "new" {
		t.Errorf("after another comment: %+v", got.HostedZone)
	}
	if must(w, w.GetDNSSEC, nouns.GetDNSSECRequest{HostedZoneID: second}).Status.ServeSignature != "NOT_SIGNING" {
		t.Error("a zone is signed")
	}
	refused(w, w.GetDNSSEC, nouns.GetDNSSECRequest{HostedZoneID: inner}, "InvalidArgument", "unsupported for private")
	w.caller = root(other)
	refused(w, w.GetHostedZone, nouns.ZoneRequest{ID: inner}, "NoSuchHostedZone", inner)
	w.caller = root(account)
	must(w, w.ChangeResourceRecordSets, batch(second, "CREATE a.www.example.com A 192.0.2.1"))
	refused(w, w.DeleteHostedZone, nouns.ZoneRequest{ID: second}, "HostedZoneNotEmpty", "")
	must(w, w.ChangeResourceRecordSets, batch(second, "DELETE a.www.example.com A 192.0.2.1"))
	for _, id := range []string{zone.ID, inner, second} {
		must(w, w.DeleteHostedZone, nouns.ZoneRequest{ID: id})
	}
	if n := must(w, w.GetHostedZoneCount, nouns.GetHostedZoneCountRequest{}).HostedZoneCount; n != 0 {
		t.Errorf("%d zones are left", n)
	}
	must(w, w.CreateHostedZone, nouns.CreateHostedZoneRequest{Name: "a.b", CallerReference: "x"})
	if left := w.keys("recordset"); len(left) != 2 {
		t.Errorf("left are %v", left)
	}
}

// keys are the ids of the objects of a kind.
func (w *world) keys(kind string) (all []string) {
	w.t.Helper()
	err := w.store.View(w.ctx, func(tx *store.Tx) error {
		entries, _, err := store.NewKind[json.RawMessage](kind).List(tx, "", "", 0)
		all = nil
		for _, e := range entries {
			all = append(all, e.ID)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// TestBatches makes changes that hold, and such that are refused for what is wrong with them.
func TestBatches(t *testing.T) {
	w := newWorld(t)
	zone := w.zone("example.com")
	must(w, w.ChangeResourceRecordSets, batch(zone, "CREATE www.example.com A 192.0.2.1;192.0.2.2",
		"CREATE c.example.com CNAME X.test",
		"CREATE *.example.com TXT \"a\"", "CREATE al.example.com A →www.example.com."))
	for _, c := range []struct {
		changes []string
		words   string // "" where it holds
	}{
		{[]string{"CREATE www.example.com A 192.0.2.1"},
			"[Tried to create resource record set [name='www.example.com.', type='A'] but it already exists]"},
		{[]string{"DELETE nope.example.com A 192.0.2.1"},
			"[Tried to delete resource record set [name='nope.example.com.', type='A'] but it was not found]"},
		{[]string{"DELETE www.example.com A 192.0.2.1"}, "but the values provided do not match the current values]"},
		{[]string{"DELETE al.example.com A 192.0.2.1"}, "but the values provided do not match the current values]"},
		{[]string{"DELETE www.example.com A 192.0.2.2;192.0.2.1"}, ""}, // in any order
		{[]string{"DELETE c.example.com CNAME x.test."}, ""},           // in any spelling
		{[]string{"DELETE nope.example.com A 192.0.2.1", "CREATE new.example.com A 1.2.3"},
			"but it was not found, Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address"},
		{[]string{"CREATE www.example.com CNAME x.test"}, "conflicts with other records with the same DNS name in zone " +
			"example.com."},
		{[]string{"CREATE c.example.com A 192.0.2.1"}, "a conflicting RRSet of type CNAME"},
		{[]string{"CREATE c.example.com A 192.0.2.1", "DELETE c.example.com CNAME X.test"}, ""},
		{[]string{"CREATE example.com CNAME x.test"}, "is not permitted at apex in zone example.com."},
		{[]string{"CREATE a.other.test A 192.0.2.1"}, "RRSet with DNS name a.other.test. is not permitted in zone " +
			"example.com."},
		{[]string{"CREATE a.example.com SOA a. b. 1 2 3 4 5"}, "is not permitted in zone example.com., but at its apex"},
		{[]string{"CREATE a.example.com A 192.0.2.1;192.0.2.1"}, "Duplicate Resource Record: '192.0.2.1'"},
		{[]string{"CREATE a.example.com CNAME x.test;y.test"}, "must have one value, has 2"},
		{[]string{"CREATE a.example.com HTTPS 1 ."}, "the type is not served here"},
		{[]string{"CREATE a..example.com A 192.0.2.1"}, "DomainLabelEmpty"},
		{[]string{"CREATE a.example.com A →nope.example.com"}, "type A in zone " + zone + ", but that target was not found"},
		{[]string{"CREATE a.example.com A →nope.example.com", "CREATE nope.example.com A 192.0.2.1"}, ""},
		{[]string{"CREATE a.example.com A →a.example.com"}, "cannot be an alias of itself"},
		{[]string{"CREATE a.example.com A →x.other.test"}, "but the alias target name does not lie within the target zone"},
		{[]string{"CREATE a.example.com A →x@Z2FDTNDATAQYW2"}, "which is not served here"},
		{[]string{"CREATE a.example.com A →svc.test@" + lattice.HostedZoneID(lattice.DomainSuffix(region))},
			"does not lie within the target zone"},
		{[]string{"CREATE a.example.com AAAA →" + lattice.DomainName("a", "svc-1", region) + "@" +
			lattice.HostedZoneID(lattice.DomainSuffix(region))}, ""},
		{[]string{"CREATE a.example.com TXT →" + lattice.DomainName("a", "svc-1", region) + "@" +
			lattice.HostedZoneID(lattice.DomainSuffix(region))},
			"cannot be an alias"},
		{[]string{"CREATE a.example.com A →internal-x-1.us-west-2.elb.amazonaws.com@Z0PERGOLAELB"}, ""},
		{[]string{"CREATE a.example.com NS →example.com"}, "cannot be an alias"},
		{[]string{"UPSERT example.com SOA a. b. 1 2 3 4 5", "UPSERT example.com NS ns.test"}, ""},
		{[]string{"CREATE big.example.com TXT " + strings.Repeat(`"a" `, 8001)},
			"Number of characters limit of 32000 exceeded."},
	} {
		before := w.records(zone)
		in := batch(zone, c.changes...)
		if c.words != "" {
			refused(w, w.ChangeResourceRecordSets, in, "InvalidChangeBatch", c.words)
			if after := w.records(zone); !slices.Equal(before, after) {
				t.Errorf("%v was refused and has changed %v into %v", c.changes, before, after)
			}
			continue
		}
		w.undone(in)
	}
	for _, in := range []nouns.ResourceRecordSet{{}, {TTL: new(int64(1))},
		{Alias: &nouns.AliasTarget{}, TTL: new(int64(1))},
		{SetIdentifier: "a"}, {Weight: new(int64(1))}} {
		in.Name, in.Type = "a.example.com", "A"
		if in.Alias == nil && in.TTL == nil && (in.SetIdentifier != "" || in.Weight != nil) {
			in.TTL, in.Records = new(int64(1)), []nouns.ResourceRecord{{Value: "192.0.2.1"}}
		}
		refused(w, w.ChangeResourceRecordSets, nouns.ChangeResourceRecordSetsRequest{HostedZoneID: zone,
			ChangeBatch: nouns.ChangeBatch{Changes: []nouns.RecordChange{{Action: "CREATE", ResourceRecordSet: in}}}},
			"InvalidInput",
			"in Change with [Action=CREATE, Name=a.example.com, Type=A, SetIdentifier=")
	}
	refused(w, w.ChangeResourceRecordSets,
		batch(zone, "DELETE example.com NS ns-1.route53.internal;ns-2.route53.internal;"+
			"ns-3.route53.internal;ns-4.route53.internal"), "InvalidChangeBatch", "")
}

// undone makes changes in a zone of their own, a copy of the one that they are for, so that they disturb nothing.
func (w *world) undone(in nouns.ChangeResourceRecordSetsRequest) {
	w.t.Helper()
	listed := must(w, w.ListResourceRecordSets, nouns.ListResourceRecordSetsRequest{HostedZoneID: in.HostedZoneID})
	to := w.zone("example.com")
	all := nouns.ChangeResourceRecordSetsRequest{HostedZoneID: to}
	add := func(action string, set nouns.ResourceRecordSet) {
		if set.Alias != nil && set.Alias.HostedZoneID == in.HostedZoneID {
			set.Alias = &nouns.AliasTarget{HostedZoneID: to, DNSName: set.Alias.DNSName}
		}
		all.ChangeBatch.Changes = append(all.ChangeBatch.Changes, nouns.RecordChange{Action: action, ResourceRecordSet: set})
	}
	for _, set := range listed.ResourceRecordSets {
		add("UPSERT", set)
	}
	must(w, w.ChangeResourceRecordSets, all)
	all.ChangeBatch.Changes = nil
	for _, c := range in.ChangeBatch.Changes {
		add(c.Action, c.ResourceRecordSet)
	}
	must(w, w.ChangeResourceRecordSets, all)
}

// TestApexKeepsItsRecords: the name servers and the start of authority of a zone can be replaced, and not deleted.
func TestApexKeepsItsRecords(t *testing.T) {
	w := newWorld(t)
	zone := w.zone("example.com")
	for _, r := range must(w, w.ListResourceRecordSets,
		nouns.ListResourceRecordSetsRequest{HostedZoneID: zone}).ResourceRecordSets {
		in := nouns.ChangeResourceRecordSetsRequest{HostedZoneID: zone, ChangeBatch: nouns.ChangeBatch{
			Changes: []nouns.RecordChange{{Action: "DELETE", ResourceRecordSet: r}}}}
		refused(w, w.ChangeResourceRecordSets, in, "InvalidChangeBatch", "A HostedZone must contain")
		in.ChangeBatch.Changes[0].Action, in.ChangeBatch.Changes[0].ResourceRecordSet.TTL = "UPSERT", new(int64(7))
		must(w, w.ChangeResourceRecordSets, in)
	}
}

// TestAlternatives have identifiers and weights, all of a name and type or none.
func TestAlternatives(t *testing.T) {
	w := newWorld(t)
	zone := w.zone("example.com")
	in := batch(zone, "CREATE w.example.com A 192.0.2.1", "CREATE w.example.com A 192.0.2.2")
	for i := range in.ChangeBatch.Changes {
		set := &in.ChangeBatch.Changes[i].ResourceRecordSet
		set.SetIdentifier, set.Weight = []string{"a/b", "c%"}[i], new(int64(i))
	}
	must(w, w.ChangeResourceRecordSets, in)
	refused(w, w.ChangeResourceRecordSets, batch(zone, "CREATE w.example.com A 192.0.2.1"), "InvalidChangeBatch",
		"all or none of them must have a set identifier")
	got := must(w, w.ListResourceRecordSets, nouns.ListResourceRecordSetsRequest{HostedZoneID: zone,
		StartRecordName: "w.example.com",
		StartRecordType: "A", StartRecordIdentifier: "c%"}).ResourceRecordSets
	if len(got) != 1 || got[0].SetIdentifier != "c%" || *got[0].Weight != 1 {
		t.Errorf("from the second: %+v", got)
	}
	in.ChangeBatch.Changes[0].Action, in.ChangeBatch.Changes[1].Action = "DELETE", "DELETE"
	in.ChangeBatch.Changes[0].ResourceRecordSet.Weight = new(int64(9))
	refused(w, w.ChangeResourceRecordSets, in, "InvalidChangeBatch",
		"[name='w.example.com.', type='A', set-identifier='a/b']")
}

// TestListingAgainstAModel pages through random record sets in the order of their labels, types and identifiers.
func TestListingAgainstAModel(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(1, 2))
	zone := w.zone("example.com")
	type key struct{ name, typ string }
	known := map[key]bool{{"example.com.", "NS"}: true, {"example.com.", "SOA"}: true}
	labels := []string{"a", "b", "-c", "z9", "_x", "*", "a-b", "0"}
	var changes []string
	for range 60 {
		name := "example.com"
		for range 1 + r.IntN(3) {
			name = labels[r.IntN(len(labels))] + "." + name
		}
		typ := []string{"A", "AAAA", "TXT"}[r.IntN(3)]
		parsed, _ := nouns.ParseName(name)
		if !known[key{string(parsed), typ}] {
			known[key{string(parsed), typ}] = true
			changes = append(changes, "CREATE "+name+" "+typ+" "+map[string]string{"A": "192.0.2.1", "AAAA": "::1",
				"TXT": `"a"`}[typ])
		}
	}
	must(w, w.ChangeResourceRecordSets, batch(zone, changes...))
	var want []key
	for k := range known {
		want = append(want, k)
	}
	slices.SortFunc(want, func(a, b key) int {
		if order := strings.Compare(nouns.Name(a.name).Reversed(), nouns.Name(b.name).Reversed()); order != 0 {
			return order
		}
		return strings.Compare(a.typ, b.typ)
	})
	for _, size := range []int{1, 7, 300} {
		var got []key
		in := nouns.ListResourceRecordSetsRequest{HostedZoneID: zone, MaxItems: fmt.Sprint(size)}
		for more := true; more; {
			page := must(w, w.ListResourceRecordSets, in)
			for _, set := range page.ResourceRecordSets {
				got = append(got, key{set.Name, set.Type})
			}
			in.StartRecordName, in.StartRecordType, more = page.NextRecordName, page.NextRecordType, page.IsTruncated
			if len(page.ResourceRecordSets) > size || more != (in.StartRecordName != "") {
				t.Fatalf("a page of %d: %+v", size, page)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d:\n%v, want\n%v", size, got, want)
		}
	}
}

// TestAssociations of private zones with VPCs, of the account and of another one.
func TestAssociations(t *testing.T) {
	w := newWorld(t)
	one, two := w.vpc(), w.vpc()
	zone, public := w.zone("corp.test", one), w.zone("corp.test")
	refused(w, w.CreateHostedZone, nouns.CreateHostedZoneRequest{Name: "corp.test", CallerReference: "z",
		VPC: new(vpc(one))}, "ConflictingDomainExists", zone)
	associate := func(zone, id string) nouns.AssociationRequest {
		return nouns.AssociationRequest{HostedZoneID: zone, VPC: vpc(id)}
	}
	refused(w, w.AssociateVPCWithHostedZone, associate(public, two), "PublicZoneVPCAssociation", public)
	refused(w, w.AssociateVPCWithHostedZone, associate(zone, "vpc-0123456789abcdef0"), "InvalidVPCId", "")
	refused(w, w.AssociateVPCWithHostedZone, nouns.AssociationRequest{HostedZoneID: zone,
		VPC: nouns.VPC{VPCRegion: "eu-west-1",
			VPCID: two}}, "InvalidVPCId", "eu-west-1")
	refused(w, w.AssociateVPCWithHostedZone, associate(zone, one), "ConflictingDomainExists", "already")
	refused(w, w.DisassociateVPCFromHostedZone, associate(zone, two), "VPCAssociationNotFound", two)
	refused(w, w.DisassociateVPCFromHostedZone, associate(zone, one), "LastVPCAssociation", one)
	must(w, w.AssociateVPCWithHostedZone, associate(zone, two))
	must(w, w.DisassociateVPCFromHostedZone, associate(zone, one))
	inner := w.zone("corp.test", one) // which is free again
	list := func(id string) (all []string) {
		in := nouns.ListHostedZonesByVPCRequest{VPCID: id, VPCRegion: region, MaxItems: "1"}
		for more := true; more; more = in.NextToken != "" {
			page := must(w, w.ListHostedZonesByVPC, in)
			for _, s := range page.HostedZoneSummaries {
				all = append(all, s.HostedZoneID+" "+s.Owner.OwningAccount)
			}
			in.NextToken = page.NextToken
		}
		return all
	}
	second := w.zone("a.test", one)
	if got := list(one); !slices.Equal(got, []string{second + " " + account, inner + " " + account}) {
		t.Errorf("the zones of %s: %v", one, got)
	}

	w.caller = root(other)
	theirs := w.vpc()
	refused(w, w.AssociateVPCWithHostedZone, associate(zone, theirs), "NoSuchHostedZone", zone)
	w.caller = root(account)
	refused(w, w.AssociateVPCWithHostedZone, associate(zone, theirs), "NotAuthorizedException", theirs)
	refused(w, w.CreateVPCAssociationAuthorization, nouns.AuthorizationRequest{HostedZoneID: public, VPC: vpc(theirs)},
		"InvalidInput", "public")
	must(w, w.CreateVPCAssociationAuthorization, nouns.AuthorizationRequest{HostedZoneID: zone, VPC: vpc(theirs)})
	authorized := must(w, w.ListVPCAssociationAuthorizations,
		nouns.ListVPCAssociationAuthorizationsRequest{HostedZoneID: zone})
	if !slices.Equal(authorized.VPCs, []nouns.VPC{vpc(theirs)}) {
		t.Errorf("authorized are %+v", authorized)
	}
	w.caller = root(other)
	must(w, w.AssociateVPCWithHostedZone, associate(zone, theirs))
	refused(w, w.AssociateVPCWithHostedZone, associate(zone, two), "NoSuchHostedZone", zone)
	refused(w, w.GetHostedZone, nouns.ZoneRequest{ID: zone}, "NoSuchHostedZone", zone)
	if got := list(theirs); !slices.Equal(got, []string{zone + " " + account}) {
		t.Errorf("the zones of %s: %v", theirs, got)
	}
	w.caller = root(account)
	must(w, w.DeleteVPCAssociationAuthorization, nouns.AuthorizationRequest{HostedZoneID: zone, VPC: vpc(theirs)})
	refused(w, w.DeleteVPCAssociationAuthorization, nouns.AuthorizationRequest{HostedZoneID: zone, VPC: vpc(theirs)},
		"VPCAssociationAuthorizationNotFound", theirs)
	w.caller = root(other)
	must(w, w.DisassociateVPCFromHostedZone, associate(zone, theirs))
	if got := list(theirs); len(got) != 0 {
		t.Errorf("afterwards: %v", got)
	}
}

// TestQuotas refuses more than there may be.
func TestQuotas(t *testing.T) {
	w := newWorld(t)
	one, two := w.vpc(), w.vpc()
	zone, inner := w.zone("example.com"), w.zone("corp.test", one)
	for quota, limit := range map[aws.Quota]int{nouns.QuotaZones: 2, nouns.QuotaRecords: 3, nouns.QuotaVPCs: 1} {
		w.quotas[quota.Code] = limit
	}
	refused(w, w.CreateHostedZone, nouns.CreateHostedZoneRequest{Name: "b.test", CallerReference: "b"},
		"TooManyHostedZones", "2")
	must(w, w.ChangeResourceRecordSets, batch(zone, "CREATE a.example.com A 192.0.2.1"))
	refused(w, w.ChangeResourceRecordSets, batch(zone, "CREATE b.example.com A 192.0.2.1"), "InvalidChangeBatch",
		"limit of 3")
	must(w, w.ChangeResourceRecordSets, batch(zone, "CREATE b.example.com A 192.0.2.1",
		"DELETE a.example.com A 192.0.2.1"))
	refused(w, w.AssociateVPCWithHostedZone, nouns.AssociationRequest{HostedZoneID: inner, VPC: vpc(two)},
		"LimitsExceeded", "1")
	var many []string
	for i := range 501 {
		many = append(many, fmt.Sprintf("UPSERT n%d.example.com A 192.0.2.1", i))
	}
	refused(w, w.ChangeResourceRecordSets, batch(zone, many...), "InvalidChangeBatch",
		"Number of records limit of 1000 exceeded.")
}

// TestChangesAreInSyncOnceNodesServeThem, and not before.
func TestChangesAreInSyncOnceNodesServeThem(t *testing.T) {
	w := newWorld(t)
	zone := w.zone("example.com")
	ctx, stop := context.WithCancel(w.ctx)
	ended := make(chan error)
	go func() {
		ended <- settling.New(settling.Config{Store: w.store, Rows: route53.Rows()}).Run(ctx)
	}()
	defer func() { stop(); <-ended }()
	first := must(w, w.ChangeResourceRecordSets, batch(zone, "CREATE a.example.com A 192.0.2.1")).ChangeInfo
	node, err := w.store.Lease(w.ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	serve := func() {
		revision, err := w.store.Revision(w.ctx)
		report, _ := json.Marshal(lattice.NodeReport{Applied: revision})
		if err := errors.Join(err, node.Put(w.ctx, lattice.NodeReportKey("a"), report)); err != nil {
			t.Fatal(err)
		}
	}
	serve()
	w.await(first.ID, "INSYNC")
	second := must(w, w.ChangeResourceRecordSets, batch(zone, "CREATE b.example.com A 192.0.2.1")).ChangeInfo
	if got := must(w, w.GetChange, nouns.GetChangeRequest{ID: second.ID}).ChangeInfo; got.Status != "PENDING" {
		t.Errorf("before the node serves it: %+v", got)
	}
	serve()
	w.await(second.ID, "INSYNC")
	refused(w, w.GetChange, nouns.GetChangeRequest{ID: "C1"}, "NoSuchChange", "C1")
	w.caller = root(other)
	refused(w, w.GetChange, nouns.GetChangeRequest{ID: second.ID}, "NoSuchChange", "")
}

// TestChangesAreBounded forgets an account's oldest change for a new one where there are many, and nobody else's.
func TestChangesAreBounded(t *testing.T) {
	w := newWorld(t)
	zone := w.zone("example.com")
	first := w.keys("recordchange")[0]
	for part := range 2 {
		if _, err := w.store.Update(w.ctx, func(tx *store.Tx) error {
			kind := store.NewKind[nouns.Change](nouns.KindChange)
			for i := range 500 {
				for _, of := range []string{account, other} {
					id := fmt.Sprintf("CZ%d-%03d", part, i)
					if err := kind.Put(tx, of+"/"+id, nouns.Change{ID: id, Account: of}); err != nil {
						return err
					}
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	must(w, w.ChangeResourceRecordSets, batch(zone, "CREATE a.example.com A 192.0.2.1"))
	left := w.keys("recordchange")
	if len(left) != 2001 || slices.Contains(left, first) {
		t.Errorf("%d changes are known, the first one among them: %v", len(left), slices.Contains(left, first))
	}
}

// await waits until a change has a status.
func (w *world) await(id, status string) {
	w.t.Helper()
	for w.ctx.Err() == nil {
		if must(w, w.GetChange, nouns.GetChangeRequest{ID: id}).ChangeInfo.Status == status {
			return
		}
	}
	w.t.Fatalf("%s does not become %s", id, status)
}

// TestTags are those of zones.
func TestTags(t *testing.T) {
	w := newWorld(t)
	zone := w.zone("example.com")
	in := nouns.ChangeTagsRequest{ResourceType: "hostedzone", ResourceID: zone,
		AddTags: []nouns.Tag{{Key: "b", Value: "2"},
			{Key: "a", Value: "1"}}}
	must(w, w.ChangeTagsForResource, in)
	in.AddTags, in.RemoveTagKeys = []nouns.Tag{{Key: "a", Value: "3"}}, []string{"b"}
	must(w, w.ChangeTagsForResource, in)
	want := []nouns.Tag{{Key: "a", Value: "3"}}
	if got := must(w, w.ListTagsForResource, nouns.ListTagsForResourceRequest{ResourceType: "hostedzone",
		ResourceID: zone}).ResourceTagSet; !slices.Equal(got.Tags, want) || got.ResourceID != zone {
		t.Errorf("%+v", got)
	}
	if got := must(w, w.ListTagsForResources, nouns.ListTagsForResourcesRequest{ResourceType: "hostedzone",
		IDs: []string{zone}}).ResourceTagSets; len(got) != 1 || !slices.Equal(got[0].Tags, want) {
		t.Errorf("%+v", got)
	}
	in.AddTags = []nouns.Tag{{Key: "aws:x"}}
	refused(w, w.ChangeTagsForResource, in, "InvalidInput", "aws:x")
	in.AddTags, in.ResourceType = nil, "healthcheck"
	refused(w, w.ChangeTagsForResource, in, "NoSuchHealthCheck", "not served here")
}

// TestTXT tells what resolvers answer for TXT records of public zones.
func TestTXT(t *testing.T) {
	w := newWorld(t)
	one, private := w.zone("example.com"), w.zone("example.com", w.vpc())
	second, inner := w.zone("example.com"), w.zone("in.example.com")
	must(w, w.ChangeResourceRecordSets, batch(one, `CREATE _a.example.com TXT "v=1" "2";"other"`,
		"CREATE c.example.com CNAME _A.example.com",
		`CREATE *.w.example.com TXT "star"`, `CREATE b.x.w.example.com A 192.0.2.1`,
		"CREATE al.example.com TXT →_a.example.com",
		"CREATE l1.example.com CNAME l2.example.com", "CREATE l2.example.com CNAME l1.example.com",
		`CREATE in.example.com TXT "hidden"`))
	must(w, w.ChangeResourceRecordSets, batch(second, `CREATE second.example.com TXT "no"`))
	must(w, w.ChangeResourceRecordSets, batch(private, `CREATE private.example.com TXT "no"`))
	must(w, w.ChangeResourceRecordSets, batch(inner, `CREATE z.in.example.com TXT "yes"`))
	for name, want := range map[string]string{
		"_A.example.com.": "[v=12 other]", "c.example.com": "[v=12 other]", "al.example.com": "[v=12 other]",
		"y.w.example.com": "[star]",
		"x.w.example.com": "[]", "b.x.w.example.com": "[]", "nope.example.com": "[]", "second.example.com": "[]",
		"private.example.com": "[]", "z.in.example.com": "[yes]", "in.example.com": "[]", "other.test": "[]",
	} {
		var got []string
		err := w.store.View(w.ctx, func(tx *store.Tx) (err error) { got, err = route53.TXT(tx, name); return err })
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %q, %v; want %s", name, got, err, want)
		}
	}
	for _, name := range []string{"l1.example.com", "a..b"} {
		if err := w.store.View(w.ctx, func(tx *store.Tx) error { _, err := route53.TXT(tx, name); return err }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestConditionKeys lets a user change what a policy names, and nothing else.
func TestConditionKeys(t *testing.T) {
	w := newWorld(t)
	zone := w.zone("example.com")
	w.caller = w.user(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"route53:ChangeResourceRecordSets",` +
		`"Resource":"arn:aws:route53:::hostedzone/` + zone + `","Condition":{"ForAllValues:StringLike":{` +
		`"route53:ChangeResourceRecordSetsNormalizedRecordNames":["*.dev.example.com"]},"ForAllValues:StringEquals":{` +
		`"route53:ChangeResourceRecordSetsRecordTypes":["A"],"route53:ChangeResourceRecordSetsActions":["CREATE","UPSERT"]}}}}`)
	must(w, w.ChangeResourceRecordSets, batch(zone, "CREATE A.dev.example.com. A 192.0.2.1",
		"UPSERT b.dev.example.com A 192.0.2.1"))
	for _, changes := range [][]string{{"CREATE a.example.com A 192.0.2.1"}, {`CREATE c.dev.example.com TXT "a"`},
		{"DELETE a.dev.example.com A 192.0.2.1"}, {"CREATE d.dev.example.com A 192.0.2.1",
			"CREATE e.example.com A 192.0.2.1"}} {
		refused(w, w.ChangeResourceRecordSets, batch(zone, changes...), "AccessDenied", "route53:ChangeResourceRecordSets")
	}
}

// user is a user with one policy.
func (w *world) user(document string) iam.Caller {
	w.t.Helper()
	user := iam.User{Entity: iam.Entity{Account: account, Name: "ada", Path: "/", UniqueID: "AIDA"}}
	user.Inline = map[string]string{"own": document}
	if _, err := w.store.Update(w.ctx, func(tx *store.Tx) error {
		return store.NewKind[iam.User](iam.KindUser).Put(tx, iam.ID(user.Account, user.Name), user)
	}); err != nil {
		w.t.Fatal(err)
	}
	return iam.Caller{Account: account, ARN: user.ARN(), UserID: user.UniqueID, Type: iam.TypeUser}
}
