package functions

import (
	"net"
	"net/netip"
	"os"
	"testing"
)

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0 20 4 30 10 -1
   2: 0000000000000000FFFF00000100007F:C002 0000000000000000FFFF00000100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 3 1 0 20 4 30 10 -1
   3: 0100007F:C003 0100007F:1F90 01 00000000:00000000 00:00000000
`

func TestWhoseConnectionItIs(t *testing.T) {
	if hexOf(netip.MustParseAddrPort("127.0.0.1:80"))[0] != '0' {
		t.Skip("the table is one of a little-endian host")
	}
	server := netip.MustParseAddrPort("127.0.0.1:8080")
	for client, want := range map[string]int{"127.0.0.1:49153": 1000, "127.0.0.1:49154": 1001, "127.0.0.1:49155": -1, "127.0.0.1:49156": -1} {
		uid, found := ownerOf([]byte(table), netip.MustParseAddrPort(client), server)
		if !found {
			uid = -1
		}
		if uid != want {
			t.Errorf("%s: %d, want %d", client, uid, want)
		}
	}
}

// TestTheOwnConnectionIsFound asks the system itself, where it tells.
func TestTheOwnConnectionIsFound(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := guarded{listener}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	content, err := os.ReadFile(tables[0])
	if err != nil {
		t.Skip(err)
	}
	own, peer := client.LocalAddr().(*net.TCPAddr).AddrPort(), client.RemoteAddr().(*net.TCPAddr).AddrPort()
	if uid, found := ownerOf(content, own, peer); !found || uid != os.Getuid() {
		t.Errorf("the connection of user %d is %d's, found: %t", os.Getuid(), uid, found)
	}
}

// FuzzTable looks for a table that panics.
func FuzzTable(f *testing.F) {
	f.Add([]byte(table))
	f.Fuzz(func(t *testing.T, content []byte) {
		ownerOf(content, netip.MustParseAddrPort("127.0.0.1:49153"), netip.MustParseAddrPort("127.0.0.1:8080"))
	})
}
