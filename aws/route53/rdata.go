package route53

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// form is how a type writes its records.
type form struct {
	number uint16
	// fields are those of a value, a letter for each: N is a name, 1, 2 and 4 a number of so many octets, a and A an
	// address of IPv4 and IPv6, S a string in quotation marks and T one without a length, W a word, H hexadecimal digits.
	// A plus sign repeats the last field.
	fields string
}

// forms are the types that are served, with their numbers (IANA, "Domain Name System Parameters").
var forms = map[string]form{
	"A": {1, "a"}, "NS": {2, "N"}, "CNAME": {5, "N"}, "SOA": {6, "NN44444"}, "PTR": {12, "N"}, "MX": {15, "2N"},
	"TXT": {16, "S+"}, "AAAA": {28, "A"}, "SRV": {33, "222N"}, "NAPTR": {35, "22SSSN"}, "DS": {43, "211H"},
	"SSHFP": {44, "11H"}, "TLSA": {52, "111H"}, "SPF": {99, "S+"}, "CAA": {257, "1WT"},
}

// TypeNumber is the number of a type in messages; false for a type that is not served.
func TypeNumber(typ string) (number uint16, ok bool) {
	f, ok := forms[typ]
	return f.number, ok
}

// maxString is the longest string in a record (RFC 1035 §3.3).
const maxString = 255

// ValueError says what is wrong with a value, in the words of the service.
type ValueError struct{ Code, Text, Value string }

// Error is the message.
func (e *ValueError) Error() string {
	return fmt.Sprintf("FATAL problem: %s (%s) encountered with '%s'", e.Code, e.Text, e.Value)
}

// RData is a value as a message has it (RFC 1035 §3.3, RFC 3597 §4): names are not compressed.
func RData(typ, value string) ([]byte, error) {
	f, ok := forms[typ]
	if !ok {
		return nil, &ValueError{"UnsupportedType", "Records of type " + typ + " are not served here", value}
	}
	given, err := split(value)
	if err != nil {
		return nil, err
	}
	letters, repeats := strings.CutSuffix(f.fields, "+")
	if n := len(letters); len(given) != n && !(repeats && len(given) > n) {
		return nil, &ValueError{typ + "RRDATAWrongNumberOfFields", fmt.Sprintf("%s record must have %d fields", typ, n),
			value}
	}
	var b []byte
	for i, g := range given {
		if b, err = appendField(b, letters[min(i, len(letters)-1)], g); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Text is the text of a value of a TXT record: its strings, joined.
func Text(value string) (string, error) {
	given, err := split(value)
	var b strings.Builder
	for _, g := range given {
		b.WriteString(g.text)
	}
	return b.String(), err
}

// field is one field of a value.
type field struct {
	text   string
	quoted bool
}

// split takes a value apart at spaces. A string in quotation marks is one field, in which \" is a quotation mark, \\ a
// backslash and \ooo a character by its octal digits.
func split(value string) (fields []field, err error) {
	for rest := strings.TrimLeft(value, " \t"); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		if rest[0] != '"' {
			end := strings.IndexAny(rest, " \t")
			if end < 0 {
				end = len(rest)
			}
			fields, rest = append(fields, field{rest[:end], false}), rest[end:]
			continue
		}
		var text strings.Builder
		i := 1
		for ; i < len(rest) && rest[i] != '"'; i++ {
			c := rest[i]
			switch {
			case c == '\\' && i+3 < len(rest) && isOctal(rest[i+1:i+4]):
				c = octal(rest[i+1 : i+4])
				i += 3
			case c == '\\' && i+1 < len(rest) && (rest[i+1] == '"' || rest[i+1] == '\\'):
				i++
				c = rest[i]
			case c < ' ' || c > '~':
				return nil, &ValueError{"UnsupportedCharacter", "Value contains unsupported characters", value}
			}
			text.WriteByte(c)
		}
		if i >= len(rest) {
			return nil, &ValueError{"InvalidCharacterString", "Value should be enclosed in quotation marks", value}
		}
		fields, rest = append(fields, field{text.String(), true}), rest[i+1:]
	}
	return fields, nil
}

// appendField appends a field of a kind.
func appendField(b []byte, letter byte, f field) ([]byte, error) {
	if quoted := letter == 'S' || letter == 'T'; quoted && !f.quoted {
		return nil, &ValueError{"InvalidCharacterString", "Value should be enclosed in quotation marks", f.text}
	}
	switch letter {
	case 'N':
		name, err := ParseName(f.text)
		if err != nil {
			return nil, err
		}
		return append(b, name.wire()...), nil
	case 'a', 'A':
		return appendAddress(b, letter, f.text)
	case 'S', 'W':
		if len(f.text) > maxString {
			return nil, &ValueError{"CharacterStringTooLong", "String is longer than 255 characters", f.text}
		}
		return append(append(b, byte(len(f.text))), f.text...), nil
	case 'T':
		return append(b, f.text...), nil
	case 'H':
		digits, err := hex.DecodeString(f.text)
		if err != nil {
			return nil, &ValueError{"InvalidHexadecimal", "Value must be hexadecimal digits", f.text}
		}
		return append(b, digits...), nil
	}
	octets := int(letter - '0')
	n, err := strconv.ParseUint(f.text, 10, 8*octets)
	if err != nil {
		return nil, &ValueError{"InvalidNumber", fmt.Sprintf("Value must be a number of %d bits", 8*octets), f.text}
	}
	whole := binary.BigEndian.AppendUint32(nil, uint32(n))
	return append(b, whole[4-octets:]...), nil
}

func appendAddress(b []byte, letter byte, text string) ([]byte, error) {
	address, err := netip.ParseAddr(text)
	switch {
	case letter == 'a' && (err != nil || !address.Is4()):
		return nil, &ValueError{"ARRDATAIllegalIPv4Address", "Value is not a valid IPv4 address", text}
	case letter == 'A' && (err != nil || !address.Is6() || address.Zone() != ""):
		return nil, &ValueError{"AAAARRDATAIllegalIPv6Address", "Value is not a valid IPv6 address", text}
	}
	return append(b, address.AsSlice()...), nil
}
