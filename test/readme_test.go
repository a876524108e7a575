package test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var block = regexp.MustCompile("(?s)```sh\n(.*?)```")

// blocks are the shell blocks of a part of the README.
func blocks(part string) (scripts []string) {
	for _, match := range block.FindAllStringSubmatch(part, -1) {
		scripts = append(scripts, match[1])
	}
	return scripts
}

func readme(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestReadmeHasTheTwoCommands(t *testing.T) {
	scripts := blocks(readme(t))
	for i, want := range []string{"go run ./cmd/pergola demo\n", "go test ./...\n"} {
		if scripts[i] != want {
			t.Errorf("the README's command %d is %q, want %q", i+1, scripts[i], want)
		}
	}
}

func TestDemo(t *testing.T) {
	for _, network := range []string{"auto", "loopback"} {
		t.Run(network, func(t *testing.T) {
			w := newWorkplace(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			out, err := w.command(ctx, program, "demo", "--network", network).CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if last := lines[len(lines)-1]; !regexp.MustCompile(`^\d+ passed, 0 failed$`).MatchString(last) {
				t.Errorf("the last line is %q", last)
			}
			if left, err := os.ReadDir(w.dir); err != nil || len(left) != 1 {
				t.Errorf("the demo left something behind: %v, %v", left, err)
			}
		})
	}
}

// TestReadmeTour runs the tour of the README as it stands, against pergola serve as it stands there and on the other fabric.
func TestReadmeTour(t *testing.T) {
	need(t, "aws", "curl", "python3")
	for _, network := range []string{"auto", "loopback"} {
		t.Run(network, func(t *testing.T) { runTour(t, network) })
	}
}

func runTour(t *testing.T, network string) {
	_, tour, found := strings.Cut(readme(t), "<!-- tour: begin -->")
	tour, _, ended := strings.Cut(tour, "<!-- tour: end -->")
	if !found || !ended {
		t.Fatal("the README's tour is not marked")
	}
	w := newWorkplace(t)
	w.serve("--network", network)
	// The reader pauses between typing the association and the call; a script waits for it to be active.
	wait := `
until [ "$(aws vpc-lattice list-service-network-vpc-associations --vpc-identifier $PAYMENTS --query 'items[0].status' --output text)" = ACTIVE ]; do :; done
`
	script := strings.Replace(strings.Join(blocks(tour), "\n"), "NAME=", wait+"NAME=", 1)
	out := w.shell(script + "\nkill %1 2>/dev/null || true\n")
	for want, times := range map[string]int{"arn:aws:iam::": 1, "<title>Directory listing": 2, `"status": "`: 1} {
		if strings.Count(out, want) < times {
			t.Errorf("the tour's output has %q fewer than %d times:\n%s", want, times, out)
		}
	}
}

func TestExitStatus(t *testing.T) {
	w := newWorkplace(t)
	tests := []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"version"}, 0, "pergola "},
		{[]string{"--help"}, 0, "Usage:"},
		{[]string{"serve", "--help"}, 0, "--data"},
		{[]string{}, 2, "Usage:"},
		{[]string{"dance"}, 2, `there is no command "dance"`},
		{[]string{"serve", "--nonsense"}, 2, "nonsense"},
		{[]string{"serve", "--network", "carrier-pigeon"}, 1, "carrier-pigeon"},
		{[]string{"env", "--format", "xml"}, 2, "neither shell nor json"},
		{[]string{"env", "--data", w.dir}, 1, "pergola serve --data"},
		{[]string{"exec", "--data", w.dir, "i-1", "--", "true"}, 1, "pergola serve --data"},
		{[]string{"exec", "i-1"}, 2, "command"},
	}
	for _, tt := range tests {
		out, err := w.command(t.Context(), program, tt.args...).CombinedOutput()
		status := 0
		if exit, ok := err.(*exec.ExitError); ok {
			status = exit.ExitCode()
		}
		if status != tt.status || !strings.Contains(string(out), tt.says) {
			t.Errorf("pergola %v: status %d, output %q; want %d and %q", tt.args, status, out, tt.status, tt.says)
		}
		if status != 0 && len(tt.args) > 0 && strings.Count(string(out), "\n") != 1 {
			t.Errorf("pergola %v: the error is not one line: %q", tt.args, out)
		}
	}
}
