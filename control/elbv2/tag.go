package elbv2

import (
	"maps"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/elbv2"
)

// maxTags is how many tags one resource may have (API reference, AddTags).
const maxTags = 50

// newTags are the tags of a new resource.
func newTags(given []elbv2.Tag) (map[string]string, error) { return addTags(nil, given) }

// addTags is the tags that a resource has, and others.
func addTags(has map[string]string, given []elbv2.Tag) (map[string]string, error) {
	tags, seen := map[string]string{}, map[string]bool{}
	maps.Copy(tags, has)
	for _, tag := range given {
		switch {
		case strings.HasPrefix(strings.ToLower(tag.Key), "aws:"):
			return nil, aws.Errorf(codeValidation, "The tag key '%s' begins with aws:, which is reserved", tag.Key)
		case seen[tag.Key]:
			return nil, aws.Errorf("DuplicateTagKeys", "The tag key '%s' is in the request twice", tag.Key)
		}
		seen[tag.Key] = true
		tags[tag.Key] = tag.Value
	}
	if len(tags) > maxTags {
		return nil, aws.Errorf("TooManyTags", "A resource may have %d tags at most", maxTags)
	}
	return tags, nil
}

// tagged is a resource as its tags see it: where they are, and how to write it.
type tagged struct {
	tags *map[string]string
	put  func() error
}

// tagged reads a resource of any kind.
func (op *call) tagged(arn string) (tagged, error) {
	_, isGroup := parts(arn, "targetgroup", 2)
	_, isListener := parts(arn, "listener/app", 3)
	_, isRule := parts(arn, "listener-rule/app", 4)
	switch {
	case isGroup:
		g, err := op.readTargetGroup(arn)
		if err != nil {
			return tagged{}, err
		}
		return tagged{&g.Tags, func() error { return op.putTargetGroup(g) }}, nil
	case isListener:
		l, listener, err := op.readListener(arn)
		if err != nil {
			return tagged{}, err
		}
		return tagged{&listener.Tags, func() error { return op.putLoadBalancer(l) }}, nil
	case isRule:
		if _, _, err := op.readRule(arn); err != nil {
			return tagged{}, err
		}
		return tagged{}, aws.Errorf(codeNotPermitted, "The default rule '%s' cannot be tagged; tag its listener", arn)
	}
	l, err := op.readLoadBalancer(arn)
	if err != nil {
		return tagged{}, err
	}
	return tagged{&l.Tags, func() error { return op.putLoadBalancer(l) }}, nil
}

// retag changes the tags of some resources, if the caller may perform the operation on each.
func (op *call) retag(arns []string, change func(map[string]string) (map[string]string, error)) (*elbv2.Empty, error) {
	for _, arn := range arns {
		resource, err := op.tagged(arn)
		if err != nil {
			if denied := op.May(arn, nil); denied != nil {
				return nil, denied
			}
			return nil, err
		}
		if err := op.May(arn, *resource.tags); err != nil {
			return nil, err
		}
		if *resource.tags, err = change(*resource.tags); err != nil {
			return nil, err
		}
		if err := resource.put(); err != nil {
			return nil, err
		}
	}
	return &elbv2.Empty{}, nil
}

// AddTags adds tags to resources, or gives new values to those that they have.
func (op *call) AddTags(in *elbv2.AddTagsRequest) (*elbv2.Empty, error) {
	given := map[string]string{}
	for _, tag := range in.Tags {
		given[tag.Key] = tag.Value
	}
	op.SetTags(given)
	return op.retag(in.ResourceARNs,
		func(has map[string]string) (map[string]string, error) { return addTags(has, in.Tags) })
}

// RemoveTags removes the tags of some keys from resources.
func (op *call) RemoveTags(in *elbv2.RemoveTagsRequest) (*elbv2.Empty, error) {
	op.Set("aws:TagKeys", in.TagKeys...)
	return op.retag(in.ResourceARNs, func(has map[string]string) (map[string]string, error) {
		maps.DeleteFunc(has, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
		return has, nil
	})
}

// DescribeTags lists the tags of resources.
func (op *call) DescribeTags(in *elbv2.DescribeTagsRequest) (*elbv2.DescribeTagsResponse, error) {
	answer := &elbv2.DescribeTagsResponse{}
	for _, arn := range in.ResourceARNs {
		resource, err := op.tagged(arn)
		if err != nil {
			return nil, err
		}
		d := elbv2.TagDescription{ResourceARN: arn}
		for _, key := range slices.Sorted(maps.Keys(*resource.tags)) {
			d.Tags = append(d.Tags, elbv2.Tag{Key: key, Value: (*resource.tags)[key]})
		}
		answer.Descriptions = append(answer.Descriptions, d)
	}
	return answer, nil
}
