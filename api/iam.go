package api

import (
	"pergola/control/iam"
	"pergola/control/sts"
)

// iamOperations is the table of IAM.
func iamOperations(c *iam.Control) []operation { return iamTable(c) }

// stsOperations is the table of STS.
func stsOperations(c *sts.Control) []operation {
	return with(unsigned, stsTable(c), "AssumeRoleWithWebIdentity")
}
