package route53_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"pergola/aws/route53"
)

func TestRData(t *testing.T) {
	for _, c := range []struct{ typ, value, want string }{
		{"A", "192.0.2.1", "\xc0\x00\x02\x01"},
		{"AAAA", "2001:db8::1", "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"},
		{"CNAME", "WWW.a", "\x03www\x01a\x00"},
		{"MX", "10 mail.a.", "\x00\x0a\x04mail\x01a\x00"},
		{"TXT", `"a b" "\"\\\101"`, "\x03a b\x03\"\\A"},
		{"TXT", `""`, "\x00"},
		{"SRV", "1 2 80 s.a", "\x00\x01\x00\x02\x00\x50\x01s\x01a\x00"},
		{"SOA", "n.a. h.a. 1 2 3 4 5", "\x01n\x01a\x00\x01h\x01a\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03" +
			"\x00\x00\x00\x04\x00\x00\x00\x05"},
		{"CAA", `0 issue "ca.a"`, "\x00\x05issueca.a"},
		{"DS", "1 2 3 0AFF", "\x00\x01\x02\x03\x0a\xff"},
		{"NAPTR", `1 2 "u" "s" "r" x.a`, "\x00\x01\x00\x02\x01u\x01s\x01r\x01x\x01a\x00"},
	} {
		if got, err := route53.RData(c.typ, c.value); err != nil || string(got) != c.want {
			t.Errorf("%s %s: %q, %v; want %q", c.typ, c.value, got, err, c.want)
		}
	}
	for _, c := range []struct{ typ, value, code string }{
		{"A", "192.0.2", "ARRDATAIllegalIPv4Address"}, {"A", "::1", "ARRDATAIllegalIPv4Address"},
		{"A", "", "ARRDATAWrongNumberOfFields"}, {"AAAA", "192.0.2.1", "AAAARRDATAIllegalIPv6Address"},
		{"AAAA", "fe80::1%eth0", "AAAARRDATAIllegalIPv6Address"}, {"TXT", "a", "InvalidCharacterString"},
		{"TXT", `"a`, "InvalidCharacterString"}, {"TXT", "\"\xff\"", "UnsupportedCharacter"},
		{"TXT", `"` + strings.Repeat("a", 256) + `"`, "CharacterStringTooLong"},
		{"MX", "mail.a", "MXRRDATAWrongNumberOfFields"},
		{"MX", "65536 a", "InvalidNumber"}, {"SRV", "-1 1 1 a", "InvalidNumber"}, {"DS", "1 2 3 xy", "InvalidHexadecimal"},
		{"HTTPS", "1 . alpn=h2", "UnsupportedType"},
	} {
		_, err := route53.RData(c.typ, c.value)
		var refused *route53.ValueError
		if !errors.As(err, &refused) || refused.Code != c.code {
			t.Errorf("%s %s: %v, want %s", c.typ, c.value, err, c.code)
		}
	}
}

// FuzzRData holds that what is taken can stand in a message.
func FuzzRData(f *testing.F) {
	for typ, value := range map[string]string{"A": "192.0.2.1", "TXT": `"a" "\101"`, "MX": "1 a.b", "CAA": `0 issue "x"`,
		"SOA": "a. b. 1 2 3 4 5", "SRV": "1 2 3 a", "TLSA": "1 1 1 00", "NAPTR": `1 2 "u" "s" "r" x.a`} {
		f.Add(typ, value)
	}
	f.Fuzz(func(t *testing.T, typ, value string) {
		data, err := route53.RData(typ, value)
		if err != nil || len(data) > 1<<15 {
			return
		}
		number, _ := route53.TypeNumber(typ)
		b := dnsmessage.NewBuilder(nil, dnsmessage.Header{Response: true})
		header := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("a."), Class: dnsmessage.ClassINET}
		if err := errors.Join(b.StartAnswers(),
			b.UnknownResource(header, dnsmessage.UnknownResource{Type: dnsmessage.Type(number), Data: data})); err != nil {
			t.Fatal(err)
		}
		message, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		var m dnsmessage.Message
		if err := m.Unpack(message); err != nil {
			t.Fatalf("%s %q is %x, which cannot be read: %v", typ, value, data, err)
		}
	})
}
