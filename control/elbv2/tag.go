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

// tagAction is the action for which a creation with tags also needs the permission.
const tagAction = "AddTags"

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

// anySubject reads a resource of any kind.
func anySubject(op *call, arn string) (*subject, error) {
	_, isGroup := parts(arn, targetGroups.prefix, 2)
	_, isListener := parts(arn, listenerPrefix, 3)
	_, isRule := parts(arn, rulePrefix, 4)
	switch {
	case isGroup:
		return targetGroups.subject(op, arn)
	case isListener:
		return listenerSubject(op, arn)
	case isRule:
		if _, err := op.readRule(arn); err != nil {
			return nil, err
		}
		return nil, aws.Errorf(codeNotPermitted, "The default rule '%s' cannot be tagged; tag its listener", arn)
	}
	return loadBalancers.subject(op, arn)
}

// retag changes the tags of some resources, if the caller may perform the operation on each.
func (op *call) retag(arns []string, change func(map[string]string) (map[string]string, error)) error {
	for _, arn := range arns {
		s, err := op.findSubject(arn, anySubject)
		if err != nil {
			return err
		}
		if *s.tags, err = change(*s.tags); err != nil {
			return err
		}
		if err := s.put(); err != nil {
			return err
		}
	}
	return nil
}

// AddTags adds tags to resources, or gives new values to those that they have.
func (op *call) AddTags(in *elbv2.AddTagsRequest) error {
	given := map[string]string{}
	for _, tag := range in.Tags {
		given[tag.Key] = tag.Value
	}
	op.SetTags(given)
	return op.retag(in.ResourceARNs,
		func(has map[string]string) (map[string]string, error) { return addTags(has, in.Tags) })
}

// RemoveTags removes the tags of some keys from resources.
func (op *call) RemoveTags(in *elbv2.RemoveTagsRequest) error {
	op.Set("aws:TagKeys", in.TagKeys...)
	return op.retag(in.ResourceARNs, func(has map[string]string) (map[string]string, error) {
		maps.DeleteFunc(has, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
		return has, nil
	})
}

// DescribeTags lists the tags of resources.
func (op *call) DescribeTags(in *elbv2.DescribeTagsRequest) (*elbv2.DescribeTagsResponse, error) {
	descriptions, err := each(in.ResourceARNs, func(arn string) (elbv2.TagDescription, error) {
		d := elbv2.TagDescription{ResourceARN: arn}
		s, err := anySubject(op, arn)
		if err != nil {
			return d, err
		}
		for _, key := range slices.Sorted(maps.Keys(*s.tags)) {
			d.Tags = append(d.Tags, elbv2.Tag{Key: key, Value: (*s.tags)[key]})
		}
		return d, nil
	})
	return &elbv2.DescribeTagsResponse{Descriptions: descriptions}, err
}
