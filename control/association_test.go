package control

import (
	"fmt"
	"testing"
	"time"

	"pergola/lattice"
)

func TestServiceAssociationLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network, service := w.network("retail"), w.serviceWithDomain("parking", "parking.example.com")
	created := must(w.CreateServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkServiceAssociationRequest{
		ServiceNetworkIdentifier: network, ServiceIdentifier: service, // still in creation
	}))
	if created.Status != lattice.StatusCreateInProgress || created.CreatedBy != account || created.CustomDomainName != "parking.example.com" || created.DNSEntry.DomainName == "" {
		t.Errorf("created %+v", created)
	}
	remove := func() (*lattice.DeleteServiceNetworkServiceAssociationResponse, error) {
		return w.DeleteServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.DeleteServiceNetworkServiceAssociationRequest{Identifier: created.ARN})
	}
	_, err := remove()
	refused(t, err, lattice.Conflict, "CREATE_IN_PROGRESS")
	w.settleNow()
	got := must(w.GetServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.GetServiceNetworkServiceAssociationRequest{Identifier: created.ID}))
	if got.Status != lattice.StatusActive || got.ServiceName != "parking" || got.ServiceNetworkName != "retail" || got.ServiceID != service {
		t.Errorf("got %+v", got)
	}
	if gone := must(remove()); gone.Status != lattice.StatusDeleteInProgress {
		t.Errorf("deleted %+v", gone)
	}
	_, err = remove()
	refused(t, err, lattice.Conflict, "DELETE_IN_PROGRESS")
	again := &lattice.CreateServiceNetworkServiceAssociationRequest{ServiceNetworkIdentifier: network, ServiceIdentifier: service}
	_, err = w.CreateServiceNetworkServiceAssociation(w.ctx, w.caller, again)
	refused(t, err, lattice.Conflict, "already associated")
	w.settleNow()
	must(w.CreateServiceNetworkServiceAssociation(w.ctx, w.caller, again))
}

func TestCustomDomainNamesAreUniqueInANetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network, elsewhere := w.network("retail"), w.network("staging")
	first, second := w.serviceWithDomain("first", "parking.example.com"), w.serviceWithDomain("second", "parking.example.com")
	w.associate(network, first)
	w.associate(elsewhere, second)
	_, err := w.CreateServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkServiceAssociationRequest{ServiceNetworkIdentifier: network, ServiceIdentifier: second})
	refused(t, err, lattice.Conflict, "Custom domain name parking.example.com is already in service network "+network)
}

func TestListServiceAssociations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	retail, staging, parking, rates := w.network("retail"), w.network("staging"), w.service("parking"), w.service("rates")
	w.associate(retail, parking)
	w.associate(retail, rates)
	w.associate(staging, parking)
	for _, test := range []struct {
		in   lattice.ListServiceNetworkServiceAssociationsRequest
		want int
	}{
		{lattice.ListServiceNetworkServiceAssociationsRequest{ServiceNetworkIdentifier: retail}, 2},
		{lattice.ListServiceNetworkServiceAssociationsRequest{ServiceIdentifier: parking}, 2},
		{lattice.ListServiceNetworkServiceAssociationsRequest{ServiceNetworkIdentifier: staging, ServiceIdentifier: parking}, 1},
		{lattice.ListServiceNetworkServiceAssociationsRequest{ServiceNetworkIdentifier: staging, ServiceIdentifier: rates}, 0},
	} {
		if items := must(w.ListServiceNetworkServiceAssociations(w.ctx, w.caller, &test.in)).Items; len(items) != test.want {
			t.Errorf("%+v lists %v", test.in, items)
		}
	}
	_, err := w.ListServiceNetworkServiceAssociations(w.ctx, w.caller, &lattice.ListServiceNetworkServiceAssociationsRequest{})
	refused(t, err, lattice.Validation, "service network or a service")
	_, err = w.ListServiceNetworkServiceAssociations(w.ctx, w.caller, &lattice.ListServiceNetworkServiceAssociationsRequest{ServiceIdentifier: id("svc-", "none")})
	refused(t, err, lattice.NotFound, "SERVICE")
	_, err = w.ListServiceNetworkServiceAssociations(w.ctx, w.caller, &lattice.ListServiceNetworkServiceAssociationsRequest{ServiceNetworkIdentifier: id("sn-", "none")})
	refused(t, err, lattice.NotFound, "SERVICE_NETWORK")
}

func TestVPCAssociationLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network, vpc := w.network("retail"), w.vpc("clients")
	web, api := w.securityGroup("web", vpc), w.securityGroup("api", vpc)
	created := must(w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkVPCAssociationRequest{
		ServiceNetworkIdentifier: network, VPCIdentifier: vpc, SecurityGroupIDs: []string{web},
	}))
	if created.Status != lattice.StatusCreateInProgress || created.CreatedBy != account || *created.PrivateDNSEnabled || created.DNSOptions != nil {
		t.Errorf("created %+v", created)
	}
	update := func(in lattice.UpdateServiceNetworkVPCAssociationRequest) (*lattice.UpdateServiceNetworkVPCAssociationResponse, error) {
		in.Identifier = created.ID
		return w.UpdateServiceNetworkVPCAssociation(w.ctx, w.caller, &in)
	}
	remove := func() error {
		_, err := w.DeleteServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.DeleteServiceNetworkVPCAssociationRequest{Identifier: created.ID})
		return err
	}
	_, err := update(lattice.UpdateServiceNetworkVPCAssociationRequest{SecurityGroupIDs: []string{api}})
	refused(t, err, lattice.Conflict, "CREATE_IN_PROGRESS")
	w.settleNow()
	_, err = update(lattice.UpdateServiceNetworkVPCAssociationRequest{SecurityGroupIDs: []string{}})
	refused(t, err, lattice.Validation, "SecurityGroupIds cannot be empty")
	_, err = update(lattice.UpdateServiceNetworkVPCAssociationRequest{})
	refused(t, err, lattice.Validation, "SecurityGroupIds cannot be empty")
	w.clock = w.clock.Add(time.Hour)
	if got := must(update(lattice.UpdateServiceNetworkVPCAssociationRequest{SecurityGroupIDs: []string{api, web}})); got.Status != lattice.StatusUpdateInProgress || len(got.SecurityGroupIDs) != 2 {
		t.Errorf("updated %+v", got)
	}
	refused(t, remove(), lattice.Conflict, "UPDATE_IN_PROGRESS")
	w.settleNow()
	got := must(w.GetServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.GetServiceNetworkVPCAssociationRequest{Identifier: created.ARN}))
	if got.Status != lattice.StatusActive || !got.LastUpdatedAt.Equal(w.clock) || got.VPCID != vpc || got.ServiceNetworkName != "retail" {
		t.Errorf("got %+v", got)
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	refused(t, remove(), lattice.Conflict, "DELETE_IN_PROGRESS")
	_, err = w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: w.network("other"), VPCIdentifier: vpc})
	refused(t, err, lattice.Conflict, "VPC has already been associated to a service network.") // until the deletion is complete
	w.settleNow()
	w.associateVPC(network, vpc)
}

func TestRefusedVPCAssociations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network, vpc, elsewhere := w.network("retail"), w.vpc("clients"), w.vpc("elsewhere")
	good, foreign := w.securityGroup("good", vpc), w.securityGroup("foreign", elsewhere)
	for what, test := range map[string]struct {
		in   lattice.CreateServiceNetworkVPCAssociationRequest
		kind lattice.ErrorKind
		says string
	}{
		"no such network": {lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: id("sn-",
			"none"), VPCIdentifier: vpc}, lattice.NotFound, "SERVICE_NETWORK"},
		"no such VPC": {lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: network,
			VPCIdentifier: id("vpc-", "none")}, lattice.NotFound, "VPC"},
		"no such security group": {lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: network,
			VPCIdentifier: vpc, SecurityGroupIDs: []string{id("sg-", "none")}}, lattice.NotFound, "SECURITY_GROUP"},
		"another VPC's group": {lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: network,
			VPCIdentifier: vpc, SecurityGroupIDs: []string{good, foreign}}, lattice.Validation, "securityGroupIds[1]"},
		"a group twice": {lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: network,
			VPCIdentifier: vpc, SecurityGroupIDs: []string{good, good}}, lattice.Validation, "twice"},
		"options without DNS": {lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: network,
			VPCIdentifier: vpc, DNSOptions: &lattice.DNSOptions{}}, lattice.Validation, "private DNS"},
		"domains without need": {lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: network,
			VPCIdentifier: vpc, PrivateDNSEnabled: new(true),
			DNSOptions: &lattice.DNSOptions{PrivateDNSSpecifiedDomains: []string{"a.b"}}}, lattice.Validation,
			"privateDnsSpecifiedDomains"},
		"domains that are needed": {lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: network,
			VPCIdentifier: vpc, PrivateDNSEnabled: new(true),
			DNSOptions: &lattice.DNSOptions{PrivateDNSPreference: lattice.PreferSpecified}}, lattice.Validation,
			"privateDnsSpecifiedDomains"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller, &test.in)
			refused(t, err, test.kind, test.says)
		})
	}
}

func TestPrivateDNS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	association := must(w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkVPCAssociationRequest{
		ServiceNetworkIdentifier: w.network("retail"), VPCIdentifier: w.vpc("clients"), PrivateDNSEnabled: new(true),
	}))
	if association.DNSOptions.PrivateDNSPreference != lattice.PreferVerified {
		t.Errorf("created %+v", association.DNSOptions)
	}
	update := func(in lattice.UpdateServiceNetworkVPCAssociationRequest) *lattice.UpdateServiceNetworkVPCAssociationResponse {
		w.settleNow()
		in.Identifier = association.ID
		return must(w.UpdateServiceNetworkVPCAssociation(w.ctx, w.caller, &in))
	}
	specified := &lattice.DNSOptions{PrivateDNSPreference: lattice.PreferSpecified,
		PrivateDNSSpecifiedDomains: []string{"*.example.com"}}
	if got := update(lattice.UpdateServiceNetworkVPCAssociationRequest{
		DNSOptions: specified}); got.DNSOptions.PrivateDNSPreference != lattice.PreferSpecified {
		t.Errorf("updated %+v", got.DNSOptions)
	}
	if got := update(lattice.UpdateServiceNetworkVPCAssociationRequest{
		PrivateDNSEnabled: new(true)}); got.DNSOptions.PrivateDNSPreference != lattice.PreferSpecified {
		t.Errorf("what is not given must stay: %+v", got.DNSOptions)
	}
	if got := update(lattice.UpdateServiceNetworkVPCAssociationRequest{PrivateDNSEnabled: new(false)}); *got.PrivateDNSEnabled || got.DNSOptions != nil {
		t.Errorf("turned off: %+v", got)
	}
}

func TestListVPCAssociations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network, first, second := w.network("retail"), w.vpc("first"), w.vpc("second")
	w.associateVPC(network, first)
	w.associateVPC(network, second)
	for _, test := range []struct {
		in   lattice.ListServiceNetworkVPCAssociationsRequest
		want int
	}{
		{lattice.ListServiceNetworkVPCAssociationsRequest{ServiceNetworkIdentifier: network}, 2},
		{lattice.ListServiceNetworkVPCAssociationsRequest{VPCIdentifier: first}, 1},
		{lattice.ListServiceNetworkVPCAssociationsRequest{ServiceNetworkIdentifier: w.network("other"), VPCIdentifier: first}, 0},
	} {
		if items := must(w.ListServiceNetworkVPCAssociations(w.ctx, w.caller, &test.in)).Items; len(items) != test.want {
			t.Errorf("%+v lists %v", test.in, items)
		}
	}
	_, err := w.ListServiceNetworkVPCAssociations(w.ctx, w.caller, &lattice.ListServiceNetworkVPCAssociationsRequest{})
	refused(t, err, lattice.Validation, "service network or a VPC")
}

func TestQuotasOfAServiceNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quotaOf{lattice.QuotaServiceAssociations, 2}, quotaOf{lattice.QuotaVPCAssociations, 2})
	network := w.network("retail")
	for i := range 2 {
		w.associate(network, w.service(fmt.Sprint("app-", i)))
		w.associateVPC(network, w.vpc(fmt.Sprint("vpc-", i)))
	}
	_, err := w.CreateServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkServiceAssociationRequest{ServiceNetworkIdentifier: network, ServiceIdentifier: w.service("app-2")})
	refused(t, err, lattice.QuotaExceeded, "L-75D4A19E")
	_, err = w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: network, VPCIdentifier: w.vpc("vpc-2")})
	refused(t, err, lattice.QuotaExceeded, "L-EF6E2D62")
}

func TestRacingAssociationsOfOneVPC(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc, networks := w.vpc("clients"), []string{w.network("one"), w.network("two"), w.network("three")}
	failed := race(len(networks), func(i int) error {
		_, err := w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: networks[i], VPCIdentifier: vpc})
		return err
	})
	if len(failed) != 2 {
		t.Errorf("%d of 3 failed, want 2", len(failed))
	}
	for _, err := range failed {
		refused(t, err, lattice.Conflict, "VPC has already been associated to a service network.")
	}
}
