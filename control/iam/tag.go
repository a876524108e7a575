package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/control/operation"
)

// maxTags is how many tags one entity may have (IAM user guide, "Tagging").
const maxTags = 50

// addTags adds tags to those that an entity has. Keys that differ only in case are one key.
func addTags(e *iam.Entity, tags []iam.Tag) error {
	if e.Tags == nil {
		e.Tags = map[string]string{}
	}
	given := map[string]bool{}
	for _, tag := range tags {
		folded := strings.ToLower(tag.Key)
		switch {
		case strings.HasPrefix(folded, "aws:"):
			return aws.Errorf("InvalidInput", "The tag key %s begins with aws:, which is reserved", tag.Key)
		case given[folded]:
			return aws.Errorf("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		given[folded] = true
		maps.DeleteFunc(e.Tags, func(key, _ string) bool { return strings.ToLower(key) == folded })
		e.Tags[tag.Key] = tag.Value
	}
	if len(e.Tags) > maxTags {
		return limitExceeded("An entity may have %d tags at most", maxTags)
	}
	return nil
}

func sortedTags(tags map[string]string) aws.Members[iam.Tag] {
	var all aws.Members[iam.Tag]
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, iam.Tag{Key: key, Value: tags[key]})
	}
	return all
}

// Entities carries out what can be done to entities of any kind.
type Entities[T any] struct {
	c    *Control
	noun noun[T]
}

// InstanceProfiles are the instance profiles as entities.
func (c *Control) InstanceProfiles() Entities[iam.InstanceProfile] {
	return Entities[iam.InstanceProfile]{c, profiles}
}

// Policies are the managed policies as entities.
func (c *Control) Policies() Entities[iam.ManagedPolicy] {
	return Entities[iam.ManagedPolicy]{c, policies}
}

// Providers are the OpenID Connect providers as entities.
func (c *Control) Providers() Entities[iam.Provider] { return Entities[iam.Provider]{c, providers} }

// request is what is asked of one entity, as the policies of its caller see it.
type request struct {
	action  string
	subject iam.Subject
	keys    authority.Keys // condition keys of the request
}

// ask carries out an operation that tells something of the entity it is about.
func ask[T, R any](ctx context.Context, e Entities[T], caller iam.Caller, r request,
	f func(*call, *T) (*R, error)) (*R, error) {
	return operation.Do(ctx, e.c.Service, operation.Request{Caller: caller, Action: r.action},
		func(op *call, _ *iam.Empty) (*R, error) {
			maps.Copy(op.Keys, r.keys)
			object, err := e.noun.subject(op, r.subject)
			if err != nil {
				return nil, err
			}
			return f(op, object)
		}, &iam.Empty{})
}

// change carries out an operation that changes the entity it is about.
func (e Entities[T]) change(ctx context.Context, caller iam.Caller, r request,
	f func(*call, *T) error) (*iam.Empty, error) {
	return ask(ctx, e, caller, r, func(op *call, object *T) (*iam.Empty, error) {
		return &iam.Empty{}, e.noun.change(op, object, func(object *T) error { return f(op, object) })
	})
}

// edit changes the entity that an operation is about.
func (n noun[T]) edit(op *call, given string, f func(*T) error) error {
	object, err := n.find(op, given)
	if err != nil {
		return err
	}
	return n.change(op, object, f)
}

// change changes an entity, unless it is AWS's own, and writes it.
func (n noun[T]) change(op *call, object *T, f func(*T) error) error {
	if err := changeable(n.entity(object)); err != nil {
		return err
	}
	if err := f(object); err != nil {
		return err
	}
	return n.Put(op.Call, object)
}

// changeable refuses to change what is built in.
func changeable(e *iam.Entity) error {
	if e.Account != iam.AWSAccount {
		return nil
	}
	return withStatus(403, aws.Errorf("AccessDenied", "%s is managed by AWS and cannot be changed.", e.Name))
}

// Tag adds tags to an entity, or gives new values to those that it has.
func (e Entities[T]) Tag(ctx context.Context, caller iam.Caller, in *iam.TagRequest) (*iam.Empty, error) {
	given := map[string]string{}
	for _, tag := range in.Tags {
		given[tag.Key] = tag.Value
	}
	tag := request{"Tag" + e.noun.action, in.Subject, authority.Keys{}}
	tag.keys.SetTags(given)
	return e.change(ctx, caller, tag, func(_ *call, object *T) error { return addTags(e.noun.entity(object), in.Tags) })
}

// Untag removes tags from an entity. Keys that it does not have are passed over.
func (e Entities[T]) Untag(ctx context.Context, caller iam.Caller, in *iam.UntagRequest) (*iam.Empty, error) {
	untag := request{"Untag" + e.noun.action, in.Subject, authority.Keys{}}
	untag.keys.Set("aws:TagKeys", in.TagKeys...)
	return e.change(ctx, caller, untag, func(_ *call, object *T) error {
		maps.DeleteFunc(e.noun.entity(object).Tags, func(key, _ string) bool {
			return slices.ContainsFunc(in.TagKeys, func(unwanted string) bool { return strings.EqualFold(key, unwanted) })
		})
		return nil
	})
}

// ListTags lists the tags of an entity in the order of their keys.
func (e Entities[T]) ListTags(ctx context.Context, caller iam.Caller, in *iam.SubjectPageRequest) (*iam.ListTagsResponse, error) {
	list := request{action: "List" + e.noun.action + "Tags", subject: in.Subject}
	return ask(ctx, e, caller, list, func(_ *call, object *T) (*iam.ListTagsResponse, error) {
		tags, rest, err := paginate(sortedTags(e.noun.entity(object).Tags), func(t iam.Tag) string { return t.Key }, in.Page)
		return &iam.ListTagsResponse{Tags: tags, Rest: rest}, err
	})
}
