package fabric

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"pergola/fabric/packetfilter"
)

// flush does all that root in an instance can do against a filter: it removes each table that it finds, has the kernel
// forget its connections and takes addresses that it was not given. Then it says how a connection fares that the filter
// drops.
func flush(target string) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	tables, err := c.ListTables()
	if err != nil {
		return err
	}
	c.FlushRuleset()
	if err := c.Flush(); err != nil {
		return err
	}
	if err := netlink.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
		return err
	}
	link, err := netlink.LinkByName(instanceDevice)
	if err != nil {
		return err
	}
	stolen, _ := netlink.ParseAddr("10.20.1.11/32")
	if err := netlink.AddrAdd(link, stolen); err != nil {
		return err
	}
	fmt.Printf("removed %d tables\n", len(tables))
	for _, local := range []string{"", "10.20.1.11"} {
		d := net.Dialer{Timeout: 1500 * time.Millisecond} // one more SYN than the first
		if local != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
		}
		conn, err := d.Dial("tcp", target)
		if err == nil {
			conn.Close()
		}
		fmt.Println(err)
	}
	return nil
}

// The filter is at the router's end: root in an instance neither sees nor changes it, nor speaks for another.
func TestRootInAnInstanceCannotChangeTheFilter(t *testing.T) {
	needs(t, Netns)
	f := open(t, Config{Kind: Netns})
	vpc := testVPC("vpc-a")
	vpc.Filter = openFilter()
	apply(t, f, vpc)
	greet(t, listen(t, f, routerA, "169.254.171.1:8080"), "service")
	status, out := run(t, f, oneA, Command{Args: []string{self(t), "169.254.171.1:8080"}, Env: testEnv("flush")})
	if status != 0 || !strings.HasPrefix(out, "removed 0 tables\n") || strings.Count(out, "i/o timeout") != 2 {
		t.Errorf("status %d: %s", status, out)
	}
	if dropsOf(t, f, packetfilter.EgressGroups) == 0 {
		t.Error("nothing is counted")
	}
}
