package snapshot

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"

	"pergola/aws/ec2"
	"pergola/snapshot/table"
)

// Change is one object put or deleted.
type Change struct {
	// Key is the object's kind and id, such as "service/svc-…" or "rule/svc-…/listener-…/rule-…". Kinds that a
	// snapshot has no use for are ignored.
	Key string
	// Value is the object as JSON, or nil if it was deleted.
	Value []byte
}

// Compile makes the snapshot of all the objects of a deployment in one region.
//
// The snapshot is always complete and never nil. The error names what had to be left out of it: an object that cannot
// be decoded counts as absent, a policy that cannot be read denies everything, and of two services with the same custom
// domain name on the same port of a service network only the one that was associated first answers there. An object
// whose compilation panics counts as absent too; that is logged and not in the error. See Snapshot.LeftOut.
func Compile(region string, revision int64, objects []Change) (*Snapshot, error) {
	return NewCompiler(region).Apply(revision, true, objects)
}

// Compiler makes one snapshot after the other, each from the one before and what has changed since. What a change
// does not concern is the very same *Service, *Network, *VPC or *TargetGroup in both. It must not be used from several
// goroutines at once.
type Compiler struct {
	region  string
	current *Snapshot

	services map[string]*serviceState
	networks map[string]*networkState
	groups   map[string]*groupState
	vpcs     map[string]*vpcState
	// serviceLinks and vpcLinks are the associations by their ids.
	serviceLinks map[string]*link[serviceState]
	vpcLinks     map[string]*link[vpcState]
	instances    map[string]*ec2.Instance
	certificates map[string]*certificateState
	authority    *Certificate
	// placements are the target groups in which an instance is registered, by instance id and target key.
	placements map[string]map[string]*groupState
	balancers  balancers
	filters    filters
	zones      zones
	resources  resourceObjects
	callers    *identityCompiler
	faults     *faults

	// What the Apply under way has to look at.
	staleServices     marks[serviceState]
	staleLinks        map[*link[serviceState]]bool
	staleNetworks     marks[networkState]
	staleGroups       marks[groupState]
	staleVPCs         marks[vpcState]
	staleCertificates marks[certificateState]
	problems          []error
}

// marks are states that an Apply has to look at. Those marked true have to be compiled.
type marks[S any] map[*S]bool

func (m marks[S]) look(state *S) {
	if _, marked := m[state]; !marked {
		m[state] = false
	}
}

func (m marks[S]) compile(state *S) { m[state] = true }

// NewCompiler makes a Compiler that knows no objects yet.
func NewCompiler(region string) *Compiler {
	return &Compiler{
		region:            region,
		current:           &Snapshot{},
		services:          map[string]*serviceState{},
		networks:          map[string]*networkState{},
		groups:            map[string]*groupState{},
		vpcs:              map[string]*vpcState{},
		serviceLinks:      map[string]*link[serviceState]{},
		vpcLinks:          map[string]*link[vpcState]{},
		instances:         map[string]*ec2.Instance{},
		certificates:      map[string]*certificateState{},
		placements:        map[string]map[string]*groupState{},
		balancers:         newBalancers(),
		filters:           newFilters(region),
		zones:             newZones(),
		resources:         newResourceObjects(),
		callers:           newIdentityCompiler(),
		faults:            newFaults(),
		staleServices:     marks[serviceState]{},
		staleLinks:        map[*link[serviceState]]bool{},
		staleNetworks:     marks[networkState]{},
		staleGroups:       marks[groupState]{},
		staleVPCs:         marks[vpcState]{},
		staleCertificates: marks[certificateState]{},
	}
}

// LogTo makes the Compiler log the panics that it contains, which are lost otherwise.
func (c *Compiler) LogTo(log *slog.Logger) { c.faults.log = log }

// Apply makes the next snapshot. With reset, the changes are all the objects there are, and all that was known before
// is forgotten. The error is that of Compile, limited to what the changes brought about.
//
// Each step compiles what was marked, and marks what stands on it: target groups carry services, certificates carry
// services and load balancers, services and resources carry service networks, and these carry VPCs.
func (c *Compiler) Apply(revision int64, reset bool, changes []Change) (*Snapshot, error) {
	if reset {
		log, step := c.faults.log, c.faults.step
		*c = *NewCompiler(c.region)
		c.faults.log, c.faults.step = log, step
	}
	for _, change := range changes {
		if err := c.faults.read(change, c.take); err != nil {
			c.problems = append(c.problems, err)
		}
	}
	c.updateUsers()
	was := c.current
	c.current = &Snapshot{
		Revision:     revision,
		TargetGroups: c.compileGroups(),
		VPCs:         c.current.VPCs,
		Services:     c.current.Services,
		Identities:   c.callers.compile(c.faults),
		Authority:    c.authority,
	}
	c.compileCertificates()
	c.current.LoadBalancers = c.compileBalancers(was.LoadBalancers)
	c.compileServices()
	c.compileResources()
	c.compileNetworks()
	c.compileZones(was)
	c.current.VPCs = c.compileVPCs()
	c.current.LeftOut = c.leftOut()
	return c.current, c.finish()
}

// finish forgets what is of no more use, and returns the problems met, in an order of their own: the steps work in
// the random order of maps.
func (c *Compiler) finish() error {
	sweep(c.services, c.staleServices)
	sweep(c.networks, c.staleNetworks)
	sweep(c.groups, c.staleGroups)
	sweep(c.vpcs, c.staleVPCs)
	sweep(c.certificates, c.staleCertificates)
	problems := append(c.problems, c.callers.problems...)
	c.problems, c.callers.problems = nil, nil
	slices.SortFunc(problems, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	problems = slices.CompactFunc(problems, func(a, b error) bool { return a.Error() == b.Error() })
	return errors.Join(problems...)
}

// sweep removes the states of things that do not exist and that nothing refers to.
func sweep[S any, P interface {
	*S
	name() string
	unused() bool
}](states map[string]*S, marked marks[S]) {
	for state := range marked {
		if P(state).unused() {
			delete(states, P(state).name())
		}
	}
	clear(marked)
}

// entered is a table with a value for a key, without it for nil.
func entered[T any](in table.Table[*T], key string, value *T) table.Table[*T] {
	if value == nil {
		return in.Without(key)
	}
	return in.With(key, value)
}

// updated is a table with what changed in it.
func updated[T any](in table.Table[*T], changed map[string]*T) table.Table[*T] {
	for key, value := range changed {
		in = entered(in, key, value)
	}
	return in
}
