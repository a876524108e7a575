package api

import (
	"slices"

	"pergola/control/iam"
	"pergola/control/sts"
)

// iamOperations is the table of IAM, version 2010-05-08.
func iamOperations(c *iam.Control) []operation {
	return slices.Concat(
		iamEntities(c), iamPolicies(c),
		ofHolders("User", c.Users()), ofHolders("Group", c.Groups()), ofHolders("Role", c.Roles()),
		boundaries("User", c.Users()), boundaries("Role", c.Roles()),
		tags("User", c.Users().Entities), tags("Role", c.Roles().Entities), tags("InstanceProfile", c.InstanceProfiles()),
		tags("Policy", c.Policies()), tags("OpenIDConnectProvider", c.Providers()),
	)
}

func iamEntities(c *iam.Control) []operation {
	return []operation{
		action("CreateUser", c.CreateUser),
		action("GetUser", c.GetUser),
		action("ListUsers", c.ListUsers),
		action("UpdateUser", c.UpdateUser),
		action("DeleteUser", c.DeleteUser),

		action("CreateAccessKey", c.CreateAccessKey),
		action("ListAccessKeys", c.ListAccessKeys),
		action("UpdateAccessKey", c.UpdateAccessKey),
		action("DeleteAccessKey", c.DeleteAccessKey),

		action("CreateGroup", c.CreateGroup),
		action("GetGroup", c.GetGroup),
		action("ListGroups", c.ListGroups),
		action("DeleteGroup", c.DeleteGroup),
		action("AddUserToGroup", c.AddUserToGroup),
		action("RemoveUserFromGroup", c.RemoveUserFromGroup),
		action("ListGroupsForUser", c.ListGroupsForUser),

		action("CreateRole", c.CreateRole),
		action("GetRole", c.GetRole),
		action("ListRoles", c.ListRoles),
		action("UpdateRole", c.UpdateRole),
		action("UpdateAssumeRolePolicy", c.UpdateAssumeRolePolicy),
		action("DeleteRole", c.DeleteRole),

		action("CreateInstanceProfile", c.CreateInstanceProfile),
		action("GetInstanceProfile", c.GetInstanceProfile),
		action("ListInstanceProfiles", c.ListInstanceProfiles),
		action("ListInstanceProfilesForRole", c.ListInstanceProfilesForRole),
		action("DeleteInstanceProfile", c.DeleteInstanceProfile),
		action("AddRoleToInstanceProfile", c.AddRoleToInstanceProfile),
		action("RemoveRoleFromInstanceProfile", c.RemoveRoleFromInstanceProfile),

		action("CreateOpenIDConnectProvider", c.CreateOpenIDConnectProvider),
		action("GetOpenIDConnectProvider", c.GetOpenIDConnectProvider),
		action("ListOpenIDConnectProviders", c.ListOpenIDConnectProviders),
		action("DeleteOpenIDConnectProvider", c.DeleteOpenIDConnectProvider),
		action("AddClientIDToOpenIDConnectProvider", c.AddClientIDToOpenIDConnectProvider),
		action("RemoveClientIDFromOpenIDConnectProvider", c.RemoveClientIDFromOpenIDConnectProvider),
	}
}

func iamPolicies(c *iam.Control) []operation {
	return []operation{
		action("CreatePolicy", c.CreatePolicy),
		action("GetPolicy", c.GetPolicy),
		action("ListPolicies", c.ListPolicies),
		action("DeletePolicy", c.DeletePolicy),
		action("CreatePolicyVersion", c.CreatePolicyVersion),
		action("GetPolicyVersion", c.GetPolicyVersion),
		action("ListPolicyVersions", c.ListPolicyVersions),
		action("SetDefaultPolicyVersion", c.SetDefaultPolicyVersion),
		action("DeletePolicyVersion", c.DeletePolicyVersion),
		action("ListEntitiesForPolicy", c.ListEntitiesForPolicy),
	}
}

// ofHolders are the operations on the policies of users, groups or roles.
func ofHolders[T any](noun string, h iam.Holders[T]) []operation {
	return []operation{
		action("Put"+noun+"Policy", h.PutPolicy),
		action("Get"+noun+"Policy", h.GetPolicy),
		action("Delete"+noun+"Policy", h.DeletePolicy),
		action("List"+noun+"Policies", h.ListPolicies),
		action("Attach"+noun+"Policy", h.AttachPolicy),
		action("Detach"+noun+"Policy", h.DetachPolicy),
		action("ListAttached"+noun+"Policies", h.ListAttached),
	}
}

func boundaries[T any](noun string, h iam.Holders[T]) []operation {
	return []operation{
		action("Put"+noun+"PermissionsBoundary", h.PutBoundary),
		action("Delete"+noun+"PermissionsBoundary", h.DeleteBoundary),
	}
}

func tags[T any](noun string, e iam.Entities[T]) []operation {
	return []operation{
		action("Tag"+noun, e.Tag),
		action("Untag"+noun, e.Untag),
		action("List"+noun+"Tags", e.ListTags),
	}
}

// stsOperations is the table of STS, version 2011-06-15.
func stsOperations(c *sts.Control) []operation {
	return []operation{
		action("GetCallerIdentity", c.GetCallerIdentity),
		action("GetAccessKeyInfo", c.GetAccessKeyInfo),
		action("AssumeRole", c.AssumeRole),
		unsigned(action("AssumeRoleWithWebIdentity", c.AssumeRoleWithWebIdentity)),
		action("GetSessionToken", c.GetSessionToken),
	}
}
