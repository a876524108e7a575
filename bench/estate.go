package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"time"

	"pergola/aws/iam"
	"pergola/control"
	iamcontrol "pergola/control/iam"
	"pergola/control/operation"
	"pergola/control/settling"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/store"
)

// estate is what a deployment has been filled with.
type estate struct {
	Network string  `json:"network"` // id
	Probes  []probe `json:"probes"`
}

// probe is a service with room for one more rule.
type probe struct {
	Service  string `json:"service"`  // id
	Listener string `json:"listener"` // id
	Domain   string `json:"domain"`
}

// probes is how many services have room for one more rule, at most.
const probes = 16

// builders is how many services are made at once.
const builders = 8

// fillStore makes services in a service network, with the control plane's own operations but without its front door, and
// without waiting for the disk. More of them are joined in one service network than the quotas of an account allow.
func fillStore(ctx context.Context, dir string, size estateSize) (made estate, err error) {
	objects, err := store.Open(ctx, store.Config{Dir: filepath.Join(dir, "etcd"), NoSync: true})
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, objects.Close()) }()
	if _, err := sealing.Make(filepath.Join(dir, "sealing.key")); err != nil { // a store with data must have one
		return made, err
	}
	b := &builder{
		ctx: ctx, size: size,
		control: control.New(control.Config{Config: operation.Config{Store: objects, Region: region, Quotas: map[string]int{
			lattice.QuotaServices.Code: size.services, lattice.QuotaServiceAssociations.Code: size.services,
			lattice.QuotaRules.Code: size.rules,
		}}}),
		// The root user of the account may do everything.
		caller: iam.Caller{
			Account: iamcontrol.ManagementAccount, ARN: "arn:aws:iam::" + iamcontrol.ManagementAccount + ":root", Type: iam.TypeAccount,
		},
	}
	network, err := b.control.CreateServiceNetwork(ctx, b.caller, &lattice.CreateServiceNetworkRequest{Name: "bench"})
	if err != nil {
		return made, err
	}
	b.made.Network = network.ID
	if err := b.build(); err != nil {
		return made, err
	}
	return b.made, b.settle(objects)
}

// region is that of all deployments here.
const region = "us-west-2"

// builder makes services.
type builder struct {
	ctx     context.Context
	size    estateSize
	control *control.Control
	caller  iam.Caller

	mu   sync.Mutex // guards made.Probes
	made estate
}

// build makes all services, several at once.
func (b *builder) build() error {
	failures := make([]error, builders)
	var working sync.WaitGroup
	for worker := range builders {
		working.Go(func() {
			for i := worker; i < b.size.services && failures[worker] == nil; i += builders {
				failures[worker] = b.makeService(i)
			}
		})
	}
	working.Wait()
	return errors.Join(failures...)
}

func (b *builder) makeService(i int) error {
	service, err := b.control.CreateService(b.ctx, b.caller, &lattice.CreateServiceRequest{Name: fmt.Sprintf("bench-%05d", i)})
	if err != nil {
		return err
	}
	listener, err := b.control.CreateListener(b.ctx, b.caller, &lattice.CreateListenerRequest{
		ServiceIdentifier: service.ID, Name: "http", Protocol: lattice.ProtocolHTTP, Port: 80, DefaultAction: fixed(404),
	})
	if err != nil {
		return err
	}
	rules := b.size.rules
	if i < probes {
		rules--
		b.mu.Lock()
		b.made.Probes = append(b.made.Probes, probe{service.ID, listener.ID, service.DNSEntry.DomainName})
		b.mu.Unlock()
	}
	for rule := range rules {
		path := fmt.Sprintf("/%d/", rule)
		_, err := b.control.CreateRule(b.ctx, b.caller, &lattice.CreateRuleRequest{
			ServiceIdentifier: service.ID, ListenerIdentifier: listener.ID,
			Name: fmt.Sprintf("path-%d", rule), Priority: int32(rule + 1), Action: fixed(500),
			Match: lattice.RuleMatch{HTTPMatch: &lattice.HTTPMatch{
				Method: "GET", PathMatch: &lattice.PathMatch{Match: lattice.PathMatchType{Prefix: &path}},
			}},
		})
		if err != nil {
			return err
		}
	}
	_, err = b.control.CreateServiceNetworkServiceAssociation(b.ctx, b.caller, &lattice.CreateServiceNetworkServiceAssociationRequest{
		ServiceIdentifier: service.ID, ServiceNetworkIdentifier: b.made.Network,
	})
	return err
}

func fixed(status int32) lattice.RuleAction {
	return lattice.RuleAction{FixedResponse: &lattice.FixedResponseAction{StatusCode: status}}
}

// settle makes everything ACTIVE that has been made: in the place of the nodes, since none runs yet, it reports
// that all is served.
func (b *builder) settle(objects *store.Store) error {
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	lease, err := objects.Lease(ctx, time.Minute)
	if err != nil {
		return err
	}
	if err := lease.Put(ctx, lattice.NodeReportKey("bench"), fmt.Appendf(nil, `{"applied":%d}`, math.MaxInt64)); err != nil {
		return err
	}
	settled := make(chan error, 1)
	settler := settling.New(settling.Config{Store: objects, Rows: control.Rows()})
	go func() { settled <- settler.Run(ctx) }()
	for {
		done, err := b.isSettled()
		if err != nil {
			return err
		}
		if done {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	cancel()
	return errors.Join(<-settled, lease.Close(b.ctx))
}

// isSettled reports whether all services and associations are ACTIVE.
func (b *builder) isSettled() (bool, error) {
	page := lattice.Page{MaxResults: 100}
	for {
		services, err := b.control.ListServices(b.ctx, b.caller, &lattice.ListServicesRequest{Page: page})
		if err != nil {
			return false, err
		}
		for _, service := range services.Items {
			if service.Status != lattice.StatusActive {
				return false, nil
			}
		}
		if page.NextToken = services.NextToken; page.NextToken == "" {
			break
		}
	}
	for page.NextToken = ""; ; {
		associations, err := b.control.ListServiceNetworkServiceAssociations(b.ctx, b.caller,
			&lattice.ListServiceNetworkServiceAssociationsRequest{ServiceNetworkIdentifier: b.made.Network, Page: page})
		if err != nil {
			return false, err
		}
		for _, association := range associations.Items {
			if association.Status != lattice.StatusActive {
				return false, nil
			}
		}
		if page.NextToken = associations.NextToken; page.NextToken == "" {
			return true, nil
		}
	}
}
