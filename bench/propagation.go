package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"pergola/addressing"
	"pergola/deployment"
	"pergola/fabric"
)

// measurePropagation runs a deployment that holds many services, changes rules through its API, and measures when a
// request meets the change.
func measurePropagation(ctx context.Context, o options, out io.Writer) error {
	dir, err := os.MkdirTemp("", "pergola-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	made, err := makeEstate(ctx, dir, o.estate)
	if err != nil {
		return err
	}
	filled := time.Since(began)
	if err := fabric.Enter("loopback"); err != nil {
		return err
	}
	began = time.Now()
	d, err := deployment.Start(ctx, deployment.Config{Dir: dir, Listen: "127.0.0.1:0", Network: "loopback", Region: region, RequestsPerSecond: -1})
	if err != nil {
		return err
	}
	defer d.Close()
	fmt.Fprintf(out, "%d services with %d rules each, made in %.1f s; the deployment starts in %.2f s, and writes to the disk before it answers\n",
		o.estate.services, o.estate.rules, filled.Seconds(), time.Since(began).Seconds())
	p, err := newPropagation(ctx, d, made)
	if err != nil {
		return err
	}
	defer p.conn.Close()
	for i := range o.changes {
		if err := p.change(made.Probes[i%len(made.Probes)], i); err != nil {
			return fmt.Errorf("change %d: %w", i+1, err)
		}
	}
	p.print(out, o.markdown)
	printMemory(out)
	return nil
}

// propagation measures changes of rules. Each is made, and then asked for on one connection that is kept alive, again and
// again without a pause.
type propagation struct {
	*site
	conn    net.Conn
	answers *bufio.Reader

	created, deleted changeTimes
}

// changeTimes are the times of the changes of one sort.
type changeTimes struct {
	calls []time.Duration // the API's answers
	met   []time.Duration // from the API's answer to the first request that met the change
	whole []time.Duration // from the call of the API to that request
}

func newPropagation(ctx context.Context, d *deployment.Deployment, made estate) (*propagation, error) {
	s, err := newSite(ctx, d)
	if err != nil {
		return nil, err
	}
	v, err := s.makeVPC()
	if err != nil {
		return nil, err
	}
	client, err := s.runInstance(v, "10.20.0.10")
	if err != nil {
		return nil, err
	}
	if err := s.join(v.id, made.Network); err != nil {
		return nil, err
	}
	conn, err := client.Dial(ctx, netip.AddrPortFrom(addressing.FirstDoor, 80))
	if err != nil {
		return nil, err
	}
	return &propagation{site: s, conn: conn, answers: bufio.NewReader(conn)}, nil
}

// change creates a rule that turns 404 into 500 for one path, and deletes it again.
func (p *propagation) change(at probe, i int) error {
	path := fmt.Sprintf("/probe/%d", i)
	rules := "/services/" + at.Service + "/listeners/" + at.Listener + "/rules"
	if status, err := p.ask(at.Domain, path); err != nil || status != http.StatusNotFound {
		return errors.Join(err, fmt.Errorf("before the rule is there, the service answers %d", status))
	}
	var id string
	err := p.time(&p.created, at.Domain, path, http.StatusInternalServerError, func() (err error) {
		id, err = p.create(rules, body{
			"name": fmt.Sprintf("probe-%d", i), "priority": 1000,
			"match":  body{"httpMatch": body{"pathMatch": body{"match": body{"exact": path}}}},
			"action": body{"fixedResponse": body{"statusCode": 500}},
		})
		return err
	})
	if err != nil {
		return err
	}
	return p.time(&p.deleted, at.Domain, path, http.StatusNotFound, func() error {
		return p.api.Lattice(p.ctx, http.MethodDelete, rules+"/"+id, nil, nil)
	})
}

// time makes a change and asks for a path until the answer has a status.
func (p *propagation) time(into *changeTimes, domain, path string, status int, change func() error) error {
	began := time.Now()
	if err := change(); err != nil {
		return err
	}
	answered := time.Now()
	for {
		got, err := p.ask(domain, path)
		if err != nil {
			return err
		}
		now := time.Now()
		if got == status {
			into.calls = append(into.calls, answered.Sub(began))
			into.met = append(into.met, now.Sub(answered))
			into.whole = append(into.whole, now.Sub(began))
			return nil
		}
		if now.Sub(answered) > eventuallyTime {
			return fmt.Errorf("%s is still answered with %d", path, got)
		}
	}
}

// ask makes a request through the data plane and returns the status of the answer.
func (p *propagation) ask(domain, path string) (int, error) {
	if _, err := fmt.Fprintf(p.conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, domain); err != nil {
		return 0, err
	}
	answer, err := http.ReadResponse(p.answers, nil)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

func (p *propagation) print(out io.Writer, markdown bool) {
	table{
		title:  fmt.Sprintf("%d rules created and deleted, ms", len(p.created.calls)),
		header: []string{"", "min", "p50", "p90", "p99", "max"},
		rows: [][]string{
			distribution("CreateRule answers", p.created.calls),
			distribution("from the answer to a request that meets the rule", p.created.met),
			distribution("from the call to that request", p.created.whole),
			distribution("DeleteRule answers", p.deleted.calls),
			distribution("from the answer to a request that no longer meets it", p.deleted.met),
			distribution("from the call to that request", p.deleted.whole),
		},
	}.print(out, markdown)
}

// printMemory prints what the deployment and this program take together: they are one process.
func printMemory(out io.Writer) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(out, "memory: Go heap %d MB live and %d MB in use; resident %s, of which %s anonymous\n",
		m.HeapAlloc>>20, m.HeapInuse>>20, processStatus("VmRSS"), processStatus("RssAnon"))
}

// processStatus is a figure of proc_pid_status(5) for this process.
func processStatus(name string) string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown" // on systems without /proc
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
