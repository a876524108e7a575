package acm

import (
	"maps"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/acm"
	"pergola/lattice"
)

// maxTags is how many tags one certificate may have (ACM API reference, TagList).
const maxTags = 50

// mayCreate asks whether the caller may make a certificate with tags, and returns these.
func (op *call) mayCreate(given []acm.Tag) (map[string]string, error) {
	tags := map[string]string{}
	if err := addTags(tags, given); err != nil {
		return nil, err
	}
	return tags, op.MayCreate(op.arn("*"), tags, certificates.Tagging)
}

// addTags adds tags to those that a certificate has.
func addTags(to map[string]string, tags []acm.Tag) error {
	for _, tag := range tags {
		if strings.HasPrefix(strings.ToLower(tag.Key), "aws:") {
			return aws.Errorf("InvalidTagException", "The tag key %q begins with aws:, which is reserved", tag.Key)
		}
		to[tag.Key] = valueOf(tag)
	}
	if len(to) > maxTags {
		return aws.Errorf("TooManyTagsException", "A certificate may have %d tags at most", maxTags)
	}
	return nil
}

func valueOf(tag acm.Tag) string {
	if tag.Value == nil {
		return ""
	}
	return *tag.Value
}

// retag changes the tags of a certificate. The condition keys about tags are those of the request.
func (op *call) retag(in *acm.TagsRequest, change func(map[string]string) error) error {
	given := map[string]string{}
	for _, tag := range in.Tags {
		given[tag.Key] = valueOf(tag)
	}
	op.SetTags(given)
	object, err := op.find(in.CertificateARN)
	if err != nil {
		return err
	}
	if object.Tags == nil {
		object.Tags = map[string]string{}
	}
	if err := change(object.Tags); err != nil {
		return err
	}
	return certificates.Put(op.Call, object)
}

// AddTagsToCertificate adds tags to a certificate, or gives new values to those that it has.
func (op *call) AddTagsToCertificate(in *acm.TagsRequest) (*lattice.Empty, error) {
	return &lattice.Empty{}, op.retag(in, func(tags map[string]string) error { return addTags(tags, in.Tags) })
}

// RemoveTagsFromCertificate removes tags from a certificate. One that is given with a value is removed only if it has
// that value.
func (op *call) RemoveTagsFromCertificate(in *acm.TagsRequest) (*lattice.Empty, error) {
	return &lattice.Empty{}, op.retag(in, func(tags map[string]string) error {
		for _, tag := range in.Tags {
			if tag.Value == nil || tags[tag.Key] == *tag.Value {
				delete(tags, tag.Key)
			}
		}
		return nil
	})
}

// ListTagsForCertificate lists the tags of a certificate, in order of their keys.
func (op *call) ListTagsForCertificate(in *acm.Reference) (*acm.ListTagsForCertificateResponse, error) {
	object, err := op.find(in.CertificateARN)
	if err != nil {
		return nil, err
	}
	answer := &acm.ListTagsForCertificateResponse{Tags: []acm.Tag{}}
	for _, key := range slices.Sorted(maps.Keys(object.Tags)) {
		answer.Tags = append(answer.Tags, acm.Tag{Key: key, Value: new(object.Tags[key])})
	}
	return answer, nil
}
