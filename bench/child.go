package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
)

// childCommand is the first argument of this program where it starts itself. The second says what to be.
const childCommand = "child"

// estateChild fills a deployment's store; the other children are subjects of the comparison.
const estateChild = "estate"

// runChild is the body of a process that this program has started. What it has to say is one JSON value on standard
// output.
func runChild(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("a child needs to be told what to be")
	}
	if args[0] == estateChild {
		return estateMain(ctx, args[1:])
	}
	return subjectMain(ctx, args)
}

// makeEstate fills the store of a deployment that does not run yet. It is done by a process of its own, so that its
// memory is not counted as the deployment's.
func makeEstate(ctx context.Context, dir string, size estateSize) (estate, error) {
	self, err := os.Executable()
	if err != nil {
		return estate{}, err
	}
	cmd := exec.CommandContext(ctx, self, childCommand, estateChild, dir, strconv.Itoa(size.services), strconv.Itoa(size.rules))
	cmd.Stderr = os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return estate{}, fmt.Errorf("fill the store: %w", err)
	}
	var made estate
	err = json.Unmarshal(answer, &made)
	return made, err
}

func estateMain(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("an estate needs a directory, a number of services and a number of rules")
	}
	services, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	rules, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	made, err := fillStore(ctx, args[0], estateSize{services, rules})
	if err != nil {
		return err
	}
	return tell(os.Stdout, made)
}

// tell writes one JSON value and a newline.
func tell(out io.Writer, value any) error { return json.NewEncoder(out).Encode(value) }
