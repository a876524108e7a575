package organizations

import (
	"maps"
	"slices"
	"strings"

	"pergola/aws/organizations"
	"pergola/lattice"
)

// maxTags is how many tags one resource may have (Organizations user guide, "Quotas").
const maxTags = 50

// newTags are the tags of a request that creates something.
func newTags(tags []organizations.Tag) (map[string]string, error) {
	made := map[string]string{}
	return made, addTags(made, tags)
}

// addTags adds tags to those that a resource has.
func addTags(to map[string]string, tags []organizations.Tag) error {
	seen := map[string]bool{}
	for _, tag := range tags {
		if strings.HasPrefix(strings.ToLower(tag.Key), "aws:") {
			return invalid("INVALID_SYSTEM_TAGS_PARAMETER", "The tag key %q begins with aws:, which is reserved", tag.Key)
		}
		if seen[tag.Key] {
			return invalid("DUPLICATE_TAG_KEY", "The tag key %q is given twice", tag.Key)
		}
		seen[tag.Key], to[tag.Key] = true, tag.Value
	}
	if len(to) > maxTags {
		return violation("MAX_TAG_LIMIT_EXCEEDED", "A resource may have %d tags at most", maxTags)
	}
	return nil
}

// tagged finds the tags of a resource, and what writes the resource.
func (op *call) tagged(id string) (tags *map[string]string, put func() error, err error) {
	if !strings.HasPrefix(id, organizations.PolicyPrefix) {
		t, err := op.target(id)
		return t.tags, t.put, err
	}
	policy, err := op.aboutPolicy(id)
	if err != nil {
		return nil, nil, err
	}
	put = func() error {
		if _, err := op.ownPolicy(id); err != nil {
			return err
		}
		return policies.Put(op.Call, policy)
	}
	return &policy.Tags, put, nil
}

// retag changes the tags of a resource.
func (op *call) retag(id string, change func(map[string]string) error) (*lattice.Empty, error) {
	tags, put, err := op.tagged(id)
	if err != nil {
		return nil, err
	}
	if *tags == nil {
		*tags = map[string]string{}
	}
	if err := change(*tags); err != nil {
		return nil, err
	}
	return done(put())
}

// TagResource adds tags to a resource, or gives new values to those that it has.
func (op *call) TagResource(in *organizations.TagResourceRequest) (*lattice.Empty, error) {
	given := map[string]string{}
	for _, tag := range in.Tags {
		given[tag.Key] = tag.Value
	}
	op.SetTags(given)
	return op.retag(in.ResourceID, func(tags map[string]string) error { return addTags(tags, in.Tags) })
}

// UntagResource removes tags from a resource.
func (op *call) UntagResource(in *organizations.UntagResourceRequest) (*lattice.Empty, error) {
	op.Set("aws:TagKeys", in.TagKeys...)
	return op.retag(in.ResourceID, func(tags map[string]string) error {
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
		return nil
	})
}

// ListTagsForResource lists the tags of a resource, in order of their keys, all on one page.
func (op *call) ListTagsForResource(
	in *organizations.ListTagsForResourceRequest) (*organizations.ListTagsForResourceResponse, error) {
	tags, _, err := op.tagged(in.ResourceID)
	if err != nil {
		return nil, err
	}
	answer := &organizations.ListTagsForResourceResponse{Tags: []organizations.Tag{}}
	for _, key := range slices.Sorted(maps.Keys(*tags)) {
		answer.Tags = append(answer.Tags, organizations.Tag{Key: key, Value: (*tags)[key]})
	}
	return answer, nil
}
