package control

import (
	"fmt"
	"maps"
	"testing"

	"pergola/lattice"
)

func TestTagsOfEveryKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	tags := lattice.Tags{"team": "red"}
	network := must(w.CreateServiceNetwork(w.ctx, w.caller, &lattice.CreateServiceNetworkRequest{Name: "retail", Tags: tags}))
	service := must(w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "parking", Tags: tags}))
	listener := must(w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{ServiceIdentifier: service.ID, Name: "web", Protocol: "HTTP", DefaultAction: answer404, Tags: tags}))
	rule := must(w.CreateRule(w.ctx, w.caller, &lattice.CreateRuleRequest{ServiceIdentifier: service.ID, ListenerIdentifier: listener.ID, Name: "get", Priority: 1, Match: get, Action: answer404, Tags: tags}))
	group := must(w.CreateTargetGroup(w.ctx, w.caller, &lattice.CreateTargetGroupRequest{Name: "fleet", Type: lattice.TargetLambda, Tags: tags}))
	ofService := must(w.CreateServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkServiceAssociationRequest{ServiceIdentifier: service.ID, ServiceNetworkIdentifier: network.ID, Tags: tags}))
	ofVPC := must(w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.CreateServiceNetworkVPCAssociationRequest{VPCIdentifier: vpc, ServiceNetworkIdentifier: network.ID, Tags: tags}))
	for _, arn := range []string{service.ARN, group.ARN, ofService.ARN, ofVPC.ARN} {
		_, err := w.TagResource(w.ctx, w.caller, &lattice.TagResourceRequest{ResourceARN: arn, Tags: lattice.Tags{"a": "b"}})
		refused(t, err, lattice.Conflict, "CREATE_IN_PROGRESS")
		_, err = w.UntagResource(w.ctx, w.caller, &lattice.UntagResourceRequest{ResourceARN: arn, TagKeys: []string{"a"}})
		refused(t, err, lattice.Conflict, "CREATE_IN_PROGRESS")
	}
	w.settleNow()
	for _, arn := range []string{network.ARN, service.ARN, listener.ARN, rule.ARN, group.ARN, ofService.ARN, ofVPC.ARN} {
		must(w.TagResource(w.ctx, w.caller, &lattice.TagResourceRequest{ResourceARN: arn, Tags: lattice.Tags{"team": "blue", "stage": "", "cost": "1"}}))
		must(w.UntagResource(w.ctx, w.caller, &lattice.UntagResourceRequest{ResourceARN: arn, TagKeys: []string{"cost", "unknown"}}))
		got := must(w.ListTagsForResource(w.ctx, w.caller, &lattice.ListTagsForResourceRequest{ResourceARN: arn})).Tags
		if want := (lattice.Tags{"team": "blue", "stage": ""}); !maps.Equal(got, want) {
			t.Errorf("%s has %v, want %v", arn, got, want)
		}
	}
}

func TestTagsOfAResourceWithoutAny(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arn := must(w.GetServiceNetwork(w.ctx, w.caller, &lattice.GetServiceNetworkRequest{ServiceNetworkIdentifier: w.network("retail")})).ARN
	must(w.TagResource(w.ctx, w.caller, &lattice.TagResourceRequest{ResourceARN: arn, Tags: lattice.Tags{"a": "b"}}))
	if got := must(w.ListTagsForResource(w.ctx, w.caller, &lattice.ListTagsForResourceRequest{ResourceARN: arn})).Tags; got["a"] != "b" {
		t.Errorf("got %v", got)
	}
}

func TestRefusedTags(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	many := lattice.Tags{}
	for i := range lattice.MaxTags {
		many[fmt.Sprint("key", i)] = ""
	}
	network := must(w.CreateServiceNetwork(w.ctx, w.caller, &lattice.CreateServiceNetworkRequest{Name: "retail", Tags: many}))
	tag := func(arn string, tags lattice.Tags) error {
		_, err := w.TagResource(w.ctx, w.caller, &lattice.TagResourceRequest{ResourceARN: arn, Tags: tags})
		return err
	}
	if err := tag(network.ARN, lattice.Tags{"key0": "changed"}); err != nil {
		t.Errorf("a changed value is one more tag: %v", err)
	}
	refused(t, tag(network.ARN, lattice.Tags{"one more": ""}), lattice.Validation, "at most 50")
	for _, key := range []string{"aws:x", "AWS:x"} {
		refused(t, tag(network.ARN, lattice.Tags{key: ""}), lattice.Validation, "reserved")
		_, err := w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "parking", Tags: lattice.Tags{key: ""}})
		refused(t, err, lattice.Validation, "reserved")
	}
	arn := "arn:aws:vpc-lattice:us-west-2:100000000001:"
	for bad, kind := range map[string]lattice.ErrorKind{
		arn + "servicenetwork/" + id("sn-", "none"):        lattice.NotFound,
		arn + "nothing/x-1":                                lattice.Validation,
		arn + "service":                                    lattice.Validation,
		arn + "service/svc-1/listener":                     lattice.Validation,
		arn + "service/svc-1/rule/rule-1":                  lattice.Validation,
		"arn:aws:ec2:us-west-2:100000000001:service/svc-1": lattice.Validation,
		"svc-1": lattice.Validation,
	} {
		refused(t, tag(bad, lattice.Tags{"a": "b"}), kind, "")
		_, err := w.ListTagsForResource(w.ctx, w.caller, &lattice.ListTagsForResourceRequest{ResourceARN: bad})
		refused(t, err, kind, "")
	}
}
