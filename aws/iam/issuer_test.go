package iam

import (
	"net/netip"
	"testing"
)

func TestInternalAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": true, "0.0.0.0": true, "10.1.2.3": true, "100.127.255.255": true, "169.254.169.254": true,
		"172.16.0.1": true, "192.168.0.1": true,
		"224.0.0.1": true, "255.255.255.255": true, "::": true, "::1": true, "::127.0.0.1": true, "::ffff:10.0.0.1": true,
		"fe80::1%eth0": true, "fec0::1": true,
		"fd00::1": true, "ff02::1": true, "64:ff9b::a00:1": true, "2002:a00:1::1": true, "2001:0:1::1": true,
		"8.8.8.8": false, "100.128.0.1": false, "172.32.0.1": false, "192.169.0.1": false, "2606:4700::1": false,
		"2001:4860::8888": false, "::ffff:8.8.8.8": false,
	} {
		if got := IsInternal(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
	if !IsInternal(netip.Addr{}) {
		t.Error("no address is taken for one elsewhere")
	}
}

// FuzzReadKeys reads what an issuer may answer. What is taken can be used.
func FuzzReadKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"one","x":"AQ","y":"AQ"},
		{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256",
		"x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
		"y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}]}`))
	f.Add([]byte(`{"keys":null}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		keys, err := ReadKeys(document)
		if err != nil && len(keys) > 0 || len(keys) > MaxKeys {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for _, key := range keys {
			if key.Verify("signed", []byte("no signature")) {
				t.Errorf("%+v verifies anything", key)
			}
		}
	})
}
