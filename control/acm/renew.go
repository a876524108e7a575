package acm

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"pergola/aws/acm"
	"pergola/certificate"
	"pergola/control/operation"
	"pergola/store"
)

// renewEvery is how often what was issued is looked at: often enough for certificates that are renewed days ahead, and
// at once when a deployment starts that was away for long.
const renewEvery = time.Hour

// Renew renews what the built-in authority has issued before it expires, until the context ends.
func (c *Control) Renew(ctx context.Context) error {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		if err := c.renewDue(ctx); err != nil && ctx.Err() == nil {
			c.Logger.Error("certificates could not be renewed; this is tried again in an hour", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// renewDue renews what is due now. What cannot be renewed does not keep the others from it.
func (c *Control) renewDue(ctx context.Context) error {
	var ids []string
	err := c.Store.View(ctx, func(tx *store.Tx) error {
		ids = nil
		entries, _, err := certificates.Objects.List(tx, "", "", 0)
		for _, entry := range entries {
			if leaf, err := x509.ParseCertificate(entry.Value.Chain[0]); err == nil && c.isDue(&entry.Value, leaf) {
				ids = append(ids, entry.ID)
			}
		}
		return err
	})
	errs := []error{err}
	for _, id := range ids {
		if err := c.renew(ctx, id); err != nil {
			errs = append(errs, fmt.Errorf("certificate %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

func (c *Control) isDue(object *acm.Certificate, leaf *x509.Certificate) bool {
	return object.Type == acm.Issued && !c.Now().Before(certificate.RenewAt(leaf))
}

// renew issues a certificate once more, for the key that it has, unless somebody else just did.
func (c *Control) renew(ctx context.Context, id string) error {
	_, err := c.Store.Update(ctx, func(tx *store.Tx) error {
		object, err := certificates.Objects.Get(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		leaf, err := x509.ParseCertificate(object.Chain[0])
		if err != nil || !c.isDue(&object, leaf) {
			return err
		}
		key, ok := leaf.PublicKey.(*rsa.PublicKey)
		if !ok {
			return fmt.Errorf("it has a key of type %T", leaf.PublicKey)
		}
		if err := c.certify(tx, &object, key); err != nil {
			return err
		}
		return certificates.Put(operation.Within(tx, ""), &object)
	})
	return err
}
