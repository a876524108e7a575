package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"pergola/store"
)

// writerDir is set in the environment of the test binary when it is to write a sequence in that directory.
const writerDir = "PERGOLA_STORE_WRITER"

// writeSequence goes on with the sequence that it finds until it is killed. Each number is its own key and the next
// value of a counter, in one durable transaction, and is printed once the transaction is acknowledged.
func writeSequence(dir string) {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		var n int
		_, err := s.Update(ctx, func(tx *store.Tx) error {
			last, err := names.Get(tx, "last")
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			n, _ = strconv.Atoi(last)
			n++
			return errors.Join(names.Put(tx, "last", strconv.Itoa(n)), refs.Put(tx, fmt.Sprintf("%08d", n), ""))
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

// TestKill kills a process that writes durably, again and again at random moments, and checks after each that nothing
// it acknowledged is missing and nothing is half there. PERGOLA_KILLS is how often; 10 if unset.
func TestKill(t *testing.T) {
	kills := 10
	if n, err := strconv.Atoi(os.Getenv("PERGOLA_KILLS")); err == nil {
		kills = n
	}
	dir := filepath.Join(t.TempDir(), "store")
	acknowledged, unacknowledged := 0, 0
	for range kills {
		acknowledged = max(acknowledged, runAndKill(t, dir))
		kept := checkSequence(t, dir)
		if kept < acknowledged {
			t.Fatalf("%d writes were acknowledged and %d kept", acknowledged, kept)
		}
		unacknowledged += kept - acknowledged
		acknowledged = kept
	}
	t.Logf("%d kills, %d writes kept; %d of them had been committed but not yet acknowledged", kills, acknowledged, unacknowledged)
}

// runAndKill kills the writer after a random number of acknowledgements, and sometimes before the first one, while
// it recovers from the last kill. It returns the last number acknowledged.
func runAndKill(t *testing.T, dir string) (last int) {
	writer := exec.Command(os.Args[0])
	writer.Env = append(os.Environ(), writerDir+"="+dir)
	writer.Stderr = t.Output()
	out, err := writer.StdoutPipe()
	must(t, err)
	must(t, writer.Start())
	lines := bufio.NewScanner(out)
	for range rand.IntN(40) {
		if !lines.Scan() {
			t.Fatal("the writer ended by itself")
		}
		last, _ = strconv.Atoi(lines.Text())
	}
	must(t, writer.Process.Kill())
	for lines.Scan() { // acknowledged before it died
		last, _ = strconv.Atoi(lines.Text())
	}
	writer.Wait() // it was killed: the error says just that
	return last
}

func checkSequence(t *testing.T, dir string) (kept int) {
	s := open(t, store.Config{Dir: dir})
	must(t, s.View(background(t), func(tx *store.Tx) error {
		value := name(tx, "last")
		kept, _ = strconv.Atoi(value)
		n, err := refs.Count(tx, "")
		if n != kept {
			t.Errorf("the counter says %d and there are %d numbers", kept, n)
		}
		return err
	}))
	must(t, s.Close())
	return kept
}
