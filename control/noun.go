package control

import (
	"strconv"
	"strings"

	"pergola/addressing"
	"pergola/control/authority"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

// noun is a kind of resource that the API manages.
type noun[T any] struct {
	kind lattice.Kind
	*resource.Kind[T]
}

// newNoun completes what tells a noun from the others.
func newNoun[T any](kind lattice.Kind, d resource.Definition[T]) noun[T] {
	d.Name, d.Tagging = kind.Name, "TagResource"
	d.Missing = func(ref resource.Ref) error { return lattice.NotFoundError(kind, ref.Named) }
	d.Reused = func(path string) error {
		id := lattice.IDOf(path)
		return lattice.ConflictError(kind, id, "The client token was used before, with other parameters, for %s", id)
	}
	return noun[T]{kind, resource.New(d)}
}

var (
	serviceNetworks = newNoun(lattice.KindServiceNetwork, resource.Definition[lattice.ServiceNetwork]{
		Head: func(v *lattice.ServiceNetwork) resource.Head {
			return resource.Head{Path: v.ID, ARN: v.ARN, Tags: tagsOf(&v.Tags), Token: v.ClientToken}
		},
		Holds: func(v *lattice.ServiceNetwork) []resource.Hold {
			return []resource.Hold{holdName(lattice.QuotaServiceNetworks, lattice.KindServiceNetwork, v.ARN, v.Name)}
		},
	})
	services = newNoun(lattice.KindService, resource.Definition[lattice.Service]{
		Head: func(v *lattice.Service) resource.Head {
			return resource.Head{Path: v.ID, ARN: v.ARN, Tags: tagsOf(&v.Tags), Token: v.ClientToken}
		},
		Progress: func(v *lattice.Service) resource.Progress {
			return resource.Progress{Status: &v.Status, Failure: &v.Failure, Intent: &v.Intent}
		},
		Holds: func(v *lattice.Service) []resource.Hold {
			return []resource.Hold{holdName(lattice.QuotaServices, lattice.KindService, v.ARN, v.Name)}
		},
	})
	listeners = newNoun(lattice.KindListener, resource.Definition[lattice.Listener]{
		Head: func(v *lattice.Listener) resource.Head {
			return resource.Head{Path: below(v.ServiceID) + v.ID, ARN: v.ARN, Tags: tagsOf(&v.Tags), Token: v.ClientToken}
		},
		Holds: holdsOfListener,
	})
	rules = newNoun(lattice.KindRule, resource.Definition[lattice.Rule]{
		Head: func(v *lattice.Rule) resource.Head {
			return resource.Head{Path: below(v.ServiceID, v.ListenerID) + v.ID, ARN: v.ARN, Tags: tagsOf(&v.Tags),
				Token: v.ClientToken}
		},
		Holds: holdsOfRule,
	})
	targetGroups = newNoun(lattice.KindTargetGroup, resource.Definition[lattice.TargetGroup]{
		Head: func(v *lattice.TargetGroup) resource.Head {
			return resource.Head{Path: v.ID, ARN: v.ARN, Tags: tagsOf(&v.Tags), Token: v.ClientToken}
		},
		Progress: func(v *lattice.TargetGroup) resource.Progress {
			return resource.Progress{Status: &v.Status, Failure: &v.Failure, Intent: &v.Intent}
		},
		Holds: func(v *lattice.TargetGroup) []resource.Hold {
			holds := []resource.Hold{holdName(lattice.QuotaTargetGroups, lattice.KindTargetGroup, v.ARN, v.Name)}
			if v.Config != nil && v.Config.VPCIdentifier != "" {
				holds = append(holds, refersTo(v.ID, v.Config.VPCIdentifier)...)
			}
			return holds
		},
	})
	serviceAssociations = newNoun(lattice.KindServiceNetworkServiceAssociation,
		resource.Definition[lattice.ServiceNetworkServiceAssociation]{
			Head: func(v *lattice.ServiceNetworkServiceAssociation) resource.Head {
				return resource.Head{Path: v.ID, ARN: v.ARN, Tags: tagsOf(&v.Tags), Token: v.ClientToken}
			},
			Progress: func(v *lattice.ServiceNetworkServiceAssociation) resource.Progress {
				return resource.Progress{Status: &v.Status, Failure: &v.Failure, Intent: &v.Intent}
			},
			Keys: func(k authority.Keys, _ string, v *lattice.ServiceNetworkServiceAssociation) {
				k.Set("vpc-lattice:ServiceArn", v.ServiceARN)
				k.Set("vpc-lattice:ServiceNetworkArn", v.ServiceNetworkARN)
			},
			Holds: holdsOfServiceAssociation,
		})
	vpcAssociations = newNoun(lattice.KindServiceNetworkVPCAssociation,
		resource.Definition[lattice.ServiceNetworkVPCAssociation]{
			Head: func(v *lattice.ServiceNetworkVPCAssociation) resource.Head {
				return resource.Head{Path: v.ID, ARN: v.ARN, Tags: tagsOf(&v.Tags), Token: v.ClientToken}
			},
			Progress: func(v *lattice.ServiceNetworkVPCAssociation) resource.Progress {
				return resource.Progress{Status: &v.Status, Failure: &v.Failure, Intent: &v.Intent}
			},
			Keys: func(k authority.Keys, _ string, v *lattice.ServiceNetworkVPCAssociation) {
				k.Set("vpc-lattice:VpcId", v.VPCID)
				k.Set("vpc-lattice:ServiceNetworkArn", v.ServiceNetworkARN)
			},
			Holds: holdsOfVPCAssociation,
		})

	// targets are parts of their target group: they have no ARN, no tags and no token of their own.
	targets = store.NewKind[lattice.RegisteredTarget](lattice.KindTarget.Name)
)

func tagsOf(tags *lattice.Tags) *map[string]string { return (*map[string]string)(tags) }

// below is what precedes the path of an object in the store: its parents' ids, each with a slash.
func below(parents ...string) string { return strings.Join(parents, "/") + "/" }

// arn names an object of the caller's account, whether there is one or not. parents is "" or what below makes.
func (n noun[T]) arn(op *call, parents, id string) string {
	path := id
	switch ids := strings.Split(parents, "/"); n.kind {
	case lattice.KindListener:
		path = ids[0] + "/listener/" + id
	case lattice.KindRule:
		path = ids[0] + "/listener/" + ids[1] + "/rule/" + id
	}
	return op.home(op.Account).ARN(n.kind, path)
}

// named is the ARN that an identifier stands for.
func (n noun[T]) named(op *call, parents, identifier string) string {
	if lattice.IDOf(identifier) != identifier {
		return identifier
	}
	return n.arn(op, parents, identifier)
}

// ref is what an identifier names: an id, or an ARN, which must then be the object's own. parents is "" or what below
// makes.
func (n noun[T]) ref(op *call, parents, identifier string) resource.Ref {
	id := lattice.IDOf(identifier)
	return resource.Ref{Path: parents + id, ARN: n.named(op, parents, identifier), Exact: id != identifier, Named: id}
}

// read reads an object that an operation refers to.
func (n noun[T]) read(op *call, parents, identifier string) (*T, error) {
	return n.Read(op.Call, n.ref(op, parents, identifier))
}

// find reads the object that an operation is about, if the caller may perform it on that.
func (n noun[T]) find(op *call, parents, identifier string) (*T, error) {
	return n.Find(op.Call, n.ref(op, parents, identifier))
}

// standing passes on what was read if something may be added to it or made to refer to it: it must not be going away.
func (n noun[T]) standing(value *T, err error) (*T, error) {
	return n.unless(func(s lattice.Status) bool { return s == lattice.StatusDeleteInProgress }, value, err)
}

// settled passes on what was read if it may be changed itself: its last change must be complete.
func (n noun[T]) settled(value *T, err error) (*T, error) {
	return n.unless(lattice.Status.InProgress, value, err)
}

func (n noun[T]) unless(refused func(lattice.Status) bool, value *T, err error) (*T, error) {
	if err != nil || n.Progress == nil {
		return value, err
	}
	if status := *n.Progress(value).Status; refused(status) {
		return nil, lattice.StatusConflict(n.kind, n.Head(value).Path, status)
	}
	return value, nil
}

// put writes an object that exists already.
func (n noun[T]) put(op *call, value *T) error { return n.Put(op.Call, value) }

// order is a request to create something.
type order struct {
	request any
	// token is the idempotency token, or "".
	token string
	tags  lattice.Tags
	// parents are the identifiers of what the new object will be part of.
	parents []string
}

// create builds an object and writes it, or finds what its idempotency token has created before.
func (n noun[T]) create(op *call, o order, build func() (*T, error)) (*T, error) {
	parents := ""
	if len(o.parents) > 0 {
		parents = idsOf(o.parents)
	}
	return n.Create(op.Call, resource.Order{
		ARN: n.arn(op, idsOf(o.parents), "*"), Tags: o.tags, Parents: parents, Token: o.token, Request: o.request,
	}, build)
}

// idsOf is what below makes of some identifiers.
func idsOf(identifiers []string) string {
	ids := make([]string, len(identifiers))
	for i, identifier := range identifiers {
		ids[i] = lattice.IDOf(identifier)
	}
	return below(ids...)
}

// holdName is a name that is unique in an account, among what a quota counts.
func holdName(q lattice.Quota, k lattice.Kind, arn, name string) resource.Hold {
	return holdMember(q, k, member{nameClaim(lattice.AccountOf(arn), k, ""), name, lattice.IDOf(arn)}, nameTaken(k, name))
}

// member is a key of a set that a quota counts.
type member struct{ set, key, id string }

func holdMember(q lattice.Quota, k lattice.Kind, m member, taken func(string) error) resource.Hold {
	return resource.Hold{Index: claims, Key: m.set + m.key, Value: m.id, Taken: taken, Room: &resource.Room{
		Set: m.set, Code: q.Code, Default: q.Default, Exceeded: func(limit int) error { return q.Exceeded(k, limit) },
	}}
}

// hold is a key that only one object may have.
func hold(key, id string, taken func(string) error) resource.Hold {
	return resource.Hold{Index: claims, Key: key, Value: id, Taken: taken}
}

// refersTo are the references of an object to resources of EC2, which keep these from being deleted.
func refersTo(id string, to ...string) []resource.Hold {
	holds := make([]resource.Hold, len(to))
	for i, of := range to {
		holds[i] = resource.Hold{Index: references, Key: of + "/" + id}
	}
	return holds
}

func holdsOfListener(v *lattice.Listener) []resource.Hold {
	kind := lattice.KindListener
	return []resource.Hold{
		hold(portClaim(v.ServiceID, v.Port), v.ID, func(holder string) error {
			return lattice.ConflictError(kind, holder, "Listener %s of service %s already listens on port %d", holder,
				v.ServiceID, v.Port)
		}),
		holdMember(lattice.QuotaListeners, kind, member{listenerNameClaim(v.ServiceID, ""), v.Name, v.ID},
			nameTaken(kind, v.Name)),
	}
}

func holdsOfRule(v *lattice.Rule) []resource.Hold {
	return []resource.Hold{
		hold(below(v.ServiceID, v.ListenerID)+"priority/"+strconv.Itoa(int(v.Priority)), v.ID,
			func(holder string) error { return priorityTaken(v, holder) }),
		holdMember(lattice.QuotaRules, lattice.KindRule, member{ruleNameClaim(v.ServiceID, v.ListenerID, ""), v.Name, v.ID},
			nameTaken(lattice.KindRule, v.Name)),
	}
}

func holdsOfServiceAssociation(v *lattice.ServiceNetworkServiceAssociation) []resource.Hold {
	kind := lattice.KindServiceNetworkServiceAssociation
	holds := []resource.Hold{
		holdMember(lattice.QuotaServiceAssociations, kind, member{networkServiceClaim(v.ServiceNetworkID, ""),
			v.ServiceID, v.ID},
			func(holder string) error {
				return lattice.ConflictError(kind, holder, "Service %s is already associated with service network %s: %s",
					v.ServiceID, v.ServiceNetworkID, holder)
			}),
		hold(serviceNetworkClaim(v.ServiceID, v.ServiceNetworkID), v.ID, nil),
	}
	if v.CustomDomainName != "" {
		holds = append(holds, hold(networkDomainClaim(v.ServiceNetworkID, v.CustomDomainName), v.ID,
			func(holder string) error {
				return lattice.ConflictError(kind, holder, "Custom domain name %s is already in service network %s: %s",
					v.CustomDomainName, v.ServiceNetworkID, holder)
			}))
	}
	return holds
}

// holdAddress is the address at which a VPC reaches the network of an association.
func holdAddress(v *lattice.ServiceNetworkVPCAssociation) resource.Hold {
	address := addressing.DoorOf(v.Address).String()
	return hold(addressClaim(v.VPCID, address), v.ID, func(holder string) error {
		return lattice.ConflictError(lattice.KindServiceNetworkVPCAssociation, holder, "%s has the address %s in VPC %s",
			holder, address, v.VPCID)
	})
}

func holdsOfVPCAssociation(v *lattice.ServiceNetworkVPCAssociation) []resource.Hold {
	kind := lattice.KindServiceNetworkVPCAssociation
	taken := func(holder string) error {
		return lattice.ConflictError(kind, holder, "VPC has already been associated to a service network.")
	}
	return append([]resource.Hold{
		hold(vpcClaim(v.VPCID), v.ID, taken),
		holdAddress(v),
		holdMember(lattice.QuotaVPCAssociations, kind, member{networkVPCClaim(v.ServiceNetworkID, ""), v.VPCID, v.ID}, taken),
	}, refersTo(v.ID, append([]string{v.VPCID}, v.SecurityGroupIDs...)...)...)
}
