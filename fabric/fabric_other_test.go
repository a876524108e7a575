//go:build !linux

package fabric

// enter has nothing to show where there is nothing to enter.
func enter() error { return errLinuxOnly }

// remount has nothing to mount.
func remount(string) error { return errLinuxOnly }

// flush has no filter to remove.
func flush(string) error { return errLinuxOnly }
