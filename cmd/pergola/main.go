// Command pergola runs an application network that speaks the VPC Lattice API, and the commands around it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/aws/aws-lambda-go/lambda"

	"pergola/fabric"
	"pergola/supervisor"
)

// The exit statuses of every command but exec, whose status is the program's own.
const (
	exitSuccess = 0
	exitFailure = 1
	exitUsage   = 2
)

// command is one of pergola's commands.
type command struct {
	name, arguments, summary string
	run                      func(ctx context.Context, c *command, args []string) (status int, err error)
}

func commands() []command {
	return []command{
		{"serve", "[--data DIR] [--listen 127.0.0.1:4747] [--region us-west-2] [--network auto|netns|loopback] [--etcd " +
			"URL,…] [--requests-per-second N] [--lambda-endpoint URL] [--quota CODE=N] [--allow-local-issuers] " +
			"[--allow-unconfined-functions]", "run a deployment until SIGTERM or SIGINT", serve},
		{"env", "[--data DIR] [--account ID] [--format shell|json]", "print the environment with which AWS tools reach the deployment", env},
		{"ca", "[--data DIR]", "print the certificate of the authority behind generated names, as PEM", ca},
		{"exec", "[--data DIR] (i-… | vpc-…) -- COMMAND …", "run a command inside an instance, or in a short-lived instance of a VPC", execute},
		{"doctor", "[--data DIR]", "find what stops requests, or will, and what to do", doctor},
		{"explain", "[--data DIR] --from (i-… | vpc-…) [--as ARN | --anonymous] [--header FIELD] METHOD URL", "tell every gate on a request's way and its verdict", explain},
		{"issuer", "[--data DIR] --keys FILE [--account ID] [--audience NAME] URL",
			"register an issuer of web identities with its keys, such as a cluster's", issuer},
		{"demo", "[--network auto|netns|loopback] [--exit]", "play the story of the README in a throwaway deployment", demo},
		{"version", "", "print the version", version},
	}
}

func main() {
	fabric.Main()
	if name := supervisor.Name(); name != "" {
		os.Exit(runPart(name))
	}
	if isDemoFunction() {
		lambda.Start(answerEvent) // it does not return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	status := run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// run runs one command and reports its error, if any, on one line.
func run(ctx context.Context, args []string) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(os.Stdout)
		if len(args) == 0 {
			return exitUsage
		}
		return exitSuccess
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		status, err := c.run(ctx, &c, args[1:])
		var wrong usageError
		switch {
		case errors.Is(err, flag.ErrHelp):
			return exitSuccess
		case errors.As(err, &wrong):
			fmt.Fprintf(os.Stderr, "pergola %s: %s; see: pergola %s --help\n", c.name, oneLine(err), c.name)
			return exitUsage
		case err != nil:
			fmt.Fprintf(os.Stderr, "pergola %s: %s\n", c.name, oneLine(err))
			return exitFailure
		}
		return status
	}
	fmt.Fprintf(os.Stderr, "pergola: there is no command %q; see: pergola --help\n", args[0])
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, "Pergola is an application network for services in VPCs whose addresses may overlap.\n\nUsage:\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  pergola %-8s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nEvery command explains itself with --help.\n")
}

// usageError is wrong usage of a command.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// oneLine folds an error of several lines into one.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// flags makes the flag set of a command, with a --help that goes to standard output.
func (c *command) flags() *flag.FlagSet {
	set := flag.NewFlagSet(c.name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	return set
}

// parse parses a command's flags.
func (c *command) parse(set *flag.FlagSet, args []string) error {
	err := set.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Printf("Usage: pergola %s %s\n\n%s.\n", c.name, c.arguments, strings.ToUpper(c.summary[:1])+c.summary[1:])
		set.SetOutput(os.Stdout)
		set.PrintDefaults()
		return err
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}

// noArguments refuses arguments that a command does not take.
func noArguments(set *flag.FlagSet) error {
	if set.NArg() > 0 {
		return usagef("unexpected argument %q", set.Arg(0))
	}
	return nil
}

// dataFlag adds --data.
func dataFlag(set *flag.FlagSet) *string {
	return set.String("data", defaultData(), "`directory` of the deployment's data")
}

// defaultData is where a deployment keeps its data unless told otherwise: the user's directory for state.
func defaultData() string {
	if state := os.Getenv("XDG_STATE_HOME"); state != "" {
		return filepath.Join(state, "pergola")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ".pergola"
	}
	return filepath.Join(home, ".local", "state", "pergola")
}

func version(_ context.Context, c *command, args []string) (int, error) {
	set := c.flags()
	if err := c.parse(set, args); err != nil {
		return exitUsage, err
	}
	if err := noArguments(set); err != nil {
		return exitUsage, err
	}
	fmt.Println("pergola " + buildVersion())
	return exitSuccess, nil
}
