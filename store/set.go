package store

import (
	"fmt"
	"strings"
)

// set is what a Kind and an Index share: keys below one path, such as "object/service/".
type set struct {
	path    string
	counted bool // has counters
}

func newSet(parent, name string) set {
	if name == "" || strings.Contains(name, "/") {
		panic(fmt.Sprintf("store: %q cannot name a kind or an index: it must not be empty or contain '/'", name))
	}
	return set{path: parent + name + "/"}
}

func (s set) key(tx *Tx, id string) (string, error) {
	if id == "" {
		return "", tx.fail(fmt.Errorf("store: %s: the id is empty", s.path))
	}
	return s.path + id, nil
}

func (s set) get(tx *Tx, id string) (string, error) {
	key, err := s.key(tx, id)
	if err != nil {
		return "", err
	}
	return tx.get(key)
}

func (s set) put(tx *Tx, id, value string) error {
	key, err := s.key(tx, id)
	if err == nil && s.counted {
		err = tx.recount(key, true)
	}
	if err != nil {
		return err
	}
	return tx.put(key, value)
}

func (s set) delete(tx *Tx, id string) {
	key, err := s.key(tx, id)
	if err == nil && s.counted {
		err = tx.recount(key, false)
	}
	if err == nil { // otherwise the transaction cannot commit
		tx.delete(key)
	}
}

func (s set) deletePrefix(tx *Tx, prefix string) error {
	if s.counted {
		if prefix != "" && !strings.HasSuffix(prefix, "/") {
			return tx.fail(fmt.Errorf("store: delete %s%s…: of a counted set, whole directories can be deleted",
				s.path, prefix))
		}
		if err := tx.clear(under(counters + s.path + prefix)); err != nil {
			return err
		}
	}
	return tx.clear(under(s.path + prefix))
}

func (s set) count(tx *Tx, prefix string) (int, error) {
	if s.counted && (prefix == "" || strings.HasSuffix(prefix, "/")) {
		return tx.countDirectory(s.path + prefix)
	}
	return tx.count(under(s.path + prefix))
}

// page is the range of a prefix from the first id after the one given.
func (s set) page(prefix, after string) span {
	in := under(s.path + prefix)
	if after != "" {
		in.start = max(in.start, s.path+after+"\x00")
	}
	return in
}
