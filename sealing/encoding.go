package sealing

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"pergola/aws/iam"
)

// Inside a token, a session is a row of strings and lists in a fixed order, each string preceded by its length and each
// list by the number of its strings. Times are seconds since 1970. The version of the token stands for the order.

func encode(c *iam.Caller) []byte {
	s := c.Session
	var b []byte
	for _, text := range []string{
		c.Account, c.ARN, c.UserID, string(c.Type), c.RoleARN, s.Name, s.Policy, s.SourceIdentity, s.Federation,
	} {
		b = appendString(b, text)
	}
	var tags []string
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		tags = append(tags, key, c.Tags[key])
	}
	for _, list := range [][]string{tags, s.TransitiveTags, s.PolicyARNs} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, text := range list {
			b = appendString(b, text)
		}
	}
	b = binary.AppendVarint(b, s.Issued.Unix())
	return binary.AppendVarint(b, s.Expires.Unix())
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decode reads what encode wrote. What it is given has been authenticated; it checks all the same.
func decode(plain []byte) (iam.Caller, error) {
	r := reader{rest: plain}
	s := &iam.Session{}
	c := iam.Caller{Session: s}
	for _, text := range []*string{
		&c.Account, &c.ARN, &c.UserID, (*string)(&c.Type), &c.RoleARN, &s.Name, &s.Policy, &s.SourceIdentity, &s.Federation,
	} {
		*text = r.text()
	}
	tags := r.list()
	s.TransitiveTags, s.PolicyARNs = r.list(), r.list()
	s.Issued, s.Expires = r.time(), r.time()
	if r.failed || len(r.rest) > 0 || len(tags)%2 != 0 {
		return iam.Caller{}, ErrInvalid
	}
	for pair := range slices.Chunk(tags, 2) {
		if c.Tags == nil {
			c.Tags = make(map[string]string, len(tags)/2)
		}
		c.Tags[pair[0]] = pair[1]
	}
	return c, nil
}

// reader takes values off the front of rest until it fails; after that it takes zeros.
type reader struct {
	rest   []byte
	failed bool
}

// size takes a length or a number of strings: neither can exceed the bytes that are left.
func (r *reader) size() int {
	n, taken := binary.Uvarint(r.rest)
	if r.failed = r.failed || taken <= 0 || n > uint64(len(r.rest)-taken); r.failed {
		return 0
	}
	r.rest = r.rest[taken:]
	return int(n)
}

func (r *reader) text() string {
	n := r.size()
	if r.failed {
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *reader) list() []string {
	n := r.size()
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = r.text()
	}
	return list
}

func (r *reader) time() time.Time {
	seconds, taken := binary.Varint(r.rest)
	if r.failed = r.failed || taken <= 0; r.failed {
		return time.Time{}
	}
	r.rest = r.rest[taken:]
	return time.Unix(seconds, 0).UTC()
}
