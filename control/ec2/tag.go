package ec2

import (
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

func (*Control) tagged() []tagged { return []tagged{instances, groups, subnets, vpcs, rulesTagged} }

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

func (n noun[T]) owns(id string) bool { return strings.HasPrefix(id, n.prefix) }

func (n noun[T]) retag(op *call, id string, change func(map[string]string) error) error {
	object, err := n.find(op, id)
	if err != nil {
		return err
	}
	tags := n.head(object).tags
	if *tags == nil {
		*tags = map[string]string{}
	}
	if err := change(*tags); err != nil {
		return err
	}
	return n.put(op, object)
}

func (n noun[T]) describeTags(op *call) (all []ec2.TagDescription, err error) {
	objects, err := n.all(op)
	for _, object := range objects {
		head := n.head(object)
		for _, tag := range sortedTags(*head.tags) {
			all = append(all, ec2.TagDescription{ResourceID: head.id, ResourceType: n.resourceType, Key: tag.Key, Value: tag.Value})
		}
	}
	return all, err
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
	slices.SortFunc(all, func(a, b ec2.TagDescription) int { return strings.Compare(tagToken(a), tagToken(b)) })
	answer := &ec2.DescribeTagsResponse{}
	for _, tag := range all {
		match, err := matches(in.Filters, map[string][]string{
			"resource-id": {tag.ResourceID}, "resource-type": {tag.ResourceType}, "key": {tag.Key}, "value": {tag.Value},
		}, map[string]string{tag.Key: tag.Value})
		if err != nil {
			return nil, err
		}
		if !match || tagToken(tag) <= in.NextToken {
			continue
		}
		if in.MaxResults > 0 && len(answer.Tags) == int(in.MaxResults) {
			answer.NextToken = tagToken(answer.Tags[len(answer.Tags)-1])
			break
		}
		answer.Tags = append(answer.Tags, tag)
	}
	return answer, nil
}

func tagToken(t ec2.TagDescription) string { return t.ResourceID + "/" + t.Key }
