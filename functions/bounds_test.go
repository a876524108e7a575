package functions

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pergola/fabric"
)

// eachMeans runs a test with every means that this host has, and skips the others by name.
func eachMeans(t *testing.T, test func(t *testing.T, w *world)) {
	strongest := newWorld(t, nil).bounds
	for _, means := range []fabric.Means{fabric.ByNamespaces, fabric.ByLandlock, fabric.ByNothing} {
		t.Run(string(means), func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.AllowUnconfined = true })
			if means != strongest.means {
				w.bounds = bounds{means: means, ports: []uint16{53, 80, 443}}
			}
			probe := w.function(shell(respond + `1`))
			if _, err := w.Invoke(t.Context(), probe, Call{Payload: []byte("{}")}); err != nil {
				t.Skipf("no %s here: %v", means, err)
			}
			w.Forget(probe.ARN)
			test(t, w)
		})
	}
}

// A function does not see what lies beside its code, by each means of hiding, and runs where it can.
func TestFault_C8_AFunctionSeesItsCodeAndTheSystem(t *testing.T) {
	t.Setenv("PERGOLA_TEST_SECRET", "secret")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		io.WriteString(w, "CONNECTED")
	}))
	defer other.Close()
	eachMeans(t, func(t *testing.T, w *world) {
		data := filepath.Dir(w.codes.dir)
		secret := filepath.Join(data, "sealing.key")
		if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		script := `
  seen=$(cat ` + secret + ` 2>&1; env; ls ` + data + ` 2>&1)
  echo x > "$LAMBDA_TASK_ROOT/new" 2>/dev/null && seen="$seen WROTE"
  echo x > "$TMPDIR/new" || seen="$seen NOTMP"
  seen="$seen $(curl -sS ` + other.URL + ` 2>/dev/null)"
  printf '%s' "$seen" | curl -sS -X POST "$api/invocation/$id/response" --data-binary @-`
		got := string(w.invoke(w.function(shell(script)), "{}").Payload)
		if strings.Contains(got, "PERGOLA_TEST_SECRET") || strings.Contains(got, "NOTMP") {
			t.Errorf("a function has %s", got)
		}
		hidden := !strings.Contains(got, "secretAWS") && !strings.Contains(got, "WROTE") &&
			!strings.Contains(got, "CONNECTED")
		if want := w.bounds.means != fabric.ByNothing; hidden != want {
			t.Errorf("a function sees %s", got)
		}
		w.Forget(w.function(shell(script)).ARN)
		if left, _ := os.ReadDir(w.config.Dir); len(left) > 0 {
			t.Errorf("%d temporary directories are left", len(left))
		}
	})
}

// A function reaches the deployment's API, and by another port of the same host nothing where it has a network of its
// own.
func TestFault_C8_AFunctionReachesTheAPI(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "7") }))
	defer api.Close()
	w := newWorld(t, func(c *Config) { c.Endpoint, c.AllowUnconfined = api.URL, true })
	if got := w.invoke(w.function(shell(respond+`"$(curl -sS "$AWS_ENDPOINT_URL/")"`)), "{}"); string(got.Payload) != "7" {
		t.Errorf("got %s", got.Payload)
	}
}

// Without means functions are refused, unless they may run so.
func TestFault_C8_FunctionsAreRefusedWhereNothingConfinesThem(t *testing.T) {
	w := newWorld(t, nil)
	w.bounds = boundsBy(&w.config, fabric.ByNothing, "a test")
	if _, err := w.Invoke(t.Context(), w.function(shell(respond+`1`)), Call{}); !errors.Is(err, ErrUnconfined) ||
		!strings.Contains(err.Error(), "--allow-unconfined-functions") {
		t.Errorf("got %v", err)
	}
	w.config.AllowUnconfined = true
	w.bounds = boundsBy(&w.config, fabric.ByNothing, "a test")
	if got := w.invoke(w.function(shell(respond+`1`)), "{}"); string(got.Payload) != "1" {
		t.Errorf("got %s", got.Payload)
	}
}

// A function that fills its temporary directory fails alone.
func TestFault_A5_ATemporaryDirectoryDoesNotFillTheDisk(t *testing.T) {
	eachMeans(t, func(t *testing.T, w *world) {
		f := w.function(shell(`n=0
			while [ $n -lt 700 ]; do head -c 1048576 /dev/zero > "$TMPDIR/$n" || break; n=$((n+1)); done
			sleep 1; ` + respond + `"$n"`))
		f.Memory = 1024
		got := w.invoke(f, "{}")
		if w.bounds.means == fabric.ByNamespaces {
			var files int
			if _, err := fmt.Sscan(string(got.Payload), &files); err != nil || files < 500 || files >= 513 {
				t.Errorf("%s of 1 MiB fit", got.Payload)
			}
		} else if !strings.Contains(string(got.Payload), "temporary directory") {
			t.Errorf("got %s", got.Payload)
		}
	})
}

// What a function starts ends with it, and counts.
func TestFault_C9_AFunctionsProcessesEndAndCount(t *testing.T) {
	eachMeans(t, func(t *testing.T, w *world) {
		mark := fmt.Sprintf("1000.%d", time.Now().UnixNano())
		f := w.function(shell(`( setsid sh -c '( setsid sleep ` + mark + ` & ) &' & ) >/dev/null 2>&1; sleep 0.05; ` +
			respond + `1`))
		w.invoke(f, "{}")
		if !runs(mark) {
			t.Error("nothing was started")
		}
		w.Forget(f.ARN)
		if runs(mark) {
			t.Error("a process has left its function")
		}
		hungry := w.function(shell(`( setsid sh -c '( setsid tail -n 1 /dev/zero & ) &' & ) >/dev/null 2>&1; sleep 20; ` +
			respond + `1`))
		hungry.ARN += "2"
		if got := w.invoke(hungry, "{}"); !strings.Contains(string(got.Payload), "Runtime.OutOfMemory") {
			t.Errorf("got %s", got.Payload)
		}
	})
}

// runs reports whether a process of this host has an argument.
func runs(argument string) bool {
	lines, _ := filepath.Glob("/proc/[1-9]*/cmdline")
	for _, line := range lines {
		if content, err := os.ReadFile(line); err == nil && strings.Contains(string(content), argument) {
			return true
		}
	}
	return false
}
