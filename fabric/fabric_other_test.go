//go:build !linux

package fabric

// enter has nothing to show where there is nothing to enter.
func enter() error { return errLinuxOnly }
