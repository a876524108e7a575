package clienthello

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// counted puts the length of content, in size bytes, in front of it.
func counted(size int, content ...[]byte) (vector []byte) {
	all := bytes.Join(content, nil)
	for i := size - 1; i >= 0; i-- {
		vector = append(vector, byte(len(all)>>(8*i)))
	}
	return append(vector, all...)
}

func extension(kind uint16, content []byte) []byte {
	return append([]byte{byte(kind >> 8), byte(kind)}, counted(2, content)...)
}

func hostName(name string) []byte { return append([]byte{nameOfHost}, counted(2, []byte(name))...) }

func serverName(names ...[]byte) []byte {
	return extension(0, counted(2, names...))
}

// body is that of a ClientHello that has nothing but extensions.
func body(extensions ...[]byte) []byte {
	return bytes.Join([]([]byte){
		{3, 3}, make([]byte, 32), counted(1), counted(2, []byte{0x13, 0x01}), counted(1, []byte{0}), counted(2, extensions...),
	}, nil)
}

func message(body []byte) []byte { return append([]byte{messageClientHello}, counted(3, body)...) }

// grease are extensions that mean nothing (RFC 8701).
func grease() []byte { return append(extension(0x0a0a, nil), extension(0xfafa, []byte{0})...) }

func TestServerNames(t *testing.T) {
	label := strings.Repeat("a", 63)
	longest := strings.Repeat(label+".", 3) + strings.Repeat("a", 61)
	for _, tt := range []struct {
		name string
		body []byte
		want string
		err  error
	}{
		{"a name", body(serverName(hostName("orders.example"))), "orders.example", nil},
		{"a name in capitals", body(serverName(hostName("ORDERS.Example"))), "orders.example", nil},
		{"among extensions that mean nothing", body(grease(), serverName(hostName("orders.example")), extension(0x1a1a, nil)), "orders.example", nil},
		{"one label", body(serverName(hostName("orders"))), "orders", nil},
		{"underscore and punycode", body(serverName(hostName("_a.xn--bcher-kva.example"))), "_a.xn--bcher-kva.example", nil},
		{"the longest", body(serverName(hostName(longest))), longest, nil},
		{"no name", body(grease()), "", nil},
		{"no extensions", body(), "", nil},
		{"not even their length", bytes.TrimSuffix(body(), counted(2)), "", nil},

		{"two names", body(serverName(hostName("a.example"), hostName("b.example"))), "", errNames},
		{"the same name twice", body(serverName(hostName("a.example"), hostName("a.example"))), "", errNames},
		{"two extensions with names", body(serverName(hostName("a.example")), serverName(hostName("b.example"))), "", errTwice},
		{"another extension twice", body(grease(), serverName(hostName("a.example")), grease()), "", errTwice},
		{"a name of another kind", body(serverName(append([]byte{1}, counted(2, []byte("a.example"))...))), "", errNameKind},
		{"no name in the list", body(serverName()), "", errNameList},
		{"no list", body(extension(0, nil)), "", errNameList},
		{"a list that is too long", body(extension(0, append(counted(2, hostName("a.example")), 0))), "", errNameList},
		{"a name that is too long for its list", body(extension(0, counted(2, []byte{0, 0, 9, 'a'}))), "", errNameList},
		{"IPv4", body(serverName(hostName("10.0.0.1"))), "", errAddress},
		{"IPv6", body(serverName(hostName("fd00:ec2:80::1"))), "", errAddress},
		{"IPv6 with a zone", body(serverName(hostName("fe80::1%eth0"))), "", errAddress},
		{"empty", body(serverName(hostName(""))), "", errName},
		{"a trailing dot", body(serverName(hostName("orders.example."))), "", errName},
		{"a leading dot", body(serverName(hostName(".example"))), "", errName},
		{"an empty label", body(serverName(hostName("orders..example"))), "", errName},
		{"a wildcard", body(serverName(hostName("*.example"))), "", errName},
		{"a port", body(serverName(hostName("orders.example:443"))), "", errName},
		{"a NUL", body(serverName(hostName("orders.example\x00.evil"))), "", errName},
		{"not ASCII", body(serverName(hostName("bücher.example"))), "", errName},
		{"a label that begins with a hyphen", body(serverName(hostName("-a.example"))), "", errName},
		{"a label that ends with one", body(serverName(hostName("a-.example"))), "", errName},
		{"a name that ends with one", body(serverName(hostName("a-"))), "", errName},
		{"a label that is too long", body(serverName(hostName(label + "a.example"))), "", errName},
		{"a name that is too long", body(serverName(hostName(longest + "a"))), "", errName},

		{"cut amid the random", body()[:20], "", errLengths},
		{"cut before the extensions' length is whole", body()[:len(body())-1], "", errLengths},
		{"more behind the extensions", append(body(), 0), "", errLengths},
		{"an extension that is too long", body([]byte{0, 5, 0, 9, 0}), "", errLengths},
		{"half an extension", body([]byte{0}), "", errLengths},
		{"a session id that is too long", append(append(make([]byte, 34), counted(1, make([]byte, 33))...), body()[35:]...), "", errLengths},
		{"no cipher suites", append(make([]byte, 34), 0, 0, 0, 1, 0), "", errSuites},
		{"half a cipher suite", append(make([]byte, 34), 0, 0, 1, 1, 1, 0), "", errSuites},
		{"no compression method", append(make([]byte, 34), 0, 0, 2, 1, 1, 0), "", errLengths},
	} {
		hello, err := parse(tt.body)
		if err != tt.err || hello.ServerName != tt.want {
			t.Errorf("%s: %q, %v; want %q, %v", tt.name, hello.ServerName, err, tt.want, tt.err)
		}
	}
}

func TestRecords(t *testing.T) {
	whole := message(body(serverName(hostName("orders.example"))))
	sound := record(whole)
	changed := func(at int, to byte) []byte {
		r := bytes.Clone(sound)
		r[at] = to
		return r
	}
	for _, tt := range []struct {
		name string
		sent []byte
		err  error
	}{
		{"as it should be", sound, nil},
		{"a record of TLS 1.2", changed(2, 3), nil},
		{"a record of SSL 2", changed(1, 2), errVersion},
		{"another message", changed(recordHeader, 2), errMessage},
		{"an alert amid it", append(inRecords(whole[:9], 9), recordAlert, 3, 3, 0, 2, 2, 0), errRecord},
		{"an empty record", append([]byte{recordHandshake, 3, 1, 0, 0}, sound...), errRecordSize},
		{"an empty record amid it", append(inRecords(whole[:9], 9), recordHandshake, 3, 1, 0, 0), errRecordSize},
		{"a record that is too long", []byte{recordHandshake, 3, 1, 0x40, 0x01}, errRecordSize},
		{"a message behind it in its record", record(append(bytes.Clone(whole), 20)), errBehind},
		{"a message that is too long", inRecords([]byte{messageClientHello, 0xff, 0xff, 0xff}, 4), errLong},
		{"records that are too many", inRecords(append([]byte{messageClientHello, 0, 0xff, 0}, make([]byte, 0xff00)...), 8), errLong},
	} {
		r := reader{from: bytes.NewReader(tt.sent), limits: Limits{MaxBytes: DefaultMaxBytes}}
		if _, err := r.hello(); err != tt.err {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
		if len(r.read) > DefaultMaxBytes {
			t.Errorf("%s: %d bytes were read", tt.name, len(r.read))
		}
	}
}

func TestErrorsNameTheirRule(t *testing.T) {
	r := reader{from: bytes.NewReader(record(message(body(serverName(hostName("10.0.0.1")))))),
		limits: Limits{MaxBytes: DefaultMaxBytes}}
	_, err := r.hello()
	if got, want := err.Error(), "ClientHello: its server name is an address (RFC 6066 §3)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// asked is the server name that crypto/tls finds in what a client says, and whether it finds a ClientHello there.
func asked(sent []byte) (name string, ok bool) {
	config := &tls.Config{GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		name, ok = info.ServerName, true
		return nil, errors.New("seen")
	}}
	tls.Server(&monologue{Reader: bytes.NewReader(sent)}, config).Handshake()
	return name, ok
}

// monologue is a connection to a client that does not listen.
type monologue struct {
	net.Conn
	io.Reader
}

func (m *monologue) Read(p []byte) (int, error)       { return m.Reader.Read(p) }
func (m *monologue) Write(p []byte) (int, error)      { return len(p), nil }
func (m *monologue) Close() error                     { return nil }
func (m *monologue) SetDeadline(time.Time) error      { return nil }
func (m *monologue) SetReadDeadline(time.Time) error  { return nil }
func (m *monologue) SetWriteDeadline(time.Time) error { return nil }

// stricter are the rules that crypto/tls does not keep, or not always.
var stricter = []error{errNameKind, errNames, errName, errAddress, errBehind, errLong, errVersion, errLengths, errSuites}

// FuzzClientHello holds this package's view of what a client says to that of crypto/tls: of a ClientHello that both
// accept they see the same server name, and what crypto/tls accepts is refused by none but the rules that are stricter here.
func FuzzClientHello(f *testing.F) {
	f.Add(record(said(f, named("orders.example"))), uint16(maxRecord))
	f.Add(record(said(f, &tls.Config{ServerName: "Orders.Example", MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"}})), uint16(7))
	f.Add(record(said(f, named("10.0.0.1"))), uint16(100))
	f.Add(inRecords(message(body(grease(), serverName(hostName("a.example"), hostName("b.example")))), 9), uint16(0))
	f.Add(inRecords(message(body(serverName(hostName("a.example.")))), 9), uint16(0))
	f.Fuzz(func(t *testing.T, sent []byte, size uint16) {
		if size > 0 && size <= maxRecord && len(sent) > recordHeader { // the same message in other records
			sent = inRecords(sent[recordHeader:], int(size))
		}
		r := reader{from: bytes.NewReader(sent), limits: Limits{MaxBytes: DefaultMaxBytes}}
		hello, err := r.hello()
		if !bytes.HasPrefix(sent, r.read) {
			t.Fatal("what was read is not what was sent")
		}
		theirs, ok := asked(sent)
		switch {
		case !ok:
		case err == nil && hello.ServerName != strings.ToLower(theirs):
			t.Errorf("the server name is %q, for crypto/tls %q", hello.ServerName, theirs)
		case err != nil && !slices.Contains(stricter, err):
			t.Errorf("crypto/tls accepts what is refused because %v", err)
		}
	})
}
