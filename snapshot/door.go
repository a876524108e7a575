package snapshot

import (
	"iter"
	"net/netip"
	"slices"

	"pergola/addressing"
)

// Door is a way for the clients of a VPC to reach a service network: addresses of the VPC at which nodes listen, on
// each port on which some service of the network does. An association of the VPC makes one. A VPC may have several, and
// they may lead to several networks.
type Door struct {
	// Key is the key of the object that makes the door, such as "servicenetworkvpcassociation/snva-…". No other door of
	// the VPC has it.
	Key string
	// Entries are the addresses of the door, in the order in which the resolver tells them. There is always one.
	Entries []Entry
	// Network is what the door leads to.
	Network *Network
	// PrivateDNS is which custom domains of the network's resources clients know.
	PrivateDNS PrivateDNS
}

// Entry is one address of a door.
type Entry struct {
	// Interface is the id of the VPC's interface that has the address; "" is the VPC's router.
	Interface string
	Address   netip.Addr
}

// DoorPort names one port of a door. A connection keeps it, and finds in each snapshot where it leads then.
type DoorPort struct {
	VPC string
	// Door is the door's Key.
	Door string
	Port uint16
}

// Door is the door of the VPC with a key, or nil. It does not allocate. A nil VPC has no doors.
func (v *VPC) Door(key string) *Door {
	if v == nil {
		return nil
	}
	for i := range v.Doors {
		if v.Doors[i].Key == key {
			return &v.Doors[i]
		}
	}
	return nil
}

// DoorTo is the door through which clients of the VPC reach the service with a name, and the service; nil if there is
// none. Where several doors lead to the name it is the oldest: the resolver gives out its addresses, so it is the one
// through which requests come. Neither the case of letters nor one trailing dot counts. It does not allocate. A nil VPC
// has no doors.
func (v *VPC) DoorTo(name []byte) (*Door, *Service) {
	if v == nil || len(v.Doors) == 0 {
		return nil, nil
	}
	var folded [maxName]byte
	name = foldName(&folded, name)
	for i := range v.Doors {
		if s := v.Doors[i].Network.Names.GetBytes(name); s != nil {
			return &v.Doors[i], s
		}
	}
	return nil, nil
}

// Port is a port on which the door listens, or nil. A nil Door has none.
func (d *Door) Port(number uint16) *Port {
	if d == nil {
		return nil
	}
	return d.Network.Ports[number]
}

// Openings are the ports at which a node listens for the clients of the VPC, each with its addresses: those of its
// doors, and one for all resources, if it reaches any.
func (v *VPC) Openings() iter.Seq2[DoorPort, []Entry] {
	return func(yield func(DoorPort, []Entry) bool) {
		for i := range v.Doors {
			for port := range v.Doors[i].Network.Ports {
				if !yield(DoorPort{v.ID, v.Doors[i].Key, port}, v.Doors[i].Entries) {
					return
				}
			}
		}
		if v.reachesAny() {
			yield(DoorPort{v.ID, ResourceDoor, 0}, resourceEntries)
		}
	}
}

// Opening are the addresses of one of the Openings, or none where it is none. A nil VPC has none.
func (v *VPC) Opening(of DoorPort) []Entry {
	if v != nil && of.Door == ResourceDoor && v.reachesAny() {
		return resourceEntries
	}
	if door := v.Door(of.Door); door.Port(of.Port) != nil {
		return door.Entries
	}
	return nil
}

// IPv4 are the IPv4 addresses of the door.
func (d *Door) IPv4() (all []netip.Addr) {
	for _, e := range d.Entries {
		if e.Address.Is4() {
			all = append(all, e.Address)
		}
	}
	return all
}

// entriesOf are the entries of the door that an association makes at the router of its VPC.
func entriesOf(kept netip.Addr) []Entry {
	address := addressing.DoorOf(kept)
	return []Entry{{Address: address}, {Address: addressing.Spell(addressing.ServiceNetworks6, address)}}
}

// same reports whether two doors differ in nothing.
func (d Door) same(other Door) bool {
	return d.Key == other.Key && d.Network == other.Network && slices.Equal(d.Entries, other.Entries) &&
		d.PrivateDNS == other.PrivateDNS
}
