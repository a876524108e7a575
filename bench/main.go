// Command bench measures what Pergola costs, beside its peers and by itself.
//
//	go run ./bench
//
// compares Pergola with nginx, HAProxy, Caddy and the reverse proxy of Go's standard library, by every protocol that
// clients speak to a service: HTTP/1.1, HTTPS, handshakes, HTTP/2, gRPC, and connections that are idle. Each subject runs
// alone on one core, with one worker; clients and target are one event loop on another core. What is measured in one run
// can be compared: the subjects take turns over several rounds, and medians are printed with the range they come from.
// The peers are measured where they are installed. It needs Linux. The flags -scenarios and -subjects choose among what
// there is, -results keeps all figures in a file, and -plot draws what that file holds.
//
//	go run ./bench -propagation
//
// fills a deployment with 2,000 services of 10 rules each and changes rules through its API: it prints how long after
// the API's answer a request meets the changed rule, and how much memory the deployment takes.
//
// Everything listens on loopback addresses, and every process that is started is ended.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"pergola/fabric"
)

func main() {
	fabric.Main()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	propagation bool
	markdown    bool
	comparison  comparison
	estate      estateSize
	changes     int
}

// comparison is how the subjects are compared.
type comparison struct {
	scenarios string // names separated by commas
	subjects  string // names separated by commas
	rounds    int
	duration  time.Duration // of each measurement
	idle      int           // connections where idle ones are measured
	profile   string        // file for a CPU profile of the subject that ran last, "" for none
	results   string        // file for all figures, "" for none
	plot      string        // file for a plot, "" for none
}

// estateSize is how much a deployment holds while propagation is measured.
type estateSize struct{ services, rules int }

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == childCommand {
		return runChild(ctx, args[1:])
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.propagation {
		return measurePropagation(ctx, o, out)
	}
	if o.comparison.scenarios == "" {
		return reprint(o, out)
	}
	return compare(ctx, o, out)
}

func parse(args []string) (o options, err error) {
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.BoolVar(&o.propagation, "propagation", false, "measure how fast a changed rule takes effect, instead of the data path")
	set.BoolVar(&o.markdown, "markdown", false, "print tables in Markdown")
	c := &o.comparison
	set.StringVar(&c.scenarios, "scenarios", allScenarios, "what clients do: "+scenarioNames()+`; "" measures nothing and prints -results`)
	set.StringVar(&c.subjects, "subjects", allSubjects, "what to compare")
	set.IntVar(&c.rounds, "rounds", 5, "how often each subject is measured")
	set.DurationVar(&c.duration, "time", 1500*time.Millisecond, "how long each measurement takes")
	set.IntVar(&c.idle, "idle", 10000, "connections where idle ones are measured")
	set.StringVar(&c.profile, "profile", "", "write a CPU profile of the subject that ran last, if it is Pergola or in this program, to this `file`, and one of its memory beside it")
	set.StringVar(&c.results, "results", "", "keep all figures in this `file`, beside those of other scenarios that it holds")
	set.StringVar(&c.plot, "plot", "", "draw the ratios to nginx, with those of -results, into this SVG `file`")
	set.IntVar(&o.estate.services, "services", 2000, "with -propagation: services in the deployment")
	set.IntVar(&o.estate.rules, "rules", 10, "with -propagation: rules of each service")
	set.IntVar(&o.changes, "changes", 200, "with -propagation: how often a rule is created and deleted again")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; see: go run ./bench -help", set.Arg(0))
	}
	for name, value := range map[string]int{"-rounds": c.rounds, "-idle": c.idle, "-services": o.estate.services, "-rules": o.estate.rules, "-changes": o.changes} {
		if value < 1 {
			return o, fmt.Errorf("%s must be at least 1, not %d", name, value)
		}
	}
	return o, nil
}

// The subjects of a comparison.
const (
	subjectPergola      = "pergola"
	subjectSigned       = "pergola-sigv4"
	subjectRules        = "pergola-rules-" // and how many
	subjectDeployment   = "deployment"
	subjectNginx        = "nginx"
	subjectHAProxy      = "haproxy"
	subjectCaddy        = "caddy"
	subjectReverseProxy = "reverseproxy"

	allSubjects = subjectPergola + "," + subjectSigned + "," + subjectRules + "1," + subjectRules + "10," + subjectRules + "100," +
		subjectDeployment + "," + subjectNginx + "," + subjectHAProxy + "," + subjectCaddy + "," + subjectReverseProxy

	allScenarios = "all"
)
