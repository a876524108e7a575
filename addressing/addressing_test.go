package addressing

import (
	"errors"
	"net/netip"
	"testing"
)

func TestWhichRangesAVPCCanHave(t *testing.T) {
	for block, want := range map[string]error{
		"10.0.0.0/16": nil, "10.0.0.0/28": nil, "172.31.0.0/16": nil, "192.168.1.0/24": nil, "100.64.0.0/16": nil,
		"198.19.0.0/16": nil, "1.0.0.0/16": nil, "126.255.0.0/16": nil, "128.0.0.0/16": nil, "169.253.0.0/16": nil,
		"169.255.0.0/16": nil, "223.255.0.0/16": nil,
		"10.0.0.0/15": ErrSize, "10.0.0.0/29": ErrSize, "0.0.0.0/0": ErrSize, "10.0.0.1/32": ErrSize,
		"129.224.0.0/16": ErrSpecial, "129.224.127.240/28": ErrSpecial, "129.224.128.0/17": nil, "0.0.0.0/16": ErrSpecial,
		"0.255.255.0/24": ErrSpecial, "127.0.0.0/16": ErrSpecial, "127.255.255.240/28": ErrSpecial,
		"169.254.0.0/16": ErrSpecial, "169.254.171.0/24": ErrSpecial, "224.0.0.0/16": ErrSpecial,
		"239.255.0.0/16": ErrSpecial, "240.0.0.0/16": ErrSpecial, "255.255.255.240/28": ErrSpecial,
	} {
		if err := CheckVPC(netip.MustParsePrefix(block)); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", block, err, want)
		}
	}
	for _, block := range []netip.Prefix{{}, netip.MustParsePrefix("fd00::/16"), netip.MustParsePrefix("10.0.0.1/16"),
		netip.MustParsePrefix("::ffff:10.0.0.0/112")} {
		if err := CheckVPC(block); err == nil {
			t.Errorf("%v is taken", block)
		}
	}
}

func TestSubnetsAreWithinTheirVPC(t *testing.T) {
	vpc := netip.MustParsePrefix("10.1.0.0/20")
	for block, ok := range map[string]bool{
		"10.1.0.0/20": true, "10.1.15.240/28": true, "10.1.0.0/28": true,
		"10.1.0.0/19": false, "10.1.16.0/24": false, "10.0.0.0/24": false, "10.1.0.0/29": false,
	} {
		if err := CheckSubnet(vpc, netip.MustParsePrefix(block)); (err == nil) != ok {
			t.Errorf("%s: %v", block, err)
		}
	}
}

// An address is taken exactly if it is between the bounds, of every size of range.
func TestInstancesHaveWhatIsNotReserved(t *testing.T) {
	for bits := LargestBits; bits <= SmallestBits; bits++ {
		block := netip.PrefixFrom(netip.MustParseAddr("10.9.0.0"), bits)
		free := uint32(0)
		for n := range Size(block) {
			err := CheckInstance(block, Nth(block, n))
			reserved := n < 4 || n == Size(block)-1
			if (err != nil) != reserved {
				t.Fatalf("%v of %v: %v", Nth(block, n), block, err)
			}
			if err == nil {
				free++
			}
		}
		if free != Size(block)-Reserved {
			t.Errorf("%v has %d addresses", block, free)
		}
	}
	for _, address := range []string{"10.8.255.255", "11.0.0.5", "fd00::5", "::ffff:10.9.0.5"} {
		if err := CheckInstance(netip.MustParsePrefix("10.9.0.0/16"), netip.MustParseAddr(address)); err == nil {
			t.Errorf("%s is taken", address)
		}
	}
	if err := CheckInstance(netip.MustParsePrefix("10.9.0.0/16"), netip.Addr{}); err == nil {
		t.Error("no address is taken")
	}
}

func TestIDsAreFitForFileNames(t *testing.T) {
	for id, ok := range map[string]bool{"vpc-1": true, "i-0aB": true, "": false, "-x": false, "a/b": false, "..": false,
		"a b": false} {
		if err := CheckID(id); (err == nil) != ok {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestAssignable(t *testing.T) {
	for block, want := range map[string][2]string{
		"10.0.0.0/16":      {"10.0.0.4", "10.0.255.254"},
		"10.0.0.16/28":     {"10.0.0.20", "10.0.0.30"},
		"192.168.1.128/25": {"192.168.1.132", "192.168.1.254"},
	} {
		first, last := Assignable(netip.MustParsePrefix(block))
		if first.String() != want[0] || last.String() != want[1] {
			t.Errorf("%s: %s to %s, want %v", block, first, last, want)
		}
	}
}

func TestReservedAddresses(t *testing.T) {
	for _, test := range []struct {
		subnet, address string
		want            bool
	}{
		{"10.0.0.0/24", "10.0.0.3", true}, {"10.0.0.0/24", "10.0.0.4", false}, {"10.0.0.0/24", "10.0.0.254", false},
		{"10.0.0.0/24", "10.0.0.255", true},
		{"255.255.255.0/24", "255.255.255.255", true}, {"10.0.0.16/28", "10.0.0.31", true},
		{"10.0.0.16/28", "10.0.0.19", true}, {"10.0.0.16/28", "10.0.0.20", false},
		{"fd00:1::/64", "fd00:1::3", true}, {"fd00:1::/64", "fd00:1::4", false},
		{"fd00:1::/64", "fd00:1::ffff:ffff:ffff:ffff", true},
	} {
		if got := IsReserved(netip.MustParsePrefix(test.subnet), netip.MustParseAddr(test.address)); got != test.want {
			t.Errorf("%s in %s: %v, want %v", test.address, test.subnet, got, test.want)
		}
	}
}

// An IPv6 address spells the IPv4 address that it is made of, in either prefix.
func TestSpelling(t *testing.T) {
	for four, six := range map[string]string{
		"169.254.171.33": "fd00:ec2:80::a9fe:ab21", "169.254.171.1": "fd00:ec2:80::a9fe:ab01", "0.0.0.0": "fd00:ec2:80::",
		"255.255.255.255": "fd00:ec2:80::ffff:ffff",
	} {
		a := netip.MustParseAddr(four)
		if got := Spell(ServiceNetworks6, a); got.String() != six || Spelled(got) != a || !ServiceNetworks6.Contains(got) {
			t.Errorf("%s becomes %s, which becomes %s", four, got, Spelled(got))
		}
	}
}

// Doors and the source of connections to targets share the range of service networks, and no address.
func TestAddressesOfServiceNetworks(t *testing.T) {
	if !ServiceNetworks.Contains(FirstDoor) || !FirstDoor.Less(LastDoor) || !LastDoor.Less(Source) ||
		!ServiceNetworks.Contains(Source.Next()) || FirstDoor.String() != "169.254.171.1" {
		t.Errorf("doors have %s to %s, targets are reached from %s", FirstDoor, LastDoor, Source)
	}
}
