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
	"syscall"
	"testing"
	"time"

	"pergola/internal/apiclient"
	"pergola/lattice"
	"pergola/operator"
)

// kills is how often a server is killed: PERGOLA_KILLS, 3 if unset.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("PERGOLA_KILLS")); err == nil {
		return n
	}
	return 3
}

// TestKillDuringTheStart kills a server at a random moment of its start, or one of its processes. The next start finds
// what was acknowledged, and nothing says that it is ready and is not.
func TestKillDuringTheStart(t *testing.T) {
	w := newWorkplace(t)
	first := w.start(t)
	var network lattice.CreateServiceNetworkResponse
	w.must(first.api.Lattice(t.Context(), "POST", "/servicenetworks", map[string]any{"name": "kept"}, &network))
	_ = first.cmd.Process.Kill()
	_ = first.cmd.Wait()
	for range kills() {
		cmd := w.command(t.Context(), program, "serve", "--data", "kill", "--listen", "127.0.0.1:0", "--network", "loopback")
		w.must(cmd.Start())
		<-time.After(rand.N(400 * time.Millisecond))
		victims := []int{cmd.Process.Pid}
		for _, part := range []string{"control", "node", "functions"} {
			if id := processOf(cmd.Process.Pid, "pergola: "+part); id != 0 {
				victims = append(victims, id)
			}
		}
		_ = syscall.Kill(victims[rand.IntN(len(victims))], syscall.SIGKILL) // it may have ended by itself
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		server := w.start(t)
		w.must(server.api.Lattice(t.Context(), "GET", "/servicenetworks/"+network.ID, nil, nil))
		_ = server.cmd.Process.Kill()
		_ = server.cmd.Wait()
	}
}

// TestKill kills a server again and again, at random moments and without warning, while a client writes through the
// API: all of it, or the process with the store. Each time it starts again, every write that it has acknowledged must
// be there.
func TestKill(t *testing.T) {
	kills := kills()
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
		victim := server.cmd.Process.Pid
		if id := processOf(victim, "pergola: control"); id != 0 && kill%2 == 1 {
			victim = id
		}
		time.AfterFunc(rand.N(150*time.Millisecond), func() {
			stop.Store(true)
			_ = syscall.Kill(victim, syscall.SIGKILL)
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
		if victim != server.cmd.Process.Pid {
			w.checkTagsSoon(server.api, network, tags) // of the process that was started again
			_ = server.cmd.Process.Kill()
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

// checkTagsSoon is checkTags when the API answers again.
func (w *workplace) checkTagsSoon(api *apiclient.Client, arn string, want map[string]string) {
	w.t.Helper()
	for api.Lattice(w.t.Context(), "GET", tagPath(arn), nil, nil) != nil {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-w.t.Context().Done():
			w.t.Fatal("the API does not answer again")
		}
	}
	w.checkTags(api, arn, want)
}
