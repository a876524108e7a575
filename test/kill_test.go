package test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"pergola/internal/apiclient"
	"pergola/lattice"
	"pergola/operator"
)

// TestKill kills a server again and again, at random moments and without warning, while a client writes through the
// API. Each time it starts again, every write that it has acknowledged must be there. PERGOLA_KILLS is how often; 3 if
// unset.
func TestKill(t *testing.T) {
	kills := 3
	if n, err := strconv.Atoi(os.Getenv("PERGOLA_KILLS")); err == nil {
		kills = n
	}
	w := newWorkplace(t)
	tags, written := map[string]string{}, 0
	var network string
	for kill := range kills {
		server := w.start(t)
		if network == "" {
			var created lattice.CreateServiceNetworkResponse
			w.must(server.api.Lattice(t.Context(), "POST", "/servicenetworks", map[string]any{"name": "kept"}, &created))
			network = created.ARN
		}
		w.checkTags(server.api, network, tags)
		var stop atomic.Bool
		time.AfterFunc(rand.N(150*time.Millisecond), func() {
			stop.Store(true)
			_ = server.cmd.Process.Kill()
		})
		for !stop.Load() {
			key, value := fmt.Sprint("key-", written%40), fmt.Sprint(kill, "-", written)
			err := server.api.Lattice(t.Context(), "POST", tagPath(network), map[string]any{"tags": map[string]string{key: value}}, nil)
			if err != nil {
				delete(tags, key) // it may have been written, or not
				break
			}
			tags[key] = value
			written++
		}
		_ = server.cmd.Wait()
	}
	server := w.start(t)
	w.checkTags(server.api, network, tags)
	_ = server.cmd.Process.Kill()
	_ = server.cmd.Wait()
	t.Logf("%d kills, %d acknowledged writes, none lost", kills, written)
}

// server is a running pergola serve with a client of its API.
type server struct {
	cmd *exec.Cmd
	api *apiclient.Client
}

// start starts a server that the caller kills.
func (w *workplace) start(t *testing.T) server {
	t.Helper()
	cmd := w.command(context.WithoutCancel(t.Context()), program, "serve", "--data", "kill", "--listen", "127.0.0.1:0", "--network", "loopback")
	stdout, err := cmd.StdoutPipe()
	w.must(err)
	w.must(cmd.Start())
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("the server did not start again: %v", err)
	}
	out, err := w.command(t.Context(), program, "env", "--data", "kill", "--format", "json").Output()
	w.must(err)
	var environment operator.Environment
	w.must(json.Unmarshal(out, &environment))
	return server{cmd, &apiclient.Client{Environment: environment}}
}

func tagPath(arn string) string { return "/tags/" + url.PathEscape(arn) }

func (w *workplace) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// checkTags fails the test if an acknowledged tag is missing. A tag that is not in want was being written at a kill.
func (w *workplace) checkTags(api *apiclient.Client, arn string, want map[string]string) {
	w.t.Helper()
	var got lattice.ListTagsForResourceResponse
	w.must(api.Lattice(w.t.Context(), "GET", tagPath(arn), nil, &got))
	for key, value := range want {
		if got.Tags[key] != value {
			w.t.Errorf("tag %s is %q after a kill, %q was acknowledged", key, got.Tags[key], value)
		}
	}
}
