package store

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A counter is how many keys lie directly in a directory of a counted set: the value of count/DIRECTORY, a directory
// being a key up to and including its last slash. It is written by the first transaction that counts the directory and
// can write, and follows every later insertion and deletion, in their own transactions. So a count is one key to read
// and to compare, however many it counts, where a range would have to be read by etcd with each commit.
//
// A counter that is not there says nothing: the directory has not been counted yet, or not since it was emptied.
const counters = "count/"

// directoryOf is the directory of a key.
func directoryOf(key string) string { return key[:strings.LastIndexByte(key, '/')+1] }

// counter is the value of a directory's counter, and whether there is one.
func (tx *Tx) counter(directory string) (n int, ok bool, err error) {
	value, err := tx.get(counters + directory)
	if errors.Is(err, ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	if n, err = strconv.Atoi(value); err != nil {
		return 0, false, tx.fail(fmt.Errorf("store: counter of %s: %w", directory, err))
	}
	return n, true, nil
}

// countDirectory counts a directory of a counted set, and keeps what it counted if it may write.
func (tx *Tx) countDirectory(directory string) (int, error) {
	n, ok, err := tx.counter(directory)
	if err != nil || ok {
		return n, err
	}
	rows, _, err := tx.list(under(directory), 0)
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		if directoryOf(r.key) == directory {
			n++
		}
	}
	if tx.writable && n > 0 {
		err = tx.put(counters+directory, strconv.Itoa(n))
	}
	return n, err
}

// recount lets the counter of a key's directory, if there is one, follow what is about to become of the key.
func (tx *Tx) recount(key string, present bool) error {
	directory := directoryOf(key)
	n, ok, err := tx.counter(directory)
	if err != nil || !ok {
		return err
	}
	was, err := tx.has(key)
	switch {
	case err != nil || was == present:
		return err
	case present:
		n++
	default:
		n--
	}
	if n == 0 {
		tx.delete(counters + directory)
		return nil
	}
	return tx.put(counters+directory, strconv.Itoa(n))
}

// has reports whether there is a key, which the transaction may know already.
func (tx *Tx) has(key string) (bool, error) {
	if value, ok := tx.written(key); ok {
		return value != nil, nil
	}
	if revision, ok := tx.seen.keys[key]; ok {
		return revision != 0, nil
	}
	_, err := tx.get(key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
