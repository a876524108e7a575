package control

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"pergola/lattice"
	"pergola/store"
)

// noun is a kind of object that the API manages: where the store keeps it and what all nouns have in common.
type noun[T any] struct {
	lattice.Kind
	objects store.Kind[T]
	head    func(*T) head
}

// head is the part of an object that does not depend on its kind.
type head struct {
	path   string // its id in the store; below a service, with the parents' ids before it
	arn    string
	token  string          // the idempotency token of its creation, or ""
	status *lattice.Status // nil for kinds without a status
	tags   *lattice.Tags
}

var (
	serviceNetworks = newNoun(lattice.KindServiceNetwork, func(v *lattice.ServiceNetwork) head {
		return head{v.ID, v.ARN, v.ClientToken, nil, &v.Tags}
	})
	services = newNoun(lattice.KindService, func(v *lattice.Service) head {
		return head{v.ID, v.ARN, v.ClientToken, &v.Status, &v.Tags}
	})
	listeners = newNoun(lattice.KindListener, func(v *lattice.Listener) head {
		return head{below(v.ServiceID) + v.ID, v.ARN, v.ClientToken, nil, &v.Tags}
	})
	rules = newNoun(lattice.KindRule, func(v *lattice.Rule) head {
		return head{below(v.ServiceID, v.ListenerID) + v.ID, v.ARN, v.ClientToken, nil, &v.Tags}
	})
	targetGroups = newNoun(lattice.KindTargetGroup, func(v *lattice.TargetGroup) head {
		return head{v.ID, v.ARN, v.ClientToken, &v.Status, &v.Tags}
	})
	serviceAssociations = newNoun(lattice.KindServiceNetworkServiceAssociation, func(v *lattice.ServiceNetworkServiceAssociation) head {
		return head{v.ID, v.ARN, v.ClientToken, &v.Status, &v.Tags}
	})
	vpcAssociations = newNoun(lattice.KindServiceNetworkVPCAssociation, func(v *lattice.ServiceNetworkVPCAssociation) head {
		return head{v.ID, v.ARN, v.ClientToken, &v.Status, &v.Tags}
	})

	// targets are parts of their target group: they have no ARN, no tags and no token of their own.
	targets = store.NewKind[lattice.RegisteredTarget](lattice.KindTarget.Name)
)

func newNoun[T any](kind lattice.Kind, of func(*T) head) noun[T] {
	return noun[T]{kind, store.NewKind[T](kind.Name), of}
}

// below is what precedes the path of an object in the store: its parents' ids, each with a slash.
func below(parents ...string) string { return strings.Join(parents, "/") + "/" }

// find reads the object that an identifier names, if the caller may see it. The identifier is an id, or an ARN, which
// must then be the object's own. parents is "" or what below makes.
//
// An object of another account is refused rather than not found.
func (n noun[T]) find(op *call, parents, identifier string) (*T, error) {
	id := lattice.IDOf(identifier)
	isARN := id != identifier
	if isARN {
		if err := op.may(identifier); err != nil {
			return nil, err
		}
	}
	value, err := n.objects.Get(op.tx, parents+id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, lattice.NotFoundError(n.Kind, id)
	}
	if err != nil {
		return nil, err
	}
	arn := n.head(&value).arn
	if isARN && arn != identifier {
		return nil, lattice.NotFoundError(n.Kind, id)
	}
	if err := op.may(arn); err != nil {
		return nil, err
	}
	return &value, nil
}

// findStanding is find for what something is to be added to or made to refer to: it must not be going away.
func (n noun[T]) findStanding(op *call, identifier string) (*T, error) {
	return n.findUnless(op, identifier, func(s lattice.Status) bool { return s == lattice.StatusDeleteInProgress })
}

// findSettled is find for what is to be changed itself: its last change must be complete.
func (n noun[T]) findSettled(op *call, identifier string) (*T, error) {
	return n.findUnless(op, identifier, lattice.Status.InProgress)
}

func (n noun[T]) findUnless(op *call, identifier string, refused func(lattice.Status) bool) (*T, error) {
	value, err := n.find(op, "", identifier)
	if err != nil {
		return nil, err
	}
	head := n.head(value)
	if head.status != nil && refused(*head.status) {
		return nil, lattice.StatusConflict(n.Kind, head.path, *head.status)
	}
	return value, nil
}

// put writes an object that exists already.
func (n noun[T]) put(tx *store.Tx, value *T) error {
	return n.objects.Put(tx, n.head(value).path, *value)
}

// tokens remembers what was created with which idempotency token: by account, kind and token, the digest of the
// request and the path of the object, separated by a space.
var tokens = store.NewIndex("token")

// create builds an object and writes it. With an idempotency token that has been used before, it answers with what
// was created then, as it is now, provided that the request is the same.
func (n noun[T]) create(op *call, token string, request any, build func() (*T, error)) (*T, error) {
	if err := op.may(op.place(op.caller.Account).ARN(n.Kind, "*")); err != nil {
		return nil, err
	}
	key := n.tokenKey(op.caller.Account, token)
	if token != "" {
		known, err := tokens.Get(op.tx, key)
		if err == nil {
			return n.replay(op, known, digest(request))
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	value, err := build()
	if err != nil {
		return nil, err
	}
	if token != "" {
		if err := tokens.Put(op.tx, key, digest(request)+" "+n.head(value).path); err != nil {
			return nil, err
		}
	}
	return value, n.put(op.tx, value)
}

func (n noun[T]) tokenKey(account, token string) string { return account + "/" + n.Name + "/" + token }

func (n noun[T]) replay(op *call, known, digest string) (*T, error) {
	before, path, _ := strings.Cut(known, " ")
	if before != digest {
		return nil, lattice.ConflictError(n.Kind, lattice.IDOf(path),
			"The client token was used before, with other parameters, for %s", lattice.IDOf(path))
	}
	value, err := n.objects.Get(op.tx, path)
	return &value, err
}

// digest identifies the parameters of a request.
func digest(request any) string {
	encoded, err := json.Marshal(request)
	if err != nil {
		panic(fmt.Sprintf("control: a request that cannot be encoded: %v", err)) // requests are plain data
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

// remove deletes an object and frees its idempotency token.
func (n noun[T]) remove(tx *store.Tx, value *T) {
	head := n.head(value)
	n.objects.Delete(tx, head.path)
	if head.token != "" {
		tokens.Delete(tx, n.tokenKey(lattice.AccountOf(head.arn), head.token))
	}
}

// removeAll deletes every object below a path, with its idempotency token.
func (n noun[T]) removeAll(tx *store.Tx, parents string) error {
	entries, _, err := n.objects.List(tx, parents, "", 0)
	for _, entry := range entries {
		n.remove(tx, &entry.Value)
	}
	return err
}
