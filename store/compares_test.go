package store

import (
	"fmt"
	"testing"
)

// TestFault_D17_ACountComparesOneKey looks at what etcd is asked to compare when a transaction commits that has
// counted: one key and no range, however many objects there are. A range would be read whole with every creation.
func TestFault_D17_ACountComparesOneKey(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	names := NewIndex("name").Counted()
	for n := range 300 {
		_, err := s.Update(t.Context(), func(tx *Tx) error {
			have, err := names.Count(tx, "account/")
			if err != nil || have != n {
				return fmt.Errorf("%d names are counted, want %d: %w", have, n, err)
			}
			if n > 1 && (len(tx.compares()) != 1 || len(tx.seen.created)+len(tx.seen.changed) > 0) {
				t.Errorf("with %d names, %d things are compared, ranges %v and %v", n, len(tx.compares()), tx.seen.created,
					tx.seen.changed)
			}
			return names.Put(tx, fmt.Sprintf("account/%d", n), "")
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
