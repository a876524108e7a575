package route53

import (
	"errors"
	"fmt"
	"strings"
)

// Name is a domain name in the form in which Route 53 tells names: in lower case, with a final dot, and with every
// character but letters, digits, hyphens and underscores as a backslash and three octal digits.
type Name string

// The longest label and the longest name (RFC 1035 §2.3.4), the latter in octets as messages have it.
const (
	maxLabel = 63
	maxName  = 255
)

// NameError says what is wrong with a name, in the words of the service.
type NameError struct{ Code, Text, Name string }

// Error is the message.
func (e *NameError) Error() string {
	return fmt.Sprintf("FATAL problem: %s (%s) encountered with '%s'", e.Code, e.Text, e.Name)
}

// ParseName reads a name as callers write it: in any case, with or without its final dot, special characters as they
// are or as three octal digits.
func ParseName(text string) (Name, error) {
	fault := func(code, message string) (Name, error) { return "", &NameError{code, message, text} }
	raw, err := unescape(strings.TrimSuffix(text, "."))
	switch {
	case err != nil:
		return fault("UnsupportedCharacter", err.Error())
	case len(raw)+2 > maxName:
		return fault("DomainNameTooLong", "Domain name is too long")
	}
	for label := range strings.SplitSeq(raw, ".") {
		switch {
		case label == "":
			return fault("DomainLabelEmpty", "Domain label is empty")
		case len(label) > maxLabel:
			return fault("DomainLabelTooLong", "Domain label is too long")
		}
	}
	return escape(raw), nil
}

// unescape is a name with its characters as they are, in lower case.
func unescape(text string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\':
			if i+3 >= len(text) || !isOctal(text[i+1:i+4]) {
				return "", errors.New("backslash is not followed by three octal digits")
			}
			c = octal(text[i+1 : i+4])
			if i += 3; c == '.' {
				return "", errors.New("dot within a label is not served here")
			}
		case c <= ' ' || c > '~':
			return "", errors.New("value contains unsupported characters")
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

// octal is the character of three octal digits.
func octal(digits string) byte {
	return (digits[0]-'0')<<6 | (digits[1]-'0')<<3 | (digits[2] - '0')
}

func isOctal(digits string) bool {
	return '0' <= digits[0] && digits[0] <= '3' && strings.Trim(digits, "01234567") == ""
}

// escape is the Name of a text in lower case without its final dot.
func escape(raw string) Name {
	var b strings.Builder
	for i := range len(raw) {
		switch c := raw[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	return Name(b.String() + ".")
}

// Raw is the name as resolvers look for it: without escapes, in lower case, without its final dot.
func (n Name) Raw() string {
	raw, err := unescape(strings.TrimSuffix(string(n), "."))
	if err != nil {
		return "" // ParseName makes no such name
	}
	return raw
}

// Reversed has the labels from the last to the first: com.example.www. for www.example.com.
func (n Name) Reversed() string {
	labels := strings.Split(strings.TrimSuffix(string(n), "."), ".")
	var b strings.Builder
	for i := len(labels) - 1; i >= 0; i-- {
		b.WriteString(labels[i])
		b.WriteByte('.')
	}
	return b.String()
}

// In reports whether the name is another one or below it.
func (n Name) In(zone Name) bool { return n == zone || strings.HasSuffix(string(n), "."+string(zone)) }

// Parent is the name without its first label, "" for a name of one label.
func (n Name) Parent() Name {
	_, parent, _ := strings.Cut(string(n), ".")
	return Name(parent)
}

// Wildcard is the name of the wildcard right below the name.
func (n Name) Wildcard() Name { return `\052.` + n }

// IsWildcard reports whether the first label is an asterisk (RFC 4592 §2.1.1).
func (n Name) IsWildcard() bool { return strings.HasPrefix(string(n), `\052.`) }

// wire is the name in a message, without compression.
func (n Name) wire() []byte {
	var b []byte
	for label := range strings.SplitSeq(n.Raw(), ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}
