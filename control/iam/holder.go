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
	"pergola/store"
)

// attachments and boundaries say who uses which managed policy: the key of each use is made by use.
var (
	attachments = store.NewIndex("iam-attachment")
	boundaries  = store.NewIndex("iam-boundary")
)

// uses begins the keys of all uses of a policy within an account. Neither names nor ARNs have a '#'.
func uses(account, arn string) string { return account + "#" + arn + "#" }

// use is the key of the use of a policy by one entity.
func (n noun[T]) use(e *iam.Entity, arn string) string {
	return uses(e.Account, arn) + n.kind + "/" + strings.ToLower(e.Name)
}

// Holders carries out what can be done to the policies of users, groups and roles, besides what can be done to all
// entities.
type Holders[T any] struct {
	Entities[T]
	holder holder[T]
}

// Users are the users as holders of policies.
func (c *Control) Users() Holders[iam.User] { return holders(c, users) }

// Groups are the groups as holders of policies.
func (c *Control) Groups() Holders[iam.Group] { return holders(c, groups) }

// Roles are the roles as holders of policies.
func (c *Control) Roles() Holders[iam.Role] { return holders(c, roles) }

func holders[T any](c *Control, h holder[T]) Holders[T] {
	return Holders[T]{Entities[T]{c, h.noun, h.subject}, h}
}

// PutPolicy writes an inline policy, new or not.
func (h Holders[T]) PutPolicy(ctx context.Context, caller iam.Caller, in *iam.PutPolicyRequest) (*iam.Empty, error) {
	if size := sizeOf(in.Document); size > h.holder.inlineSize {
		return nil, h.holder.inlineExceeded(h.holder.name(in.Subject))
	}
	if err := checkPermissions(in.Document); err != nil {
		return nil, err
	}
	return h.change(ctx, caller, edit{action: "Put" + h.holder.action + "Policy", subject: in.Subject}, func(_ *call, object *T) error {
		p := h.holder.permissions(object)
		if p.Inline == nil {
			p.Inline = map[string]string{}
		}
		p.Inline[in.Name] = in.Document
		total := 0
		for _, document := range p.Inline {
			total += sizeOf(document)
		}
		if total > h.holder.inlineSize {
			return h.holder.inlineExceeded(h.holder.entity(object).Name)
		}
		return nil
	})
}

func (n holder[T]) inlineExceeded(name string) error {
	return limitExceeded("Maximum policy size of %d bytes exceeded for %s %s", n.inlineSize, n.label, name)
}

// GetPolicy tells an inline policy.
func (h Holders[T]) GetPolicy(ctx context.Context, caller iam.Caller, in *iam.InlinePolicyRequest) (*iam.InlinePolicyResponse, error) {
	return do(ctx, h.c, operation.Request{Caller: caller, Action: "Get" + h.holder.action + "Policy"},
		func(op *call) (*iam.InlinePolicyResponse, error) {
			object, err := h.holder.subject(op, in.Subject)
			if err != nil {
				return nil, err
			}
			document, ok := h.holder.permissions(object).Inline[in.Name]
			if !ok {
				return nil, h.noInline(object, in.Name)
			}
			return &iam.InlinePolicyResponse{Subject: in.Subject, Name: in.Name, Document: percentEncoded(document)}, nil
		})
}

func (h Holders[T]) noInline(object *T, policy string) error {
	return noSuchEntity("The %s %s has no inline policy with name %s.", h.holder.label, h.holder.entity(object).Name, policy)
}

// DeletePolicy deletes an inline policy.
func (h Holders[T]) DeletePolicy(ctx context.Context, caller iam.Caller, in *iam.InlinePolicyRequest) (*iam.Empty, error) {
	return h.change(ctx, caller, edit{action: "Delete" + h.holder.action + "Policy", subject: in.Subject}, func(_ *call, object *T) error {
		p := h.holder.permissions(object)
		if _, ok := p.Inline[in.Name]; !ok {
			return h.noInline(object, in.Name)
		}
		delete(p.Inline, in.Name)
		return nil
	})
}

// ListPolicies lists the names of the inline policies.
func (h Holders[T]) ListPolicies(ctx context.Context, caller iam.Caller, in *iam.SubjectPageRequest) (*iam.ListInlinePoliciesResponse, error) {
	return do(ctx, h.c, operation.Request{Caller: caller, Action: "List" + h.holder.action + "Policies"},
		func(op *call) (*iam.ListInlinePoliciesResponse, error) {
			object, err := h.holder.subject(op, in.Subject)
			if err != nil {
				return nil, err
			}
			names, rest, err := paginate(slices.Collect(maps.Keys(h.holder.permissions(object).Inline)), itself, in.Page)
			return &iam.ListInlinePoliciesResponse{Names: names, Rest: rest}, err
		})
}

// AttachPolicy attaches a managed policy. Once more does no harm.
func (h Holders[T]) AttachPolicy(ctx context.Context, caller iam.Caller, in *iam.AttachmentRequest) (*iam.Empty, error) {
	d := edit{"Attach" + h.holder.action + "Policy", in.Subject, authority.Keys{}}
	d.keys.Set("iam:PolicyARN", in.ARN)
	return h.change(ctx, caller, d, func(op *call, object *T) error {
		return h.holder.attach(op, object, in.ARN)
	})
}

// attach gives an entity a managed policy. The entity is not yet written.
func (n holder[T]) attach(op *call, object *T, arn string) error {
	policy, err := op.policy(arn)
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
	return attachments.Put(op.Tx, n.use(n.entity(object), arn), "")
}

// DetachPolicy detaches a managed policy.
func (h Holders[T]) DetachPolicy(ctx context.Context, caller iam.Caller, in *iam.AttachmentRequest) (*iam.Empty, error) {
	d := edit{"Detach" + h.holder.action + "Policy", in.Subject, authority.Keys{}}
	d.keys.Set("iam:PolicyARN", in.ARN)
	return h.change(ctx, caller, d, func(op *call, object *T) error {
		p := h.holder.permissions(object)
		i := slices.Index(p.Attached, in.ARN)
		if i < 0 {
			return noSuchEntity("Policy %s was not found.", in.ARN)
		}
		p.Attached = slices.Delete(p.Attached, i, i+1)
		attachments.Delete(op.Tx, h.holder.use(h.holder.entity(object), in.ARN))
		return nil
	})
}

// ListAttached lists the managed policies that are attached.
func (h Holders[T]) ListAttached(ctx context.Context, caller iam.Caller, in *iam.ListAttachedRequest) (*iam.ListAttachedResponse, error) {
	return do(ctx, h.c, operation.Request{Caller: caller, Action: "ListAttached" + h.holder.action + "Policies"},
		func(op *call) (*iam.ListAttachedResponse, error) {
			object, err := h.holder.subject(op, in.Subject)
			if err != nil {
				return nil, err
			}
			var attached []iam.AttachedPolicy
			for _, arn := range h.holder.permissions(object).Attached {
				policy, err := op.policy(arn)
				if err != nil {
					return nil, err
				}
				if strings.HasPrefix(policy.Path, in.PathPrefix) {
					attached = append(attached, iam.AttachedPolicy{Name: policy.Name, ARN: arn})
				}
			}
			attached, rest, err := paginate(attached, func(p iam.AttachedPolicy) string { return p.ARN }, in.Page)
			return &iam.ListAttachedResponse{Policies: attached, Rest: rest}, err
		})
}

// PutBoundary sets the permissions boundary, in place of one that there may be.
func (h Holders[T]) PutBoundary(ctx context.Context, caller iam.Caller, in *iam.PutBoundaryRequest) (*iam.Empty, error) {
	d := edit{"Put" + h.holder.action + "PermissionsBoundary", in.Subject, authority.Keys{}}
	d.keys.Set(boundaryKey, in.Boundary)
	return h.change(ctx, caller, d, func(op *call, object *T) error {
		return h.holder.bound(op, object, in.Boundary)
	})
}

// DeleteBoundary removes the permissions boundary.
func (h Holders[T]) DeleteBoundary(ctx context.Context, caller iam.Caller, in *iam.SubjectRequest) (*iam.Empty, error) {
	return h.change(ctx, caller, edit{action: "Delete" + h.holder.action + "PermissionsBoundary", subject: in.Subject}, func(op *call, object *T) error {
		if h.holder.permissions(object).Boundary == "" {
			return noSuchEntity("The %s %s has no permissions boundary.", h.holder.label, h.holder.entity(object).Name)
		}
		return h.holder.bound(op, object, "")
	})
}

// bound sets the boundary of an entity, or removes it with "". The entity is not yet written.
func (n holder[T]) bound(op *call, object *T, arn string) error {
	e, p := n.entity(object), n.permissions(object)
	if p.Boundary != "" {
		boundaries.Delete(op.Tx, n.use(e, p.Boundary))
	}
	p.Boundary = arn
	if arn == "" {
		return nil
	}
	policy, err := op.policy(arn)
	if err != nil {
		return err
	}
	if !policy.Attachable() {
		return aws.Errorf("PolicyNotAttachable", "%s cannot be a permissions boundary.", arn)
	}
	return boundaries.Put(op.Tx, n.use(e, arn), "")
}

// rename moves the uses of an entity's policies to a new name.
func (n holder[T]) rename(op *call, object *T, name string) error {
	e, p := n.entity(object), n.permissions(object)
	renamed := *e
	renamed.Name = name
	for _, arn := range p.Attached {
		attachments.Delete(op.Tx, n.use(e, arn))
		if err := attachments.Put(op.Tx, n.use(&renamed, arn), ""); err != nil {
			return err
		}
	}
	if p.Boundary == "" {
		return nil
	}
	boundaries.Delete(op.Tx, n.use(e, p.Boundary))
	return boundaries.Put(op.Tx, n.use(&renamed, p.Boundary), "")
}

// bare refuses to delete an entity that still has policies. A boundary goes with its entity.
func (n holder[T]) bare(op *call, object *T) error {
	p := n.permissions(object)
	switch {
	case len(p.Attached) > 0:
		return deleteConflict("Cannot delete entity, must detach all policies first.")
	case len(p.Inline) > 0:
		return deleteConflict("Cannot delete entity, must delete policies first.")
	}
	return n.bound(op, object, "")
}

func boundaryOf(p iam.Permissions) *iam.Boundary {
	if p.Boundary == "" {
		return nil
	}
	return &iam.Boundary{Type: "Policy", ARN: p.Boundary}
}
