package node

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"pergola/aws/ec2"
	"pergola/aws/iam"
	"pergola/metadata"
	"pergola/policy"
	"pergola/sealing"
	"pergola/snapshot"
	"pergola/store"
)

// The kinds of object that say who an instance is.
var (
	instanceKind      = store.NewKind[ec2.Instance](ec2.KindInstance)
	userDataKind      = store.NewKind[string](ec2.KindUserData)
	vpcKind           = store.NewKind[ec2.VPC](ec2.KindVPC)
	subnetKind        = store.NewKind[ec2.Subnet](ec2.KindSubnet)
	securityGroupKind = store.NewKind[ec2.SecurityGroup](ec2.KindSecurityGroup)
	profileKind       = store.NewKind[iam.InstanceProfile](iam.KindInstanceProfile)
	roleKind          = store.NewKind[iam.Role](iam.KindRole)
)

// Mirrored are the names of the kinds that a node has to have in its mirror.
func Mirrored() []string {
	return []string{ec2.KindInstance, ec2.KindUserData, ec2.KindVPC, ec2.KindSubnet, ec2.KindSecurityGroup,
		iam.KindInstanceProfile,
		iam.KindRole}
}

// sessionLife is how long the credentials of an instance last.
const sessionLife = 6 * time.Hour

// instances tells the metadata service about instances, as the node was told of them.
type instances struct {
	region  string
	current func() *snapshot.Snapshot
	mirror  *store.Mirror
	box     *sealing.Box
	log     *slog.Logger
}

// describe finds the instance that has an address in a VPC.
func (i instances) describe(vpcID string, client netip.Addr) (found metadata.Instance, ok bool) {
	vpc := i.current().VPCs.Get(vpcID)
	if vpc == nil {
		return metadata.Instance{}, false
	}
	at := slices.IndexFunc(vpc.Instances, func(instance snapshot.Instance) bool { return instance.Address == client })
	if at < 0 { // the address may be that of another thing
		return metadata.Instance{}, false
	}
	err := i.mirror.View(func(tx *store.Tx) error {
		instance, err := instanceKind.Get(tx, vpc.Instances[at].ID)
		if err != nil || instance.Deleting {
			return unlessMissing(err)
		}
		found, err = i.instance(tx, &instance)
		ok = err == nil
		return err
	})
	if err != nil {
		i.log.Error("an instance could not be told about itself", "vpc", vpcID, "address", client, "error", err)
	}
	return found, ok
}

// unlessMissing is an error, or nil where it says that there is nothing.
func unlessMissing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func (i instances) instance(tx *store.Tx, in *ec2.Instance) (metadata.Instance, error) {
	vpc, err := vpcKind.Get(tx, in.VPC)
	if err != nil {
		return metadata.Instance{}, err
	}
	subnet, err := subnetKind.Get(tx, in.Subnet)
	if err != nil {
		return metadata.Instance{}, err
	}
	out := metadata.Instance{
		ID: in.ID, Account: in.Account, VPC: in.VPC, Subnet: in.Subnet, VPCCIDR: vpc.CIDR, SubnetCIDR: subnet.CIDR,
		AvailabilityZone: subnet.AvailabilityZone, Address: in.Address, Hostname: in.PrivateName(i.region), MAC: in.MAC(),
		Image: in.ImageID, Type: in.Type, Architecture: ec2.Architecture, Launched: in.Launched, Tags: in.Tags,
		Options: metadata.Options{
			Disabled: in.MetadataOptions.Disabled, TokensOptional: in.MetadataOptions.TokensOptional,
			HopLimit: int(in.MetadataOptions.HopLimit), Tags: in.MetadataOptions.Tags,
		},
	}
	if out.UserData, err = userDataOf(tx, in); err != nil {
		return out, err
	}
	for _, id := range in.SecurityGroups {
		group, err := securityGroupKind.Get(tx, id)
		if err != nil {
			return metadata.Instance{}, err
		}
		out.SecurityGroups = append(out.SecurityGroups, metadata.Group{ID: id, Name: group.Name})
	}
	if in.Profile == nil {
		return out, nil
	}
	// A profile that was deleted, or another that has taken its name, is not the one that the instance was given.
	profile, err := profileKind.Get(tx, iam.ID(in.Account, in.Profile.ProfileName))
	if err == nil && profile.UniqueID == in.Profile.ProfileID {
		out.Profile = &metadata.Profile{ARN: in.Profile.ProfileARN, ID: in.Profile.ProfileID, Role: profile.Role}
	}
	return out, nil
}

// userDataOf is what an instance may ask its metadata for.
func userDataOf(tx *store.Tx, in *ec2.Instance) ([]byte, error) {
	encoded, err := userDataKind.Get(tx, in.Reservation)
	if unlessMissing(err) != nil {
		return nil, err
	}
	decoded, err := base64.StdEncoding.DecodeString(cmp.Or(in.UserData, encoded))
	if err != nil { // it was checked when it came
		return nil, fmt.Errorf("user data of %s: %w", in.ID, err)
	}
	return decoded, nil
}

// credentials makes a session of the role in an instance's profile.
func (i instances) credentials(_ context.Context, instance metadata.Instance) (metadata.Credential, error) {
	var role iam.Role
	err := i.mirror.View(func(tx *store.Tx) (err error) {
		role, err = roleKind.Get(tx, iam.ID(instance.Account, instance.Profile.Role))
		return err
	})
	if err != nil {
		return metadata.Credential{}, err
	}
	if !trustsInstances(&role) {
		return metadata.Credential{}, fmt.Errorf("role %s: %w", role.ARN(), metadata.ErrUntrusted)
	}
	now := time.Now().Truncate(time.Second)
	sealed, err := i.box.SealSession(iam.Caller{
		Account: role.Account, ARN: role.SessionARN(instance.ID), UserID: role.UniqueID + ":" + instance.ID,
		Type: iam.TypeAssumedRole, RoleARN: role.ARN(), Tags: role.Tags,
		Session: &iam.Session{Name: instance.ID, Issued: now, Expires: now.Add(sessionLife)},
	})
	return metadata.Credential{
		AccessKeyID: sealed.AccessKeyID, Secret: sealed.Secret, Token: sealed.Token, Expires: now.Add(sessionLife),
	}, err
}

// trustsInstances reports whether a role lets instances have its sessions.
func trustsInstances(role *iam.Role) bool {
	trust, _ := policy.ReadStored(role.ARN(), role.Trust, policy.Trust) // one that cannot be read trusts nobody
	request := &policy.Request{
		Principal: policy.Principal{Type: policy.Service, ARN: "ec2.amazonaws.com"}, Action: "sts:AssumeRole", Resource: role.ARN(),
	}
	return trust.Evaluate(request).Effect == policy.Allow
}
