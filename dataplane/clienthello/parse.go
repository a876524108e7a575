package clienthello

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"pergola/bound"
)

// Error says which rule a ClientHello breaks.
type Error struct {
	// Rule is where the rule stands, such as "RFC 6066 §3".
	Rule string
	// Problem is what is wrong.
	Problem string
	// Alert is what the client should be told.
	Alert tls.AlertError
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("ClientHello: %s (%s)", e.Problem, e.Rule) }

// What a ClientHello may break.
var (
	errLong       = &Error{"RFC 8446 §4.1.2", "it is longer than is accepted", RecordOverflow}
	errHeld       = &Error{"ours", "as much is held for the client as may be", InternalError}
	errVersion    = &Error{"RFC 8446 §5.1", "its record is of no version of TLS", UnexpectedMessage}
	errRecord     = &Error{"RFC 8446 §5.1", "a record that is no handshake stands between its parts", UnexpectedMessage}
	errRecordSize = &Error{"RFC 8446 §5.1", "a record is empty or longer than 16,384 bytes", RecordOverflow}
	errMessage    = &Error{"RFC 8446 §4", "the first message is another", UnexpectedMessage}
	errBehind     = &Error{"RFC 8446 §5.1", "its last record goes on behind it", UnexpectedMessage}
	errLengths    = &Error{"RFC 8446 §4.1.2", "the lengths of its parts do not fit together", DecodeError}
	errSuites     = &Error{"RFC 8446 §4.1.2", "its cipher suites are of odd length, or there are none", DecodeError}
	errTwice      = &Error{"RFC 8446 §4.2", "it has an extension twice", IllegalParameter}
	errNameList   = &Error{"RFC 6066 §3", "the lengths in its server name do not fit together", DecodeError}
	errNameKind   = &Error{"RFC 6066 §3", "its server name is none of a host", IllegalParameter}
	errNames      = &Error{"RFC 6066 §3", "it has several server names", IllegalParameter}
	errName       = &Error{"RFC 6066 §3", "its server name is no domain name", IllegalParameter}
	errAddress    = &Error{"RFC 6066 §3", "its server name is an address", IllegalParameter}
)

const (
	recordAlert     = 21
	recordHandshake = 22
	recordHeader    = 5
	maxRecord       = 1 << 14

	messageClientHello = 1
	messageHeader      = 4

	nameOfHost = 0
)

// extensionServerName is the type of the one extension that is looked into (RFC 6066 §1.1).
var extensionServerName = [2]byte{0, 0}

// reader reads a ClientHello off a connection.
type reader struct {
	from   io.Reader
	read   []byte // all that was read
	limits Limits
	client net.Addr
	share  *bound.Share // on which it counts
	held   int64        // for so many bytes
}

// firstRead is how much is read at once at first: more than most clients say.
const firstRead = 2 << 10

// hello reads the records that hold the ClientHello, and parses it. A message that came in one record, as nearly all do,
// is parsed where it lies.
func (r *reader) hello() (Hello, error) {
	var message []byte
	for at := 0; ; {
		fragment, err := r.record(at)
		if err != nil {
			return Hello{}, err
		}
		if at += recordHeader + len(fragment); message == nil {
			message = fragment[:len(fragment):len(fragment)]
		} else {
			message = append(message, fragment...)
		}
		if message[0] != messageClientHello {
			return Hello{}, errMessage
		}
		if len(message) < messageHeader {
			continue
		}
		length := messageHeader + (int(message[1])<<16 | int(message[2])<<8 | int(message[3]))
		switch {
		case length > r.limits.MaxBytes:
			return Hello{}, errLong
		case len(message) > length:
			return Hello{}, errBehind
		case len(message) == length:
			return parse(message[messageHeader:])
		}
	}
}

// record returns what the record at an offset holds. Its version is that of the very first TLS or of any later one, and
// means nothing beyond that.
func (r *reader) record(at int) ([]byte, error) {
	if err := r.fill(at + recordHeader); err != nil {
		return nil, err
	}
	header := r.read[at:]
	length := int(header[3])<<8 | int(header[4])
	switch {
	case header[0] != recordHandshake:
		return nil, errRecord
	case header[1] != 3:
		return nil, errVersion
	case length == 0 || length > maxRecord:
		return nil, errRecordSize
	}
	end := at + recordHeader + length
	if err := r.fill(end); err != nil {
		return nil, err
	}
	return r.read[at+recordHeader : end], nil
}

// uncounted is the size of a ClientHello that does not count, in bytes: that of nearly all.
const uncounted = 4 << 10

// mayHold reports whether a size may be held, in bytes, and counts it.
func (r *reader) mayHold(size int) bool {
	if size <= uncounted || r.limits.Held == nil {
		return true
	}
	share := r.share
	if share == nil {
		share = r.limits.Held.Open(r.limits.VPC, bound.ClientOf(r.client))
	}
	if !share.Take(int64(size) - r.held) {
		if r.share == nil {
			share.Close()
		}
		return false
	}
	r.share, r.held = share, int64(size)
	return true
}

// fill reads until there are n bytes, and what has arrived beyond.
func (r *reader) fill(n int) error {
	if n > r.limits.MaxBytes {
		return errLong
	}
	for len(r.read) < n {
		if len(r.read) == cap(r.read) {
			size := max(firstRead, 2*cap(r.read))
			if !r.mayHold(size) {
				return errHeld
			}
			grown := make([]byte, len(r.read), size)
			copy(grown, r.read)
			r.read = grown
		}
		got, err := r.from.Read(r.read[len(r.read):cap(r.read)])
		r.read = r.read[:len(r.read)+got]
		switch {
		case got > 0 || err == nil: // an error will come again
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		default:
			return err
		}
	}
	return nil
}

// parse parses the body of a ClientHello (RFC 8446 §4.1.2).
func parse(body []byte) (Hello, error) {
	const versionAndRandom = 2 + 32
	rest, ok := body, len(body) >= versionAndRandom
	if !ok {
		return Hello{}, errLengths
	}
	rest = rest[versionAndRandom:]
	session, rest, ok1 := vector(rest, 1)
	suites, rest, ok2 := vector(rest, 2)
	compression, rest, ok3 := vector(rest, 1)
	switch {
	case !ok1 || !ok2 || !ok3 || len(session) > 32 || len(compression) == 0:
		return Hello{}, errLengths
	case len(suites) == 0 || len(suites)%2 != 0:
		return Hello{}, errSuites
	case len(rest) == 0: // TLS 1.2 and before had none
		return Hello{}, nil
	}
	extensions, rest, ok := vector(rest, 2)
	if !ok || len(rest) != 0 {
		return Hello{}, errLengths
	}
	return parseExtensions(extensions)
}

func parseExtensions(extensions []byte) (hello Hello, err error) {
	seen := make(map[[2]byte]bool, 32)
	for len(extensions) > 0 {
		if len(extensions) < 2 {
			return Hello{}, errLengths
		}
		kind := [2]byte(extensions)
		content, rest, ok := vector(extensions[2:], 2)
		if !ok {
			return Hello{}, errLengths
		}
		if seen[kind] {
			return Hello{}, errTwice
		}
		seen[kind] = true
		if kind == extensionServerName {
			if hello.ServerName, err = parseServerName(content); err != nil {
				return Hello{}, err
			}
		}
		extensions = rest
	}
	return hello, nil
}

// parseServerName returns the name of the extension (RFC 6066 §3); there must be exactly one.
func parseServerName(content []byte) (string, error) {
	list, rest, ok := vector(content, 2)
	if !ok || len(rest) != 0 || len(list) == 0 {
		return "", errNameList
	}
	kind := list[0]
	name, rest, ok := vector(list[1:], 2)
	switch {
	case kind != nameOfHost:
		return "", errNameKind
	case !ok:
		return "", errNameList
	case len(rest) != 0:
		return "", errNames
	}
	if _, err := netip.ParseAddr(string(name)); err == nil {
		return "", errAddress
	}
	if !isDomainName(name) {
		return "", errName
	}
	return strings.ToLower(string(name)), nil
}

// isDomainName reports whether a name is made of labels as names of hosts have them (RFC 1123 §2.1), and of underscores,
// which are met in practice. One trailing dot would make another spelling of the same name, which RFC 6066 §3 forbids.
func isDomainName(name []byte) bool {
	const maxName, maxLabel = 253, 63
	if len(name) > maxName {
		return false
	}
	label := 0
	for i, c := range name {
		switch {
		case c == '.' && label > 0 && name[i-1] != '-':
			label = 0
			continue
		case c == '-' && label > 0, c == '_', '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		default:
			return false
		}
		if label++; label > maxLabel {
			return false
		}
	}
	return label > 0 && name[len(name)-1] != '-'
}

// vector takes a variable-length vector, whose length is said in size bytes, off the front (RFC 8446 §3.4).
func vector(from []byte, size int) (content, rest []byte, ok bool) {
	if len(from) < size {
		return nil, nil, false
	}
	length := 0
	for _, b := range from[:size] {
		length = length<<8 | int(b)
	}
	if from = from[size:]; len(from) < length {
		return nil, nil, false
	}
	return from[:length], from[length:], true
}
