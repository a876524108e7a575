package control

import (
	"errors"
	"fmt"

	"pergola/aws/ec2"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

// What service networks join belongs to EC2. It is only read here, in the transaction that relies on it.
var (
	vpcs           = store.NewKind[ec2.VPC](ec2.KindVPC)
	subnets        = store.NewKind[ec2.Subnet](ec2.KindSubnet)
	securityGroups = store.NewKind[ec2.SecurityGroup](ec2.KindSecurityGroup)
)

// mayDescribe asks whether the caller may see what an operation reads of EC2, such as "Vpcs" (user guide, Amazon VPC
// Lattice API permissions).
func (op *call) mayDescribe(what string) error { return op.MayAlso("ec2:Describe"+what, "*", nil) }

// findVPC reads a VPC of the caller's account.
func (op *call) findVPC(id string) (ec2.VPC, error) {
	if err := op.mayDescribe("Vpcs"); err != nil {
		return ec2.VPC{}, err
	}
	vpc, err := vpcs.Get(op.Tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return vpc, lattice.NotFoundError(lattice.Kind{Name: ec2.KindVPC, ResourceType: "VPC"}, id)
	}
	if err != nil {
		return vpc, err
	}
	return vpc, op.Owns(op.home(vpc.Account).VPCARN(id))
}

// checkSecurityGroups refuses security groups that are given twice, do not exist or are of another VPC.
func (op *call) checkSecurityGroups(ids []string, vpc string) error {
	if len(ids) == 0 {
		return nil
	}
	if err := op.mayDescribe("SecurityGroups"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, id := range ids {
		field := fmt.Sprintf("securityGroupIds[%d]", i)
		if seen[id] {
			return lattice.Invalid(field, "%s is in the list twice", id)
		}
		seen[id] = true
		group, err := securityGroups.Get(op.Tx, id)
		if errors.Is(err, store.ErrNotFound) {
			return lattice.NotFoundError(lattice.Kind{Name: ec2.KindSecurityGroup, ResourceType: "SECURITY_GROUP"}, id)
		}
		if err != nil {
			return err
		}
		if group.VPC != vpc {
			return lattice.Invalid(field, "%s is not a security group of %s", id, vpc)
		}
	}
	return nil
}

// subnetsOf are the subnets of a VPC.
func (op *call) subnetsOf(vpc string) ([]ec2.Subnet, error) {
	referrers, _, err := references.List(op.Tx, vpc+"/subnet-", "", 0)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(referrers))
	for i, referrer := range referrers {
		ids[i] = lattice.IDOf(referrer.ID)
	}
	entries, err := subnets.GetMany(op.Tx, ids)
	of := make([]ec2.Subnet, len(entries))
	for i, entry := range entries {
		of[i] = entry.Value
	}
	return of, err
}

// instance reads an instance with its status.
func (op *call) instance(id string) (ec2.Instance, error) {
	return resource.ReadForeign(op.Tx, ec2.KindInstance, id, func(i *ec2.Instance) *lattice.Stage { return &i.Stage })
}

// references say what refers to resources of EC2, so that they are not deleted: subnets to their VPC, and from here VPC
// associations and target groups.
var references = store.NewIndex(ec2.ReferenceIndex)
