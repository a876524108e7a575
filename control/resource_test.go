package control

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pergola/addressing"
	"pergola/aws/ec2"
	"pergola/aws/iam"
	control "pergola/control/ec2"
	"pergola/lattice"
	"pergola/store"
)

// gateway makes a gateway in the subnet of a VPC of the world, with a security group of its own.
func (w *world) gateway(name, vpc string) string {
	return must(w.CreateResourceGateway(w.ctx, w.caller, w.gatewayOf(name, vpc))).ID
}

func (w *world) gatewayOf(name, vpc string) *lattice.CreateResourceGatewayRequest {
	var subnet string
	w.write(func(tx *store.Tx) error {
		entries, _, err := references.List(tx, vpc+"/subnet-", "", 1)
		subnet = lattice.IDOf(entries[0].ID)
		return err
	})
	return &lattice.CreateResourceGatewayRequest{Name: name, VPCIdentifier: vpc, SubnetIDs: []string{subnet},
		SecurityGroupIDs: []string{w.securityGroup("gates-of-"+name, vpc)}}
}

func single(name, gateway string) *lattice.CreateResourceConfigurationRequest {
	return &lattice.CreateResourceConfigurationRequest{Name: name, Type: lattice.ResourceSingle,
		ResourceGatewayIdentifier: gateway, PortRanges: []string{"5432"},
		ResourceConfigurationDefinition: address("10.0.1.20")}
}

func address(a string) *lattice.ResourceConfigurationDefinition {
	return &lattice.ResourceConfigurationDefinition{IPResource: &lattice.IPResource{IPAddress: a}}
}

func groupOfResources(name, gateway string) *lattice.CreateResourceConfigurationRequest {
	return &lattice.CreateResourceConfigurationRequest{Name: name, Type: lattice.ResourceGroup,
		ResourceGatewayIdentifier: gateway}
}

func child(name, group string) *lattice.CreateResourceConfigurationRequest {
	return &lattice.CreateResourceConfigurationRequest{Name: name, Type: lattice.ResourceChild,
		ResourceConfigurationGroupIdentifier: group, PortRanges: []string{"5432"},
		ResourceConfigurationDefinition: address("10.0.1.21")}
}

func (w *world) configuration(in *lattice.CreateResourceConfigurationRequest) string {
	w.t.Helper()
	return must(w.CreateResourceConfiguration(w.ctx, w.caller, in)).ID
}

func (w *world) resource(name, gateway string) string { return w.configuration(single(name, gateway)) }

func (w *world) associateResource(network, resource string) string {
	return must(w.CreateServiceNetworkResourceAssociation(w.ctx, w.caller,
		&lattice.CreateServiceNetworkResourceAssociationRequest{ServiceNetworkIdentifier: network,
			ResourceConfigurationIdentifier: resource})).ID
}

func (w *world) verification(domain string) string {
	return must(w.StartDomainVerification(w.ctx, w.caller, &lattice.StartDomainVerificationRequest{DomainName: domain})).ID
}

func (w *world) deleteResource(id string) error {
	_, err := w.DeleteResourceConfiguration(w.ctx, w.caller,
		&lattice.DeleteResourceConfigurationRequest{ResourceConfigurationIdentifier: id})
	return err
}

// TestGatewayLife has a gateway in a VPC as EC2 makes one, so that what EC2 keeps of it is seen too.
func TestGatewayLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := control.New(w.Config)
	vpc := must(e.CreateVPC(w.ctx, w.caller, &ec2.CreateVPCRequest{CIDRBlock: "10.0.0.0/16"})).VPC.ID
	subnet := func(cidr string) string {
		return must(e.CreateSubnet(w.ctx, w.caller, &ec2.CreateSubnetRequest{VPCID: vpc, CIDRBlock: cidr})).Subnet.ID
	}
	first, second := subnet("10.0.1.0/28"), subnet("10.0.2.0/28")
	created := must(w.CreateResourceGateway(w.ctx, w.caller, &lattice.CreateResourceGatewayRequest{Name: "way",
		VPCIdentifier: vpc, SubnetIDs: []string{second, first}}))
	if created.Status != lattice.StatusCreateInProgress || created.VPCIdentifier != vpc ||
		!slices.Equal(created.SubnetIDs, []string{second, first}) || len(created.SecurityGroupIDs) != 1 ||
		created.IPAddressType != "IPV4" || created.IPv4AddressesPerEni != 16 ||
		created.ResourceConfigDNSResolution != "PUBLIC" || !strings.HasPrefix(created.ID, "rgw-") {
		t.Errorf("created %+v", created)
	}
	w.settleNow()
	get := func() (*lattice.GetResourceGatewayResponse, error) {
		return w.GetResourceGateway(w.ctx, w.caller,
			&lattice.GetResourceGatewayRequest{ResourceGatewayIdentifier: created.ARN})
	}
	if got := must(get()); got.Status != lattice.StatusActive || got.VPCID != vpc || got.ServiceManaged {
		t.Errorf("got %+v", got)
	}
	if _, err := e.DeleteSubnet(w.ctx, w.caller, &ec2.DeleteSubnetRequest{ID: first}); err == nil {
		t.Error("a subnet with a gateway is deleted")
	}
	_, err := e.RunInstances(w.ctx, w.caller, &ec2.RunInstancesRequest{ImageID: "ami-1", SubnetID: first,
		MinCount: new(int32(1)), MaxCount: new(int32(1)), PrivateAddress: "10.0.1.4"})
	if err == nil {
		t.Error("an instance takes the address of a gateway")
	}
	group := must(e.CreateSecurityGroup(w.ctx, w.caller, &ec2.CreateSecurityGroupRequest{VPCID: vpc, Name: "web",
		Description: "web"})).ID
	updated := must(w.UpdateResourceGateway(w.ctx, w.caller, &lattice.UpdateResourceGatewayRequest{
		ResourceGatewayIdentifier: created.ID, SecurityGroupIDs: []string{group}, ResourceConfigDNSResolution: "IN_VPC"}))
	if updated.Status != lattice.StatusUpdateInProgress || !slices.Equal(updated.SecurityGroupIDs, []string{group}) ||
		updated.ResourceConfigDNSResolution != "IN_VPC" {
		t.Errorf("updated %+v", updated)
	}
	if _, err := e.DeleteSecurityGroup(w.ctx, w.caller, &ec2.DeleteSecurityGroupRequest{ID: group}); err == nil {
		t.Error("a security group of a gateway is deleted")
	}
	_, err = w.UpdateResourceGateway(w.ctx, w.caller,
		&lattice.UpdateResourceGatewayRequest{ResourceGatewayIdentifier: created.ID})
	refused(t, err, lattice.Conflict, "UPDATE_IN_PROGRESS")
	w.settleNow()
	remove := &lattice.DeleteResourceGatewayRequest{ResourceGatewayIdentifier: created.ID}
	if gone := must(w.DeleteResourceGateway(w.ctx, w.caller, remove)); gone.Status != lattice.StatusDeleteInProgress {
		t.Errorf("deleted %+v", gone)
	}
	w.settleNow()
	_, err = get()
	refused(t, err, lattice.NotFound, created.ID)
	must(e.DeleteSecurityGroup(w.ctx, w.caller, &ec2.DeleteSecurityGroupRequest{ID: group}))
	must(e.DeleteSubnet(w.ctx, w.caller, &ec2.DeleteSubnetRequest{ID: first}))
	must(e.DeleteSubnet(w.ctx, w.caller, &ec2.DeleteSubnetRequest{ID: second}))
	must(e.DeleteVPC(w.ctx, w.caller, &ec2.DeleteVPCRequest{ID: vpc}))
}

func TestGatewaysThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quotaOf{lattice.QuotaResourceGateways, 1})
	vpc, elsewhere := w.vpc("fleet"), w.vpc("yard")
	for says, change := range map[string]func(*lattice.CreateResourceGatewayRequest){
		"vpcIdentifier: is required":      func(in *lattice.CreateResourceGatewayRequest) { in.VPCIdentifier = "" },
		"subnetIds: is required":          func(in *lattice.CreateResourceGatewayRequest) { in.SubnetIDs = nil },
		"IPv4 addresses only":             func(in *lattice.CreateResourceGatewayRequest) { in.IPAddressType = "DUALSTACK" },
		"is not a subnet of " + elsewhere: func(in *lattice.CreateResourceGatewayRequest) { in.VPCIdentifier = elsewhere },
		"is in the list twice": func(in *lattice.CreateResourceGatewayRequest) {
			in.SubnetIDs = append(
				in.SubnetIDs, in.SubnetIDs[0])
		},
		"is not a security group of " + vpc: func(in *lattice.CreateResourceGatewayRequest) {
			in.SecurityGroupIDs = []string{w.securityGroup("y", elsewhere)}
		},
		"the key \"aws:x\" is reserved": func(in *lattice.CreateResourceGatewayRequest) {
			in.Tags = lattice.Tags{
				"aws:x": ""}
		},
	} {
		in := w.gatewayOf("way", vpc)
		change(in)
		_, err := w.CreateResourceGateway(w.ctx, w.caller, in)
		refused(t, err, lattice.Validation, says)
	}
	w.gateway("way", vpc)
	_, err := w.CreateResourceGateway(w.ctx, w.caller, w.gatewayOf("way", elsewhere))
	refused(t, err, lattice.Conflict, "RESOURCE_GATEWAY with name way already exists")
	_, err = w.CreateResourceGateway(w.ctx, w.caller, w.gatewayOf("other", vpc))
	refused(t, err, lattice.QuotaExceeded, "L-0DCA4434")
	w.gateway("other", elsewhere)
}

// TestAttributesGoWithTheType gives every type each attribute that it cannot have, and leaves out each that it needs.
func TestAttributesGoWithTheType(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	gateway := w.gateway("way", vpc)
	in := w.gatewayOf("inside", vpc)
	in.ResourceConfigDNSResolution = "IN_VPC"
	inside := must(w.CreateResourceGateway(w.ctx, w.caller, in)).ID
	group := w.configuration(groupOfResources("group", gateway))
	verification := w.verification("example.com")
	set := map[string]func(*lattice.CreateResourceConfigurationRequest, bool){
		"resourceGatewayIdentifier": func(in *lattice.CreateResourceConfigurationRequest, on bool) {
			in.ResourceGatewayIdentifier = map[bool]string{true: gateway}[on]
		},
		"resourceConfigurationGroupIdentifier": func(in *lattice.CreateResourceConfigurationRequest, on bool) {
			in.ResourceConfigurationGroupIdentifier = map[bool]string{true: group}[on]
		},
		"resourceConfigurationDefinition": func(in *lattice.CreateResourceConfigurationRequest, on bool) {
			in.ResourceConfigurationDefinition = map[bool]*lattice.ResourceConfigurationDefinition{
				true: address("10.0.1.20")}[on]
		},
		"portRanges": func(in *lattice.CreateResourceConfigurationRequest, on bool) {
			in.PortRanges = map[bool][]string{true: {"80"}}[on]
		},
		"allowAssociationToShareableServiceNetwork": func(in *lattice.CreateResourceConfigurationRequest, _ bool) {
			in.AllowAssociationToShareableServiceNetwork = new(false)
		},
		"customDomainName": func(in *lattice.CreateResourceConfigurationRequest,
			_ bool) {
			in.CustomDomainName = "db.example.com"
		},
		"groupDomain": func(in *lattice.CreateResourceConfigurationRequest, _ bool) { in.GroupDomain = "example.com" },
		"domainVerificationIdentifier": func(in *lattice.CreateResourceConfigurationRequest, _ bool) {
			in.DomainVerificationIdentifier = verification
		},
	}
	good := map[string]*lattice.CreateResourceConfigurationRequest{
		"SINGLE": single("single", gateway), "GROUP": groupOfResources("second", gateway), "CHILD": child("child", group),
		"ARN": {Name: "arn", Type: "ARN", ResourceGatewayIdentifier: gateway,
			ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{ARNResource: &lattice.ARNResource{
				ARN: "arn:aws:rds:us-west-2:100000000001:cluster:orders"}}},
		"CIDR": {Name: "cidr", Type: "CIDR", ResourceGatewayIdentifier: inside, PortRanges: []string{"1-65535"},
			Protocol: "TCP_UDP", ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{
				CIDRResource: &lattice.CIDRResource{CIDRRanges: []string{"10.0.0.0/16", "fd00::/64"}}}},
	}
	refusedOf := map[string]string{
		"SINGLE": "resourceConfigurationGroupIdentifier groupDomain",
		"GROUP":  "resourceConfigurationGroupIdentifier resourceConfigurationDefinition portRanges customDomainName",
		"CHILD": "resourceGatewayIdentifier allowAssociationToShareableServiceNetwork groupDomain " +
			"domainVerificationIdentifier",
		"ARN": "resourceConfigurationGroupIdentifier portRanges customDomainName groupDomain domainVerificationIdentifier",
		"CIDR": "resourceConfigurationGroupIdentifier allowAssociationToShareableServiceNetwork customDomainName " +
			"groupDomain " +
			"domainVerificationIdentifier",
	}
	neededOf := map[string]string{
		"SINGLE": "resourceGatewayIdentifier resourceConfigurationDefinition portRanges",
		"GROUP":  "resourceGatewayIdentifier",
		"CHILD":  "resourceConfigurationGroupIdentifier resourceConfigurationDefinition portRanges",
		"ARN":    "resourceGatewayIdentifier resourceConfigurationDefinition",
		"CIDR":   "resourceGatewayIdentifier resourceConfigurationDefinition portRanges",
	}
	for kind, in := range good {
		for field := range strings.FieldsSeq(refusedOf[kind]) {
			changed := *in
			set[field](&changed, true)
			_, err := w.CreateResourceConfiguration(w.ctx, w.caller, &changed)
			refused(t, err, lattice.Validation, fmt.Sprintf("Unexpected attribute %s for type %s", field, kind))
		}
		for field := range strings.FieldsSeq(neededOf[kind]) {
			changed := *in
			set[field](&changed, false)
			_, err := w.CreateResourceConfiguration(w.ctx, w.caller, &changed)
			refused(t, err, lattice.Validation, fmt.Sprintf("Missing attribute %s for type %s", field, kind))
		}
		for other, definition := range good {
			sameSort := strings.Contains("SINGLE CHILD", kind) && strings.Contains("SINGLE CHILD", other)
			if kind == "GROUP" || other == kind || other == "GROUP" || sameSort {
				continue
			}
			changed := *in
			changed.ResourceConfigurationDefinition = definition.ResourceConfigurationDefinition
			_, err := w.CreateResourceConfiguration(w.ctx, w.caller, &changed)
			refused(t, err, lattice.Validation, "Unexpected attribute ")
		}
		if _, err := w.CreateResourceConfiguration(w.ctx, w.caller, in); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	gateway := w.gateway("way", vpc)
	in := w.gatewayOf("inside", vpc)
	in.ResourceConfigDNSResolution = "IN_VPC"
	inside := must(w.CreateResourceGateway(w.ctx, w.caller, in)).ID
	group := groupOfResources("group", gateway)
	group.GroupDomain = "example.com"
	groupID, verification := w.configuration(group), w.verification("example.org")
	arn := &lattice.ResourceConfigurationDefinition{
		ARNResource: &lattice.ARNResource{ARN: "arn:aws:rds:us-west-2:100000000001:db:orders"}}
	type request = lattice.CreateResourceConfigurationRequest
	for says, change := range map[string]func(*request){
		"is not a private address":        func(in *request) { in.ResourceConfigurationDefinition = address("8.8.8.8") },
		"is an IPv6 address":              func(in *request) { in.ResourceConfigurationDefinition = address("fd00::1") },
		"\"10.0.0\" is no IP address":     func(in *request) { in.ResourceConfigurationDefinition = address("10.0.0") },
		"\"0\" is no port":                func(in *request) { in.PortRanges = []string{"0"} },
		"\"70000\" is no port":            func(in *request) { in.PortRanges = []string{"70000"} },
		"\"9-8\" is no port":              func(in *request) { in.PortRanges = []string{"9-8"} },
		"port 443 is in two ranges":       func(in *request) { in.PortRanges = []string{"400-500", "443"} },
		"TCP_UDP is only supported":       func(in *request) { in.Protocol = "TCP_UDP" },
		"goes with customDomainName":      func(in *request) { in.DomainVerificationIdentifier = verification },
		"customDomainName: \"db\" is not": func(in *request) { in.CustomDomainName = "db" },
		"in which db.example.com is not": func(in *request) {
			in.CustomDomainName, in.DomainVerificationIdentifier = "db.example.com", verification
		},
		"dnsResource.domainName: \"x\" is not": func(in *request) { in.ResourceConfigurationDefinition = named("x", "") },
		"dnsResource.ipAddressType: IPV6": func(in *request) {
			in.ResourceConfigurationDefinition = named(
				"db.example.com", "IPV6")
		},
		"not the ARN of a DB": func(in *request) {
			*in = request{Name: "a", Type: "ARN", ResourceGatewayIdentifier: gateway,
				ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{
					ARNResource: &lattice.ARNResource{ARN: "arn:aws:s3:us-west-2:100000000001:x"}}}
		},
		"type ARN needs a gateway": func(in *request) {
			*in = request{Name: "a", Type: "ARN", ResourceGatewayIdentifier: inside, ResourceConfigurationDefinition: arn}
		},
		"type CIDR needs a gateway":          func(in *request) { *in = ranges(gateway, "10.0.0.0/16") },
		"169.254.0.0/16, which are reserved": func(in *request) { *in = ranges(inside, "169.254.9.0/24") },
		"has to be the only range":           func(in *request) { *in = ranges(inside, "10.0.0.0/16", "::/0") },
		"is no range of addresses":           func(in *request) { *in = ranges(inside, "10.0.0.1/16") },
		"is of type SINGLE, and not a group": func(in *request) { *in = *child("c", w.resource("lone", gateway)) },
		"db.example.org is not a subdomain": func(in *request) {
			*in = *child("c",
				groupID)
			in.CustomDomainName = "db.example.org"
		},
		"example.com is not a subdomain of example": func(in *request) {
			*in = *child("c",
				groupID)
			in.CustomDomainName = "example.com"
		},
	} {
		in := single("database", gateway)
		change(in)
		_, err := w.CreateResourceConfiguration(w.ctx, w.caller, in)
		refused(t, err, lattice.Validation, says)
	}
}

func named(domain, family string) *lattice.ResourceConfigurationDefinition {
	return &lattice.ResourceConfigurationDefinition{DNSResource: &lattice.DNSResource{DomainName: domain,
		IPAddressType: family}}
}

func ranges(gateway string, of ...string) lattice.CreateResourceConfigurationRequest {
	return lattice.CreateResourceConfigurationRequest{Name: "cidr", Type: "CIDR", ResourceGatewayIdentifier: gateway,
		PortRanges: []string{"443"}, ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{
			CIDRResource: &lattice.CIDRResource{CIDRRanges: of}}}
}

// TestResourceLife goes through the life of a resource in a network: what is used cannot be deleted.
func TestResourceLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gateway, network := w.gateway("way", w.vpc("fleet")), w.network("retail")
	created := must(w.CreateResourceConfiguration(w.ctx, w.caller, single("database", gateway)))
	if created.Status != lattice.StatusCreateInProgress || created.Protocol != "TCP" ||
		created.ResourceGatewayID != gateway ||
		!*created.AllowAssociationToShareableServiceNetwork || created.CreatedAt.IsZero() {
		t.Errorf("created %+v", created)
	}
	association := must(w.CreateServiceNetworkResourceAssociation(w.ctx, w.caller,
		&lattice.CreateServiceNetworkResourceAssociationRequest{ServiceNetworkIdentifier: network,
			ResourceConfigurationIdentifier: created.ARN})) // still in creation
	if association.Status != lattice.StatusCreateInProgress || *association.PrivateDNSEnabled ||
		association.CreatedBy != account {
		t.Errorf("associated %+v", association)
	}
	w.settleNow()
	got := must(w.GetServiceNetworkResourceAssociation(w.ctx, w.caller,
		&lattice.GetServiceNetworkResourceAssociationRequest{Identifier: association.ARN}))
	want := association.ID + "." + created.ID + ".4232ccc.vpc-lattice-rsc.us-west-2.on.aws"
	if got.Status != lattice.StatusActive || got.DNSEntry.DomainName != want || got.DNSEntry.HostedZoneID == "" ||
		got.PrivateDNSEntry != nil || got.ResourceConfigurationName != "database" || got.ServiceNetworkName != "retail" {
		t.Errorf("got %+v", got)
	}
	_, err := w.CreateServiceNetworkResourceAssociation(w.ctx, w.caller,
		&lattice.CreateServiceNetworkResourceAssociationRequest{
			ServiceNetworkIdentifier: network, ResourceConfigurationIdentifier: created.ID})
	refused(t, err, lattice.Conflict, "already associated")
	if items := must(w.ListServiceNetworks(w.ctx, w.caller,
		&lattice.ListServiceNetworksRequest{})).Items; items[0].NumberOfAssociatedResourceConfigurations != 1 {
		t.Errorf("the network is %+v", items[0])
	}
	_, err = w.DeleteServiceNetwork(w.ctx, w.caller,
		&lattice.DeleteServiceNetworkRequest{ServiceNetworkIdentifier: network})
	refused(t, err, lattice.Conflict, "has resource configuration(s) associated")
	refused(t, w.deleteResource(created.ID), lattice.Conflict, "has service network(s) associated")
	_, err = w.DeleteResourceGateway(w.ctx, w.caller,
		&lattice.DeleteResourceGatewayRequest{ResourceGatewayIdentifier: gateway})
	refused(t, err, lattice.Conflict, "has resource configuration(s) associated")

	updated := must(w.UpdateResourceConfiguration(w.ctx, w.caller, &lattice.UpdateResourceConfigurationRequest{
		ResourceConfigurationIdentifier: created.ID, PortRanges: []string{"6000-6010"},
		ResourceConfigurationDefinition: named("Db.example.com", ""), AllowAssociationToShareableServiceNetwork: new(false)}))
	if updated.Status != lattice.StatusUpdateInProgress || updated.PortRanges[0] != "6000-6010" ||
		updated.ResourceConfigurationDefinition.DNSResource.IPAddressType != "IPV4" ||
		updated.ResourceConfigurationDefinition.IPResource != nil {
		t.Errorf("updated %+v", updated)
	}
	_, err = w.CreateServiceNetworkResourceAssociation(w.ctx, w.caller,
		&lattice.CreateServiceNetworkResourceAssociationRequest{
			ServiceNetworkIdentifier: w.network("staging"), ResourceConfigurationIdentifier: created.ID})
	refused(t, err, lattice.Validation, "a service network that can be shared")
	alone := must(w.CreateServiceNetwork(w.ctx, w.caller, &lattice.CreateServiceNetworkRequest{Name: "alone",
		SharingConfig: &lattice.SharingConfig{Enabled: new(false)}})).ID
	second := w.associateResource(alone, created.ID)
	w.settleNow()

	for _, id := range []string{association.ID, second} {
		must(w.DeleteServiceNetworkResourceAssociation(w.ctx, w.caller,
			&lattice.DeleteServiceNetworkResourceAssociationRequest{Identifier: id}))
	}
	refused(t, w.deleteResource(created.ID), lattice.Conflict, "has service network(s) associated")
	w.settleNow()
	for range 2 { // the second time is like the first
		if err := w.deleteResource(created.ID); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.CreateServiceNetworkResourceAssociation(w.ctx, w.caller,
		&lattice.CreateServiceNetworkResourceAssociationRequest{
			ServiceNetworkIdentifier: network, ResourceConfigurationIdentifier: created.ID})
	refused(t, err, lattice.Conflict, "DELETE_IN_PROGRESS")
	w.settleNow()
	must(w.DeleteResourceGateway(w.ctx, w.caller,
		&lattice.DeleteResourceGatewayRequest{ResourceGatewayIdentifier: gateway}))
	w.settleNow()
	for _, key := range w.keys() {
		for _, of := range []string{created.ID, association.ID, gateway, "resource-address"} {
			if strings.Contains(key, of) {
				t.Errorf("%s is left", key)
			}
		}
	}
}

// TestGroupsOfResources has children follow their group, in listings too, page by page.
func TestGroupsOfResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quotaOf{lattice.QuotaChildren, 3})
	gateway, network := w.gateway("way", w.vpc("fleet")), w.network("retail")
	in := groupOfResources("group", gateway)
	in.GroupDomain, in.DomainVerificationIdentifier = "example.com", w.verification("example.com")
	group, lone := w.configuration(in), w.resource("lone", gateway)
	var children []string
	for i := range 3 {
		in := child(fmt.Sprintf("child-%d", i), group)
		in.CustomDomainName = fmt.Sprintf("child-%d.example.com", i)
		children = append(children, w.configuration(in))
	}
	_, err := w.CreateResourceConfiguration(w.ctx, w.caller, child("child-3", group))
	refused(t, err, lattice.QuotaExceeded, "L-9BC96FEF")
	got := must(w.GetResourceConfiguration(w.ctx, w.caller,
		&lattice.GetResourceConfigurationRequest{ResourceConfigurationIdentifier: children[0]}))
	if got.ResourceGatewayID != gateway || got.ResourceConfigurationGroupID != group ||
		got.DomainVerificationStatus != "PENDING" || got.AllowAssociationToShareableServiceNetwork != nil {
		t.Errorf("a child is %+v", got)
	}
	_, err = w.CreateServiceNetworkResourceAssociation(w.ctx, w.caller,
		&lattice.CreateServiceNetworkResourceAssociationRequest{
			ServiceNetworkIdentifier: network, ResourceConfigurationIdentifier: children[0]})
	refused(t, err, lattice.Validation, "by its group, "+group)
	association := must(w.CreateServiceNetworkResourceAssociation(w.ctx, w.caller,
		&lattice.CreateServiceNetworkResourceAssociationRequest{
			ServiceNetworkIdentifier: network, ResourceConfigurationIdentifier: group, PrivateDNSEnabled: new(true)})).ID
	w.associateResource(network, lone)
	list := func(with bool, size int32) map[string]lattice.ServiceNetworkResourceAssociationSummary {
		all, next := map[string]lattice.ServiceNetworkResourceAssociationSummary{}, ""
		for {
			page := must(w.ListServiceNetworkResourceAssociations(w.ctx, w.caller,
				&lattice.ListServiceNetworkResourceAssociationsRequest{
					ServiceNetworkIdentifier: network, IncludeChildren: with, Page: lattice.Page{MaxResults: size, NextToken: next}}))
			for _, item := range page.Items {
				if _, twice := all[item.ResourceConfigurationID]; twice {
					t.Fatalf("%s is listed twice", item.ResourceConfigurationID)
				}
				all[item.ResourceConfigurationID] = item
			}
			if next = page.NextToken; next == "" {
				return all
			}
		}
	}
	if all := list(false, 100); len(all) != 2 || all[group].DNSEntry != nil || all[lone].DNSEntry == nil {
		t.Errorf("without children there are %+v", all)
	}
	for size := int32(1); size < 7; size++ {
		all := list(true, size)
		if got, want := slices.Sorted(maps.Keys(all)),
			slices.Sorted(slices.Values(append(children, group, lone))); !slices.Equal(got, want) {
			t.Fatalf("by %d there are %v, want %v", size, got, want)
		}
		if c := all[children[1]]; c.ID != association || c.DNSEntry.DomainName != lattice.ResourceDomainName(association,
			children[1], region) ||
			c.PrivateDNSEntry.DomainName != "child-1.example.com" || c.ResourceConfigurationName != "child-1" {
			t.Errorf("a child's association is %+v", c)
		}
	}
	w.settleNow()
	refused(t, w.deleteResource(group), lattice.Conflict, "has service network(s)")
	must(w.DeleteServiceNetworkResourceAssociation(w.ctx, w.caller,
		&lattice.DeleteServiceNetworkResourceAssociationRequest{Identifier: association}))
	w.settleNow()
	refused(t, w.deleteResource(group), lattice.Conflict, "has child resource configuration(s)")
	for filter, want := range map[*lattice.ListResourceConfigurationsRequest]int{
		{ResourceGatewayIdentifier: gateway}: 5, {ResourceConfigurationGroupIdentifier: group}: 3,
		{DomainVerificationIdentifier: got.DomainVerificationARN}: 4, {ResourceGatewayIdentifier: id("rgw-", "none")}: 0,
	} {
		if items := must(w.ListResourceConfigurations(w.ctx, w.caller, filter)).Items; len(items) != want {
			t.Errorf("%+v: %d, want %d", filter, len(items), want)
		}
	}
	for _, c := range children {
		if err := w.deleteResource(c); err != nil {
			t.Error(err)
		}
	}
	w.settleNow()
	if err := w.deleteResource(group); err != nil {
		t.Error(err)
	}
}

// TestEachResourceHasAnAddress wants them different, and taken back.
func TestEachResourceHasAnAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gateway := w.gateway("way", w.vpc("fleet"))
	seen := map[netip.Addr]bool{}
	for i := range 30 {
		id := w.resource(fmt.Sprintf("database-%d", i), gateway)
		w.write(func(tx *store.Tx) error {
			c, err := resourceConfigurations.Objects.Get(tx, id)
			if seen[c.Address] || !addressing.Resources.Contains(c.Address) || c.Address.Less(addressing.FirstResource) ||
				addressing.LastResource.Less(c.Address) {
				t.Errorf("%s has %v", id, c.Address)
			}
			seen[c.Address] = true
			return err
		})
	}
}

// TestEndpointsThereAreNot has the operations about VPC endpoints know what they are asked about.
func TestEndpointsThereAreNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	resource, network := w.resource("database", w.gateway("way", w.vpc("fleet"))), w.network("retail")
	if page := must(w.ListResourceEndpointAssociations(w.ctx, w.caller,
		&lattice.ListResourceEndpointAssociationsRequest{ResourceConfigurationIdentifier: resource})); page.Items == nil ||
		len(page.Items) > 0 {
		t.Errorf("listed %+v", page)
	}
	if page := must(w.ListServiceNetworkVPCEndpointAssociations(w.ctx, w.caller,
		&lattice.ListServiceNetworkVPCEndpointAssociationsRequest{ServiceNetworkIdentifier: network})); page.Items == nil ||
		len(page.Items) > 0 {
		t.Errorf("listed %+v", page)
	}
	_, err := w.DeleteResourceEndpointAssociation(w.ctx, w.caller,
		&lattice.DeleteResourceEndpointAssociationRequest{Identifier: id("rea-", "none")})
	refused(t, err, lattice.NotFound, id("rea-", "none"))
}

// TestResourcesCanBeTagged changes the tags of each new kind.
func TestResourcesCanBeTagged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gateway := w.gateway("way", w.vpc("fleet"))
	resource := w.resource("database", gateway)
	home := w.home(account)
	arns := []string{home.ARN(lattice.KindResourceGateway, gateway), home.ARN(lattice.KindResourceConfiguration, resource),
		home.ARN(lattice.KindServiceNetworkResourceAssociation, w.associateResource(w.network("retail"), resource)),
		home.ARN(lattice.KindDomainVerification, w.verification("example.com"))}
	w.settleNow()
	for _, arn := range arns {
		must(w.TagResource(w.ctx, w.caller, &lattice.TagResourceRequest{ResourceARN: arn, Tags: lattice.Tags{"team": "red"}}))
		if tags := must(w.ListTagsForResource(w.ctx, w.caller,
			&lattice.ListTagsForResourceRequest{ResourceARN: arn})).Tags; tags["team"] != "red" {
			t.Errorf("%s has the tags %v", arn, tags)
		}
	}
}

// TestConditionKeysOfResources allows operations only with the condition keys that their requests give.
func TestConditionKeysOfResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc, network := w.vpc("fleet"), w.network("retail")
	resource := w.resource("database", w.gateway("way", vpc))
	home := w.home(account)
	members := w.securityGroup("members", vpc)
	gateway := w.gateway("another", vpc)
	w.settleNow()
	for key, test := range map[string]struct {
		operator, value string
		call            func(iam.Caller) error
	}{
		"VpcId": {"StringEquals", vpc, func(c iam.Caller) error {
			_, err := w.CreateResourceGateway(w.ctx, c, w.gatewayOf("third", vpc))
			return err
		}},
		"SecurityGroupIds": {"ForAnyValue:StringEquals", members, func(c iam.Caller) error {
			_, err := w.UpdateResourceGateway(w.ctx, c, &lattice.UpdateResourceGatewayRequest{ResourceGatewayIdentifier: gateway,
				SecurityGroupIDs: []string{members}})
			return err
		}},
		"ResourceConfigurationArn": {"ArnEquals", home.ARN(lattice.KindResourceConfiguration, resource),
			func(c iam.Caller) error {
				_, err := w.ListResourceEndpointAssociations(w.ctx, c,
					&lattice.ListResourceEndpointAssociationsRequest{ResourceConfigurationIdentifier: resource})
				return err
			}},
		"ServiceNetworkArn": {"ArnEquals", home.ARN(lattice.KindServiceNetwork, network), func(c iam.Caller) error {
			_, err := w.CreateServiceNetworkResourceAssociation(w.ctx, c,
				&lattice.CreateServiceNetworkResourceAssociationRequest{ServiceNetworkIdentifier: network,
					ResourceConfigurationIdentifier: resource})
			return err
		}},
		"VpcEndpointId": {"StringEquals", "vpce-0123456789abcdef0", func(c iam.Caller) error {
			_, err := w.ListResourceEndpointAssociations(w.ctx, c,
				&lattice.ListResourceEndpointAssociationsRequest{ResourceConfigurationIdentifier: resource,
					VPCEndpointID: "vpce-0123456789abcdef0"})
			return err
		}},
		"DomainName": {"StringEquals", "example.com", func(c iam.Caller) error {
			_, err := w.StartDomainVerification(w.ctx, c, &lattice.StartDomainVerificationRequest{DomainName: "example.com"})
			return err
		}},
	} {
		when := func(value string) iam.Caller {
			return w.only(`{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"},` +
				`{"Effect":"Allow","Action":"vpc-lattice:*","Resource":"*","Condition":{"` + test.operator +
				`":{"vpc-lattice:` + key + `":"` + value + `"}}}`)
		}
		refused(t, test.call(when("arn:aws:other:::other")), lattice.AccessDenied,
			"is not authorized to perform: vpc-lattice:")
		if err := test.call(when(test.value)); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}
