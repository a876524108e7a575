//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
)

// compare is for Linux: it binds processes to cores, and reads what they have taken from /proc.
func compare(context.Context, options, io.Writer) error {
	return errors.New("the comparison with peers needs Linux; go run ./bench -propagation works here")
}

// subjectMain is never asked for, since nothing is compared here.
func subjectMain(context.Context, []string) error {
	return errors.New("there are no subjects outside of Linux")
}
