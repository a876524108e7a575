package test

import (
	"net"
	"testing"
)

// idle opens connections that say nothing. Those that are closed by the other side stay as they are.
func idle(t *testing.T, network, address string, n int) (conns []net.Conn) {
	t.Helper()
	for range n {
		conn, err := net.Dial(network, address)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	return conns
}
