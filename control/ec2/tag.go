package ec2

import (
	"maps"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
)

// maxTags is how many tags one resource may have (EC2 user guide, "Tag restrictions").
const maxTags = 50

// addTags adds tags to those that a resource has.
func addTags(to map[string]string, tags []ec2.Tag) error {
	for _, tag := range tags {
		if strings.HasPrefix(strings.ToLower(tag.Key), "aws:") {
			return aws.Errorf("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use: '%s'", tag.Key)
		}
		to[tag.Key] = tag.Value
	}
	if len(to) > maxTags {
		return aws.Errorf("TagLimitExceeded", "A resource may have %d tags at most", maxTags)
	}
	return nil
}

// CreateTags adds tags to resources, or gives new values to those that they have.
func (op *call) CreateTags(in *ec2.CreateTagsRequest) (*ec2.Done, error) {
	given := map[string]string{}
	for _, tag := range in.Tags {
		given[tag.Key] = tag.Value
	}
	op.SetTags(given)
	return done(), op.retag(in.Resources, func(tags map[string]string) error { return addTags(tags, in.Tags) })
}

// DeleteTags removes tags from resources.
func (op *call) DeleteTags(in *ec2.DeleteTagsRequest) (*ec2.Done, error) {
	remove := func(tags map[string]string) error {
		if len(in.Tags) == 0 {
			clear(tags)
		}
		for _, tag := range in.Tags {
			if tag.Value == nil || tags[tag.Key] == *tag.Value {
				delete(tags, tag.Key)
			}
		}
		return nil
	}
	var keys []string
	for _, tag := range in.Tags {
		keys = append(keys, tag.Key)
	}
	op.Set("aws:TagKeys", keys...)
	return done(), op.retag(in.Resources, remove)
}

// tagged is a noun as its tags see it.
type tagged interface {
	owns(id string) bool
	retag(op *call, id string, change func(map[string]string) error) error
	describeTags(op *call) ([]ec2.TagDescription, error)
}

func (*Control) tagged() []tagged {
	return []tagged{instances, groups, subnets, vpcs, acls, prefixLists, rulesTagged}
}

// retag changes the tags of resources of any noun.
func (op *call) retag(ids []string, change func(map[string]string) error) error {
	for _, id := range ids {
		nouns := op.tagged()
		i := slices.IndexFunc(nouns, func(n tagged) bool { return n.owns(id) })
		if i < 0 {
			return aws.Errorf("InvalidID", "The ID '%s' is not valid", id)
		}
		if err := nouns[i].retag(op, id, change); err != nil {
			return err
		}
	}
	return nil
}

func (l labels) owns(id string) bool { return strings.HasPrefix(id, l.prefix) }

func (n noun[T]) retag(op *call, id string, change func(map[string]string) error) error {
	value, err := n.find(op, id)
	if err != nil {
		return err
	}
	if err := changeTags(n.Head(value).Tags, change); err != nil {
		return err
	}
	return n.Put(op.Call, value)
}

func changeTags(tags *map[string]string, change func(map[string]string) error) error {
	if *tags == nil {
		*tags = map[string]string{}
	}
	return change(*tags)
}

func (n noun[T]) describeTags(op *call) (all []ec2.TagDescription, err error) {
	own, err := n.own(op)
	for _, value := range own {
		head := n.Head(value)
		all = append(all, n.tagDescriptions(head.Path, *head.Tags)...)
	}
	return all, err
}

// tagDescriptions describe the tags of the resource with an id.
func (l labels) tagDescriptions(id string, tags map[string]string) (all []ec2.TagDescription) {
	for key, value := range tags {
		all = append(all, ec2.TagDescription{ResourceID: id, ResourceType: l.resourceType, Key: key, Value: value})
	}
	return all
}

// tagsOf takes the tags for resources of this noun out of a request that creates some. What the request does not create
// is not tagged.
func (l labels) tagsOf(specifications []ec2.TagSpecification) (map[string]string, error) {
	tags := map[string]string{}
	for _, specification := range specifications {
		if specification.ResourceType != l.resourceType {
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

// DescribeTags lists tags of all nouns, in order of resource and key. A page ends where its last resource and key do.
func (op *call) DescribeTags(in *ec2.DescribeTagsRequest) (*ec2.DescribeTagsResponse, error) {
	var all []ec2.TagDescription
	for _, n := range op.tagged() {
		tags, err := n.describeTags(op)
		if err != nil {
			return nil, err
		}
		all = append(all, tags...)
	}
	all, err := filtered(all, in.Filters, func(t ec2.TagDescription) map[string][]string {
		return withTags(map[string][]string{"resource-id": {t.ResourceID}, "resource-type": {t.ResourceType},
			"key": {t.Key}, "value": {t.Value}}, map[string]string{t.Key: t.Value})
	})
	page, next := pageOf(all, in.Page, func(t ec2.TagDescription) string { return t.ResourceID + "/" + t.Key })
	return &ec2.DescribeTagsResponse{Tags: page, NextToken: next}, err
}
