package resource

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"pergola/control/operation"
	"pergola/store"
)

// tokens remembers what was created with which idempotency token: by account, kind, the path of what the resource is
// part of, and token, the digest of the request and the path of the resource, separated by a space. So the tokens of
// all parts of a resource go in one deletion with them.
var tokens = store.NewIndex("token")

func (k *Kind[T]) tokenKey(account, parents, token string) string {
	return account + "/" + k.Name + "/" + parents + token
}

// replay is the resource that was created with the token of an order before, nil if there is none.
func (k *Kind[T]) replay(op *operation.Call, o Order) (*T, error) {
	if o.Token == "" {
		return nil, nil
	}
	known, err := tokens.Get(op.Tx, k.tokenKey(op.Account, o.Parents, o.Token))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	before, path, _ := strings.Cut(known, " ")
	if before != Digest(o.Request) {
		return nil, k.Reused(path)
	}
	return k.get(op.Tx, path)
}

// remember notes that the order with a token has made a resource.
func (k *Kind[T]) remember(op *operation.Call, o Order, value *T) error {
	if o.Token == "" {
		return nil
	}
	return tokens.Put(op.Tx, k.tokenKey(op.Account, o.Parents, o.Token), Digest(o.Request)+" "+k.Head(value).Path)
}

// forget frees the token of a resource.
func (k *Kind[T]) forget(tx *store.Tx, head Head) {
	if head.Token == "" {
		return
	}
	parents := head.Path[:strings.LastIndexByte(head.Path, '/')+1]
	tokens.Delete(tx, k.tokenKey(head.owner(), parents, head.Token))
}

// Digest identifies the parameters of a request.
func Digest(request any) string {
	encoded, err := json.Marshal(request)
	if err != nil {
		panic(fmt.Sprintf("resource: a request that cannot be encoded: %v", err)) // requests are plain data
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}
