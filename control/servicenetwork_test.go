package control

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pergola/lattice"
)

func TestServiceNetworkLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	created := must(w.CreateServiceNetwork(w.ctx, w.caller, &lattice.CreateServiceNetworkRequest{
		Name: "retail", SharingConfig: &lattice.SharingConfig{Enabled: new(true)},
	}))
	if created.AuthType != lattice.AuthNone || !strings.HasPrefix(created.ID, "sn-") || !*created.SharingConfig.Enabled {
		t.Errorf("created %+v", created)
	}
	if want := "arn:aws:vpc-lattice:us-west-2:100000000001:servicenetwork/" + created.ID; created.ARN != want {
		t.Errorf("ARN is %s, want %s", created.ARN, want)
	}
	birth := w.clock
	w.clock = w.clock.Add(time.Hour)
	updated := must(w.UpdateServiceNetwork(w.ctx, w.caller, &lattice.UpdateServiceNetworkRequest{
		ServiceNetworkIdentifier: created.ARN, AuthType: lattice.AuthIAM,
	}))
	if updated.AuthType != lattice.AuthIAM || updated.Name != "retail" {
		t.Errorf("updated %+v", updated)
	}
	got := must(w.GetServiceNetwork(w.ctx, w.caller, &lattice.GetServiceNetworkRequest{ServiceNetworkIdentifier: created.ID}))
	if !got.CreatedAt.Equal(birth) || !got.LastUpdatedAt.Equal(w.clock) || got.AuthType != lattice.AuthIAM {
		t.Errorf("got %+v", got)
	}
	must(w.DeleteServiceNetwork(w.ctx, w.caller, &lattice.DeleteServiceNetworkRequest{ServiceNetworkIdentifier: created.ID}))
	_, err := w.GetServiceNetwork(w.ctx, w.caller, &lattice.GetServiceNetworkRequest{ServiceNetworkIdentifier: created.ID})
	refused(t, err, lattice.NotFound, created.ID)
	if left := w.keys(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestServiceNetworkCountsItsAssociationsAndIsKeptByThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network, vpc, service := w.network("retail"), w.vpc("clients"), w.service("parking")
	ofVPC, ofService := w.associateVPC(network, vpc), w.associate(network, service)
	w.settleNow()
	got := must(w.GetServiceNetwork(w.ctx, w.caller, &lattice.GetServiceNetworkRequest{ServiceNetworkIdentifier: network}))
	listed := must(w.ListServiceNetworks(w.ctx, w.caller, &lattice.ListServiceNetworksRequest{})).Items[0]
	if got.NumberOfAssociatedVPCs != 1 || got.NumberOfAssociatedServices != 1 ||
		listed.NumberOfAssociatedVPCs != 1 || listed.NumberOfAssociatedServices != 1 {
		t.Errorf("got %+v, listed %+v", got, listed)
	}
	remove := func() error {
		_, err := w.DeleteServiceNetwork(w.ctx, w.caller, &lattice.DeleteServiceNetworkRequest{ServiceNetworkIdentifier: network})
		return err
	}
	refused(t, remove(), lattice.Conflict, "ServiceNetwork "+network+" has VPC(s) associated")
	must(w.DeleteServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.DeleteServiceNetworkVPCAssociationRequest{Identifier: ofVPC}))
	refused(t, remove(), lattice.Conflict, "has VPC(s) associated") // until it is gone
	w.settleNow()
	refused(t, remove(), lattice.Conflict, "has service(s) associated")
	must(w.DeleteServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.DeleteServiceNetworkServiceAssociationRequest{Identifier: ofService}))
	w.settleNow()
	if err := remove(); err != nil {
		t.Error(err)
	}
}

func TestNamesAreUniqueByAccountAndKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.network("retail")
	_, err := w.CreateServiceNetwork(w.ctx, w.caller, &lattice.CreateServiceNetworkRequest{Name: "retail"})
	if e := refused(t, err, lattice.Conflict, "retail"); e.ResourceID != first || e.ResourceType != "SERVICE_NETWORK" {
		t.Errorf("the conflict is with %s %s, want %s", e.ResourceType, e.ResourceID, first)
	}
	w.service("retail")
	_, err = w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "retail"})
	refused(t, err, lattice.Conflict, "SERVICE with name retail already exists")
	w.groupOf("retail", lattice.TargetLambda, lattice.TargetGroupConfig{})
	_, err = w.CreateTargetGroup(w.ctx, w.caller, &lattice.CreateTargetGroupRequest{Name: "retail", Type: lattice.TargetLambda})
	refused(t, err, lattice.Conflict, "TARGET_GROUP with name retail already exists")
	w.caller = callerOf(other)
	w.network("retail")
	w.service("retail")
}

func TestQuotasOfAnAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quotaOf{lattice.QuotaServiceNetworks, 2}, quotaOf{lattice.QuotaServices, 2}, quotaOf{lattice.QuotaTargetGroups, 2})
	for i := range 2 {
		w.network(fmt.Sprint("net-", i))
		w.service(fmt.Sprint("app-", i))
		w.groupOf(fmt.Sprint("group-", i), lattice.TargetLambda, lattice.TargetGroupConfig{})
	}
	_, err := w.CreateServiceNetwork(w.ctx, w.caller, &lattice.CreateServiceNetworkRequest{Name: "net-2"})
	if e := refused(t, err, lattice.QuotaExceeded, "L-9CAD07FB"); e.QuotaCode != "L-9CAD07FB" || e.ResourceType != "SERVICE_NETWORK" {
		t.Errorf("got %+v", e)
	}
	_, err = w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "app-2"})
	refused(t, err, lattice.QuotaExceeded, "L-620C821E")
	_, err = w.CreateTargetGroup(w.ctx, w.caller, &lattice.CreateTargetGroupRequest{Name: "group-2", Type: lattice.TargetLambda})
	refused(t, err, lattice.QuotaExceeded, "L-BB11C6B9")
	w.caller = callerOf(other)
	w.network("net-2") // another account has quotas of its own
}

// race calls f several times at once and returns the errors of those that failed.
func race(n int, f func(i int) error) (failed []error) {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

func TestOfRacingCreationsOfOneNameExactlyOneWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	failed := race(8, func(int) error {
		_, err := w.CreateServiceNetwork(w.ctx, w.caller, &lattice.CreateServiceNetworkRequest{Name: "retail"})
		return err
	})
	if len(failed) != 7 {
		t.Errorf("%d of 8 failed, want 7", len(failed))
	}
	for _, err := range failed {
		refused(t, err, lattice.Conflict, "retail")
	}
}

func TestRacingCreationsDoNotExceedAQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quotaOf{lattice.QuotaServices, 3})
	failed := race(8, func(i int) error {
		_, err := w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: fmt.Sprint("app-", i)})
		return err
	})
	if len(failed) != 5 {
		t.Errorf("%d of 8 failed, want 5", len(failed))
	}
	for _, err := range failed {
		refused(t, err, lattice.QuotaExceeded, "")
	}
	if n := len(must(w.ListServices(w.ctx, w.caller, &lattice.ListServicesRequest{})).Items); n != 3 {
		t.Errorf("%d services exist, want 3", n)
	}
}
