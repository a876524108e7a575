package store

import (
	"context"
	"errors"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// MaxOperations is how many keys and ranges one transaction may write, and how many it may read. What has more to do
// takes several transactions, in an order in which each leaves things whole. The marks of kinds that lose objects are
// among the writes: one for each kind.
func (s *Store) MaxOperations() int { return s.most }

// probeOperations asks etcd how much it takes, by transactions that compare and write nothing.
func (s *Store) probeOperations(ctx context.Context) (int, error) {
	takes := func(n int) (bool, error) {
		compares := slices.Repeat([]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(root), "=", 0)}, n)
		_, err := s.do(ctx, "ask how many operations a transaction may have", clientv3.OpTxn(compares, nil, nil))
		if errors.Is(err, ErrTooManyOps) {
			return false, nil
		}
		return err == nil, err
	}
	least, most := 1, maxTxnOps+1 // it takes the one, and not the other, or that is of no use
	for n := maxTxnOps; most-least > 1; n = (least + most) / 2 {
		ok, err := takes(n)
		if err != nil {
			return 0, err
		}
		if ok {
			least = n
		} else {
			most = n
		}
	}
	return least, nil
}
