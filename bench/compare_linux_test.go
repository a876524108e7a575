package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCompare runs every subject that needs no installation for a moment.
func TestCompare(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "profile")
	own := []string{subjectPergola, subjectDeployment, subjectReverseProxy}
	var out strings.Builder
	err := run(t.Context(), []string{"-rounds", "1", "-time", "50ms", "-connections", "8", "-rate", "200",
		"-subjects", strings.Join(own, ","), "-profile", profile}, &out)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range own {
		if rows := strings.Count(out.String(), "\n"+name+" "); rows != 4 {
			t.Errorf("%s has %d rows, want one in each of 4 tables:\n%s", name, rows, out.String())
		}
	}
	if info, err := os.Stat(profile); err != nil || info.Size() == 0 {
		t.Errorf("there is no profile: %v", err)
	}
}

func TestMissingPeers(t *testing.T) {
	t.Setenv("PATH", "")
	var out strings.Builder
	if err := run(t.Context(), []string{"-subjects", "nginx,haproxy", "-rounds", "1"}, &out); err == nil || !strings.Contains(err.Error(), "nothing to compare") {
		t.Errorf("the error is %v", err)
	}
	for _, peer := range []string{"nginx", "haproxy"} {
		if !strings.Contains(out.String(), peer+" is missing") {
			t.Errorf("%s is not said to be missing:\n%s", peer, out.String())
		}
	}
}

func TestReadStat(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stat")
	for content, want := range map[string]processStat{
		"7 (a) b) S 1 6 6 0 -1 4194560 1 2 3 4 50 25 8 9 20 0": {7, 6, 750 * time.Millisecond},
		"7 (a) S 1 6":                         {},
		"no process":                          {},
		"7 (a) S " + strings.Repeat("x ", 20): {},
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readStat(file)
		if got != want || (err == nil) != (want.id != 0) {
			t.Errorf("%q is %v, %v", content, got, err)
		}
	}
}

func TestCheckHead(t *testing.T) {
	for head, ok := range map[string]bool{
		"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 16\r\n": true,
		"HTTP/1.1 200 OK\r\nContent-Length:16\r\n":               true,
		"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n":              false,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n":      false,
		"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 16\r\n":     false,
	} {
		if err := checkHead([]byte(head), 16); (err == nil) != ok {
			t.Errorf("%q: %v", head, err)
		}
	}
}

// A head may arrive in pieces.
func TestHead(t *testing.T) {
	var s socket
	for i, piece := range []string{"HTTP/1.1 200 OK\r\n", "A: b\r\n\r", "\nbody"} {
		head, rest, whole := s.head([]byte(piece))
		if i < 2 {
			if whole {
				t.Errorf("whole after %d pieces", i+1)
			}
			continue
		}
		if got := fmt.Sprintf("%q %q %t", head, rest, whole); got != `"HTTP/1.1 200 OK\r\nA: b\r\n" "body" true` {
			t.Errorf("got %s", got)
		}
	}
}
