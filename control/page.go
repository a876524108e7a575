package control

import (
	"crypto/sha256"
	"encoding/base64"

	"pergola/lattice"
	"pergola/store"
)

// source yields what a listing contains in the order of its keys, from the first key after the one given ("" for the
// beginning), until yield returns false.
type source[S any] func(after string, yield func(key string, item S) bool) error

// defaultPage is how many items a page has unless the request says otherwise.
const defaultPage = 100

// paginate cuts one page out of a source. scope is what the listing is of and is filtered by; a token continues only
// the same listing.
func paginate[S any](op *call, page lattice.Page, scope string, from source[S]) (*lattice.List[S], error) {
	after, err := op.resume(page.NextToken, scope)
	if err != nil {
		return nil, err
	}
	size := int(page.MaxResults)
	if size == 0 {
		size = defaultPage
	}
	list, last := &lattice.List[S]{Items: []S{}}, ""
	err = from(after, func(key string, item S) bool {
		if len(list.Items) == size {
			list.NextToken = op.token(scope, last)
			return false
		}
		list.Items, last = append(list.Items, item), key
		return true
	})
	return list, err
}

// chunk is how many objects a listing reads from the store at a time.
const chunk = 500

// scan is the source of the objects of a kind below a path that the caller owns and keep accepts.
func scan[T, S any](op *call, n noun[T], parents string, keep func(*T) bool, summary func(*T) (*S, error)) source[S] {
	return func(after string, yield func(string, S) bool) error {
		for more := true; more; {
			var entries []store.Entry[T]
			var err error
			if parents == "" {
				entries, more, err = n.Own(op.Tx, op.Account, after, chunk)
			} else {
				entries, more, err = n.Objects.List(op.Tx, parents, after, chunk)
			}
			if err != nil {
				return err
			}
			for _, entry := range entries {
				after = entry.ID
				if lattice.AccountOf(n.Head(&entry.Value).ARN) != op.Account || !keep(&entry.Value) {
					continue
				}
				item, err := summary(&entry.Value)
				if err != nil || !yield(entry.ID, *item) {
					return err
				}
			}
		}
		return nil
	}
}

// all keeps everything.
func all[T any](*T) bool { return true }

// summarise is for summaries that the noun holds whole.
func summarise[S, T any](summary func(*T) *S) func(*T) (*S, error) {
	return func(value *T) (*S, error) { return summary(value), nil }
}

// list is a listing of all that the caller owns of a kind, or has below a path.
func list[S, T any](op *call, page lattice.Page, n noun[T], parents string,
	summary func(*T) *S) (*lattice.List[S], error) {
	return paginate(op, page, parents, scan(op, n, parents, all, summarise(summary)))
}

// sealSize is the length of the checksum that precedes the key in a token.
const sealSize = 8

// token says where a listing goes on: after a key. It is opaque and safe in URLs. Its checksum ties it to the caller's
// account, the operation and the scope, and detects damage; it keeps no secret, since a token can only name a place in
// a listing that its bearer may see anyway.
func (op *call) token(scope, key string) string {
	return base64.RawURLEncoding.EncodeToString(append(op.seal(scope, key), key...))
}

func (op *call) seal(scope, key string) []byte {
	sum := sha256.Sum256([]byte(op.Action + "\x00" + op.Account + "\x00" + scope + "\x00" + key))
	return sum[:sealSize]
}

// resume is the key that a token names, or "" without one.
func (op *call) resume(token, scope string) (string, error) {
	if token == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) <= sealSize || string(raw[:sealSize]) != string(op.seal(scope, string(raw[sealSize:]))) {
		return "", lattice.Invalid("nextToken", "is not a token of this listing; begin again without one")
	}
	return string(raw[sealSize:]), nil
}
