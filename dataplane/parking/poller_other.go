//go:build !linux

package parking

import (
	"errors"
	"syscall"
)

// poller does not exist here.
type poller struct{}

func newPoller(func(uint64)) (*poller, error) { return nil, errors.ErrUnsupported }

func (*poller) watch(syscall.RawConn, uint64) error { return errors.ErrUnsupported }
func (*poller) forget(syscall.RawConn)              {}
func (*poller) close()                              {}
