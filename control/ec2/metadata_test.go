package ec2_test

import (
	"testing"

	nouns "pergola/aws/ec2"
)

func TestMetadataOptions(t *testing.T) {
	w := newWorld(t)
	subnet := w.subnet(w.vpc("10.0.0.0/16"), "10.0.0.0/24")
	three, sixtyFour := int32(3), int32(64)
	described := func(state, tokens, endpoint, tags string, hops int32) nouns.MetadataOptionsDescription {
		return nouns.MetadataOptionsDescription{State: state, Tokens: tokens, HopLimit: hops, Endpoint: endpoint, IPv6: "disabled", Tags: tags}
	}
	instance := w.run(subnet)
	if want := described("applied", "required", "enabled", "disabled", 1); *instance.MetadataOptions != want {
		t.Errorf("by default %+v", *instance.MetadataOptions)
	}
	asked := must(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet, MetadataOptions: nouns.MetadataOptionsChanges{
		Tokens: "optional", Endpoint: "disabled", HopLimit: &three, Tags: "enabled", IPv6: "disabled",
	}}).Instances[0]
	if want := described("applied", "optional", "disabled", "enabled", 3); *asked.MetadataOptions != want {
		t.Errorf("%+v", *asked.MetadataOptions)
	}
	for _, c := range []struct {
		changes nouns.MetadataOptionsChanges
		want    nouns.MetadataOptionsDescription
	}{
		{nouns.MetadataOptionsChanges{Tokens: "optional"}, described("pending", "optional", "enabled", "disabled", 1)},
		{nouns.MetadataOptionsChanges{HopLimit: &sixtyFour}, described("pending", "optional", "enabled", "disabled", 64)},
		{nouns.MetadataOptionsChanges{Tags: "enabled", Tokens: "required"}, described("pending", "required", "enabled", "enabled", 64)},
		{nouns.MetadataOptionsChanges{Endpoint: "disabled"}, described("pending", "required", "disabled", "enabled", 64)},
		{nouns.MetadataOptionsChanges{Endpoint: "enabled", Tags: "disabled"}, described("pending", "required", "enabled", "disabled", 64)},
	} {
		answer := must(w, w.ModifyInstanceMetadataOptions, nouns.ModifyMetadataOptionsRequest{InstanceID: instance.ID, MetadataOptionsChanges: c.changes})
		if answer.InstanceID != instance.ID || answer.Options != c.want {
			t.Errorf("%+v: %+v", c.changes, answer)
		}
		c.want.State = "applied"
		if got := *w.describe(instance.ID).MetadataOptions; got != c.want {
			t.Errorf("%+v: described as %+v", c.changes, got)
		}
	}
	found := must(w, w.DescribeInstances, nouns.DescribeInstancesRequest{Filters: []nouns.Filter{
		{Name: "metadata-options.http-tokens", Values: []string{"optional"}}, {Name: "metadata-options.http-endpoint", Values: []string{"disabled"}},
		{Name: "metadata-options.http-put-response-hop-limit", Values: []string{"3"}}, {Name: "metadata-options.instance-metadata-tags", Values: []string{"enabled"}},
	}}).Reservations
	if len(found) != 1 || found[0].Instances[0].ID != asked.ID {
		t.Errorf("%+v", found)
	}
	v6 := nouns.MetadataOptionsChanges{IPv6: "enabled"}
	refused(w, w.ModifyInstanceMetadataOptions, nouns.ModifyMetadataOptionsRequest{InstanceID: instance.ID, MetadataOptionsChanges: v6}, "UnsupportedOperation")
	refused(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet, MetadataOptions: v6}, "UnsupportedOperation")
	refused(w, w.ModifyInstanceMetadataOptions, nouns.ModifyMetadataOptionsRequest{InstanceID: instance.ID}, "InvalidParameterCombination")
	tokens := nouns.MetadataOptionsChanges{Tokens: "optional"}
	refused(w, w.ModifyInstanceMetadataOptions, nouns.ModifyMetadataOptionsRequest{InstanceID: "i-0", MetadataOptionsChanges: tokens}, "InvalidInstanceID.NotFound")
	must(w, w.TerminateInstances, nouns.TerminateInstancesRequest{IDs: []string{instance.ID}})
	refused(w, w.ModifyInstanceMetadataOptions, nouns.ModifyMetadataOptionsRequest{InstanceID: instance.ID, MetadataOptionsChanges: tokens}, "IncorrectInstanceState")
}
