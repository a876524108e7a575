package ec2

import (
	"errors"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/aws/iam"
	"pergola/store"
)

// Instance profiles and their roles belong to IAM. They are only read here, in the transaction that relies on them.
var (
	profiles = store.NewKind[iam.InstanceProfile](iam.KindInstanceProfile)
	roles    = store.NewKind[iam.Role](iam.KindRole)
)

// profile finds the instance profile that a request names, or returns nil if it names none. It must have a role.
func (op *call) profile(s ec2.ProfileSpecification) (*iam.InstanceProfile, error) {
	switch {
	case s.ARN == "" && s.Name == "":
		return nil, nil
	case s.ARN != "" && s.Name != "":
		return nil, aws.Errorf("InvalidParameterCombination", "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'")
	}
	name, what, given := s.Name, "name", s.Name
	if s.ARN != "" {
		name, what, given = s.ARN[strings.LastIndexByte(s.ARN, '/')+1:], "ARN", s.ARN
	}
	profile, err := profiles.Get(op.Tx, iam.ID(op.Account, name))
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return nil, err
	case err != nil || s.ARN != "" && profile.ARN() != s.ARN:
		return nil, aws.Errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.%s is invalid. Invalid IAM Instance Profile %s", given, strings.ToLower(what), what)
	case profile.Role == "":
		return nil, aws.Errorf("InvalidParameterValue", "IAM Instance Profile %q has no associated IAM Roles", profile.ARN())
	}
	return &profile, op.mayPass(&profile)
}

// mayPass asks whether the caller may let instances have the role of a profile (IAM user guide, "Grant a user permissions
// to pass a role to an AWS service").
func (op *call) mayPass(profile *iam.InstanceProfile) error {
	role, err := roles.Get(op.Tx, iam.ID(op.Account, profile.Role))
	if err != nil {
		return err
	}
	op.Set("iam:PassedToService", "ec2.amazonaws.com")
	return op.MayAlso("iam:PassRole", role.ARN(), role.Tags)
}

// associate makes the association of an instance with a profile; nil with nil.
func (op *call) associate(profile *iam.InstanceProfile) *ec2.ProfileAssociation {
	if profile == nil {
		return nil
	}
	return &ec2.ProfileAssociation{
		ID: op.newID("iip-assoc-"), ProfileName: profile.Name, ProfileARN: profile.ARN(), ProfileID: profile.UniqueID,
	}
}

// requiredProfile finds the instance profile that a request must name.
func (op *call) requiredProfile(s ec2.ProfileSpecification) (*iam.InstanceProfile, error) {
	profile, err := op.profile(s)
	if err == nil && profile == nil {
		return nil, aws.Errorf("MissingParameter", "The request must contain the parameter iamInstanceProfile.name or iamInstanceProfile.arn")
	}
	return profile, err
}

// AssociateIAMInstanceProfile gives an instance that has none an instance profile.
func (op *call) AssociateIAMInstanceProfile(in *ec2.AssociateProfileRequest) (*ec2.ProfileAssociationResponse, error) {
	instance, err := instances.find(op, in.InstanceID)
	if err != nil {
		return nil, err
	}
	if instance.Profile != nil {
		return nil, aws.Errorf("IncorrectState", "There is an existing association for instance %s: %s", instance.ID,
			instance.Profile.ID)
	}
	return op.reassociate(instance, in.Profile)
}

// ReplaceIAMInstanceProfileAssociation gives an instance another instance profile. The association gets another id.
func (op *call) ReplaceIAMInstanceProfileAssociation(
	in *ec2.ReplaceProfileRequest) (*ec2.ProfileAssociationResponse, error) {
	instance, err := op.associated(in.AssociationID)
	if err != nil {
		return nil, err
	}
	return op.reassociate(instance, in.Profile)
}

// reassociate gives an instance an instance profile, in place of the one it may have.
func (op *call) reassociate(instance *ec2.Instance, with ec2.ProfileSpecification) (*ec2.ProfileAssociationResponse, error) {
	if instance.Deleting {
		return nil, aws.Errorf("IncorrectState", "The instance %s is %s", instance.ID, instance.State())
	}
	profile, err := op.requiredProfile(with)
	if err != nil {
		return nil, err
	}
	instance.Profile = op.associate(profile)
	return &ec2.ProfileAssociationResponse{Association: describeAssociation(instance, ec2.Associating)},
		instances.Put(op.Call, instance)
}

// DisassociateIAMInstanceProfile takes an instance's instance profile away.
func (op *call) DisassociateIAMInstanceProfile(
	in *ec2.DisassociateProfileRequest) (*ec2.ProfileAssociationResponse, error) {
	instance, err := op.associated(in.AssociationID)
	if err != nil {
		return nil, err
	}
	answer := &ec2.ProfileAssociationResponse{Association: describeAssociation(instance, ec2.Disassociating)}
	instance.Profile = nil
	return answer, instances.Put(op.Call, instance)
}

// withProfiles are the instances that have an instance profile.
func (op *call) withProfiles() ([]*ec2.Instance, error) {
	all, err := instances.own(op)
	return slices.DeleteFunc(all, func(i *ec2.Instance) bool {
		return i.Profile == nil ||
			i.State() == ec2.InstanceTerminated
	}), err
}

// associated finds the instance of an association.
func (op *call) associated(id string) (*ec2.Instance, error) {
	all, err := op.withProfiles()
	if err != nil {
		return nil, err
	}
	for _, instance := range all {
		if instance.Profile.ID == id {
			return instance, op.May(instances.arn(op, instance.ID), instance.Tags)
		}
	}
	return nil, aws.Errorf(noAssociation, "An invalid association-id of '%s' was given", id)
}

const noAssociation = "InvalidAssociationID.NotFound"

var associations = listing[*ec2.Instance]{noID(noAssociation), func(i *ec2.Instance) string { return i.Profile.ID },
	func(i *ec2.Instance) map[string][]string {
		return map[string][]string{"instance-id": {i.ID}, "state": {string(ec2.Associated)}}
	}}

func describeAssociation(i *ec2.Instance, state ec2.AssociationState) ec2.ProfileAssociationDescription {
	return ec2.ProfileAssociationDescription{ID: i.Profile.ID, InstanceID: i.ID, Profile: i.Profile.Describe(), State: state}
}

// DescribeIAMInstanceProfileAssociations lists the associations of instances with instance profiles.
func (op *call) DescribeIAMInstanceProfileAssociations(
	in *ec2.DescribeProfileAssociationsRequest) (*ec2.DescribeProfileAssociationsResponse, error) {
	all, err := op.withProfiles()
	if err != nil {
		return nil, err
	}
	picked, err := associations.pick(all, in.IDs, in.Filters)
	answer := &ec2.DescribeProfileAssociationsResponse{}
	for _, instance := range picked {
		answer.Associations = append(answer.Associations, describeAssociation(instance, ec2.Associated))
	}
	return answer, err
}

func profileAttributes(i *ec2.Instance) map[string][]string {
	var arn, id, name []string
	if p := i.Profile; p != nil {
		arn, id, name = []string{p.ProfileARN}, []string{p.ProfileID}, []string{p.ProfileName}
	}
	return map[string][]string{"iam-instance-profile.arn": arn, "iam-instance-profile.id": id,
		"iam-instance-profile.name": name}
}
