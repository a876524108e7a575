// Command policy measures what a decision about a request costs Pergola, beside two engines of general use that are
// given equal policies: Cedar's implementation in Go and Open Policy Agent. Beside them it measures the verification of
// the signature that precedes the decision, and the cryptography alone that is in it.
//
//	cd bench/policy && go run .
//
// One network policy asks for an organisation, one service policy for a role and a method, and one policy of the role's
// own for a path; the folder policies has them for each engine. Each engine compiles them once and is asked within the
// process, about input that was prepared in its own form, so that nothing but the decision is measured. The contenders take
// turns over several rounds; printed are medians with their range.
//
// It is a module of its own, so that the engines do not become dependencies of Pergola.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	err := run(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "policy:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	markdown bool
	rounds   int
	duration time.Duration // of each measurement
}

func run(args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	all, err := engines()
	if err != nil {
		return err
	}
	verifications, err := signatures()
	if err != nil {
		return err
	}
	for _, table := range [][]comparison{decisions(all), verifications} {
		var rows [][]string
		for _, c := range table {
			figures, err := c.measure(o)
			if err != nil {
				return err
			}
			rows = append(rows, c.rows(figures)...)
		}
		if err := printTable(out, o.markdown, rows); err != nil {
			return err
		}
	}
	return nil
}

func parse(args []string) (o options, err error) {
	set := flag.NewFlagSet("policy", flag.ContinueOnError)
	set.BoolVar(&o.markdown, "markdown", false, "print tables in Markdown")
	set.IntVar(&o.rounds, "rounds", 7, "how often each contender is measured")
	set.DurationVar(&o.duration, "time", 300*time.Millisecond, "how long each measurement takes")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() > 0 || o.rounds < 1 || o.duration <= 0 {
		return o, errors.New("arguments are -markdown, -rounds of at least 1 and -time of more than 0; see: go run . -help")
	}
	return o, nil
}

// decisions compares the engines on each call.
func decisions(engines []engine) (comparisons []comparison) {
	for _, call := range calls() {
		c := comparison{title: call.name}
		for _, e := range engines {
			c.contenders = append(c.contenders, contender{e.name, expecting(call.allowed, e.prepare(call))})
		}
		comparisons = append(comparisons, c)
	}
	return comparisons
}

// expecting asks the question and fails unless the answer is as expected.
func expecting(allowed bool, ask question) func() error {
	return func() error {
		got, err := ask()
		if err == nil && got != allowed {
			err = fmt.Errorf("allowed is %v, want %v", got, allowed)
		}
		return err
	}
}
