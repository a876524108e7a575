//go:build !linux

package test

import "syscall"

func ownMounts() (*syscall.SysProcAttr, bool) { return nil, false }
