package iam

import (
	"context"
	"maps"
	"slices"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/control/authority"
)

// Holders carries out what can be done to the policies of users, groups and roles, besides what can be done to all
// entities.
type Holders[T any] struct{ Entities[T] }

// Users are the users as holders of policies.
func (c *Control) Users() Holders[iam.User] { return Holders[iam.User]{Entities[iam.User]{c, users}} }

// Groups are the groups as holders of policies.
func (c *Control) Groups() Holders[iam.Group] {
	return Holders[iam.Group]{Entities[iam.Group]{c, groups}}
}

// Roles are the roles as holders of policies.
func (c *Control) Roles() Holders[iam.Role] { return Holders[iam.Role]{Entities[iam.Role]{c, roles}} }

// to is a request to do something to what an entity has, such as "Put" and "Policy".
func (h Holders[T]) to(verb, what string, s iam.Subject) request {
	return request{verb + h.noun.action + what, s, authority.Keys{}}
}

// PutPolicy writes an inline policy, new or not.
func (h Holders[T]) PutPolicy(ctx context.Context, caller iam.Caller, in *iam.PutPolicyRequest) (*iam.Empty, error) {
	if size := sizeOf(in.Document); size > h.noun.inlineSize {
		return nil, h.noun.inlineExceeded(h.noun.given(in.Subject))
	}
	if err := checkPermissions(in.Document); err != nil {
		return nil, err
	}
	return h.change(ctx, caller, h.to("Put", "Policy", in.Subject), func(_ *call, object *T) error {
		p := h.noun.permissions(object)
		if p.Inline == nil {
			p.Inline = map[string]string{}
		}
		p.Inline[in.Name] = in.Document
		total := 0
		for _, document := range p.Inline {
			total += sizeOf(document)
		}
		if total > h.noun.inlineSize {
			return h.noun.inlineExceeded(h.noun.entity(object).Name)
		}
		return nil
	})
}

func (t traits[T]) inlineExceeded(name string) error {
	return limitExceeded("Maximum policy size of %d bytes exceeded for %s %s", t.inlineSize, t.label, name)
}

// GetPolicy tells an inline policy.
func (h Holders[T]) GetPolicy(ctx context.Context, caller iam.Caller, in *iam.InlinePolicyRequest) (*iam.InlinePolicyResponse, error) {
	return ask(ctx, h.Entities, caller, h.to("Get", "Policy", in.Subject),
		func(_ *call, object *T) (*iam.InlinePolicyResponse, error) {
			document, ok := h.noun.permissions(object).Inline[in.Name]
			if !ok {
				return nil, h.noInline(object, in.Name)
			}
			return &iam.InlinePolicyResponse{Subject: in.Subject, Name: in.Name, Document: percentEncoded(document)}, nil
		})
}

func (h Holders[T]) noInline(object *T, policy string) error {
	return noSuchEntity("The %s %s has no inline policy with name %s.", h.noun.label, h.noun.entity(object).Name, policy)
}

// DeletePolicy deletes an inline policy.
func (h Holders[T]) DeletePolicy(ctx context.Context, caller iam.Caller, in *iam.InlinePolicyRequest) (*iam.Empty, error) {
	return h.change(ctx, caller, h.to("Delete", "Policy", in.Subject), func(_ *call, object *T) error {
		p := h.noun.permissions(object)
		if _, ok := p.Inline[in.Name]; !ok {
			return h.noInline(object, in.Name)
		}
		delete(p.Inline, in.Name)
		return nil
	})
}

// ListPolicies lists the names of the inline policies.
func (h Holders[T]) ListPolicies(ctx context.Context, caller iam.Caller, in *iam.SubjectPageRequest) (*iam.ListInlinePoliciesResponse, error) {
	return ask(ctx, h.Entities, caller, h.to("List", "Policies", in.Subject),
		func(_ *call, object *T) (*iam.ListInlinePoliciesResponse, error) {
			names, rest, err := paginate(slices.Collect(maps.Keys(h.noun.permissions(object).Inline)), itself, in.Page)
			return &iam.ListInlinePoliciesResponse{Names: names, Rest: rest}, err
		})
}

// AttachPolicy attaches a managed policy. Once more does no harm.
func (h Holders[T]) AttachPolicy(ctx context.Context, caller iam.Caller, in *iam.AttachmentRequest) (*iam.Empty, error) {
	attach := h.to("Attach", "Policy", in.Subject)
	attach.keys.Set("iam:PolicyARN", in.ARN)
	return h.change(ctx, caller, attach, func(op *call, object *T) error { return h.noun.attach(op, object, in.ARN) })
}

// attach gives an entity a managed policy. The entity is not yet written.
func (n noun[T]) attach(op *call, object *T, arn string) error {
	policy, err := policies.read(op, arn)
	if err != nil {
		return err
	}
	p := n.permissions(object)
	switch {
	case slices.Contains(p.Attached, arn):
		return nil
	case !policy.Attachable():
		return aws.Errorf("PolicyNotAttachable", "Cannot attach a Service Role Policy to a Customer Role.")
	}
	if err := op.room(n.attached, len(p.Attached)); err != nil {
		return err
	}
	p.Attached = append(p.Attached, arn)
	return nil
}

// DetachPolicy detaches a managed policy.
func (h Holders[T]) DetachPolicy(ctx context.Context, caller iam.Caller, in *iam.AttachmentRequest) (*iam.Empty, error) {
	detach := h.to("Detach", "Policy", in.Subject)
	detach.keys.Set("iam:PolicyARN", in.ARN)
	return h.change(ctx, caller, detach, func(_ *call, object *T) error {
		p := h.noun.permissions(object)
		i := slices.Index(p.Attached, in.ARN)
		if i < 0 {
			return noSuchEntity("Policy %s was not found.", in.ARN)
		}
		p.Attached = slices.Delete(p.Attached, i, i+1)
		return nil
	})
}

// ListAttached lists the managed policies that are attached.
func (h Holders[T]) ListAttached(ctx context.Context, caller iam.Caller, in *iam.ListAttachedRequest) (*iam.ListAttachedResponse, error) {
	list := request{action: "ListAttached" + h.noun.action + "Policies", subject: in.Subject}
	return ask(ctx, h.Entities, caller, list, func(op *call, object *T) (*iam.ListAttachedResponse, error) {
		all, err := each(h.noun.permissions(object).Attached, func(arn string) (*iam.ManagedPolicy, error) {
			return policies.read(op, arn)
		})
		if err != nil {
			return nil, err
		}
		found, rest, err := paginate(policies.within(in.PathPrefix, all), (*iam.ManagedPolicy).ARN, in.Page)
		attached := func(p *iam.ManagedPolicy) iam.AttachedPolicy { return iam.AttachedPolicy{Name: p.Name, ARN: p.ARN()} }
		return &iam.ListAttachedResponse{Policies: describeAll(found, attached), Rest: rest}, err
	})
}

// PutBoundary sets the permissions boundary, in place of one that there may be.
func (h Holders[T]) PutBoundary(ctx context.Context, caller iam.Caller, in *iam.PutBoundaryRequest) (*iam.Empty, error) {
	put := h.to("Put", "PermissionsBoundary", in.Subject)
	put.keys.Set(boundaryKey, in.Boundary)
	return h.change(ctx, caller, put, func(op *call, object *T) error { return h.noun.bound(op, object, in.Boundary) })
}

// DeleteBoundary removes the permissions boundary.
func (h Holders[T]) DeleteBoundary(ctx context.Context, caller iam.Caller, in *iam.SubjectRequest) (*iam.Empty, error) {
	return h.change(ctx, caller, h.to("Delete", "PermissionsBoundary", in.Subject), func(op *call, object *T) error {
		if h.noun.permissions(object).Boundary == "" {
			return noSuchEntity("The %s %s has no permissions boundary.", h.noun.label, h.noun.entity(object).Name)
		}
		return h.noun.bound(op, object, "")
	})
}

// bound sets the boundary of an entity, or removes it with "". The entity is not yet written.
func (n noun[T]) bound(op *call, object *T, arn string) error {
	n.permissions(object).Boundary = arn
	if arn == "" {
		return nil
	}
	policy, err := policies.read(op, arn)
	if err == nil && !policy.Attachable() {
		err = aws.Errorf("PolicyNotAttachable", "%s cannot be a permissions boundary.", arn)
	}
	return err
}

// bare refuses to delete an entity that still has policies. A boundary goes with its entity.
func bare(p *iam.Permissions) error {
	switch {
	case len(p.Attached) > 0:
		return deleteConflict("Cannot delete entity, must detach all policies first.")
	case len(p.Inline) > 0:
		return deleteConflict("Cannot delete entity, must delete policies first.")
	}
	return nil
}

func boundaryOf(p iam.Permissions) *iam.Boundary {
	if p.Boundary == "" {
		return nil
	}
	return &iam.Boundary{Type: "Policy", ARN: p.Boundary}
}
