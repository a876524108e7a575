package fabric

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"pergola/addressing"
	"pergola/containment"
)

// vpc is a VPC that exists. Its instances are guarded by Fabric.mu.
type vpc struct {
	VPC       // as it was declared; Instances is not used
	router    *seat
	gate      router // the router's place
	instances map[string]*instance
	filter    filtering
}

// instance is an instance that exists.
type instance struct {
	Instance
	seat       *seat
	shortLived bool // made by Start for one program, unknown to Apply
}

// Apply makes exactly these VPCs and instances exist. What is already there stays as it is and costs a map lookup; what is
// not named goes, with its programs and sockets. A VPC whose CIDR changed, or an instance whose address changed, is made
// anew. A short-lived instance ends when its address is wanted.
//
// A VPC's filter holds before an instance that it protects is made, and takes the place of the one before all at once.
//
// What fails, fails alone: it is in the result, by the place that could not be made or removed, and all the rest has
// been applied. The same call tries again what is missing. The instances of a VPC that failed, or whose filter did, are
// not tried and not named: what the VPC had before, it has. What has not been made when ctx ends has failed with
// containment.ErrUntried. A fabric that is closed fails at the zero Place.
func (f *Fabric) Apply(ctx context.Context, vpcs []VPC) (failed containment.Failures[Place]) {
	f.changing.Lock()
	defer f.changing.Unlock()
	if f.isClosed() {
		failed.Note(Place{}, fmt.Errorf("fabric: apply: %w", net.ErrClosed))
		return failed
	}
	wanted := make(map[string]netip.Prefix, len(vpcs))
	for _, w := range vpcs {
		wanted[w.ID] = w.CIDR
	}
	for _, v := range f.all() {
		if wanted[v.ID] != v.CIDR {
			failed.Try(context.WithoutCancel(ctx), f.log, "removing a VPC", Place{VPC: v.ID},
				func() error { return f.removeVPC(v) })
		}
	}
	seen := make(map[string]bool, len(vpcs))
	for _, w := range vpcs {
		if seen[w.ID] {
			failed.Note(Place{VPC: w.ID}, fmt.Errorf("fabric: VPC %q is given twice; give it once", w.ID))
			continue
		}
		seen[w.ID] = true
		if f.vpc(w.ID) != nil || failed.Try(ctx, f.log, "making a VPC", Place{VPC: w.ID},
			func() error { return f.addVPC(w) }) {
			f.applyVPC(ctx, w, &failed)
		}
	}
	return failed
}

// applyVPC makes exactly the instances exist that are wanted of a VPC. The caller holds changing.
func (f *Fabric) applyVPC(ctx context.Context, w VPC, failed *containment.Failures[Place]) {
	v := f.vpc(w.ID)
	ids, addresses := make(map[string]netip.Addr, len(w.Instances)), make(map[netip.Addr]bool, len(w.Instances))
	for _, i := range w.Instances {
		if ids[i.ID].IsValid() || addresses[i.Address] {
			failed.Note(Place{w.ID, i.ID}, fmt.Errorf("fabric: instance %s or its address %v is in %s twice; give it once", i.ID,
				i.Address, w.ID))
			continue
		}
		ids[i.ID], addresses[i.Address] = i.Address, true
	}
	present := f.instancesOf(v)
	for _, i := range present {
		if i.shortLived && addresses[i.Address] || !i.shortLived && ids[i.ID] != i.Address {
			delete(present, i.ID)
			failed.Try(context.WithoutCancel(ctx), f.log, "removing an instance", Place{w.ID, i.ID},
				func() error { return f.removeInstance(v, i) })
		}
	}
	filter := f.filterOf(v, w.Filter)
	if filter.whole != v.filter.whole && !failed.Try(ctx, f.log, "filtering a VPC", Place{VPC: w.ID},
		func() error { return f.enforce(v, filter) }) {
		return
	}
	for _, i := range w.Instances {
		if present[i.ID] == nil && ids[i.ID] == i.Address {
			failed.Try(ctx, f.log, "making an instance", Place{w.ID, i.ID}, func() error { return f.addWanted(v, i) })
		}
	}
}

// addVPC makes a VPC without instances. The caller holds changing.
func (f *Fabric) addVPC(w VPC) error {
	err := cmp.Or(addressing.CheckID(w.ID), addressing.CheckVPC(w.CIDR))
	if err != nil {
		return fmt.Errorf("fabric: make %s: %w", w.ID, err)
	}
	p, err := f.network.addRouter(w)
	if err != nil {
		return fmt.Errorf("fabric: make %s: %w", w.ID, err)
	}
	v := &vpc{VPC: VPC{ID: w.ID, CIDR: w.CIDR}, router: newSeat(p), gate: p, instances: map[string]*instance{}}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.vpcs[w.ID] = v
	return nil
}

// addWanted makes an instance that Apply was asked for. The caller holds changing.
func (f *Fabric) addWanted(v *vpc, i Instance) error {
	err := cmp.Or(addressing.CheckID(i.ID), addressing.CheckInstance(v.CIDR, i.Address))
	if err != nil {
		return fmt.Errorf("fabric: make %s in %s: %w", i.ID, v.ID, err)
	}
	_, err = f.addInstance(v, i, false)
	return err
}

// addInstance makes an instance. The caller holds changing.
func (f *Fabric) addInstance(v *vpc, i Instance, shortLived bool) (*instance, error) {
	p, err := f.network.addInstance(v.gate, v.VPC, i)
	if err != nil {
		return nil, fmt.Errorf("fabric: make %s in %s: %w", i.ID, v.ID, err)
	}
	made := &instance{Instance: i, seat: newSeat(p), shortLived: shortLived}
	f.mu.Lock()
	defer f.mu.Unlock()
	v.instances[i.ID] = made
	return made, nil
}

// addShortLived makes an instance at the highest free address of a VPC.
func (f *Fabric) addShortLived(id string) (*vpc, *instance, error) {
	f.changing.Lock()
	defer f.changing.Unlock()
	v := f.vpc(id)
	if v == nil {
		return nil, nil, fmt.Errorf("%s: %w", id, ErrNoPlace)
	}
	used := map[netip.Addr]bool{}
	for _, i := range f.instancesOf(v) {
		used[i.Address] = true
	}
	for n := addressing.Size(v.CIDR) - 2; n >= addressing.ReservedHead; n-- {
		if a := addressing.Nth(v.CIDR, n); !used[a] {
			b := a.As4()
			wanted := Instance{ID: fmt.Sprintf("i-exec-%02x%02x%02x%02x", b[0], b[1], b[2], b[3]), Address: a}
			if err := f.enforce(v, f.filterOf(v, v.filter.declared, wanted)); err != nil {
				return nil, nil, err
			}
			i, err := f.addInstance(v, wanted, true)
			return v, i, err
		}
	}
	return nil, nil, fmt.Errorf("%s has no free address in %v; remove an instance", id, v.CIDR)
}

// dropShortLived removes an instance made by addShortLived, unless that has happened already.
func (f *Fabric) dropShortLived(v *vpc, i *instance) error {
	f.changing.Lock()
	defer f.changing.Unlock()
	if f.instancesOf(v)[i.ID] != i {
		return nil
	}
	return f.removeInstance(v, i)
}

// removeInstance ends an instance with all that is in it. The caller holds changing.
func (f *Fabric) removeInstance(v *vpc, i *instance) error {
	f.forget(v, i)
	if err := i.seat.remove(); err != nil {
		return fmt.Errorf("fabric: remove %s from %s: %w", i.ID, v.ID, err)
	}
	return nil
}

func (f *Fabric) forget(v *vpc, i *instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(v.instances, i.ID)
}

// removeVPC ends a VPC, its instances first. The caller holds changing.
func (f *Fabric) removeVPC(v *vpc) error {
	var errs []error
	for _, i := range f.instancesOf(v) {
		errs = append(errs, f.removeInstance(v, i))
	}
	f.forgetVPC(v)
	if err := v.router.remove(); err != nil {
		errs = append(errs, fmt.Errorf("fabric: remove %s: %w", v.ID, err))
	}
	return errors.Join(errs...)
}

func (f *Fabric) forgetVPC(v *vpc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.vpcs, v.ID)
}

func (f *Fabric) isClosed() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.closed
}

func (f *Fabric) all() []*vpc {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return slices.Collect(maps.Values(f.vpcs))
}

func (f *Fabric) vpc(id string) *vpc {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.vpcs[id]
}

// instancesOf is a copy of a VPC's instances by id.
func (f *Fabric) instancesOf(v *vpc) map[string]*instance {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return maps.Clone(v.instances)
}

// addressOf is the address of an instance, or of a router, that exists.
func (f *Fabric) addressOf(p Place) netip.Addr {
	f.mu.RLock()
	defer f.mu.RUnlock()
	v := f.vpcs[p.VPC]
	switch {
	case v == nil:
		return netip.Addr{}
	case v.instances[p.Instance] != nil:
		return v.instances[p.Instance].Address
	}
	return addressing.Router(v.CIDR)
}

// seat finds the place that a Place names.
func (f *Fabric) seat(p Place) (*seat, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	v := f.vpcs[p.VPC]
	if v == nil {
		return nil, fmt.Errorf("%v: %w", p, ErrNoPlace)
	}
	if p.Instance == "" {
		return v.router, nil
	}
	if i := v.instances[p.Instance]; i != nil {
		return i.seat, nil
	}
	return nil, fmt.Errorf("%v: %w", p, ErrNoPlace)
}
