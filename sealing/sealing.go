// Package sealing encrypts credentials with the one key of a deployment: the secrets of long-term access keys, the private
// keys of certificates and the variables of functions, for the store, and sessions, for those who hold them.
//
// A session token is the session itself, sealed: any process with the key can open it, check that it is whole and of
// now, and know its principal, with no call to anything. Nothing is kept of it. The secret that belongs to a session is
// derived from its token and the key, so it is in no message but the one that hands the session out.
//
// The key lies in one file of the data directory and is used for nothing itself: each purpose has a key derived from it
// (RFC 5869), so that what is sealed for one cannot be opened for another.
package sealing

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// KeySize is the length of a sealing key in bytes.
const KeySize = 32

// Box seals and opens. It is safe for concurrent use.
type Box struct {
	secrets   cipher.AEAD
	sessions  cipher.AEAD
	keys      cipher.AEAD
	variables cipher.AEAD
	constant  cipher.AEAD
	// derive is the key from which the secrets of sessions come.
	derive []byte
}

// Open makes a box with the key in a file. If there is no such file, the error wraps fs.ErrNotExist.
func Open(path string) (*Box, error) {
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	box, err := New(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; restore the file from a copy, since the secrets in the store cannot be read without it", path, err)
	}
	return box, nil
}

// Make makes a key in a file, with mode 0600, and a box with it. Only a store in which nothing is sealed may get one.
func Make(path string) (*Box, error) {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // it does not fail
	if err := write(path, key); err != nil {
		return nil, err
	}
	return New(key)
}

// New makes a box with a key of KeySize random bytes.
func New(key []byte) (*Box, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("a sealing key has %d bytes, this one %d", KeySize, len(key))
	}
	var b Box
	var errs [6]error
	b.secrets, errs[0] = newAEAD(key, "secrets of access keys")
	b.sessions, errs[1] = newAEAD(key, "session tokens")
	b.derive, errs[2] = hkdf.Expand(sha256.New, key, "secrets of sessions", sha256.Size)
	b.keys, errs[3] = newAEAD(key, "private keys of certificates")
	b.variables, errs[4] = newAEAD(key, "variables of functions")
	b.constant, errs[5] = newAEAD(key, "the constant of a store")
	return &b, errors.Join(errs[:]...)
}

// newAEAD makes AES-256-GCM with random nonces. A key may seal 2³² messages, which is a thousand sessions a second for
// fifty days; beyond, the chance that two nonces are the same exceeds 2⁻³².
func newAEAD(key []byte, purpose string) (cipher.AEAD, error) {
	derived, err := hkdf.Expand(sha256.New, key, purpose, KeySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// write makes a file that is there whole and for good, or not at all: what the key has sealed outlives a power cut, so
// the key must too.
func write(path string, content []byte) error {
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// constant is what a store keeps sealed, to tell its key from others.
const constant = "pergola"

// SealConstant seals what tells the key of a store from others.
func (b *Box) SealConstant() []byte { return b.constant.Seal(nil, nil, []byte(constant), nil) }

// OpensConstant reports whether it was made with this key.
func (b *Box) OpensConstant(sealed []byte) bool {
	opened, err := b.constant.Open(nil, nil, sealed, nil)
	return err == nil && string(opened) == constant
}

// SealSecret seals the secret of an access key. It is bound to the key's id, so that it opens for no other.
func (b *Box) SealSecret(keyID, secret string) []byte {
	return b.secrets.Seal(nil, nil, []byte(secret), []byte(keyID))
}

// OpenSecret opens what SealSecret made for that id.
func (b *Box) OpenSecret(keyID string, sealed []byte) (string, error) {
	secret, err := b.secrets.Open(nil, nil, sealed, []byte(keyID))
	if err != nil {
		return "", fmt.Errorf("access key %s: its secret was sealed with another sealing key; restore that key's file", keyID)
	}
	return string(secret), nil
}

// SealKey seals the private key of a certificate. It is bound to the certificate's name, such as its ARN, so that it opens
// for no other.
func (b *Box) SealKey(name string, key []byte) []byte {
	return b.keys.Seal(nil, nil, key, []byte(name))
}

// OpenKey opens what SealKey made for that name.
func (b *Box) OpenKey(name string, sealed []byte) ([]byte, error) {
	key, err := b.keys.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("certificate %s: its private key was sealed with another sealing key; restore that key's file", name)
	}
	return key, nil
}

// SealVariables seals what the environment variables of a function are encoded as. It is bound to the function's ARN, so
// that it opens for no other.
func (b *Box) SealVariables(arn string, encoded []byte) []byte {
	return b.variables.Seal(nil, nil, encoded, []byte(arn))
}

// OpenVariables opens what SealVariables made for that ARN.
func (b *Box) OpenVariables(arn string, sealed []byte) ([]byte, error) {
	encoded, err := b.variables.Open(nil, nil, sealed, []byte(arn))
	if err != nil {
		return nil, fmt.Errorf("function %s: its variables were sealed with another sealing key; restore that key's file", arn)
	}
	return encoded, nil
}
