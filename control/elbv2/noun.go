package elbv2

import (
	"cmp"
	"slices"

	"pergola/aws"
	"pergola/aws/elbv2"
	"pergola/control/resource"
	"pergola/lattice"
)

// noun is a kind of resource that the store has by its id.
type noun[T any] struct {
	*resource.Kind[T]
	// what is the kind in messages, and prefix how the resource in an ARN begins, before its name and id.
	what, prefix string
	name         func(*T) string
	// unnamed is the error for a name that no resource has.
	unnamed func(name string) error
	// attributes are where a resource has its attributes, and known all that it can have.
	attributes func(*T) *map[string]string
	known      elbv2.AttributeSet
}

var (
	loadBalancers = noun[elbv2.LoadBalancer]{
		Kind: resource.New(resource.Definition[elbv2.LoadBalancer]{
			Name: elbv2.KindLoadBalancer,
			Head: func(l *elbv2.LoadBalancer) resource.Head { return resource.Head{Path: l.ID, ARN: l.ARN, Tags: &l.Tags} },
			Missing: func(ref resource.Ref) error {
				return notFound(codeNoLoadBalancer, "load balancers", ref.Named)
			},
			Progress: func(l *elbv2.LoadBalancer) resource.Progress {
				return resource.ProgressOf(&l.Stage, &l.Intent)
			},
		}),
		what: "load balancer", prefix: "loadbalancer/app",
		name: func(l *elbv2.LoadBalancer) string { return l.Name },
		unnamed: func(name string) error {
			return aws.Errorf(codeNoLoadBalancer, "Load balancers '[%s]' not found", name)
		},
		attributes: func(l *elbv2.LoadBalancer) *map[string]string { return &l.Attributes },
		known:      elbv2.LoadBalancerAttributes,
	}
	targetGroups = noun[elbv2.TargetGroup]{
		Kind: resource.New(resource.Definition[elbv2.TargetGroup]{
			Name:    elbv2.KindTargetGroup,
			Head:    func(g *elbv2.TargetGroup) resource.Head { return resource.Head{Path: g.ID, ARN: g.ARN, Tags: &g.Tags} },
			Missing: func(ref resource.Ref) error { return noTargetGroup(ref.Named) },
		}),
		what: "target group", prefix: "targetgroup",
		name:       func(g *elbv2.TargetGroup) string { return g.Name },
		unnamed:    noTargetGroup,
		attributes: func(g *elbv2.TargetGroup) *map[string]string { return &g.Attributes },
		known:      elbv2.TargetGroupAttributes,
	}
)

func notFound(code, what, named string) error {
	return aws.Errorf(code, "One or more %s not found: %s", what, named)
}

func noTargetGroup(named string) error { return notFound(codeNoTargetGroup, "target groups", named) }

func malformed(what, arn string) error {
	return aws.Errorf(codeValidation, "'%s' is not a valid %s ARN", arn, what)
}

// arn names a resource of the caller's account, whether there is one or not.
func (n noun[T]) arn(op *call, name, id string) string {
	resource := n.prefix + "/" + name + "/" + id
	return lattice.ARN{Service: elbv2.Service, Region: op.Region, Account: op.Account, Resource: resource}.String()
}

// ref is what an ARN names.
func (n noun[T]) ref(arn string) resource.Ref {
	of, ok := parts(arn, n.prefix, 2)
	if !ok {
		return resource.Ref{ARN: arn, Malformed: malformed(n.what, arn)}
	}
	return resource.Ref{Path: of[1], ARN: arn, Exact: true, Named: arn}
}

// read reads a resource that an operation refers to.
func (n noun[T]) read(op *call, arn string) (*T, error) { return n.Read(op.Call, n.ref(arn)) }

// find reads the resource that an operation is about, if the caller may perform it on that.
func (n noun[T]) find(op *call, arn string) (*T, error) { return n.Find(op.Call, n.ref(arn)) }

// named is the account's resource of a name, nil if there is none.
func (n noun[T]) named(op *call, name string) (*T, error) {
	own, err := n.All(op.Tx, op.Account)
	if i := slices.IndexFunc(own, func(v *T) bool { return n.name(v) == name }); i >= 0 {
		return own[i], err
	}
	return nil, err
}

// wanted are the account's resources of some ARNs or names, which must all exist, or all there are, in order of id.
func (n noun[T]) wanted(op *call, arns, names []string) ([]*T, error) {
	own, err := n.All(op.Tx, op.Account)
	if err != nil {
		return nil, err
	}
	for _, arn := range arns {
		if _, err := n.read(op, arn); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(own, func(v *T) bool { return n.name(v) == name }) {
			return nil, n.unnamed(name)
		}
	}
	return slices.DeleteFunc(own, func(v *T) bool {
		return len(arns)+len(names) > 0 && !slices.Contains(arns, n.Head(v).ARN) && !slices.Contains(names, n.name(v))
	}), nil
}

// page is one page of a listing, and the marker of the next.
func (n noun[T]) page(all []*T, p elbv2.Page) ([]*T, string) {
	return resource.Page(all, func(v *T) string { return n.Head(v).Path }, p.Marker, int(p.PageSize))
}

// subject is a resource of any kind, as its tags and attributes see it: where they are, and how to write them.
type subject struct {
	tags, attributes *map[string]string
	known            elbv2.AttributeSet
	put              func() error
}

// subject reads a resource as a subject.
func (n noun[T]) subject(op *call, arn string) (*subject, error) {
	value, err := n.read(op, arn)
	if err != nil {
		return nil, err
	}
	return &subject{n.Head(value).Tags, n.attributes(value), n.known, func() error { return n.Put(op.Call, value) }}, nil
}

// findSubject reads the subject that an operation is about, if the caller may perform it on that.
func (op *call) findSubject(arn string, read func(*call, string) (*subject, error)) (*subject, error) {
	s, err := read(op, arn)
	if err != nil {
		return nil, cmp.Or(op.May(arn, nil), err)
	}
	return s, op.May(arn, *s.tags)
}
