package packetfilter

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
)

// Enforcer has the kernel enforce filters in one network namespace. A change is one transaction of nftables: a packet
// is judged by the filter before or by the one after it. One that is too large for a transaction is made ready in a
// table of its own, which takes the place of the other in one.
type Enforcer struct {
	router Router
	run    func(func() error) error // in the namespace
	conn   *nftables.Conn

	mu       sync.Mutex // guards what follows
	compiler compiler
	model    *Model
	cutBy    *Model    // the model by which connections were last cut
	now      *compiled // what the kernel has; nil if it has no table
	table    *nftables.Table
	tables   int
	before   Counts // of what the kernel does not have any more
}

// What goes in one transaction. The kernel takes one message of it, of at most the size of a socket's buffer, and
// answers with one for each part.
const (
	batchBytes    = 384 << 10 // of elements
	batchElements = 3000      // in a table that is filled
	batchRules    = 100
	partElements  = 400
	socketBuffer  = 4 << 20 // asked for; twice what a host's net.core.wmem_max is, in most of them 416 KiB, is enough
)

// NewEnforcer makes an enforcer that filters nothing yet. What it is given runs a function in the network namespace.
func NewEnforcer(run func(func() error) error, r Router) (*Enforcer, error) {
	e := &Enforcer{router: r, run: run}
	e.compiler.numbers = map[string]uint32{}
	e.model, _ = NewModel(nil, r)
	e.cutBy = e.model
	err := run(func() (err error) {
		tune()
		e.conn, err = nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
			return errors.Join(c.SetWriteBuffer(socketBuffer), c.SetReadBuffer(socketBuffer))
		}))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reach nftables: %w", err)
	}
	return e, nil
}

// Close gives up the enforcer and leaves the kernel's filter as it is: it ends with its namespace.
func (e *Enforcer) Close() error { return e.conn.CloseLasting() }

// Apply has the kernel enforce a filter; nil is none. Connections that passed by the filter before go on, but for those
// that AWS does not track, whose rules are gone. After an error the filter before is still enforced.
func (e *Enforcer) Apply(f *Filter) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if f == nil {
		return e.clear()
	}
	if e.now != nil && e.now.filter == f {
		return e.cut()
	}
	model, err := NewModel(f, e.router)
	if err != nil {
		return err
	}
	next := e.compiler.compile(f, e.router, e.now)
	if n := next.size(); n > maxElements {
		return fmt.Errorf("the filter has %d elements of at most %d; use fewer rules or prefix lists", n, maxElements)
	}
	d := difference(e.now, next)
	if e.now == nil || d.bytes() > batchBytes || d.rules() > batchRules {
		err = e.replace(next)
	} else {
		err = e.change(d)
	}
	if err != nil {
		return fmt.Errorf("change nftables: %w", err)
	}
	e.now, e.model = next, model
	return e.cut()
}

// clear removes the filter.
func (e *Enforcer) clear() error {
	if e.now == nil {
		return nil
	}
	e.conn.DelTable(e.table)
	if err := e.conn.Flush(); err != nil {
		return fmt.Errorf("remove the table of nftables: %w", err)
	}
	e.now, e.table, e.before = nil, nil, Counts{}
	e.model, _ = NewModel(nil, e.router)
	e.cutBy = e.model
	return nil
}

// change makes the difference in one transaction.
func (e *Enforcer) change(d delta) error {
	kept := e.before.clone()
	if err := e.countACLs(&kept, d.removedChains); err != nil {
		return err
	}
	for name, c := range d.addedChains {
		e.addChain(e.table, name, chainRules(c))
	}
	if err := errors.Join(e.elements(e.table, d.removed, true), e.elements(e.table, d.added, false)); err != nil {
		return err
	}
	for name := range d.removedChains {
		e.conn.DelChain(&nftables.Chain{Name: name, Table: e.table})
	}
	err := e.conn.Flush()
	if err == nil {
		e.before = kept
	}
	return err
}

// replace makes another table, without the chains at the hooks, and then these in the transaction that removes the
// table before. A table that was not completed is removed with the error.
func (e *Enforcer) replace(next *compiled) error {
	kept := e.before.clone()
	if e.now != nil {
		if err := e.countAll(&kept); err != nil {
			return err
		}
	}
	e.tables++
	table := &nftables.Table{Name: "pergola-" + strconv.Itoa(e.tables), Family: nftables.TableFamilyINet}
	err := e.fill(table, next)
	if err == nil {
		if e.table != nil {
			e.conn.DelTable(e.table)
		}
		for _, h := range hooks {
			first, second := hookRules(h.own)
			e.addHook(table, h.hook, h.name+"-from", 0, first)
			e.addHook(table, h.hook, h.name+"-to", 1, second)
		}
		err = e.conn.Flush()
	}
	if err != nil {
		e.conn.DelTable(table)
		return errors.Join(err, e.conn.Flush())
	}
	e.table, e.before = table, kept
	return nil
}

// fill makes a table with all that a filter has, in several transactions: nothing leads there yet.
func (e *Enforcer) fill(table *nftables.Table, next *compiled) error {
	e.conn.AddTable(table)
	for s := range sets {
		if err := e.conn.AddSet(setOf(table, set(s)), nil); err != nil {
			return err
		}
	}
	common := commonChains()
	for name := range common {
		e.conn.AddChain(&nftables.Chain{Name: name, Table: table})
	}
	for name, rules := range common {
		e.addRules(table, name, rules)
	}
	if err := e.conn.Flush(); err != nil {
		return err
	}
	chains, elements := map[string]chain{}, map[elementKey]element{}
	for _, p := range next.pieces {
		maps.Copy(chains, p.chains)
		maps.Copy(elements, p.elements)
	}
	for name, c := range chains {
		e.conn.AddChain(&nftables.Chain{Name: name, Table: table})
		for some := range slices.Chunk(chainRules(c), batchRules) {
			e.addRules(table, name, some)
			if err := e.conn.Flush(); err != nil {
				return err
			}
		}
	}
	for some := range slices.Chunk(slices.Collect(maps.Keys(elements)), batchElements) {
		part := make(map[elementKey]element, len(some))
		for _, key := range some {
			part[key] = elements[key]
		}
		if err := e.elements(table, part, false); err != nil {
			return err
		}
		if err := e.conn.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func (e *Enforcer) addHook(t *nftables.Table, hook *nftables.ChainHook, name string, priority int, rules []rule) {
	at, policy := nftables.ChainPriority(priority), nftables.ChainPolicyAccept
	e.conn.AddChain(&nftables.Chain{Name: name, Table: t, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: &at,
		Policy: &policy})
	e.addRules(t, name, rules)
}

func (e *Enforcer) addChain(t *nftables.Table, name string, rules []rule) {
	e.conn.AddChain(&nftables.Chain{Name: name, Table: t})
	e.addRules(t, name, rules)
}

func (e *Enforcer) addRules(t *nftables.Table, name string, rules []rule) {
	for _, r := range rules {
		e.conn.AddRule(&nftables.Rule{Table: t, Chain: &nftables.Chain{Name: name, Table: t}, Exprs: r})
	}
}

// rules is how many rules the chains have that are added.
func (d *delta) rules() (n int) {
	for _, c := range d.addedChains {
		n += len(chainRules(c))
	}
	return n
}

// setOf is a set as the library has it.
func setOf(t *nftables.Table, s set) *nftables.Set {
	is := sets[s]
	of := &nftables.Set{ID: uint32(s) + 1, Name: is.name, Table: t, Interval: is.interval, Counter: is.counts,
		KeyType: nftables.SetDatatype{Bytes: uint32(is.key)}}
	switch {
	case is.value == verdict:
		of.IsMap, of.DataType = true, nftables.TypeVerdict
	case is.value > 0:
		of.IsMap, of.DataType = true, nftables.SetDatatype{Bytes: uint32(is.value)}
	}
	return of
}

// elements adds or removes elements. Intervals come in their order, each with its end.
func (e *Enforcer) elements(t *nftables.Table, all map[elementKey]element, remove bool) error {
	bySet := map[set][]string{}
	for key := range all {
		bySet[key.set] = append(bySet[key.set], key.key)
	}
	for s, keys := range bySet {
		slices.Sort(keys)
		for some := range slices.Chunk(keys, partElements) {
			var list []nftables.SetElement
			for _, key := range some {
				is := all[elementKey{s, key}]
				list = append(list, nftables.SetElement{Key: []byte(key)})
				if !remove {
					is.give(s, &list[len(list)-1])
				}
				if is.end != "" {
					list = append(list, nftables.SetElement{Key: []byte(is.end), IntervalEnd: true})
				}
			}
			apply := e.conn.SetAddElements
			if remove {
				apply = e.conn.SetDeleteElements
			}
			if err := apply(setOf(t, s), list); err != nil {
				return err
			}
		}
	}
	return nil
}

// give gives an element its value.
func (is element) give(s set, to *nftables.SetElement) {
	switch {
	case sets[s].value == verdict:
		kind := expr.VerdictGoto
		if is.returns {
			kind = expr.VerdictJump
		}
		to.VerdictData = &expr.Verdict{Kind: kind, Chain: is.value}
	case sets[s].value > 0:
		to.Val = []byte(is.value)
	}
}

// Judge judges a flow and its answers by the filter that is enforced.
func (e *Enforcer) Judge(f Flow) []Step {
	e.mu.Lock()
	model := e.model
	e.mu.Unlock()
	return model.Connection(f)
}

// Drops are the packets dropped since the filter was first applied, by gate and rule. An interface that is removed
// takes its counts along.
func (e *Enforcer) Drops() ([]Drop, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.before.clone()
	if e.now != nil {
		if err := e.countAll(&all); err != nil {
			return nil, fmt.Errorf("read the counters of nftables: %w", err)
		}
	}
	return all.Drops(), nil
}

// countAll adds up what the table counts.
func (e *Enforcer) countAll(into *Counts) error {
	for _, p := range e.now.acls {
		if err := e.countACLs(into, p.chains); err != nil {
			return err
		}
	}
	strays, err := e.chainCounts(straysChain)
	if err != nil {
		return err
	}
	for _, n := range strays {
		into.add(Drop{Gate: NoConnection}, n)
	}
	return e.countEnds(into)
}

// countACLs adds up what chains of ACLs dropped; other chains it leaves out.
func (e *Enforcer) countACLs(into *Counts, chains map[string]chain) error {
	for name, c := range chains {
		if c.acl == "" {
			continue
		}
		counted, err := e.chainCounts(name)
		if err != nil {
			return err
		}
		denying := []string{}
		for _, r := range c.rules {
			if r.Deny {
				denying = append(denying, strconv.Itoa(r.Number))
			}
		}
		denying = append(denying, "*")
		for i, n := range counted[:min(len(counted), len(denying))] {
			into.add(Drop{Gate: c.gate, At: c.acl, Rule: denying[i]}, n)
		}
	}
	return nil
}

// chainCounts are the counts of the rules of a chain that count.
func (e *Enforcer) chainCounts(name string) (all []tally, err error) {
	rules, err := e.conn.GetRules(e.table, &nftables.Chain{Name: name, Table: e.table})
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		for _, part := range r.Exprs {
			if c, ok := part.(*expr.Counter); ok {
				all = append(all, tally{c.Packets, c.Bytes})
			}
		}
	}
	return all, nil
}

// countEnds adds up what the groups of interfaces and doors dropped.
func (e *Enforcer) countEnds(into *Counts) error {
	for _, s := range []set{egressDrops4, egressDrops6, ingressDrops4, ingressDrops6} {
		elements, err := e.conn.GetSetElements(setOf(e.table, s))
		if err != nil {
			return err
		}
		for _, is := range elements {
			address, _ := netip.AddrFromSlice(is.Key)
			at := e.model.ends[address]
			if at == nil || is.Counter == nil {
				continue
			}
			gate := at.ingress()
			if s == egressDrops4 || s == egressDrops6 {
				gate = EgressGroups
			}
			into.add(Drop{Gate: gate, At: at.ID}, tally{is.Counter.Packets, is.Counter.Bytes})
		}
	}
	return nil
}
