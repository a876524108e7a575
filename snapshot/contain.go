package snapshot

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"

	"pergola/aws/ec2"
	"pergola/aws/elbv2"
	"pergola/containment"
	"pergola/lattice"
)

// broken is the error about an object that counts as absent.
type broken struct {
	key    string
	reason error
}

func (e *broken) Error() string {
	return fmt.Sprintf("object %s is left out because %v", e.key, e.reason)
}
func (e *broken) Unwrap() error { return e.reason }

// faults is what a Compiler knows of objects that are left out, by their keys. It is also where panics end: the object
// that one comes from is left out, for what it was meant to deny is not known, and all others are compiled.
type faults struct {
	// unread are objects that cannot be decoded or taken in, and uncompiled those that cannot be compiled.
	unread, uncompiled map[string]error
	log                *slog.Logger
	// step is called before each contained step; nil but in tests.
	step func(what, key string)
}

func newFaults() *faults {
	return &faults{unread: map[string]error{}, uncompiled: map[string]error{}, log: slog.New(slog.DiscardHandler)}
}

// read takes in a change, and takes the object for deleted if that panics.
func (f *faults) read(change Change, take func(Change) error) error {
	err := f.try("taking in an object", change.Key, func() error { return take(change) })
	switch unreadable := (*broken)(nil); {
	case errors.Is(err, containment.ErrPanicked):
		_ = f.try("taking in that an object is gone", change.Key, func() error { return take(Change{Key: change.Key}) })
		f.set(f.unread, change.Key, err)
		return nil // which is logged already
	case errors.As(err, &unreadable):
		f.set(f.unread, change.Key, unreadable.reason)
	default:
		f.set(f.unread, change.Key, nil)
	}
	return err
}

func (f *faults) try(what, key string, work func() error) error {
	return containment.Do(f.log, what, func() error {
		if f.step != nil {
			f.step(what, key)
		}
		return work()
	}, "object", key)
}

// set notes why an object is left out, or with nil that it is not.
func (f *faults) set(of map[string]error, key string, err error) {
	if err != nil {
		of[key] = err
	} else {
		delete(of, key)
	}
}

// compiled compiles an object of a kind; where that panics it is nil.
func compiled[T any](f *faults, kind, id string, compile func() *T) *T {
	var made *T
	key := kind + "/" + id
	err := f.try("compiling an object", key, func() error { made = compile(); return nil })
	f.set(f.uncompiled, key, err)
	if err != nil {
		return nil
	}
	return made
}

// leftOut is the table of what is left out, with what depends on it: instances of a VPC, and associations of services,
// service networks and VPCs. It is nil, and free, as long as nothing is.
func (c *Compiler) leftOut() map[string]error {
	if len(c.faults.unread)+len(c.faults.uncompiled) == 0 {
		return nil
	}
	all := maps.Clone(c.faults.uncompiled)
	maps.Copy(all, c.faults.unread)
	follow := func(kind, id string, on ...string) {
		for _, key := range on {
			if reason := all[key]; reason != nil {
				all[kind+"/"+id] = fmt.Errorf("%s: %w", key, reason)
			}
		}
	}
	for id, i := range c.instances {
		follow(ec2.KindInstance, id, ec2.KindVPC+"/"+i.VPC)
	}
	for id, l := range c.serviceLinks {
		follow(lattice.KindServiceNetworkServiceAssociation.Name, id, lattice.KindService.Name+"/"+l.member.id,
			lattice.KindServiceNetwork.Name+"/"+l.network.id)
	}
	for id, l := range c.vpcLinks {
		follow(lattice.KindServiceNetworkVPCAssociation.Name, id, ec2.KindVPC+"/"+l.member.id,
			lattice.KindServiceNetwork.Name+"/"+l.network.id)
	}
	for id, r := range c.resources.configurations {
		follow(lattice.KindResourceConfiguration.Name, id, lattice.KindResourceGateway.Name+"/"+r.ResourceGatewayID)
	}
	for id, a := range c.resources.associations {
		follow(lattice.KindServiceNetworkResourceAssociation.Name, id,
			lattice.KindResourceConfiguration.Name+"/"+a.ResourceConfigurationID,
			lattice.KindServiceNetwork.Name+"/"+a.ServiceNetworkID)
	}
	for id, l := range c.balancers.objects {
		follow(elbv2.KindLoadBalancer, id, ec2.KindVPC+"/"+l.VPC)
	}
	return all
}
