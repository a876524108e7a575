package ec2

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/control/ownership"
	"pergola/store"
)

// noun is a kind of object: where the store keeps it and what all nouns have in common.
type noun[T any] struct {
	objects store.Kind[T]
	owned   ownership.Kind[T]
	// prefix begins every id. resourceType is the noun in tag specifications, and label in messages.
	prefix, resourceType, label string
	// missing and malformed are the codes of errors about ids.
	missing, malformed string
	head               func(*T) head
	// attributes are what filters look at, by filter name. Those of tags are common to all nouns.
	attributes func(*call, *T) map[string][]string
}

// head is the part of an object that does not depend on its kind.
type head struct {
	id, account string
	tags        *map[string]string
}

var (
	vpcs = noun[ec2.VPC]{
		store.NewKind[ec2.VPC](ec2.KindVPC),
		ownership.Of(ec2.KindVPC, func(o *ec2.VPC) (string, string) { return o.Account, o.ID }),
		"vpc-", "vpc", "vpc ID", "InvalidVpcID.NotFound", "InvalidVpcID.Malformed",
		func(v *ec2.VPC) head { return head{v.ID, v.Account, &v.Tags} }, vpcAttributes,
	}
	subnets = noun[ec2.Subnet]{
		store.NewKind[ec2.Subnet](ec2.KindSubnet),
		ownership.Of(ec2.KindSubnet, func(o *ec2.Subnet) (string, string) { return o.Account, o.ID }),
		"subnet-", "subnet", "subnet ID", "InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed",
		func(s *ec2.Subnet) head { return head{s.ID, s.Account, &s.Tags} }, subnetAttributes,
	}
	groups = noun[ec2.SecurityGroup]{
		store.NewKind[ec2.SecurityGroup](ec2.KindSecurityGroup),
		ownership.Of(ec2.KindSecurityGroup, func(o *ec2.SecurityGroup) (string, string) { return o.Account, o.ID }),
		"sg-", "security-group", "security group", "InvalidGroup.NotFound", "InvalidGroupId.Malformed",
		func(g *ec2.SecurityGroup) head { return head{g.ID, g.Account, &g.Tags} }, groupAttributes,
	}
	instances = noun[ec2.Instance]{
		store.NewKind[ec2.Instance](ec2.KindInstance),
		ownership.Of(ec2.KindInstance, func(o *ec2.Instance) (string, string) { return o.Account, o.ID }),
		"i-", "instance", "instance ID", "InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed",
		func(i *ec2.Instance) head { return head{i.ID, i.Account, &i.Tags} }, instanceAttributes,
	}
)

// arn names an object, whether there is one or not.
func (n noun[T]) arn(op *call, id string) string { return op.arn(n.resourceType + "/" + id) }

// find reads an object that the operation is about, if the caller may perform it on that. Who may not does not learn
// whether there is one.
func (n noun[T]) find(op *call, id string) (*T, error) {
	object, err := n.read(op, id)
	if err != nil {
		return nil, cmp.Or(op.May(n.arn(op, id), nil), err)
	}
	return object, op.May(n.arn(op, id), *n.head(object).tags)
}

// mayCreate asks whether the caller may make an object with tags.
func (n noun[T]) mayCreate(op *call, tags map[string]string) error {
	return op.MayCreate(n.arn(op, "*"), tags, "CreateTags")
}

// read reads an object of the caller's account.
func (n noun[T]) read(op *call, id string) (*T, error) {
	if !strings.HasPrefix(id, n.prefix) || strings.Contains(id, "/") {
		return nil, aws.Errorf(n.malformed, "Invalid id: '%s' (expecting '%s...')", id, n.prefix)
	}
	object, err := n.objects.Get(op.Tx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err != nil || n.head(&object).account != op.Account {
		return nil, aws.Errorf(n.missing, "The %s '%s' does not exist", n.label, id)
	}
	return &object, nil
}

// create writes an object that is new, and says whose it is.
func (n noun[T]) create(op *call, object *T) error {
	if err := n.owned.Add(op.Tx, object); err != nil {
		return err
	}
	return n.put(op, object)
}

// remove deletes an object.
func (n noun[T]) remove(op *call, object *T) {
	n.owned.Remove(op.Tx, object)
	n.objects.Delete(op.Tx, n.head(object).id)
}

func (n noun[T]) put(op *call, object *T) error {
	return n.objects.Put(op.Tx, n.head(object).id, *object)
}

// all lists the objects of the caller's account, in order of id.
func (n noun[T]) all(op *call) ([]*T, error) { return n.owned.All(op.Tx, op.Account) }

// selection says which objects a Describe request wants.
type selection struct {
	ids     []string
	filters []ec2.Filter
	page    ec2.Page
}

// selected lists the objects that a request wants, and the token for the next page.
func (n noun[T]) selected(op *call, s selection) (objects []*T, next string, err error) {
	candidates, err := n.candidates(op, s.ids)
	if err != nil {
		return nil, "", err
	}
	for _, object := range candidates {
		head := n.head(object)
		if head.id <= s.page.NextToken {
			continue
		}
		match, err := matches(s.filters, n.attributes(op, object), *head.tags)
		switch {
		case err != nil:
			return nil, "", err
		case !match:
			continue
		case s.page.MaxResults > 0 && len(objects) == int(s.page.MaxResults):
			return objects, n.head(objects[len(objects)-1]).id, nil
		}
		objects = append(objects, object)
	}
	return objects, "", nil
}

// candidates are the objects with some ids, each of which must exist, or all there are.
func (n noun[T]) candidates(op *call, ids []string) ([]*T, error) {
	if len(ids) == 0 {
		return n.all(op)
	}
	var objects []*T
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		object, err := n.read(op, id)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// tagsOf takes the tags for a resource of this noun out of a request that creates it.
func (n noun[T]) tagsOf(specifications []ec2.TagSpecification) (map[string]string, error) {
	return tagsFor(n.resourceType, specifications)
}

// tagsFor takes the tags for a type of resources out of a request. One that is not created by it is not tagged.
func tagsFor(resourceType string, specifications []ec2.TagSpecification) (map[string]string, error) {
	tags := map[string]string{}
	for _, specification := range specifications {
		if specification.ResourceType != resourceType {
			continue
		}
		if err := addTags(tags, specification.Tags); err != nil {
			return nil, err
		}
	}
	return tags, nil
}

func sortedTags(tags map[string]string) ec2.Set[ec2.Tag] {
	var set ec2.Set[ec2.Tag]
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		set = append(set, ec2.Tag{Key: key, Value: tags[key]})
	}
	return set
}
