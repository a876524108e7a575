package route53

import (
	"maps"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/route53"
)

// maxTags is how many tags a zone may have (AWS General Reference, "Tagging").
const maxTags = 50

// tagged reads a resource of a type that has tags. There are only zones.
func (op *call) tagged(typ, id string) (*route53.HostedZone, error) {
	if typ != "hostedzone" {
		return nil, withStatus(404, aws.Errorf("NoSuchHealthCheck", "No health check exists with the ID %s: "+
			"health checks are not served here", id))
	}
	return op.find(id)
}

// ChangeTagsForResource adds tags to a zone, and removes some.
func (op *call) ChangeTagsForResource(in *route53.ChangeTagsRequest) error {
	added := map[string]string{}
	for _, tag := range in.AddTags {
		added[tag.Key] = tag.Value
	}
	op.SetTags(added)
	zone, err := op.tagged(in.ResourceType, in.ResourceID)
	if err != nil {
		return err
	}
	tags := maps.Clone(zone.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	for _, key := range in.RemoveTagKeys {
		delete(tags, key)
	}
	for key, value := range added {
		if key == "" || strings.HasPrefix(strings.ToLower(key), "aws:") {
			return invalidInput("The tag key %q is reserved or empty; give it another one", key)
		}
		tags[key] = value
	}
	if len(tags) > maxTags {
		return invalidInput("A hosted zone may have %d tags at most, and would have %d", maxTags, len(tags))
	}
	zone.Tags = tags
	return zones.Put(op.Call, zone)
}

func tagsOf(z *route53.HostedZone) route53.TagSet {
	set := route53.TagSet{ResourceType: "hostedzone", ResourceID: z.ID, Tags: []route53.Tag{}}
	for _, key := range slices.Sorted(maps.Keys(z.Tags)) {
		set.Tags = append(set.Tags, route53.Tag{Key: key, Value: z.Tags[key]})
	}
	return set
}

// ListTagsForResource lists the tags of a zone, in order of their keys.
func (op *call) ListTagsForResource(
	in *route53.ListTagsForResourceRequest) (*route53.ListTagsForResourceResponse, error) {
	zone, err := op.tagged(in.ResourceType, in.ResourceID)
	if err != nil {
		return nil, err
	}
	return &route53.ListTagsForResourceResponse{ResourceTagSet: tagsOf(zone)}, nil
}

// ListTagsForResources lists the tags of some zones.
func (op *call) ListTagsForResources(
	in *route53.ListTagsForResourcesRequest) (*route53.ListTagsForResourcesResponse, error) {
	answer := &route53.ListTagsForResourcesResponse{}
	for _, id := range in.IDs {
		zone, err := op.tagged(in.ResourceType, id)
		if err != nil {
			return nil, err
		}
		answer.ResourceTagSets = append(answer.ResourceTagSets, tagsOf(zone))
	}
	return answer, nil
}
