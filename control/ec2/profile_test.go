package ec2_test

import (
	"testing"

	nouns "pergola/aws/ec2"
	"pergola/aws/iam"
	"pergola/store"
)

// profile makes an instance profile in IAM.
func (w *world) profile(path, name, role string) iam.InstanceProfile {
	w.t.Helper()
	p := iam.InstanceProfile{Entity: iam.Entity{Account: w.caller.Account, Name: name, Path: path, UniqueID: "AIPA" + name}, Role: role}
	_, err := w.Store.Update(w.ctx, func(tx *store.Tx) error {
		if role != "" {
			object := iam.Role{Entity: iam.Entity{Account: p.Account, Name: role, Path: "/", UniqueID: "AROA" + role}}
			if err := store.NewKind[iam.Role](iam.KindRole).Put(tx, iam.ID(p.Account, role), object); err != nil {
				return err
			}
		}
		return store.NewKind[iam.InstanceProfile](iam.KindInstanceProfile).Put(tx, iam.ID(p.Account, name), p)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) describe(id string) nouns.InstanceDescription {
	w.t.Helper()
	return must(w, w.DescribeInstances, nouns.DescribeInstancesRequest{IDs: []string{id}}).Reservations[0].Instances[0]
}

func TestLaunchWithProfile(t *testing.T) {
	w := newWorld(t)
	subnet := w.subnet(w.vpc("10.0.0.0/16"), "10.0.0.0/24")
	web := w.profile("/app/", "Web", "reader")
	w.profile("/", "empty", "")
	two := int32(2)
	for name, s := range map[string]nouns.ProfileSpecification{
		"name": {Name: "Web"}, "name in another case": {Name: "wEB"}, "ARN": {ARN: web.ARN()},
	} {
		launched := must(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet, MinCount: &two, Profile: s}).Instances
		for _, instance := range launched {
			want := nouns.ProfileDescription{ARN: "arn:aws:iam::100000000001:instance-profile/app/Web", ID: "AIPAWeb"}
			if got := w.describe(instance.ID).Profile; got == nil || *got != want || instance.Profile == nil || *instance.Profile != want {
				t.Errorf("by %s: %+v", name, got)
			}
		}
	}
	for _, c := range []struct {
		s    nouns.ProfileSpecification
		code string
	}{
		{nouns.ProfileSpecification{Name: "nobody"}, "InvalidParameterValue"},
		{nouns.ProfileSpecification{Name: "empty"}, "InvalidParameterValue"},
		{nouns.ProfileSpecification{ARN: "arn:aws:iam::100000000001:instance-profile/Web"}, "InvalidParameterValue"},
		{nouns.ProfileSpecification{ARN: "arn:aws:iam::200000000002:instance-profile/app/Web"}, "InvalidParameterValue"},
		{nouns.ProfileSpecification{ARN: "Web"}, "InvalidParameterValue"},
		{nouns.ProfileSpecification{ARN: web.ARN(), Name: "Web"}, "InvalidParameterCombination"},
	} {
		refused(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet, Profile: c.s}, c.code)
	}
	if bare := w.run(subnet); bare.Profile != nil {
		t.Errorf("%+v", bare.Profile)
	}
	for filter, value := range map[string]string{"iam-instance-profile.arn": web.ARN(), "iam-instance-profile.id": "AIPAWeb", "iam-instance-profile.name": "Web"} {
		found := must(w, w.DescribeInstances, nouns.DescribeInstancesRequest{Filters: []nouns.Filter{{Name: filter, Values: []string{value}}}})
		if len(found.Reservations) != 3 {
			t.Errorf("%s finds %d reservations, want 3", filter, len(found.Reservations))
		}
	}
}

func TestProfileAssociations(t *testing.T) {
	w := newWorld(t)
	subnet := w.subnet(w.vpc("10.0.0.0/16"), "10.0.0.0/24")
	web := nouns.ProfileSpecification{Name: w.profile("/", "web", "reader").Name}
	ops := nouns.ProfileSpecification{Name: w.profile("/", "ops", "writer").Name}
	one, two := w.run(subnet).ID, w.run(subnet).ID

	first := must(w, w.AssociateIAMInstanceProfile, nouns.AssociateProfileRequest{InstanceID: one, Profile: web}).Association
	if first.State != nouns.Associating || first.InstanceID != one || first.Profile.ID != "AIPAweb" || len(first.ID) != len("iip-assoc-")+17 {
		t.Errorf("%+v", first)
	}
	refused(w, w.AssociateIAMInstanceProfile, nouns.AssociateProfileRequest{InstanceID: one, Profile: ops}, "IncorrectState")
	refused(w, w.AssociateIAMInstanceProfile, nouns.AssociateProfileRequest{InstanceID: two}, "MissingParameter")
	refused(w, w.AssociateIAMInstanceProfile, nouns.AssociateProfileRequest{InstanceID: two, Profile: nouns.ProfileSpecification{Name: "x"}}, "InvalidParameterValue")
	refused(w, w.AssociateIAMInstanceProfile, nouns.AssociateProfileRequest{InstanceID: "i-0", Profile: web}, "InvalidInstanceID.NotFound")
	second := must(w, w.AssociateIAMInstanceProfile, nouns.AssociateProfileRequest{InstanceID: two, Profile: web}).Association

	listed := func(in nouns.DescribeProfileAssociationsRequest) []nouns.ProfileAssociationDescription {
		return must(w, w.DescribeIAMInstanceProfileAssociations, in).Associations
	}
	of := func(instance string) nouns.DescribeProfileAssociationsRequest {
		return nouns.DescribeProfileAssociationsRequest{Filters: []nouns.Filter{{Name: "instance-id", Values: []string{instance}}, {Name: "state", Values: []string{"associated"}}}}
	}
	if got := listed(of(one)); len(got) != 1 || got[0].ID != first.ID || got[0].State != nouns.Associated {
		t.Errorf("%+v", got)
	}
	if got := listed(nouns.DescribeProfileAssociationsRequest{IDs: []string{second.ID}}); len(got) != 1 || got[0].InstanceID != two {
		t.Errorf("%+v", got)
	}
	refused(w, w.DescribeIAMInstanceProfileAssociations, nouns.DescribeProfileAssociationsRequest{IDs: []string{"iip-assoc-0"}}, "InvalidAssociationID.NotFound")

	replaced := must(w, w.ReplaceIAMInstanceProfileAssociation, nouns.ReplaceProfileRequest{AssociationID: first.ID, Profile: ops}).Association
	if replaced.ID == first.ID || replaced.Profile.ID != "AIPAops" || w.describe(one).Profile.ID != "AIPAops" {
		t.Errorf("%+v", replaced)
	}
	refused(w, w.ReplaceIAMInstanceProfileAssociation, nouns.ReplaceProfileRequest{AssociationID: first.ID, Profile: web}, "InvalidAssociationID.NotFound")
	refused(w, w.ReplaceIAMInstanceProfileAssociation, nouns.ReplaceProfileRequest{AssociationID: replaced.ID}, "MissingParameter")

	gone := must(w, w.DisassociateIAMInstanceProfile, nouns.DisassociateProfileRequest{AssociationID: replaced.ID}).Association
	if gone.State != nouns.Disassociating || gone.ID != replaced.ID || w.describe(one).Profile != nil || len(listed(of(one))) != 0 {
		t.Errorf("%+v", gone)
	}
	refused(w, w.DisassociateIAMInstanceProfile, nouns.DisassociateProfileRequest{AssociationID: replaced.ID}, "InvalidAssociationID.NotFound")

	must(w, w.TerminateInstances, nouns.TerminateInstancesRequest{IDs: []string{one, two}})
	refused(w, w.AssociateIAMInstanceProfile, nouns.AssociateProfileRequest{InstanceID: one, Profile: web}, "IncorrectState")
	refused(w, w.ReplaceIAMInstanceProfileAssociation, nouns.ReplaceProfileRequest{AssociationID: second.ID, Profile: ops}, "IncorrectState")
	w.caller.Account = "200000000002"
	refused(w, w.DisassociateIAMInstanceProfile, nouns.DisassociateProfileRequest{AssociationID: second.ID}, "InvalidAssociationID.NotFound")
}
