package packetfilter

import "maps"

// delta is what must change in the kernel.
type delta struct {
	added, removed             map[elementKey]element
	addedChains, removedChains map[string]chain
}

// difference is what leads from one compiled filter, which may be nil, to another.
func difference(from, to *compiled) delta {
	d := delta{map[elementKey]element{}, map[elementKey]element{}, map[string]chain{}, map[string]chain{}}
	var before map[string]*piece
	if from != nil {
		before = from.pieces
	}
	for name, p := range to.pieces {
		if old := before[name]; old != p {
			d.step(old, p)
		}
	}
	for name, old := range before {
		if to.pieces[name] == nil {
			d.step(old, nil)
		}
	}
	d.settle(from, to)
	return d
}

// step notes what one piece adds and what its predecessor removes.
func (d *delta) step(old, p *piece) {
	if old == nil {
		old = &piece{}
	}
	if p == nil {
		p = &piece{}
	}
	for key, e := range p.elements {
		if was, ok := old.elements[key]; !ok || was != e {
			d.added[key] = e
		}
	}
	for key, e := range old.elements {
		if is, ok := p.elements[key]; !ok || is != e {
			d.removed[key] = e
		}
	}
	maps.Copy(d.addedChains, p.chains)
	maps.Copy(d.removedChains, old.chains)
}

// settle leaves out what one piece takes over from another, and chains that others use: those of shapes are shared.
func (d *delta) settle(from, to *compiled) {
	for key, e := range d.added {
		if was, ok := d.removed[key]; ok && was == e {
			delete(d.added, key)
			delete(d.removed, key)
		}
	}
	if len(d.addedChains)+len(d.removedChains) == 0 {
		return
	}
	before, now := from.chains(), to.chains()
	maps.DeleteFunc(d.addedChains, func(name string, _ chain) bool { return before[name] })
	maps.DeleteFunc(d.removedChains, func(name string, _ chain) bool { return now[name] })
}

// bytes is about how much the messages about the elements of a delta are.
func (d *delta) bytes() (n int) {
	for _, of := range []map[elementKey]element{d.added, d.removed} {
		for key, e := range of {
			n += 12 + len(key.key) + 12 + len(e.value)
			if e.end != "" {
				n += 20 + len(e.end)
			}
		}
	}
	return n
}

// chains are the names of all chains that a filter has.
func (c *compiled) chains() map[string]bool {
	names := map[string]bool{}
	if c != nil {
		for _, p := range c.pieces {
			for name := range p.chains {
				names[name] = true
			}
		}
	}
	return names
}

// size is the number of elements of a filter.
func (c *compiled) size() (n int) {
	for _, p := range c.pieces {
		n += len(p.elements)
	}
	return n
}
