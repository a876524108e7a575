package iam

import "pergola/lattice"

// The quotas of an account, and of one entity, as IAM has them by default (IAM user guide, "IAM and AWS STS quotas").
// The names are those of IAM's errors, the codes those of Service Quotas; a quota without a code cannot be changed.
var (
	QuotaUsers            = quota("L-F55AF5E4", "UsersPerAccount", 5000)
	QuotaGroups           = quota("L-F4A5425F", "GroupsPerAccount", 300)
	QuotaRoles            = quota("L-FE177D64", "RolesPerAccount", 1000)
	QuotaInstanceProfiles = quota("L-6E65F664", "InstanceProfilesPerAccount", 1000)
	QuotaPolicies         = quota("L-E95E4862", "PoliciesPerAccount", 1500)
	QuotaProviders        = quota("L-858F3967", "OpenIdConnectProvidersPerAccount", 100)

	QuotaUserPolicies  = quota("L-4019AD8B", "PoliciesPerUser", 10)
	QuotaGroupPolicies = quota("L-384571C4", "PoliciesPerGroup", 10)
	QuotaRolePolicies  = quota("L-0DA4ABF3", "PoliciesPerRole", 10)
	QuotaTrustPolicy   = quota("L-C07B4B0D", "ACLSizePerRole", 2048) // characters other than white space
	QuotaAccessKeys    = quota("L-8758042E", "AccessKeysPerUser", 2)
	QuotaUserGroups    = quota("", "GroupsPerUser", 10)
	QuotaClientIDs     = quota("", "ClientIdsPerOpenIdConnectProvider", 100)
)

func quota(code, name string, limit int) lattice.Quota {
	return lattice.Quota{Code: code, Name: name, Default: limit}
}
