package ec2

import (
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

// noun is a kind of resource of EC2.
type noun[T any] struct {
	*resource.Kind[T]
	labels
	// attributes are what filters look at, by filter name. Those of tags are common to all nouns.
	attributes func(*call, *T) map[string][]string
}

// labels are the words of EC2 for a noun.
type labels struct {
	// prefix begins every id. resourceType is the noun in tag specifications and ARNs, and label in messages.
	prefix, resourceType, label string
	// missing and malformed are the codes of errors about ids.
	missing, malformed string
}

// newNoun makes a noun of what tells its kind from the others, the words of EC2 aside.
func newNoun[T any](d resource.Definition[T], l labels, attributes func(*call, *T) map[string][]string) noun[T] {
	d.Hidden, d.Tagging = true, "CreateTags"
	d.Missing = func(ref resource.Ref) error {
		return aws.Errorf(l.missing, "The %s '%s' does not exist", l.label, ref.Named)
	}
	d.Reused = func(path string) error {
		return aws.Errorf("IdempotentParameterMismatch", "The client token was used before, with other parameters, for %s",
			path)
	}
	return noun[T]{resource.New(d), l, attributes}
}

var (
	vpcs = newNoun(resource.Definition[ec2.VPC]{
		Name:     ec2.KindVPC,
		Head:     func(v *ec2.VPC) resource.Head { return resource.Head{Path: v.ID, Account: v.Account, Tags: &v.Tags} },
		Progress: func(v *ec2.VPC) resource.Progress { return resource.ProgressOf(&v.Stage, nil) },
	}, labels{"vpc-", "vpc", "vpc ID", "InvalidVpcID.NotFound", "InvalidVpcID.Malformed"}, vpcAttributes)
	subnets = newNoun(resource.Definition[ec2.Subnet]{
		Name:  ec2.KindSubnet,
		Head:  func(s *ec2.Subnet) resource.Head { return resource.Head{Path: s.ID, Account: s.Account, Tags: &s.Tags} },
		Holds: holdsOfSubnet,
	}, labels{"subnet-", "subnet", "subnet ID", "InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed"}, subnetAttributes)
	groups = newNoun(resource.Definition[ec2.SecurityGroup]{
		Name: ec2.KindSecurityGroup,
		Head: func(g *ec2.SecurityGroup) resource.Head {
			return resource.Head{Path: g.ID, Account: g.Account, Tags: &g.Tags}
		},
		Keys:  keysOfGroup,
		Holds: holdsOfGroup,
	}, labels{"sg-", "security-group", "security group", "InvalidGroup.NotFound", "InvalidGroupId.Malformed"},
		groupAttributes)
	instances = newNoun(resource.Definition[ec2.Instance]{
		Name: ec2.KindInstance,
		Head: func(i *ec2.Instance) resource.Head {
			return resource.Head{Path: i.ID, Account: i.Account, Tags: &i.Tags}
		},
		Holds:    holdsOfInstance,
		Progress: func(i *ec2.Instance) resource.Progress { return resource.ProgressOf(&i.Stage, &i.Intent) },
	}, labels{"i-", "instance", "instance ID", "InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"},
		instanceAttributes)
	acls = newNoun(resource.Definition[ec2.ACL]{
		Name: ec2.KindNetworkACL,
		Head: func(a *ec2.ACL) resource.Head {
			return resource.Head{Path: a.ID, Account: a.Account, Tags: &a.Tags, Token: a.ClientToken}
		},
		Holds: holdsOfACL,
	}, labels{"acl-", "network-acl", "network acl ID", "InvalidNetworkAclID.NotFound", "InvalidNetworkAclId.Malformed"},
		nil)
	prefixLists = newNoun(resource.Definition[ec2.PrefixList]{
		Name: ec2.KindPrefixList,
		Head: func(l *ec2.PrefixList) resource.Head {
			return resource.Head{Path: l.ID, Account: l.Account, Tags: &l.Tags, Token: l.ClientToken}
		},
	}, labels{"pl-", "prefix-list", "prefix list ID", "InvalidPrefixListID.NotFound", "InvalidPrefixListId.Malformed"},
		nil)
)

// references say what refers to what: "<referenced id>/<referrer id>". Other services write there too, in whose words
// something of EC2 is used.
var references = store.NewIndex(ec2.ReferenceIndex)

// refersTo are the references of a resource to others, which keep these from being deleted.
func refersTo(id string, to ...string) []resource.Hold {
	holds := make([]resource.Hold, len(to))
	for i, of := range to {
		holds[i] = resource.Hold{Index: references, Key: of + "/" + id}
	}
	return holds
}

// arn names a resource, whether there is one or not.
func (l labels) arn(op *call, id string) string { return op.arn(l.resourceType + "/" + id) }

// ref is what an id names.
func (l labels) ref(id string) resource.Ref {
	ref := resource.Ref{Path: id, Named: id}
	if !strings.HasPrefix(id, l.prefix) || strings.Contains(id, "/") {
		ref.Malformed = aws.Errorf(l.malformed, "Invalid id: \"%s\" (expecting \"%s...\")", id, l.prefix)
	}
	return ref
}

// read reads a resource that an operation refers to.
func (n noun[T]) read(op *call, id string) (*T, error) { return n.Read(op.Call, n.ref(id)) }

// find reads the resource that an operation is about, if the caller may perform it on that.
func (n noun[T]) find(op *call, id string) (*T, error) {
	ref := n.ref(id)
	ref.ARN = n.arn(op, id)
	return n.Find(op.Call, ref)
}

// create builds a resource with the tags of a request and writes it, if the caller may.
func (n noun[T]) create(op *call, specifications []ec2.TagSpecification,
	build func(tags map[string]string) (*T, error)) (*T, error) {
	return n.order(op, resource.Order{}, specifications, build)
}

// order is create with the idempotency token of an order.
func (n noun[T]) order(op *call, o resource.Order, specifications []ec2.TagSpecification,
	build func(tags map[string]string) (*T, error)) (*T, error) {
	tags, err := n.tagsOf(specifications)
	if err != nil {
		return nil, err
	}
	o.ARN, o.Tags = n.arn(op, "*"), tags
	return n.Create(op.Call, o, func() (*T, error) { return build(tags) })
}

// remove deletes a resource to which nothing refers. used is the error otherwise, with a %s for the id.
func (n noun[T]) remove(op *call, used string, value *T) error {
	id := n.Head(value).Path
	referrers, _, err := references.List(op.Tx, id+"/", "", 1)
	if err != nil {
		return err
	}
	if len(referrers) > 0 {
		return aws.Errorf("DependencyViolation", used+": %s refers to it", id, lattice.IDOf(referrers[0].ID))
	}
	n.Delete(op.Tx, value)
	return nil
}

// own are the resources of the caller's account.
func (n noun[T]) own(op *call) ([]*T, error) { return n.All(op.Tx, op.Account) }

// candidates are the resources with some ids, which must all exist, or all there are.
func (n noun[T]) candidates(op *call, ids []string) ([]*T, error) {
	if len(ids) == 0 {
		return n.own(op)
	}
	return each(slices.Compact(slices.Sorted(slices.Values(ids))), func(id string) (*T, error) { return n.read(op, id) })
}

// selection says which resources a Describe request wants.
type selection struct {
	ids     []string
	filters []ec2.Filter
	page    ec2.Page
}

// selected lists the resources that a request wants, and the token for the next page.
func (n noun[T]) selected(op *call, s selection) (page []*T, next string, err error) {
	candidates, err := n.candidates(op, s.ids)
	if err != nil {
		return nil, "", err
	}
	// No filter looks at what comes before the page.
	candidates = slices.DeleteFunc(candidates, func(value *T) bool { return n.Head(value).Path <= s.page.NextToken })
	found, err := filtered(candidates, s.filters, func(value *T) map[string][]string {
		return withTags(n.attributes(op, value), *n.Head(value).Tags)
	})
	page, next = pageOf(found, s.page, func(value *T) string { return n.Head(value).Path })
	return page, next, err
}

// describe describes the resources that a request wants.
func describe[T, D any](op *call, n noun[T], s selection, of func(*T) (D, error)) (ec2.Set[D], string, error) {
	page, next, err := n.selected(op, s)
	if err != nil {
		return nil, "", err
	}
	descriptions, err := each(page, of)
	return descriptions, next, err
}

// pageOf cuts the page that a request asks for out of a listing.
func pageOf[T any](items []T, p ec2.Page, key func(T) string) (page []T, next string) {
	return resource.Page(items, key, p.NextToken, int(p.MaxResults))
}

// each makes one thing of each of others, up to the first error.
func each[T, D any](of []T, do func(T) (D, error)) ([]D, error) {
	var all []D
	for _, thing := range of {
		made, err := do(thing)
		if err != nil {
			return nil, err
		}
		all = append(all, made)
	}
	return all, nil
}
