package iam

import (
	"context"
	"errors"

	"pergola/aws/iam"
	"pergola/sealing"
	"pergola/store"
)

// administratorName and administratorPolicy are what the administrator of each account is called and may do.
const (
	administratorName   = "admin"
	administratorPolicy = "arn:aws:iam::aws:policy/AdministratorAccess"
)

// administrators are the ids of the administrators' access keys by account.
var administrators = store.NewIndex("administrator")

// Administrator returns the credential of an account's administrator, a user that may do everything. It makes the user
// on first use, and a new access key where the last one is gone or inactive: the holder of the data directory cannot be
// locked out.
func (c *Control) Administrator(ctx context.Context, account string) (sealing.Credential, error) {
	var credential sealing.Credential
	_, err := c.Store.Update(ctx, func(tx *store.Tx) error {
		op := c.inside(tx, account)
		key, err := op.administratorKey()
		if errors.Is(err, store.ErrNotFound) {
			credential, err = op.newAdministrator()
			return err
		}
		if err != nil {
			return err
		}
		secret, err := c.box.OpenSecret(key.ID, key.Secret)
		credential = sealing.Credential{AccessKeyID: key.ID, Secret: secret}
		return err
	})
	return credential, err
}

// administratorKey reads the key that was made last, if it is good.
func (op *call) administratorKey() (iam.AccessKey, error) {
	id, err := administrators.Get(op.Tx, op.Account)
	if err != nil {
		return iam.AccessKey{}, err
	}
	key, err := accessKeys.Objects.Get(op.Tx, id)
	if err == nil && key.Inactive {
		err = store.ErrNotFound
	}
	return key, err
}

func (op *call) newAdministrator() (sealing.Credential, error) {
	found, err := users.Objects.Get(op.Tx, iam.ID(op.Account, administratorName))
	user := &found
	if errors.Is(err, store.ErrNotFound) {
		user, err = users.make(op, administratorName, "/", nil)
		err = errors.Join(err, users.Add(op.Call, user))
	}
	if err != nil {
		return sealing.Credential{}, err
	}
	if err := errors.Join(users.attach(op, user, administratorPolicy), users.Put(op.Call, user)); err != nil {
		return sealing.Credential{}, err
	}
	credential, key, err := op.newKey(user)
	if err != nil {
		return sealing.Credential{}, err
	}
	return credential, administrators.Put(op.Tx, op.Account, key.ID)
}
