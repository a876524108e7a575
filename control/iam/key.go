package iam

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/sigv4"
	"pergola/store"
)

// accessKeys are kept by their ids; keysByUser has "<user's id>/<key id>".
var (
	accessKeys = resource.New(resource.Definition[iam.AccessKey]{
		Name: iam.KindAccessKey, Global: true,
		Head: func(key *iam.AccessKey) resource.Head { return resource.Head{Path: key.ID} },
		Missing: func(ref resource.Ref) error {
			return noSuchEntity("The Access Key with id %s cannot be found.", ref.Named)
		},
		Taken: func(*iam.AccessKey) error {
			return errors.New("a new access key has the id of another; try again")
		},
		Holds: func(key *iam.AccessKey) []resource.Hold {
			return []resource.Hold{{Index: keysByUser, Key: below(key.Account, key.User) + key.ID}}
		},
	})
	keysByUser = store.NewIndex("iam-key")
)

// keysOf reads the access keys of a user, in order of their ids.
func (op *call) keysOf(user *iam.User) ([]*iam.AccessKey, error) {
	entries, _, err := keysByUser.List(op.Tx, below(user.Account, user.Name), "", 0)
	if err != nil {
		return nil, err
	}
	return each(entries, func(e store.Entry[string]) (*iam.AccessKey, error) {
		key, err := accessKeys.Objects.Get(op.Tx, lattice.IDOf(e.ID))
		return &key, err
	})
}

// newKey makes an access key for a user.
func (op *call) newKey(user *iam.User) (sealing.Credential, *iam.AccessKey, error) {
	credential := sealing.Credential{
		AccessKeyID: iam.NewKeyID(iam.PrefixAccessKey, user.Account, op.Random), Secret: op.newSecret(),
	}
	key := &iam.AccessKey{
		ID: credential.AccessKeyID, Secret: op.box.SealSecret(credential.AccessKeyID, credential.Secret),
		Account: user.Account, User: user.Name, Created: lattice.Time{Time: op.Now()},
	}
	return credential, key, accessKeys.Add(op.Call, key)
}

// newSecret makes 240 random bits in the alphabet of AWS secrets.
func (c *Control) newSecret() string {
	var raw [30]byte
	if _, err := io.ReadFull(c.Random, raw[:]); err != nil {
		panic(fmt.Sprintf("iam: no randomness for a secret: %v", err))
	}
	return base64.StdEncoding.EncodeToString(raw[:])
}

// CreateAccessKey makes an access key for a user; for the caller, if it names none. Its secret is told this once.
func (op *call) CreateAccessKey(in *iam.SubjectRequest) (*iam.CreateAccessKeyResponse, error) {
	user, err := op.user(in.Subject)
	if err != nil {
		return nil, err
	}
	keys, err := op.keysOf(user)
	if err != nil {
		return nil, err
	}
	if err := op.room(iam.QuotaAccessKeys, len(keys)); err != nil {
		return nil, err
	}
	credential, key, err := op.newKey(user)
	description := describeKey(key)
	description.Secret = credential.Secret
	return &iam.CreateAccessKeyResponse{Key: description}, err
}

func describeKey(key *iam.AccessKey) iam.KeyDescription {
	status := "Active"
	if key.Inactive {
		status = "Inactive"
	}
	return iam.KeyDescription{UserName: key.User, ID: key.ID, Status: status, Created: aws.Instant{Time: key.Created.Time}}
}

// ListAccessKeys lists the access keys of a user; of the caller, if it names none.
func (op *call) ListAccessKeys(in *iam.SubjectPageRequest) (*iam.ListAccessKeysResponse, error) {
	user, err := op.user(in.Subject)
	if err != nil {
		return nil, err
	}
	keys, err := op.keysOf(user)
	if err != nil {
		return nil, err
	}
	keys, rest, err := paginate(keys, func(k *iam.AccessKey) string { return k.ID }, in.Page)
	return &iam.ListAccessKeysResponse{Keys: describeAll(keys, describeKey), Rest: rest}, err
}

// key reads the access key that a request names.
func (op *call) key(in *iam.AccessKeyRequest) (*iam.AccessKey, error) {
	user, err := op.user(in.Subject)
	if err != nil {
		return nil, err
	}
	ref := resource.Ref{Path: in.ID, Named: in.ID}
	key, err := accessKeys.Read(op.Call, ref)
	if err == nil && (key.Account != user.Account || !strings.EqualFold(key.User, user.Name)) {
		err = accessKeys.Missing(ref)
	}
	return key, err
}

// UpdateAccessKey makes an access key inactive, or active again. A key that is inactive signs nothing.
func (op *call) UpdateAccessKey(in *iam.UpdateAccessKeyRequest) error {
	key, err := op.key(&in.AccessKeyRequest)
	if err != nil {
		return err
	}
	key.Inactive = in.Status == "Inactive"
	return accessKeys.Put(op.Call, key)
}

// DeleteAccessKey deletes an access key.
func (op *call) DeleteAccessKey(in *iam.AccessKeyRequest) error {
	key, err := op.key(in)
	if err != nil {
		return err
	}
	accessKeys.Delete(op.Tx, key)
	return nil
}

// Find returns the secret of an access key and the principal that holds it. The error is sigv4.ErrUnknownKey for a key
// that does not exist or is inactive.
func (c *Control) Find(ctx context.Context, accessKeyID string) (secret string, caller iam.Caller, err error) {
	var key iam.AccessKey
	var user iam.User
	err = c.Store.View(ctx, func(tx *store.Tx) (err error) {
		if key, err = accessKeys.Objects.Get(tx, accessKeyID); err != nil {
			return err
		}
		user, err = users.Objects.Get(tx, iam.ID(key.Account, key.User))
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && key.Inactive {
		return "", iam.Caller{}, sigv4.ErrUnknownKey
	}
	if err != nil {
		return "", iam.Caller{}, err
	}
	secret, err = c.box.OpenSecret(key.ID, key.Secret)
	return secret, iam.Caller{Account: user.Account, ARN: user.ARN(), UserID: user.UniqueID, Type: iam.TypeUser, Tags: user.Tags}, err
}
