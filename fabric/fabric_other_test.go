//go:build !linux

package fabric

// enter has nothing to show where there is nothing to enter.
func enter() error { return errLinuxOnly }

// remount has nothing to mount.
func remount(string) error { return errLinuxOnly }
