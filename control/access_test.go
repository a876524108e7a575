package control

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pergola/lattice"
)

// ownOnly are the operations that name nothing which could be another account's.
var ownOnly = []string{"CreateService", "CreateServiceNetwork", "ListServiceNetworks", "ListServices",
	"ListTargetGroups",
	"ListResourceGateways", "ListResourceConfigurations", "StartDomainVerification", "ListDomainVerifications",
	"DeleteResourceEndpointAssociation"}

// operations are the methods of Control that carry out operations, by name.
func operations(c *Control) map[string]reflect.Value {
	methods := map[string]reflect.Value{}
	for i := range reflect.TypeOf(c).NumMethod() {
		if method := reflect.ValueOf(c).Method(i); method.Type().NumIn() == 3 && method.Type().NumOut() == 2 {
			methods[reflect.TypeOf(c).Method(i).Name] = method
		}
	}
	return methods
}

// TestForeignResourcesAreDenied calls every operation with resources of another account, by id and by ARN.
func TestForeignResourcesAreDenied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	network, service, group := w.network("retail"), w.service("parking"), w.group("fleet", vpc)
	listener := w.listener(service, "web", 80, answer404)
	rule := w.rule(service, listener, "get", 1, answer404)
	ofService, ofVPC := w.associate(network, service), w.associateVPC(network, vpc)
	gateway := w.gateway("way", vpc)
	resource, verification := w.resource("database", gateway), w.verification("example.com")
	ofResource := w.associateResource(network, resource)
	w.settleNow()
	home := w.home(account)
	byID := map[string]any{
		"ServiceNetworkIdentifier": network, "ServiceIdentifier": service, "ListenerIdentifier": listener,
		"RuleIdentifier": rule, "TargetGroupIdentifier": group, "VPCIdentifier": vpc,
		"ResourceARN": home.ARN(lattice.KindServiceNetwork, network), "ResourceIdentifier": service, "Policy": authenticated,
		"ResourceGatewayIdentifier": gateway, "ResourceConfigurationIdentifier": resource,
		"DomainVerificationIdentifier": verification, "SubnetIDs": []string{id("subnet-", "fleet")},
		"GroupDomain": "example.com",

		"Name": "theirs", "Priority": int32(2), "Type": lattice.TargetIP, "Config": &lattice.TargetGroupConfig{VPCIdentifier: vpc},
		"DefaultAction": answer404, "Action": answer404, "Match": get, "SecurityGroupIDs": []string{id("sg-", "any")},
		"Rules": []lattice.RuleUpdate{{RuleIdentifier: rule, Priority: 3}}, "Targets": []lattice.Target{{ID: "10.0.1.10"}},
	}
	byARN := maps.Clone(byID)
	maps.Copy(byARN, map[string]any{
		"ServiceNetworkIdentifier": home.ARN(lattice.KindServiceNetwork, network),
		"ServiceIdentifier":        home.ARN(lattice.KindService, service),
		"TargetGroupIdentifier":    home.ARN(lattice.KindTargetGroup, group),
		"ResourceIdentifier":       home.ARN(lattice.KindServiceNetwork, network),

		"ResourceGatewayIdentifier":       home.ARN(lattice.KindResourceGateway, gateway),
		"ResourceConfigurationIdentifier": home.ARN(lattice.KindResourceConfiguration, resource),
		"DomainVerificationIdentifier":    home.ARN(lattice.KindDomainVerification, verification),
	})
	w.caller = callerOf(other)
	called := 0
	for name, operation := range operations(w.Control) {
		if slices.Contains(ownOnly, name) {
			continue
		}
		called++
		for _, members := range []map[string]any{byID, byARN} {
			in := reflect.New(operation.Type().In(2).Elem())
			fill(in.Elem(), members)
			if identifier := in.Elem().FieldByName("Identifier"); identifier.IsValid() {
				identifier.SetString(ofVPC)
				switch {
				case strings.Contains(name, "ServiceNetworkServiceAssociation"):
					identifier.SetString(ofService)
				case strings.Contains(name, "ServiceNetworkResourceAssociation"):
					identifier.SetString(ofResource)
				}
			}
			out := operation.Call([]reflect.Value{reflect.ValueOf(w.ctx), reflect.ValueOf(w.caller), in})
			err, _ := out[1].Interface().(error)
			t.Run(name, func(t *testing.T) {
				refused(t, err, lattice.AccessDenied, "User: arn:aws:iam::100000000002:user/admin is not authorized to perform: vpc-lattice:")
			})
		}
	}
	if called < 30 {
		t.Errorf("only %d operations were found", called)
	}
}

// fill sets the fields of a request that have a value of their name and type.
func fill(in reflect.Value, members map[string]any) {
	for name, member := range members {
		field, value := in.FieldByName(name), reflect.ValueOf(member)
		switch {
		case !field.IsValid():
		case name == "Type" && field.Kind() == reflect.String && field.Type() != value.Type():
			field.SetString(lattice.ResourceGroup)
		case field.Type() == value.Type():
			field.Set(value)
		case field.Type() == reflect.PointerTo(value.Type()):
			field.Set(reflect.New(value.Type()))
			field.Elem().Set(value)
		}
	}
}

// TestForeignPartsAreDenied mixes resources of one's own with those of another account.
func TestForeignPartsAreDenied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	service, group := w.service("parking"), w.group("fleet", vpc)
	w.caller = callerOf(other)
	network, own := w.network("mine"), w.service("mine")
	_, err := w.CreateServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkServiceAssociationRequest{ServiceNetworkIdentifier: network, ServiceIdentifier: service})
	refused(t, err, lattice.AccessDenied, service)
	_, err = w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: network, VPCIdentifier: vpc})
	refused(t, err, lattice.AccessDenied, vpc)
	_, err = w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{ServiceIdentifier: own, Name: "web", Protocol: lattice.ProtocolHTTP, DefaultAction: forward(group)})
	refused(t, err, lattice.AccessDenied, group)
	if items := must(w.ListTargetGroups(w.ctx, w.caller, &lattice.ListTargetGroupsRequest{})).Items; len(items) > 0 {
		t.Errorf("another account's target groups are listed: %v", items)
	}
}

// TestUnknownResourcesAreNotFound calls every operation with ids that nothing has.
func TestUnknownResourcesAreNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	members := map[string]any{
		"ServiceNetworkIdentifier": id("sn-", "none"), "ServiceIdentifier": id("svc-", "none"), "ListenerIdentifier": id("listener-", "none"),
		"RuleIdentifier": id("rule-", "none"), "TargetGroupIdentifier": id("tg-", "none"), "VPCIdentifier": id("vpc-", "none"),
		"Identifier": id("snsa-", "none"), "ResourceARN": w.home(account).ARN(lattice.KindService, id("svc-", "none")),
		"ResourceIdentifier": id("svc-", "none"), "Policy": authenticated,
		"ResourceGatewayIdentifier": id("rgw-", "none"), "ResourceConfigurationIdentifier": id("rcfg-", "none"),
		"DomainVerificationIdentifier": id("dv-", "none"), "SubnetIDs": []string{id("subnet-", "none")},
		"GroupDomain": "example.com",

		"Name": "mine", "Type": lattice.TargetIP, "Config": &lattice.TargetGroupConfig{VPCIdentifier: id("vpc-", "none")},
		"DefaultAction": answer404, "Action": answer404, "Match": get, "SecurityGroupIDs": []string{id("sg-", "none")},
	}
	for name, operation := range operations(w.Control) {
		if slices.Contains(ownOnly, name) {
			continue
		}
		in := reflect.New(operation.Type().In(2).Elem())
		fill(in.Elem(), members)
		out := operation.Call([]reflect.Value{reflect.ValueOf(w.ctx), reflect.ValueOf(w.caller), in})
		err, _ := out[1].Interface().(error)
		t.Run(name, func(t *testing.T) {
			if e := refused(t, err, lattice.NotFound, ""); e.ResourceID == "" || e.ResourceType == "" {
				t.Errorf("the error does not name what is missing: %+v", e)
			}
		})
	}
}

func TestARNsMustBeTheResourcesOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network := w.network("retail")
	for _, arn := range []string{
		"arn:aws:vpc-lattice:eu-west-1:100000000001:servicenetwork/" + network, // another region
		"arn:aws:vpc-lattice:us-west-2:100000000001:servicenetwork/sn-00000000000000000",
	} {
		_, err := w.GetServiceNetwork(w.ctx, w.caller, &lattice.GetServiceNetworkRequest{ServiceNetworkIdentifier: arn})
		refused(t, err, lattice.NotFound, "SERVICE_NETWORK")
	}
}
