// Package dns answers for the names of services and load balancers inside each VPC, and for those in hosted zones, from
// the snapshot, and passes all other questions on.
//
// The private hosted zones of a VPC come first: within the one with the longest name, what it does not have does not
// exist. Then come services and load balancers, and then public hosted zones.
//
// A service is reached at the same link-local addresses in every VPC; which names exist depends on the service
// network that the VPC is associated with (user guide, "How VPC Lattice works"). The names under the deployment's own
// suffix are never asked for elsewhere: one that is not in the VPC's service network does not exist.
package dns

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"

	"golang.org/x/net/dns/dnsmessage"

	"pergola/bound"
	"pergola/containment"
	"pergola/lattice"
	"pergola/snapshot"
)

// Config is what a Server needs.
type Config struct {
	// Region is the deployment's; it decides which names are the deployment's own.
	Region string
	// Snapshot is the current snapshot. It is called once for every question and must not block.
	Snapshot func() *snapshot.Snapshot
	// Forward answers the questions for names that are not the deployment's, such as Forwarder.Forward. network is how
	// the question came, "udp" or "tcp". The response must carry the id of the query. Nil: such names do not exist.
	Forward func(ctx context.Context, query []byte, network string) ([]byte, error)
	// Random is a number from 0 up to a number, by which one of several alternatives is chosen. It is called from any
	// goroutine. Nil: math/rand/v2.
	Random func(below int) int
	// Logger takes failures to forward. Nil: nobody does.
	Logger *slog.Logger
}

// maxForwards is how many questions may be with the forwarder at once, over all VPCs, shared out as bound.Pool says,
// and maxClientForwards how many of one client. Further ones are refused with SERVFAIL, and resolvers ask again.
const (
	maxForwards       = 512
	maxClientForwards = 128
)

// Server answers the questions of any number of VPCs.
type Server struct {
	snapshot func() *snapshot.Snapshot
	forward  func(ctx context.Context, query []byte, network string) ([]byte, error)
	random   func(below int) int
	log      *slog.Logger
	// forwards are the questions that are with the forwarder, and streams the connections that are open.
	forwards, streams *bound.Pool
	// zone is the suffix of all generated names, with its final dot, and below the same after a dot.
	zone  dnsmessage.Name
	below []byte
}

// New makes a Server.
func New(config Config) *Server {
	log := config.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	random := config.Random
	if random == nil {
		random = rand.IntN
	}
	zone := dnsmessage.MustNewName(lattice.DomainSuffix(config.Region) + ".")
	return &Server{
		snapshot: config.Snapshot,
		forward:  config.Forward,
		random:   random,
		log:      log,
		forwards: bound.NewPool(int64(containment.Portion(maxForwards, 16)), maxClientForwards),
		streams:  bound.NewPool(int64(containment.Portion(maxStreams, 16)), maxClientStreams),
		zone:     zone,
		below:    append([]byte("."), text(&zone)...),
	}
}

// text is a name as dnsmessage holds it: labels and dots, the final one included.
func text(name *dnsmessage.Name) []byte { return name.Data[:name.Length] }

// isZone reports whether the name is the zone of the generated names.
func (s *Server) isZone(name *dnsmessage.Name) bool {
	return bytes.EqualFold(text(name), text(&s.zone))
}

// inZone reports whether the name is the zone or below it.
func (s *Server) inZone(name *dnsmessage.Name) bool {
	at := int(name.Length) - len(s.below)
	return s.isZone(name) || at >= 0 && bytes.EqualFold(text(name)[at:], s.below)
}
