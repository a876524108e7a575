package acm

import (
	"context"
	"errors"

	"pergola/aws/acm"
	"pergola/certificate"
	"pergola/store"
)

// Authority is the certificate of the built-in authority, in DER. The first question makes the authority.
func (c *Control) Authority(ctx context.Context) (der []byte, err error) {
	_, err = c.Store.Update(ctx, func(tx *store.Tx) error {
		object, err := c.builtIn(tx)
		der = object.Certificate
		return err
	})
	return der, err
}

// builtIn reads the authority, or makes it. Of two that make one, the store keeps the first, and the other reads it.
func (c *Control) builtIn(tx *store.Tx) (acm.Authority, error) {
	object, err := authorityObjects.Get(tx, acm.AuthorityID)
	if !errors.Is(err, store.ErrNotFound) {
		return object, err
	}
	der, key, err := certificate.NewAuthority(c.Now())
	if err != nil {
		return acm.Authority{}, err
	}
	object = acm.Authority{Certificate: der, SealedKey: c.box.SealKey(acm.AuthorityID, key)}
	return object, authorityObjects.Put(tx, acm.AuthorityID, object)
}

// openAuthority is the authority, ready to issue.
func (c *Control) openAuthority(tx *store.Tx) (*certificate.Authority, error) {
	object, err := c.builtIn(tx)
	if err != nil {
		return nil, err
	}
	key, err := c.box.OpenKey(acm.AuthorityID, object.SealedKey)
	if err != nil {
		return nil, err
	}
	return certificate.OpenAuthority(object.Certificate, key)
}
