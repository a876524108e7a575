package authority

import (
	"errors"
	"strings"

	"pergola/aws/iam"
	"pergola/aws/organizations"
	"pergola/lattice"
	"pergola/policy"
	"pergola/store"
)

// ManagementAccount is the account that owns a deployment until it has an organisation of several.
const ManagementAccount = organizations.ManagementAccount

// UniqueID is that of the user or the role, of any account, that has an ARN now; "" if there is none.
func UniqueID(tx *store.Tx, arn string) (string, error) {
	of, err := lattice.ParseARN(arn)
	if err != nil || of.Service != "iam" {
		return "", nil
	}
	key, has, id := iam.ID(of.Account, lattice.IDOf(of.Resource)), "", ""
	switch {
	case strings.HasPrefix(of.Resource, "role/"):
		var role iam.Role
		role, err = roles.Get(tx, key)
		has, id = role.ARN(), role.UniqueID
	case strings.HasPrefix(of.Resource, "user/"):
		var user iam.User
		user, err = users.Get(tx, key)
		has, id = user.ARN(), user.UniqueID
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && has != arn {
		return "", nil
	}
	return id, err
}

// AbsentPrincipal is the first of a document's principals that would have to be in this deployment and is not: a user,
// a role, or the role of a session, whose account is the deployment's own. It is "" if there is none such. Of accounts
// elsewhere nothing is known, and all that they may have is taken.
func AbsentPrincipal(tx *store.Tx, document string) (string, error) {
	for _, named := range policy.AWSPrincipals(document) {
		absent, err := isAbsent(tx, named)
		if err != nil || absent {
			return named, err
		}
	}
	return "", nil
}

func isAbsent(tx *store.Tx, named string) (bool, error) {
	arn, err := lattice.ParseARN(named)
	if err != nil {
		return false, nil // an account, or everyone
	}
	if own, err := isOwn(tx, arn.Account); err != nil || !own {
		return false, err
	}
	switch kind, rest, _ := strings.Cut(arn.Resource, "/"); kind {
	case "user", "role":
		id, err := UniqueID(tx, named)
		return id == "", err
	case "assumed-role":
		name, _, _ := strings.Cut(rest, "/")
		role, err := roles.Get(tx, iam.ID(arn.Account, name))
		return err != nil || role.Name != name, unlessAbsent(err)
	}
	return false, nil
}

// isOwn reports whether an account is one of this deployment.
func isOwn(tx *store.Tx, account string) (bool, error) {
	if account == ManagementAccount {
		return true, nil
	}
	_, err := accountObjects.Get(tx, account)
	return err == nil, unlessAbsent(err)
}
