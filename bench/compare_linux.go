package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// figures are what is measured of a subject, by length of the answer or by quantile.
type figures struct {
	cpu        [len(bodies)]measurement // microseconds for each request
	throughput [len(bodies)]measurement // requests a second
	share      [len(bodies)]measurement // percent of its core
	latency    [len(quantiles)]measurement
}

// quantiles are those of the latency at a fixed rate.
var quantiles = [...]float64{0.5, 0.99, 0.999}

// compare measures subjects in turns and prints the tables.
func compare(ctx context.Context, o options, out io.Writer) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	at, err := pickCores()
	if err != nil {
		return err
	}
	subjects, err := findSubjects(o.comparison, out)
	if err != nil {
		return err
	}
	if at.subject == at.world {
		fmt.Fprintln(out, "there is only one core, so that subject, clients and target share it: latency and throughput mean little")
	}
	if err := pin(at.world); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &at.all)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // less of the collector in the world
	all := make([]figures, len(subjects))
	for round := range o.comparison.rounds {
		for i, s := range subjects {
			if err := measure(ctx, at, s, o.comparison, &all[i]); err != nil {
				return fmt.Errorf("%s, round %d: %w", s.name, round+1, err)
			}
		}
	}
	printComparison(out, o, subjects, all)
	return nil
}

// findSubjects finds what is to be compared, and says which peers are missing.
func findSubjects(c comparison, out io.Writer) ([]subject, error) {
	names := strings.Split(c.subjects, ",")
	var found []subject
	for i, name := range names {
		profile := ""
		if i == len(names)-1 {
			profile = c.profile
		}
		s, err := findSubject(name, profile)
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

// measure starts a subject, applies each load to it and stops it.
func measure(ctx context.Context, at cores, s subject, c comparison, f *figures) error {
	w, err := newWorld()
	if err != nil {
		return err
	}
	defer w.close()
	target, err := w.listen(netip.AddrPortFrom(localhost, 0))
	if err != nil {
		return err
	}
	p, where, err := s.start(at, target)
	if err != nil {
		return err
	}
	defer p.stop()
	if where.Target != target {
		if _, err := w.listen(where.Target); err != nil {
			return err
		}
	}
	if err := f.add(ctx, w, p, c, where); err != nil {
		return p.failure(err)
	}
	return nil
}

// add applies each load to a subject once and adds what is measured.
func (f *figures) add(ctx context.Context, w *world, p *process, c comparison, where place) error {
	members, err := p.members()
	if err != nil {
		return err
	}
	var marks []time.Duration
	l := load{
		from: where.From, to: where.Front, host: where.Host, connections: c.connections,
		warm: c.duration / 4, during: c.duration,
		mark: func() error {
			now, err := cpuTime(members)
			marks = append(marks, now)
			return err
		},
	}
	for i, body := range bodies {
		l.body, marks = body, marks[:0]
		o, err := w.run(ctx, l)
		if err != nil {
			return err
		}
		requests, cpu := float64(len(o.latencies)), marks[1]-marks[0]
		f.cpu[i] = append(f.cpu[i], float64(cpu.Microseconds())/requests)
		f.share[i] = append(f.share[i], 100*cpu.Seconds()/o.elapsed.Seconds())
		f.throughput[i] = append(f.throughput[i], requests/o.elapsed.Seconds())
	}
	l.body, l.rate = bodies[0], c.rate
	o, err := w.run(ctx, l)
	if err != nil {
		return err
	}
	for i, q := range quantiles {
		f.latency[i] = append(f.latency[i], float64(quantile(o.latencies, q).Microseconds()))
	}
	return nil
}

// printComparison prints a table for each figure.
func printComparison(out io.Writer, o options, subjects []subject, all []figures) {
	var byBody, byQuantile []string
	for _, body := range bodies {
		byBody = append(byBody, fmt.Sprintf("%d B", body))
	}
	for _, q := range quantiles {
		byQuantile = append(byQuantile, fmt.Sprintf("p%g", q*100))
	}
	latency := fmt.Sprintf("Latency at %d requests a second, answers of %d B, µs", o.comparison.rate, bodies[0])
	for _, figure := range []struct {
		title   string
		columns []string
		ratios  bool
		of      func(figures) []measurement
	}{
		{"CPU time of the subject for each request, µs, by length of the answer", byBody, true, func(f figures) []measurement { return f.cpu[:] }},
		{"Requests a second, by length of the answer", byBody, true, func(f figures) []measurement { return f.throughput[:] }},
		{"Share of its core that the subject took meanwhile, %", byBody, false, func(f figures) []measurement { return f.share[:] }},
		{latency, byQuantile, true, func(f figures) []measurement { return f.latency[:] }},
	} {
		var reference []measurement
		t := table{title: figure.title, header: append([]string{"subject"}, figure.columns...)}
		for i, s := range subjects {
			if s.name == subjectNginx && figure.ratios {
				reference = figure.of(all[i])
			}
		}
		for i, s := range subjects {
			t.rows = append(t.rows, append([]string{s.name}, cells(figure.of(all[i]), reference)...))
		}
		t.print(out, o.markdown)
	}
	fmt.Fprintf(out, "Medians of %d rounds, with their range; × is the ratio to nginx. Where the share is well below 100 %%,\n"+
		"clients, target or other work on this machine were the limit, and not the subject.\n", o.comparison.rounds)
}

// cells are the cells of a row, with ratios to a reference unless that is nil.
func cells(row, reference []measurement) []string {
	var cells []string
	for i, m := range row {
		cell := m.String()
		if reference != nil {
			cell += fmt.Sprintf(" ×%.2f", m.median()/reference[i].median())
		}
		cells = append(cells, cell)
	}
	return cells
}
