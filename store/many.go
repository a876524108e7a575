package store

import (
	"fmt"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// getsAtOnce is how many keys GetMany reads in one request. Every etcd takes 128 operations.
const getsAtOnce = 100

// GetMany returns the objects with some ids, in that order and without those that do not exist. It asks etcd once for a
// hundred of them.
func (k Kind[T]) GetMany(tx *Tx, ids []string) ([]Entry[T], error) {
	rows, err := tx.getMany(k.set.path, ids)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry[T], 0, len(rows))
	for _, r := range rows {
		id := r.key[len(k.set.path):]
		value, err := k.decode(tx, id, r.value)
		if err != nil {
			return nil, err
		}
		entries = append(entries, Entry[T]{ID: id, Value: value, CreateRevision: r.createRevision, Revision: r.revision})
	}
	return entries, nil
}

// Reads is what transactions have read.
type Reads struct {
	// Requests are those to etcd, and Keys what they have brought.
	Requests, Keys int64
}

// Reads is what the transactions of this process have read since the store was opened.
func (s *Store) Reads() Reads { return Reads{s.requests.Load(), s.keys.Load()} }

// count counts one request that has read so many keys.
func (s *Store) count(keys int) {
	s.requests.Add(1)
	s.keys.Add(int64(keys))
}

func (tx *Tx) getMany(path string, ids []string) (rows []row, err error) {
	asked := map[string]row{}
	for rest := ids; len(rest) > 0; rest = rest[min(len(rest), getsAtOnce):] {
		if err := tx.fetchMany(path, rest[:min(len(rest), getsAtOnce)], asked); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		if value, ok := tx.written(path + id); ok {
			if value != nil {
				rows = append(rows, row{key: path + id, value: *value})
			}
			continue
		}
		if found, ok := asked[path+id]; ok {
			rows = append(rows, found)
		}
	}
	return rows, nil
}

// fetchMany reads keys in one request, at the transaction's revision.
func (tx *Tx) fetchMany(path string, ids []string, into map[string]row) error {
	if tx.mirror != nil {
		return tx.fail(fmt.Errorf("store: read some of %s: %w", path, errSingle))
	}
	var gets []clientv3.Op
	for _, id := range ids {
		gets = append(gets, clientv3.OpGet(root+path+id, clientv3.WithRev(tx.revision)))
	}
	resp, err := tx.store.do(tx.ctx, "read some of "+path, clientv3.OpTxn(nil, gets, nil))
	if err != nil {
		return tx.fail(err)
	}
	tx.store.count(len(ids))
	if tx.revision == 0 {
		tx.revision = resp.Txn().Header.Revision
	}
	for i, response := range resp.Txn().Responses {
		key := path + ids[i]
		tx.seen.keys[key] = 0
		for _, kv := range response.GetResponseRange().Kvs {
			tx.seen.keys[key] = kv.ModRevision
			into[key] = row{key, string(kv.Value), kv.CreateRevision, kv.ModRevision}
		}
	}
	return nil
}
