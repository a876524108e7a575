package control

import (
	"maps"
	"strings"

	"pergola/lattice"
)

// checkTags refuses too many tags and reserved keys (user guide, Tags: at most 50, and none that begins with "aws:").
func checkTags(tags lattice.Tags) error {
	for key := range tags {
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return lattice.Invalid("tags", "the key %q is reserved: choose one that does not begin with aws:", key)
		}
	}
	if len(tags) > lattice.MaxTags {
		return lattice.Invalid("tags", "a resource can have at most %d tags, not %d", lattice.MaxTags, len(tags))
	}
	return nil
}

// taggable is a noun as far as its tags go.
type taggable interface {
	// tagsAt reads the tags of the object at a path.
	tagsAt(op *call, parents, arn string) (lattice.Tags, error)
	// retag changes the tags of the object at a path, unless a change of the object itself is in progress.
	retag(op *call, parents, arn string, change func(lattice.Tags) (lattice.Tags, error)) error
}

func (n noun[T]) tagsAt(op *call, parents, arn string) (lattice.Tags, error) {
	value, err := n.find(op, parents, arn)
	if err != nil {
		return nil, err
	}
	return *n.Head(value).Tags, nil
}

func (n noun[T]) retag(op *call, parents, arn string, change func(lattice.Tags) (lattice.Tags, error)) error {
	value, err := n.settled(n.find(op, parents, arn))
	if err != nil {
		return err
	}
	tags := n.Head(value).Tags
	if *tags, err = change(*tags); err != nil {
		return err
	}
	return n.put(op, value)
}

// taggables are the nouns by the shape of their ARNs: the resource types of an ARN without the ids.
var taggables = map[string]taggable{
	"servicenetwork/":                   serviceNetworks,
	"service/":                          services,
	"service/listener/":                 listeners,
	"service/listener/rule/":            rules,
	"targetgroup/":                      targetGroups,
	"servicenetworkserviceassociation/": serviceAssociations,
	"servicenetworkvpcassociation/":     vpcAssociations,

	"resourcegateway/":                   resourceGateways,
	"resourceconfiguration/":             resourceConfigurations,
	"servicenetworkresourceassociation/": resourceAssociations,
	"domainverification/":                domainVerifications,
}

// tagged finds what an ARN can name: the noun, and the path below which its objects are in the store.
func tagged(arn string) (n taggable, parents string, err error) {
	parsed, err := lattice.ParseARN(arn)
	if err != nil {
		return nil, "", lattice.Invalid("resourceArn", "%v", err)
	}
	parts := strings.Split(parsed.Resource, "/")
	var shape string
	for i, part := range parts {
		switch {
		case i%2 == 0:
			shape += part + "/"
		case i < len(parts)-1:
			parents += part + "/"
		}
	}
	n, ok := taggables[shape]
	if !ok || len(parts)%2 != 0 || parsed.Service != "vpc-lattice" {
		return nil, "", lattice.Invalid("resourceArn", "%q names no resource that can have tags", arn)
	}
	return n, parents, nil
}

// TagResource adds tags to a resource, or changes their values.
func (op *call) TagResource(in *lattice.TagResourceRequest) (*lattice.Empty, error) {
	op.SetTags(in.Tags)
	return op.retag(in.ResourceARN, func(tags lattice.Tags) (lattice.Tags, error) {
		if tags == nil {
			tags = lattice.Tags{}
		}
		maps.Copy(tags, in.Tags)
		return tags, checkTags(tags)
	})
}

// UntagResource removes tags. Keys that the resource does not have are no error.
func (op *call) UntagResource(in *lattice.UntagResourceRequest) (*lattice.Empty, error) {
	op.Set("aws:TagKeys", in.TagKeys...)
	return op.retag(in.ResourceARN, func(tags lattice.Tags) (lattice.Tags, error) {
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
		return tags, nil
	})
}

func (op *call) retag(arn string, change func(lattice.Tags) (lattice.Tags, error)) (*lattice.Empty, error) {
	noun, parents, err := tagged(arn)
	if err != nil {
		return nil, err
	}
	return &lattice.Empty{}, noun.retag(op, parents, arn, change)
}

// ListTagsForResource lists the tags of a resource. A default rule is part of its listener and has none.
func (op *call) ListTagsForResource(
	in *lattice.ListTagsForResourceRequest) (*lattice.ListTagsForResourceResponse, error) {
	noun, parents, err := tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	tags, err := noun.tagsAt(op, parents, in.ResourceARN)
	return &lattice.ListTagsForResourceResponse{Tags: tags}, err
}
