package node

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"time"

	"pergola/aws/ec2"
	"pergola/aws/elbv2"
	"pergola/containment"
	"pergola/lattice"
	"pergola/snapshot"
)

// The waits before something that failed is tried again. They double from the shortest to the longest, and each is cut
// by up to a half at random, so that what failed together is not tried together.
const (
	shortestWait = time.Second
	longestWait  = time.Minute
)

// part is something that a node makes on its host, by itself: when it fails all others are made.
type part struct {
	what sort
	vpc  string
	id   string // of an instance or of a load balancer, or the key of a door
	port uint16 // of a door
}

// sort is a sort of parts.
type sort int

const (
	network  sort = iota // a VPC's router
	instance             // an instance, or an address of a load balancer or a resource gateway
	fixed                // a VPC's resolver and metadata service
	balancer             // a load balancer
	door                 // a port of a door
)

func (p part) String() string {
	switch p.what {
	case instance:
		return "instance " + p.id + " of " + p.vpc
	case fixed:
		return "the resolver and the metadata service of " + p.vpc
	case balancer:
		return "load balancer " + p.id
	case door:
		return fmt.Sprintf("port %d of the door of %s in %s", p.port, p.id, p.vpc)
	}
	return p.vpc
}

// partOf is the part that a port of a door is.
func partOf(at snapshot.DoorPort) part {
	return part{what: door, vpc: at.VPC, id: at.Door, port: at.Port}
}

// trouble is a part that could not be made.
type trouble struct {
	err      error
	revision int64 // of the snapshot with which it was first so
	tries    int   // that have failed; 0 for a part that was not come to yet
	next     time.Time
}

// troubles are the parts that could not be made. They belong to the goroutine that applies.
type troubles struct {
	now func() time.Time
	log *slog.Logger
	of  map[part]*trouble
	// since are the revisions with which objects were first left out.
	since map[string]int64
}

func newTroubles(log *slog.Logger) *troubles {
	return &troubles{now: time.Now, log: log, of: map[part]*trouble{}, since: map[string]int64{}}
}

// pass is one attempt to make the host agree with a snapshot.
type pass struct {
	*troubles
	*snapshot.Snapshot
	began time.Time
	// retry is whether the pass tries again what is due. One for a change does not: a change must not wait for it.
	retry  bool
	failed containment.Failures[part]
}

func (t *troubles) begin(s *snapshot.Snapshot, retry bool) *pass {
	return &pass{troubles: t, Snapshot: s, began: t.now(), retry: retry}
}

// holds reports whether the pass leaves a part alone.
func (p *pass) holds(of part) bool {
	if len(p.of) == 0 {
		return false
	}
	known := p.of[of]
	return known != nil && (!p.retry || known.next.After(p.began))
}

// isDown reports whether a VPC's network is missing, and with it all that would be in it.
func (p *pass) isDown(vpc string) bool {
	of := part{what: network, vpc: vpc}
	return p.failed[of] != nil || p.holds(of)
}

// end learns from the pass: what has failed waits longer, what has been made is forgotten, and so is what is not wanted
// any more. When something has been made that had failed, the others are tried soon, since they may stand on it.
func (p *pass) end() {
	mended := false
	for of, err := range p.failed {
		if !wants(p.Snapshot, of) {
			p.log.Error("what is not needed any more could not be removed whole", "part", of.String(), "error", err)
		} else if of.what == network || !p.isDown(of.vpc) {
			p.note(of, err)
		}
	}
	for of, known := range p.of {
		switch {
		case !wants(p.Snapshot, of), of.what != network && p.isDown(of.vpc):
			delete(p.of, of)
		case p.failed[of] == nil && !p.holds(of):
			delete(p.of, of)
			mended = true
			if known.tries > 0 {
				p.log.Info("what could not be made has been made", "part", of.String(), "tries", known.tries+1)
			}
		}
	}
	if mended {
		for _, known := range p.of {
			known.next = p.now()
		}
	}
}

// fail notes in the pass that a part has failed.
func (p *pass) fail(of part, err error) { p.failed.Note(of, err) }

// note remembers that a part has failed.
func (p *pass) note(of part, err error) {
	known := p.of[of]
	if known == nil {
		known = &trouble{revision: p.Revision}
		p.of[of] = known
	}
	if errors.Is(err, containment.ErrUntried) {
		if known.tries == 0 {
			known.err = err
		}
		known.next = p.began
		return
	}
	if known.tries == 0 {
		p.log.Error("part of what the node has to make has failed and will be tried again", "part", of.String(), "error", err)
	}
	wait := min(shortestWait<<min(known.tries, 16), longestWait)
	known.err, known.tries, known.next = err, known.tries+1, p.now().Add(wait-rand.N(wait/2))
}

// next is when the next part is due; false if none ever is.
func (t *troubles) next() (at time.Time, any bool) {
	for _, known := range t.of {
		if !any || known.next.Before(at) {
			at, any = known.next, true
		}
	}
	return at, any
}

// untried reports whether there are parts that were not come to yet.
func (t *troubles) untried() bool {
	for _, known := range t.of {
		if known.tries == 0 {
			return true
		}
	}
	return false
}

// wants reports whether a part is in a snapshot.
func wants(s *snapshot.Snapshot, of part) bool {
	vpc := s.VPCs.Get(of.vpc)
	switch {
	case of.what == balancer:
		return s.LoadBalancers.Get(of.id) != nil
	case vpc == nil:
		return false
	case of.what == door:
		return vpc.Opening(snapshot.DoorPort{VPC: of.vpc, Door: of.id, Port: of.port}) != nil
	case of.what == instance:
		return isInstance(vpc, of.id) || balancerAt(s, of) != "" || gatewayAt(vpc, of) != ""
	}
	return true
}

func isInstance(vpc *snapshot.VPC, id string) bool {
	for _, i := range vpc.Instances {
		if i.ID == id {
			return true
		}
	}
	return false
}

// balancerAt is the load balancer that has a part for one of its addresses, or "".
func balancerAt(s *snapshot.Snapshot, of part) string {
	for id, l := range s.LoadBalancers.All() {
		for i := range l.Addresses {
			if l.VPC == of.vpc && l.NodeID(i) == of.id {
				return id
			}
		}
	}
	return ""
}

// reports are what the control plane is told of troubles and of what the snapshot leaves out: by the object that is not
// as it should be, the first reason that there is. Without any it is nil.
func (t *troubles) reports(s *snapshot.Snapshot) map[string]lattice.FailureReport {
	if len(t.of)+len(s.LeftOut) == 0 {
		clear(t.since)
		return nil
	}
	all := map[string]lattice.FailureReport{}
	for key, err := range s.LeftOut {
		if t.since[key] == 0 {
			t.since[key] = s.Revision
		}
		all[key] = reportOf(lattice.FailureInside, &trouble{err: err, revision: t.since[key], tries: 1})
	}
	maps.DeleteFunc(t.since, func(key string, _ int64) bool { return s.LeftOut[key] == nil })
	for of, known := range t.of {
		if !wants(s, of) {
			continue
		}
		report := reportOf(lattice.FailureOnNode, known)
		for _, key := range concerns(s, of) {
			// A part that failed says more than one that was not come to, and of two that failed the same one is told of
			// each time.
			if other, ok := all[key]; !ok || other.Pending && !report.Pending || other.Pending == report.Pending &&
				report.FailureMessage < other.FailureMessage {
				all[key] = report
			}
		}
	}
	return all
}

func reportOf(code string, of *trouble) lattice.FailureReport {
	if of.tries == 0 {
		return lattice.FailureReport{Revision: of.revision, Pending: true}
	}
	if errors.Is(of.err, containment.ErrPanicked) {
		code = lattice.FailureInside
	}
	return lattice.FailureReport{Failure: lattice.Failure{FailureCode: code, FailureMessage: of.err.Error()},
		Revision: of.revision}
}

// concerns are the objects, by their keys in the store, that are not as they should be without a part.
func concerns(s *snapshot.Snapshot, of part) (keys []string) {
	vpc := s.VPCs.Get(of.vpc)
	doors := func() {
		for _, d := range vpc.Doors {
			keys = append(keys, d.Key)
		}
		keys = append(keys, resourceKeys(vpc)...)
	}
	switch of.what {
	case network:
		keys = append(keys, ec2.KindVPC+"/"+of.vpc)
		for _, i := range vpc.Instances {
			keys = append(keys, ec2.KindInstance+"/"+i.ID)
		}
		for _, l := range vpc.LoadBalancers {
			keys = append(keys, elbv2.KindLoadBalancer+"/"+l.ID)
		}
		for _, g := range vpc.Gateways {
			keys = append(keys, lattice.KindResourceGateway.Name+"/"+g.ID)
		}
		doors()
	case fixed:
		keys = append(keys, ec2.KindVPC+"/"+of.vpc)
		doors()
	case door:
		if of.id == snapshot.ResourceDoor {
			return resourceKeys(vpc)
		}
		keys = append(keys, of.id)
	case balancer:
		keys = append(keys, elbv2.KindLoadBalancer+"/"+of.id)
	case instance:
		if id := balancerAt(s, of); id != "" {
			return append(keys, elbv2.KindLoadBalancer+"/"+id)
		}
		if id := gatewayAt(vpc, of); id != "" {
			return append(keys, lattice.KindResourceGateway.Name+"/"+id)
		}
		keys = append(keys, ec2.KindInstance+"/"+of.id)
	}
	return keys
}
