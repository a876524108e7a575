package ec2_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	nouns "pergola/aws/ec2"
	"pergola/store"
)

// TestManyInstancesAreLaunchedAtOnce launches as many instances as a request may ask for, with as much user data and in
// as many security groups as they may have. What their reservation has is gone with the last of them.
func TestManyInstancesAreLaunchedAtOnce(t *testing.T) {
	const most = 256
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	in := nouns.RunInstancesRequest{SubnetID: w.subnet(vpc, "10.0.0.0/20"), ClientToken: "token",
		MinCount: new(int32(most)), MaxCount: new(int32(most)),
		UserData: base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", nouns.MaxUserData)))}
	for i := range 5 {
		in.SecurityGroupIDs = append(in.SecurityGroupIDs, w.group(vpc, fmt.Sprint("group-", i)))
	}
	launched := must(w, w.RunInstances, in)
	if again := must(w, w.RunInstances, in); len(launched.Instances) != most || len(again.Instances) != most ||
		again.ReservationID != launched.ReservationID {
		t.Fatalf("%d instances were launched, again %d", len(launched.Instances), len(again.Instances))
	}
	last := launched.Instances[most-1].ID
	kept := must(w, w.DescribeInstanceAttribute, nouns.DescribeInstanceAttributeRequest{ID: last, Attribute: "userData"})
	if kept.UserData.Value != in.UserData {
		t.Error("the last instance has not the user data of the first")
	}
	node := w.node("one")
	w.settle()
	node.applies()
	w.until(last, nouns.InstanceRunning)
	for first := 0; first < most; first += 64 {
		var ids []string
		for _, i := range launched.Instances[first : first+64] {
			ids = append(ids, i.ID)
		}
		must(w, w.TerminateInstances, nouns.TerminateInstancesRequest{IDs: ids})
	}
	node.applies()
	stopped := []nouns.Filter{{Name: "instance-state-name", Values: []string{"terminated"}}}
	w.untilSo("status/instance/", func() bool {
		found := must(w, w.DescribeInstances, nouns.DescribeInstancesRequest{Filters: stopped}).Reservations
		return len(found) == 1 && len(found[0].Instances) == most
	})
	w.seconds.Add(61)
	node.applies()
	w.untilSo("status/instance/", func() bool {
		return len(must(w, w.DescribeInstances, nouns.DescribeInstancesRequest{}).Reservations) == 0
	})
	if err := w.Store.View(w.ctx, func(tx *store.Tx) error {
		left, err := store.NewKind[string](nouns.KindUserData).Count(tx, "")
		if left != 0 {
			t.Error("the user data is left")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
