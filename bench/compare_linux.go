package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What is measured of requests, and of connections. The first is what the plot shows.
var (
	requestColumns = []column{
		{"CPU, µs", true}, {"requests/s", true}, {"share of the core, %", false},
		{"p50, µs", true}, {"p99, µs", true}, {"p99.9, µs", true},
	}
	connectionColumns = []column{{"anonymous memory, KiB", true}, {"resident memory, KiB", true}}
)

// quantiles are those of the latency at a fixed rate.
var quantiles = [...]float64{0.5, 0.99, 0.999}

// comparer compares subjects.
type comparer struct {
	comparison
	at    cores
	pairs pairs
}

// compare measures subjects in turns, scenario by scenario, and prints a table for each.
func compare(ctx context.Context, o options, out io.Writer) error {
	chosen, err := findScenarios(o.comparison.scenarios)
	if err != nil {
		return err
	}
	subjects, err := findSubjects(o.comparison.subjects, out)
	if err != nil {
		return err
	}
	report, err := readReport(o.comparison.results)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	at, err := pickCores()
	if err != nil {
		return err
	}
	if at.subject == at.world {
		fmt.Fprintln(out, "there is only one core, so that subject, clients and target share it: latency and throughput mean little")
	}
	if err := pinAll(at.world); err != nil {
		return err
	}
	defer at.unpin()
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // less of the collector in the world
	dir, err := os.MkdirTemp("", "pergola-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	pairs, err := makePairs(dir)
	if err != nil {
		return err
	}
	c := &comparer{comparison: o.comparison, at: at, pairs: pairs}
	for i := range chosen {
		r, err := c.scenario(ctx, &chosen[i], subjects)
		if err != nil {
			return err
		}
		r.print(out, o.markdown)
		report.add(r)
		if err := report.keep(o.comparison); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "Medians of %d rounds, with their range; × is the median of the ratios to nginx in each round. Where the share is well below 100 %%,\n"+
		"clients, target or other work on this machine were the limit, and not the subject.\n", c.rounds)
	return nil
}

// findSubjects finds what is to be compared, and says which peers are missing.
func findSubjects(names string, out io.Writer) ([]subject, error) {
	var found []subject
	for name := range strings.SplitSeq(names, ",") {
		s, err := findSubject(name)
		if errors.Is(err, exec.ErrNotFound) {
			fmt.Fprintf(out, "%s is missing: it is not installed\n", name)
			continue
		}
		if err != nil {
			return nil, err
		}
		if s.version != "" {
			fmt.Fprintln(out, s.version)
		}
		found = append(found, s)
	}
	if len(found) == 0 {
		return nil, errors.New("there is nothing to compare")
	}
	return found, nil
}

// scenario measures subjects in turns.
func (c *comparer) scenario(ctx context.Context, s *scenario, subjects []subject) (result, error) {
	r := result{Scenario: s.name, Title: s.title, Columns: requestColumns}
	if s.rate > 0 {
		r.Title += fmt.Sprintf("; latency at %d requests a second", s.rate)
	}
	if s.use == useIdle {
		r.Title, r.Columns = fmt.Sprintf("%s: memory for each of %d", s.title, c.idle), connectionColumns
	}
	var able []subject
	for _, subject := range subjects {
		if subject.can == nil || subject.can(s) {
			able = append(able, subject)
			r.Rows = append(r.Rows, row{Subject: subject.name, Figures: make([]measurement, len(r.Columns))})
		}
	}
	for round := range c.rounds {
		for i, subject := range able {
			figures, err := c.measure(ctx, s, subject)
			if err != nil {
				return r, fmt.Errorf("%s, %s, round %d: %w", s.name, subject.name, round+1, err)
			}
			for j, figure := range figures {
				r.Rows[i].Figures[j] = append(r.Rows[i].Figures[j], figure)
			}
		}
	}
	return r, nil
}

// measure starts a subject, measures it in one scenario and stops it.
func (c *comparer) measure(ctx context.Context, s *scenario, subject subject) ([]float64, error) {
	w, err := newWorld()
	if err != nil {
		return nil, err
	}
	defer w.close()
	makeTarget, err := w.http1Target()
	if s.call.grpc() {
		makeTarget = grpcTarget()
	}
	if err != nil {
		return nil, err
	}
	target, err := w.listen(netip.AddrPortFrom(localhost, 0), makeTarget)
	if err != nil {
		return nil, err
	}
	p, where, err := subject.start(c.at, setup{Target: target, TLS: s.tls, GRPC: s.call.grpc(), Pairs: c.pairs,
		Profile: c.profile})
	if err != nil {
		return nil, err
	}
	defer p.stop()
	if where.Target != target {
		if _, err := w.listen(where.Target, makeTarget); err != nil {
			return nil, err
		}
	}
	l := load{scenario: s, from: where.From, to: where.Front, request: s.request(where.Host), warm: c.duration / 4, during: c.duration}
	if err := where.Signing.sign(&l.request); err != nil {
		return nil, err
	}
	measure := c.requests
	if s.use == useIdle {
		measure = c.connections
	}
	figures, err := measure(ctx, w, p, l)
	if err != nil {
		return nil, p.failure(err)
	}
	return figures, nil
}

// requests measures requests: as many as possible first, then at the scenario's rate.
func (c *comparer) requests(ctx context.Context, w *world, p *process, l load) ([]float64, error) {
	var members []int
	var marks []time.Duration
	l.mark = func() (err error) {
		if members == nil { // now that it has served, all of it is there
			if members, err = p.members(); err != nil {
				return err
			}
		}
		now, err := cpuTime(members)
		marks = append(marks, now)
		return err
	}
	o, err := w.run(ctx, l)
	if err != nil {
		return nil, err
	}
	requests, cpu := float64(len(o.latencies)), marks[1]-marks[0]
	figures := []float64{float64(cpu.Nanoseconds()) / 1000 / requests, requests / o.elapsed.Seconds(), 100 * cpu.Seconds() / o.elapsed.Seconds()}
	l.rate = l.scenario.rate
	if o, err = w.run(ctx, l); err != nil {
		return nil, err
	}
	for _, q := range quantiles {
		figures = append(figures, float64(quantile(o.latencies, q).Microseconds()))
	}
	return figures, nil
}

// connections measures what idle connections hold. Some come and go beforehand, so that what a subject takes for
// its first ones, and keeps, does not count.
func (c *comparer) connections(ctx context.Context, w *world, p *process, l load) ([]float64, error) {
	first, err := w.hold(ctx, l, l.connections)
	first.close()
	if err != nil {
		return nil, err
	}
	members, err := p.members()
	if err != nil {
		return nil, err
	}
	before, err := memoryOf(members)
	if err != nil {
		return nil, err
	}
	if _, err := w.hold(ctx, l, c.idle); err != nil { // they stay until the subject has ended
		return nil, err
	}
	// Nothing comes any more, but a subject may have something to put in order.
	for began := time.Now(); time.Since(began) < c.duration; {
		if err := errors.Join(ctx.Err(), w.turn(10)); err != nil {
			return nil, err
		}
	}
	after, err := memoryOf(members)
	n := float64(c.idle)
	return []float64{
		float64(after.anonymous-before.anonymous) / 1024 / n,
		float64(after.resident-before.resident) / 1024 / n,
	}, err
}

// unpin lets the process use all of its cores again.
func (c cores) unpin() {
	_ = eachThread(func(thread int) error { return unix.SchedSetaffinity(thread, &c.all) })
}
