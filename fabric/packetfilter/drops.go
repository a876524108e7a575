package packetfilter

import (
	"cmp"
	"maps"
	"slices"
)

// Drop counts the packets that one gate dropped by one rule, named as a Step names them.
type Drop struct {
	Gate    Gate
	At      string
	Rule    string
	Packets uint64
	Bytes   uint64
}

// compareDrops orders drops by their names.
func compareDrops(a, b Drop) int {
	return cmp.Or(cmp.Compare(a.Gate, b.Gate), cmp.Compare(a.At, b.At), cmp.Compare(a.Rule, b.Rule))
}

// Counts add up what was dropped. The zero value has counted nothing.
type Counts struct {
	of map[Drop]tally // by drops without their numbers
}

// tally is what was dropped.
type tally struct{ packets, bytes uint64 }

// Add counts packets that a step dropped.
func (c *Counts) Add(s Step, packets uint64) {
	c.add(Drop{Gate: s.Gate, At: s.At, Rule: s.Rule}, tally{packets: packets})
}

func (c *Counts) add(name Drop, n tally) {
	if n.packets == 0 {
		return
	}
	if c.of == nil {
		c.of = map[Drop]tally{}
	}
	sum := c.of[name]
	c.of[name] = tally{sum.packets + n.packets, sum.bytes + n.bytes}
}

// Drops are the counts in order.
func (c *Counts) Drops() []Drop {
	drops := make([]Drop, 0, len(c.of))
	for d, n := range c.of {
		d.Packets, d.Bytes = n.packets, n.bytes
		drops = append(drops, d)
	}
	slices.SortFunc(drops, compareDrops)
	return drops
}

func (c *Counts) clone() Counts { return Counts{maps.Clone(c.of)} }
