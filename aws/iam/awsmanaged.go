package iam

import (
	"embed"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"pergola/lattice"
)

// AWSAccount stands for AWS in the ARNs of the policies that it makes.
const AWSAccount = "aws"

// serviceRolePath is the path of policies that only service-linked roles may have.
const serviceRolePath = "/aws-service-role/"

// awsManaged are the documents of the built-in policies, each in its file.
//
//go:embed managed/*.json
var awsManaged embed.FS

// AWSManaged are the managed policies that are built in, in order of name: those of the VPC Lattice user guide, "AWS
// managed policies", and the one that allows everything. The versions and dates are those of AWS.
func AWSManaged() []*ManagedPolicy {
	return []*ManagedPolicy{
		builtIn("AdministratorAccess", "/", "Allows every action on every resource.", 1, "2015-02-06"),
		builtIn("AWSVpcLatticeServiceRolePolicy", serviceRolePath, "What VPC Lattice may do in an account on its own behalf.", 2, "2024-12-01"),
		builtIn("VPCLatticeFullAccess", "/", "Allows all of VPC Lattice, and to look at what it works with.", 4, "2026-02-12"),
		builtIn("VPCLatticeReadOnlyAccess", "/", "Allows to look at VPC Lattice and at what it works with.", 4, "2026-02-12"),
		builtIn("VPCLatticeServicesInvokeAccess", "/", "Allows to call VPC Lattice services.", 1, "2023-03-30"),
	}
}

func builtIn(name, path, description string, version int, date string) *ManagedPolicy {
	document, err := awsManaged.ReadFile("managed/" + name + ".json")
	if err != nil {
		panic(fmt.Sprintf("iam: the document of %s is not built in: %v", name, err))
	}
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		panic(fmt.Sprintf("iam: the date of %s: %v", name, err))
	}
	at, id := lattice.Time{Time: day}, fmt.Sprintf("v%d", version)
	return &ManagedPolicy{
		Entity:      Entity{Account: AWSAccount, Name: name, Path: path, UniqueID: builtInID(name), Created: at},
		Description: description, Updated: at, DefaultVersion: id, LastVersion: version,
		Versions: []PolicyVersion{{ID: id, Document: string(document), Created: at}},
	}
}

// builtInID derives a unique id from a name, so that it is the same in every deployment.
func builtInID(name string) string {
	sum := fnv.New128a()
	_, _ = sum.Write([]byte(name)) // a hash does not fail
	return NewUniqueID(PrefixPolicy, strings.NewReader(string(sum.Sum(nil))+name))
}

// AWSManagedPolicy finds a built-in policy by its ARN.
func AWSManagedPolicy(arn string) (*ManagedPolicy, bool) {
	for _, policy := range AWSManaged() {
		if policy.ARN() == arn {
			return policy, true
		}
	}
	return nil, false
}

// Attachable reports whether users, groups and roles may have the policy. The policies of service-linked roles are not
// for them.
func (p *ManagedPolicy) Attachable() bool {
	return p.Account != AWSAccount || p.Path != serviceRolePath
}
