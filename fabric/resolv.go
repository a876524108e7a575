package fabric

import (
	"net/netip"
	"os"
	"strings"
)

// hostResolv is where this host names its resolvers (resolv.conf(5)).
const hostResolv = "/etc/resolv.conf"

// readResolv reads which resolvers a file names, and the lines in it that are about anything else.
func readResolv(path string) (servers []netip.AddrPort, rest []string) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, nil
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "nameserver" {
			if a, err := netip.ParseAddr(fields[1]); err == nil {
				servers = append(servers, netip.AddrPortFrom(a, 53))
			}
		} else if len(fields) > 0 && fields[0][0] != '#' && fields[0][0] != ';' {
			rest = append(rest, strings.TrimSpace(line))
		}
	}
	return servers, rest
}
