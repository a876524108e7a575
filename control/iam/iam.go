// Package iam says who may call the control plane: it keeps the access keys of the deployment and finds the secret and
// the principal behind one. Secrets are sealed with a key that never leaves the data directory.
package iam

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"pergola/aws/iam"
	"pergola/lattice"
	"pergola/sigv4"
	"pergola/store"
)

// ManagementAccount is the account that owns a deployment until it has an organisation of several.
const ManagementAccount = "100000000001"

// accessKeys are kept by their ids, administrators by account: the id of the key of an account's administrator.
var (
	accessKeys     = store.NewKind[iam.AccessKey](iam.KindAccessKey)
	administrators = store.NewIndex("administrator")
)

// Config is what the package needs from outside.
type Config struct {
	Store *store.Store
	// Dir is the data directory, where the sealing key is kept in a file of mode 0600.
	Dir string
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Random is the source of keys; nil means crypto/rand.
	Random io.Reader
}

// Control keeps access keys.
type Control struct {
	store  *store.Store
	now    func() time.Time
	random io.Reader
	seal   cipher.AEAD
}

// New opens the sealing key of the data directory, making it on first use.
func New(cfg Config) (*Control, error) {
	c := &Control{store: cfg.Store, now: cfg.Now, random: cfg.Random}
	if c.now == nil {
		c.now = time.Now
	}
	if c.random == nil {
		c.random = rand.Reader
	}
	key, err := sealingKey(filepath.Join(cfg.Dir, "sealing.key"), c.random)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	c.seal, err = cipher.NewGCMWithRandomNonce(block)
	return c, err
}

// sealingKey reads the key in a file, or makes one there. The file appears whole or not at all.
func sealingKey(path string, random io.Reader) ([]byte, error) {
	const size = 32
	key, err := os.ReadFile(path)
	if err == nil && len(key) != size {
		return nil, fmt.Errorf("%s: a sealing key has %d bytes, this file %d; restore it from a copy, since the secrets in the store cannot be read without it", path, size, len(key))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = make([]byte, size)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path+".new", key, 0o600); err != nil {
		return nil, err
	}
	return key, os.Rename(path+".new", path)
}

// Credential is an access key in clear. It must not be logged.
type Credential struct{ AccessKeyID, Secret string }

// Administrator returns the credential of an account's administrator, whom it creates on first use.
func (c *Control) Administrator(ctx context.Context, account string) (Credential, error) {
	var credential Credential
	_, err := c.store.Update(ctx, func(tx *store.Tx) error {
		id, err := administrators.Get(tx, account)
		if errors.Is(err, store.ErrNotFound) {
			credential, err = c.createAdministrator(tx, account)
			return err
		}
		if err != nil {
			return err
		}
		key, err := accessKeys.Get(tx, id)
		if err != nil {
			return err
		}
		credential, err = c.open(key)
		return err
	})
	return credential, err
}

func (c *Control) createAdministrator(tx *store.Tx, account string) (Credential, error) {
	credential := Credential{AccessKeyID: "AKIA" + c.letters(16), Secret: c.secret()}
	key := iam.AccessKey{
		ID: credential.AccessKeyID, Secret: c.seal.Seal(nil, nil, []byte(credential.Secret), []byte(credential.AccessKeyID)),
		Account: account, UserARN: "arn:aws:iam::" + account + ":user/admin", UserID: "AIDA" + c.letters(17),
		Created: lattice.Time{Time: c.now()},
	}
	if err := accessKeys.Put(tx, key.ID, key); err != nil {
		return Credential{}, err
	}
	return credential, administrators.Put(tx, account, key.ID)
}

// Find returns the credential and the principal of an access key, or sigv4.ErrUnknownKey.
func (c *Control) Find(ctx context.Context, accessKeyID string) (Credential, iam.Caller, error) {
	var key iam.AccessKey
	err := c.store.View(ctx, func(tx *store.Tx) (err error) {
		key, err = accessKeys.Get(tx, accessKeyID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return Credential{}, iam.Caller{}, sigv4.ErrUnknownKey
	}
	if err != nil {
		return Credential{}, iam.Caller{}, err
	}
	credential, err := c.open(key)
	return credential, iam.Caller{Account: key.Account, ARN: key.UserARN, UserID: key.UserID}, err
}

// open unseals a secret. A secret is sealed together with its key's id, so that it cannot be moved to another.
func (c *Control) open(key iam.AccessKey) (Credential, error) {
	secret, err := c.seal.Open(nil, nil, key.Secret, []byte(key.ID))
	if err != nil {
		return Credential{}, fmt.Errorf("access key %s: its secret was sealed with another sealing.key; restore that file", key.ID)
	}
	return Credential{key.ID, string(secret)}, nil
}

// letters makes n random letters and digits of the alphabet of AWS ids.
func (c *Control) letters(n int) string {
	return base32.StdEncoding.EncodeToString(c.bytes(n))[:n]
}

// secret makes 240 random bits in the alphabet of AWS secrets.
func (c *Control) secret() string { return base64.StdEncoding.EncodeToString(c.bytes(30)) }

func (c *Control) bytes(n int) []byte {
	raw := make([]byte, n)
	if _, err := io.ReadFull(c.random, raw); err != nil {
		panic(fmt.Sprintf("iam: no randomness for a credential: %v", err))
	}
	return raw
}
