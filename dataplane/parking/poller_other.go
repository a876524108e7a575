//go:build !linux

package parking

import (
	"errors"
	"net"
)

// poller does not exist here.
type poller struct{}

func newPoller(func(uint64)) (*poller, error) { return nil, errors.ErrUnsupported }

func (*poller) watch(net.Conn, uint64) error { return errors.ErrUnsupported }
func (*poller) forget(net.Conn)              {}
func (*poller) close()                       {}
