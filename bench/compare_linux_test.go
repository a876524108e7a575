package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCompare runs every scenario, and every subject that needs no installation, for a moment. The standard library is
// the witness that the world speaks TLS, HTTP/2 and gRPC as others do.
func TestCompare(t *testing.T) {
	dir := t.TempDir()
	profile, results, plot := filepath.Join(dir, "profile"), filepath.Join(dir, "results"), filepath.Join(dir, "plot")
	for _, test := range []struct{ subjects, scenarios string }{
		{subjectPergola, allScenarios},
		{subjectReverseProxy, "plain,handshake,resumption,http2,grpc,grpc-stream,idle-http2"},
		{subjectSigned, "plain,grpc"},
		{subjectRules + "1," + subjectRules + "10," + subjectDeployment, "plain"},
	} {
		var out strings.Builder
		err := run(t.Context(), []string{"-rounds", "1", "-time", "20ms", "-idle", "20", "-subjects", test.subjects,
			"-scenarios", test.scenarios, "-profile", profile, "-results", results, "-plot", plot}, &out)
		if err != nil {
			t.Fatal(err)
		}
		chosen, err := findScenarios(test.scenarios)
		if err != nil {
			t.Fatal(err)
		}
		for name := range strings.SplitSeq(test.subjects, ",") {
			if rows := strings.Count(out.String(), "\n"+name+" "); rows != len(chosen) {
				t.Errorf("%s has %d rows, want one in each of %d tables:\n%s", name, rows, len(chosen), out.String())
			}
		}
	}
	for _, name := range []string{profile, profile + heapSuffix} {
		if info, err := os.Stat(name); err != nil || info.Size() == 0 {
			t.Errorf("there is no profile: %v", err)
		}
	}
	kept, err := readReport(results)
	if err != nil || len(kept.Results) != len(scenarios) {
		t.Errorf("%d results are kept, want one for each of %d scenarios: %v", len(kept.Results), len(scenarios), err)
	}
	if drawn, err := os.ReadFile(plot); err != nil || len(drawn) == 0 {
		t.Errorf("there is no plot: %v", err)
	}
}

func TestMissingPeers(t *testing.T) {
	t.Setenv("PATH", "")
	var out strings.Builder
	if err := run(t.Context(), []string{"-subjects", "nginx,haproxy,caddy", "-rounds", "1"}, &out); err == nil || !strings.Contains(err.Error(), "nothing to compare") {
		t.Errorf("the error is %v", err)
	}
	for _, peer := range []string{"nginx", "haproxy", "caddy"} {
		if !strings.Contains(out.String(), peer+" is missing") {
			t.Errorf("%s is not said to be missing:\n%s", peer, out.String())
		}
	}
}

func TestReadStat(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stat")
	for content, want := range map[string][2]int{
		"7 (a) b) S 1 6 6 0 -1 4194560 1 2 3 4 50 25 8 9 20 0": {7, 6},
		"7 (a) S 1":                           {},
		"no process":                          {},
		"7 (a) S " + strings.Repeat("x ", 20): {},
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		id, group, err := readStat(file)
		if (err == nil) != (want[0] != 0) || err == nil && want != [2]int{id, group} {
			t.Errorf("%q is %d, %d, %v", content, id, group, err)
		}
	}
}

func TestMemoryOf(t *testing.T) {
	mine, err := memoryOf([]int{os.Getpid()})
	if err != nil || mine.anonymous <= 0 || mine.resident < mine.anonymous {
		t.Errorf("this process has %+v, %v", mine, err)
	}
	if got := statusBytes("VmRSS:\t    12 kB\nRssAnon:\t 7 kB\n", "RssAnon:"); got != 7<<10 {
		t.Errorf("got %d bytes", got)
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
	var p partial
	for i, piece := range []string{"HTTP/1.1 200 OK\r\n", "A: b\r\n\r", "\nbody"} {
		head, rest, whole := p.head([]byte(piece))
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
