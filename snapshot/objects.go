package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pergola/aws/acm"
	"pergola/aws/ec2"
	"pergola/aws/elbv2"
	"pergola/aws/route53"
	"pergola/lattice"
)

// The states are what a Compiler knows of each thing: its own object, if there is one, the objects that belong to it,
// and what it was last compiled to. Objects come in any order, so a thing may have belongings before it exists.

// serviceState is a service with its listeners and rules.
type serviceState struct {
	id        string
	object    *lattice.Service
	policy    authPolicy
	listeners map[string]*listenerState
	links     links[serviceState]
	// groups are the target groups that the listeners forward to.
	groups map[*groupState]bool
	// certificate is the one that the service refers to, existing or not; nil if it refers to none.
	certificate *certificateState
	compiled    *Service
}

func (s *serviceState) name() string { return s.id }

func (s *serviceState) unused() bool {
	return s.object == nil && len(s.listeners) == 0 && len(s.links) == 0
}

// joined reports whether the service is served in some service network.
func (s *serviceState) joined() bool {
	return s.object != nil && served(s.object.Intent, s.object.Status) &&
		slices.ContainsFunc(s.links, (*link[serviceState]).isServed)
}

// listenerState is a listener with the rules of its own, the default rule apart.
type listenerState struct {
	object *lattice.Listener
	rules  map[string]*ruleState
}

// ruleState is a rule without its target groups looked up.
type ruleState struct {
	priority int32
	match    *match
	action   lattice.RuleAction
}

// networkState is a service network with its associations.
type networkState struct {
	id       string
	object   *lattice.ServiceNetwork
	policy   authPolicy
	services int // how many associations there are
	vpcs     links[vpcState]
	// claimants are the associations of the services that have a name, the oldest first.
	claimants map[string]links[serviceState]
	// entries are what the tables of compiled hold, by name, and staleNames those that have to be entered anew.
	entries    map[string]*nameEntry
	staleNames map[string]bool
	compiled   *Network
}

func (n *networkState) name() string { return n.id }

func (n *networkState) unused() bool {
	return n.object == nil && n.services == 0 && len(n.vpcs) == 0
}

// groupState is a target group with its targets.
type groupState struct {
	id      string
	object  *lattice.TargetGroup
	targets map[string]*lattice.RegisteredTarget
	// users are the services that forward to the group; those that have joined a service network are true.
	users    map[*serviceState]bool
	compiled *TargetGroup
}

func (g *groupState) name() string { return g.id }

func (g *groupState) unused() bool {
	return g.object == nil && len(g.targets) == 0 && len(g.users) == 0
}

// vpcState is a VPC with its instances and associations.
type vpcState struct {
	id        string
	object    *ec2.VPC
	instances map[string]*ec2.Instance
	links     links[vpcState]
	filtering filterState
	compiled  *VPC
}

func (v *vpcState) name() string { return v.id }

func (v *vpcState) unused() bool {
	return v.object == nil && len(v.instances) == 0 && len(v.links) == 0 && v.filtering.isEmpty()
}

// link is the association of a service or a VPC with a service network.
type link[M any] struct {
	id      string
	created time.Time
	served  bool
	network *networkState
	member  *M
	// names are those under which a service is looked for in the network, and gone says that the association is.
	names []string
	gone  bool
	// door is what the association of a VPC makes, without what it leads to, and groups are the security groups of that.
	door   Door
	groups []string
}

func newLink[M any](id string, created lattice.Time, served bool, network *networkState, member *M) *link[M] {
	return &link[M]{id: id, created: created.Time, served: served, network: network, member: member}
}

func (l *link[M]) isServed() bool { return l.served }

// links are associations, the oldest first.
type links[M any] []*link[M]

func (ls links[M]) find(l *link[M]) (int, bool) {
	return slices.BinarySearchFunc(ls, l, func(a, b *link[M]) int {
		if order := a.created.Compare(b.created); order != 0 {
			return order
		}
		return strings.Compare(a.id, b.id)
	})
}

func (ls *links[M]) add(l *link[M]) {
	i, _ := ls.find(l)
	*ls = slices.Insert(*ls, i, l)
}

func (ls *links[M]) remove(l *link[M]) {
	if i, found := ls.find(l); found {
		*ls = slices.Delete(*ls, i, i+1)
	}
}

// served reports whether a resource takes part in serving: from the moment it is created, since its creation ends only
// when the nodes serve it, until its deletion begins. What has failed is tried again, so a failed creation goes on; and
// a failed deletion has failed in the store, after the nodes have forgotten the resource. A resource from before
// statuses were kept apart has its own in itself.
func served(intent lattice.Intent, status lattice.Status) bool {
	return !intent.Deleting && status != lattice.StatusDeleteInProgress && status != lattice.StatusDeleteFailed
}

// take records one change and marks what it concerns.
func (c *Compiler) take(change Change) (err error) {
	kind, id, _ := strings.Cut(change.Key, "/")
	owner, part, _ := strings.Cut(id, "/")
	switch kind {
	case lattice.KindService.Name:
		return c.takeService(change, id)
	case lattice.KindListener.Name:
		return c.takeListener(change, owner, part)
	case lattice.KindRule.Name:
		return c.takeRule(change, owner, part)
	case lattice.KindServiceNetwork.Name:
		return c.takeNetwork(change, id)
	case lattice.KindServiceNetworkServiceAssociation.Name:
		return c.takeServiceLink(change, id)
	case lattice.KindServiceNetworkVPCAssociation.Name:
		return c.takeVPCLink(change, id)
	case lattice.KindTargetGroup.Name:
		g := c.group(id)
		g.object, err = decode[lattice.TargetGroup](change)
		c.staleGroups.compile(g)
	case lattice.KindTarget.Name:
		return c.takeTarget(change, owner, part)
	case ec2.KindVPC:
		v := c.vpc(id)
		v.object, err = decode[ec2.VPC](change)
		c.staleVPCs.compile(v)
	case ec2.KindInstance:
		return c.takeInstance(change, id)
	case ec2.KindSecurityGroup:
		return c.takeSecurityGroup(change, id)
	case ec2.KindNetworkACL:
		return c.takeACL(change, id)
	case ec2.KindSubnet:
		return c.takeSubnet(change)
	case ec2.KindPrefixList:
		return c.takePrefixList(change, id)
	case acm.KindCertificate:
		return c.takeCertificate(change, id)
	case acm.KindAuthority:
		return c.takeAuthority(change, id)
	case elbv2.KindLoadBalancer:
		return c.takeBalancer(change, id)
	case elbv2.KindTargetGroup:
		return c.takeBalancerGroup(change, id)
	case route53.KindHostedZone:
		return c.takeZone(change, id)
	case route53.KindRecordSet:
		return c.takeRecordSet(change, owner, part)
	case lattice.KindResourceGateway.Name:
		return c.takeGateway(change, id)
	case lattice.KindResourceConfiguration.Name:
		return c.takeConfiguration(change, id)
	case lattice.KindServiceNetworkResourceAssociation.Name:
		return c.takeResourceLink(change, id)
	case lattice.KindDomainVerification.Name:
		return c.takeVerification(change, id)
	default:
		return c.callers.take(kind, id, change)
	}
	return err
}

func (c *Compiler) takeService(change Change, id string) (err error) {
	s := c.service(id)
	s.object, err = decode[lattice.Service](change)
	c.certify(s)
	c.staleServices.compile(s)
	if s.object == nil {
		return errors.Join(err, s.policy.read(id, nil))
	}
	return s.policy.read(id, s.object.AuthPolicy)
}

func (c *Compiler) takeNetwork(change Change, id string) (err error) {
	n := c.network(id)
	n.object, err = decode[lattice.ServiceNetwork](change)
	c.staleNetworks.compile(n)
	if n.object == nil {
		return errors.Join(err, n.policy.read(id, nil))
	}
	return n.policy.read(id, n.object.AuthPolicy)
}

func (c *Compiler) takeListener(change Change, service, id string) error {
	object, err := decode[lattice.Listener](change)
	s := c.service(service)
	l := s.listener(id)
	l.object = object
	s.drop(id, l)
	c.staleServices.compile(s)
	return err
}

func (c *Compiler) takeRule(change Change, service, part string) error {
	object, err := decode[lattice.Rule](change)
	listener, id, _ := strings.Cut(part, "/")
	s := c.service(service)
	l := s.listener(listener)
	if object == nil {
		delete(l.rules, id)
	} else {
		l.rules[id] = &ruleState{object.Priority, compileMatch(object.Match), object.Action}
	}
	s.drop(listener, l)
	c.staleServices.compile(s)
	return err
}

func (c *Compiler) takeServiceLink(change Change, id string) error {
	object, err := decode[lattice.ServiceNetworkServiceAssociation](change)
	if old := c.serviceLinks[id]; old != nil {
		old.network.services--
		old.member.links.remove(old)
		delete(c.serviceLinks, id)
		old.gone = true
		c.staleLinks[old] = true
		c.staleNetworks.look(old.network)
		c.staleServices.look(old.member)
	}
	if object != nil {
		l := newLink(id, object.CreatedAt, served(object.Intent, object.Status), c.network(object.ServiceNetworkID),
			c.service(object.ServiceID))
		l.network.services++
		l.member.links.add(l)
		c.serviceLinks[id] = l
		c.staleLinks[l] = true
		c.staleNetworks.look(l.network)
		c.staleServices.look(l.member)
	}
	return err
}

func (c *Compiler) takeVPCLink(change Change, id string) error {
	object, err := decode[lattice.ServiceNetworkVPCAssociation](change)
	if old := c.vpcLinks[id]; old != nil {
		old.network.vpcs.remove(old)
		old.member.links.remove(old)
		delete(c.vpcLinks, id)
		c.staleNetworks.look(old.network)
		c.staleVPCs.compile(old.member)
	}
	if object != nil {
		l := newLink(id, object.CreatedAt, served(object.Intent, object.Status), c.network(object.ServiceNetworkID),
			c.vpc(object.VPCID))
		l.door = Door{Key: change.Key, Entries: entriesOf(object.Address)}
		l.groups = object.SecurityGroupIDs
		l.door = Door{Key: change.Key, Entries: entriesOf(object.Address), PrivateDNS: privateDNSOf(object)}
		l.network.vpcs.add(l)
		l.member.links.add(l)
		c.vpcLinks[id] = l
		c.staleNetworks.look(l.network)
		c.staleVPCs.compile(l.member)
	}
	return err
}

func (c *Compiler) takeTarget(change Change, group, key string) error {
	object, err := decode[lattice.RegisteredTarget](change)
	g := c.group(group)
	placement := group + "/" + key
	if old := g.targets[key]; old != nil {
		delete(g.targets, key)
		c.displace(old.ID, placement)
	}
	if object != nil {
		g.targets[key] = object
		c.place(object.ID, placement, g)
	}
	c.staleGroups.compile(g)
	return err
}

// place notes that a target of the group is the instance, or the load balancer, so that the group follows what becomes of it.
func (c *Compiler) place(instance, placement string, g *groupState) {
	if c.placements[instance] == nil {
		c.placements[instance] = map[string]*groupState{}
	}
	c.placements[instance][placement] = g
}

func (c *Compiler) displace(instance, placement string) {
	delete(c.placements[instance], placement)
	if len(c.placements[instance]) == 0 {
		delete(c.placements, instance)
	}
}

func (c *Compiler) takeInstance(change Change, id string) error {
	object, err := decode[ec2.Instance](change)
	if old := c.instances[id]; old != nil {
		v := c.vpc(old.VPC)
		delete(v.instances, id)
		delete(c.instances, id)
		c.staleVPCs.compile(v)
	}
	if object != nil {
		v := c.vpc(object.VPC)
		v.instances[id] = object
		c.instances[id] = object
		c.staleVPCs.compile(v)
	}
	for _, g := range c.placements[id] {
		c.staleGroups.compile(g)
	}
	c.balancers.moved(id)
	return err
}

// decode is the object of a change, or nil if it was deleted or is broken.
func decode[T any](change Change) (*T, error) {
	if change.Value == nil {
		return nil, nil
	}
	object := new(T)
	if err := json.Unmarshal(change.Value, object); err != nil {
		return nil, &broken{change.Key, fmt.Errorf("it cannot be decoded: %w", err)}
	}
	return object, nil
}

func (c *Compiler) service(id string) *serviceState {
	s := c.services[id]
	if s == nil {
		s = &serviceState{id: id, listeners: map[string]*listenerState{}}
		c.services[id] = s
	}
	return s
}

func (s *serviceState) listener(id string) *listenerState {
	l := s.listeners[id]
	if l == nil {
		l = &listenerState{rules: map[string]*ruleState{}}
		s.listeners[id] = l
	}
	return l
}

// drop forgets a listener that does not exist and has no rules.
func (s *serviceState) drop(id string, l *listenerState) {
	if l.object == nil && len(l.rules) == 0 {
		delete(s.listeners, id)
	}
}

func (c *Compiler) network(id string) *networkState {
	n := c.networks[id]
	if n == nil {
		n = &networkState{
			id: id, claimants: map[string]links[serviceState]{}, entries: map[string]*nameEntry{}, staleNames: map[string]bool{},
		}
		c.networks[id] = n
	}
	return n
}

func (c *Compiler) group(id string) *groupState {
	g := c.groups[id]
	if g == nil {
		g = &groupState{id: id, targets: map[string]*lattice.RegisteredTarget{}, users: map[*serviceState]bool{}}
		c.groups[id] = g
	}
	return g
}

func (c *Compiler) vpc(id string) *vpcState {
	v := c.vpcs[id]
	if v == nil {
		v = &vpcState{id: id, instances: map[string]*ec2.Instance{}, filtering: newFilterState()}
		c.vpcs[id] = v
	}
	return v
}
