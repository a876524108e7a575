package control

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"pergola/control/authority"
	"pergola/control/ownership"
	"pergola/lattice"
	"pergola/store"
)

// noun is a kind of object that the API manages: where the store keeps it and what all nouns have in common.
type noun[T any] struct {
	lattice.Kind
	objects store.Kind[T]
	owned   ownership.Kind[T] // of objects that are no part of another
	head    func(*T) head
	// keys gives the condition keys that an object has, besides its tags; nil for none.
	keys func(authority.Keys, *T)
}

// head is the part of an object that does not depend on its kind.
type head struct {
	path   string // its id in the store; below a service, with the parents' ids before it
	arn    string
	token  string          // the idempotency token of its creation, or ""
	status *lattice.Status // nil for kinds without a status
	tags   *lattice.Tags
	// failure is why the resource has failed; nil for kinds without a status.
	failure *lattice.Failure
}

var (
	serviceNetworks = newNoun(lattice.KindServiceNetwork, func(v *lattice.ServiceNetwork) head {
		return head{v.ID, v.ARN, v.ClientToken, nil, &v.Tags, nil}
	})
	services = newNoun(lattice.KindService, func(v *lattice.Service) head {
		return head{v.ID, v.ARN, v.ClientToken, &v.Status, &v.Tags, &v.Failure}
	})
	listeners = newNoun(lattice.KindListener, func(v *lattice.Listener) head {
		return head{below(v.ServiceID) + v.ID, v.ARN, v.ClientToken, nil, &v.Tags, nil}
	})
	rules = newNoun(lattice.KindRule, func(v *lattice.Rule) head {
		return head{below(v.ServiceID, v.ListenerID) + v.ID, v.ARN, v.ClientToken, nil, &v.Tags, nil}
	})
	targetGroups = newNoun(lattice.KindTargetGroup, func(v *lattice.TargetGroup) head {
		return head{v.ID, v.ARN, v.ClientToken, &v.Status, &v.Tags, &v.Failure}
	})
	serviceAssociations = withKeys(newNoun(lattice.KindServiceNetworkServiceAssociation, func(v *lattice.ServiceNetworkServiceAssociation) head {
		return head{v.ID, v.ARN, v.ClientToken, &v.Status, &v.Tags, &v.Failure}
	}), func(k authority.Keys, v *lattice.ServiceNetworkServiceAssociation) {
		k.Set("vpc-lattice:ServiceArn", v.ServiceARN)
		k.Set("vpc-lattice:ServiceNetworkArn", v.ServiceNetworkARN)
	})
	vpcAssociations = withKeys(newNoun(lattice.KindServiceNetworkVPCAssociation, func(v *lattice.ServiceNetworkVPCAssociation) head {
		return head{v.ID, v.ARN, v.ClientToken, &v.Status, &v.Tags, &v.Failure}
	}), func(k authority.Keys, v *lattice.ServiceNetworkVPCAssociation) {
		k.Set("vpc-lattice:VpcId", v.VPCID)
		k.Set("vpc-lattice:ServiceNetworkArn", v.ServiceNetworkARN)
	})

	// targets are parts of their target group: they have no ARN, no tags and no token of their own.
	targets = store.NewKind[lattice.RegisteredTarget](lattice.KindTarget.Name)
)

func newNoun[T any](kind lattice.Kind, of func(*T) head) noun[T] {
	owned := ownership.Of(kind.Name, func(value *T) (string, string) {
		return lattice.AccountOf(of(value).arn),
			of(value).path
	})
	return noun[T]{Kind: kind, objects: store.NewKind[T](kind.Name), owned: owned, head: of}
}

func withKeys[T any](n noun[T], keys func(authority.Keys, *T)) noun[T] {
	n.keys = keys
	return n
}

// below is what precedes the path of an object in the store: its parents' ids, each with a slash.
func below(parents ...string) string { return strings.Join(parents, "/") + "/" }

// arn names an object of the caller's account, whether there is one or not. parents is "" or what below makes.
func (n noun[T]) arn(op *call, parents, id string) string {
	path := id
	switch ids := strings.Split(parents, "/"); n.Kind {
	case lattice.KindListener:
		path = ids[0] + "/listener/" + id
	case lattice.KindRule:
		path = ids[0] + "/listener/" + ids[1] + "/rule/" + id
	}
	return op.place(op.Account).ARN(n.Kind, path)
}

// named is the ARN that an identifier stands for.
func (n noun[T]) named(op *call, parents, identifier string) string {
	if lattice.IDOf(identifier) != identifier {
		return identifier
	}
	return n.arn(op, parents, identifier)
}

// read reads the object that an identifier names, which an operation refers to. The identifier is an id, or an ARN,
// which must then be the object's own. parents is "" or what below makes.
//
// An object of another account is refused rather than not found.
func (n noun[T]) read(op *call, parents, identifier string) (*T, error) {
	id := lattice.IDOf(identifier)
	if err := op.Owns(identifier); err != nil {
		return nil, err
	}
	value, err := n.objects.Get(op.Tx, parents+id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, lattice.NotFoundError(n.Kind, id)
	}
	if err != nil {
		return nil, err
	}
	arn := n.head(&value).arn
	if id != identifier && arn != identifier {
		return nil, lattice.NotFoundError(n.Kind, id)
	}
	return &value, op.Owns(arn)
}

// find reads the object that an operation is about, if the caller may perform it on that. Who may not does not learn
// whether there is one.
func (n noun[T]) find(op *call, parents, identifier string) (*T, error) {
	value, err := n.read(op, parents, identifier)
	if err != nil {
		return nil, cmp.Or(op.May(n.named(op, parents, identifier), nil), err)
	}
	if n.keys != nil {
		n.keys(op.Keys, value)
	}
	head := n.head(value)
	return value, op.May(head.arn, *head.tags)
}

// standing passes on what was read if something may be added to it or made to refer to it: it must not be going away.
func (n noun[T]) standing(value *T, err error) (*T, error) {
	return n.unless(func(s lattice.Status) bool { return s == lattice.StatusDeleteInProgress }, value, err)
}

// settled passes on what was read if it may be changed itself: its last change must be complete.
func (n noun[T]) settled(value *T, err error) (*T, error) {
	return n.unless(lattice.Status.InProgress, value, err)
}

func (n noun[T]) unless(refused func(lattice.Status) bool, value *T, err error) (*T, error) {
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

// tokens remembers what was created with which idempotency token: by account, kind, the path of what the object is part
// of, and token, the digest of the request and the path of the object, separated by a space. So the tokens of all parts
// of an object go in one deletion with them.
var tokens = store.NewIndex("token")

// order is a request to create something.
type order struct {
	request any
	// token is the idempotency token, or "".
	token string
	tags  lattice.Tags
	// parents are the identifiers of what the new object will be part of.
	parents []string
}

// create builds an object and writes it. With an idempotency token that has been used before, it answers with what
// was created then, as it is now, provided that the request is the same.
func (n noun[T]) create(op *call, o order, build func() (*T, error)) (*T, error) {
	if err := op.MayCreate(n.arn(op, idsOf(o.parents), "*"), o.tags, "TagResource"); err != nil {
		return nil, err
	}
	token, request := o.token, o.request
	key := n.tokenKey(op.Account, partOf(o.parents), token)
	if token != "" {
		known, err := tokens.Get(op.Tx, key)
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
		if err := tokens.Put(op.Tx, key, digest(request)+" "+n.head(value).path); err != nil {
			return nil, err
		}
	}
	if !n.isPart(value) {
		if err := n.owned.Add(op.Tx, value); err != nil {
			return nil, err
		}
	}
	return value, n.put(op.Tx, value)
}

// isPart reports whether an object is part of another, which has its id in its path.
func (n noun[T]) isPart(value *T) bool { return strings.Contains(n.head(value).path, "/") }

// idsOf is what below makes of some identifiers.
func idsOf(identifiers []string) string {
	ids := make([]string, len(identifiers))
	for i, identifier := range identifiers {
		ids[i] = lattice.IDOf(identifier)
	}
	return below(ids...)
}

func (n noun[T]) tokenKey(account, parents, token string) string {
	return account + "/" + n.Name + "/" + parents + token
}

// partOf is the path of what a new object will be part of: "", or its parents' ids, each with a slash.
func partOf(parents []string) string {
	if len(parents) == 0 {
		return ""
	}
	return idsOf(parents)
}

func (n noun[T]) replay(op *call, known, digest string) (*T, error) {
	before, path, _ := strings.Cut(known, " ")
	if before != digest {
		return nil, lattice.ConflictError(n.Kind, lattice.IDOf(path),
			"The client token was used before, with other parameters, for %s", lattice.IDOf(path))
	}
	value, err := n.objects.Get(op.Tx, path)
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
	if !n.isPart(value) {
		n.owned.Remove(tx, value)
	}
	if head.token != "" {
		parents := head.path[:strings.LastIndexByte(head.path, '/')+1]
		tokens.Delete(tx, n.tokenKey(lattice.AccountOf(head.arn), parents, head.token))
	}
}

// removeAll deletes every object below a path, with their idempotency tokens: two operations however many they are.
func (n noun[T]) removeAll(tx *store.Tx, account, parents string) error {
	if err := tokens.DeletePrefix(tx, n.tokenKey(account, parents, "")); err != nil {
		return err
	}
	return n.objects.DeletePrefix(tx, parents)
}
