package conformance

import (
	"encoding/xml"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pergola/fabric"
	"pergola/lattice"
)

// guideSuites are the cipher suites of the user guide, "Security policy", in its order of preference.
var guideSuites = []string{
	"TLSv1.3 TLS_AES_128_GCM_SHA256",
	"TLSv1.3 TLS_AES_256_GCM_SHA384",
	"TLSv1.3 TLS_CHACHA20_POLY1305_SHA256",
	"TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256",
	"TLSv1.2 ECDHE-RSA-AES128-SHA",
	"TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384",
	"TLSv1.2 ECDHE-RSA-AES256-SHA",
	"TLSv1.2 AES128-GCM-SHA256",
	"TLSv1.2 AES128-SHA",
	"TLSv1.2 AES256-GCM-SHA384",
	"TLSv1.2 AES256-SHA",
}

// scan is what sslscan reports, as far as it is looked at.
type scan struct {
	Protocols []struct {
		Type    string `xml:"type,attr"`
		Version string `xml:"version,attr"`
		Enabled int    `xml:"enabled,attr"`
	} `xml:"ssltest>protocol"`
	Ciphers []struct {
		Version string `xml:"sslversion,attr"`
		Name    string `xml:"cipher,attr"`
		Status  string `xml:"status,attr"`
	} `xml:"ssltest>cipher"`
	Renegotiation struct {
		Supported int `xml:"supported,attr"`
	} `xml:"ssltest>renegotiation"`
	Compression struct {
		Supported int `xml:"supported,attr"`
	} `xml:"ssltest>compression"`
	Heartbleed []struct {
		Vulnerable int `xml:"vulnerable,attr"`
	} `xml:"ssltest>heartbleed"`
}

// TestSuites has sslscan find out, from within a VPC, which versions of TLS and which cipher suites an HTTPS listener takes,
// and which it prefers: those of the guide, in its order, and no others.
func TestSuites(t *testing.T) {
	sslscan, err := exec.LookPath("sslscan")
	if err != nil {
		t.Skip("sslscan is not installed")
	}
	w := newWorld(t)
	if w.Fabric().Name() != fabric.Netns {
		t.Skip("sslscan connects by itself, which takes network namespaces")
	}
	stop := w.Serve(w.server, 8080, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "hello") }))
	defer stop()
	domain := w.serve("suites", 8080, lattice.HTTP1)
	printed, status := w.inClient(sslscan, "--no-colour", "--xml=-", "--sni-name="+domain, domain+":443")
	var found scan
	if err := xml.Unmarshal([]byte(printed), &found); err != nil || status != 0 {
		t.Fatalf("sslscan ended with %d, %v:\n%s", status, err, printed)
	}
	var suites []string
	for _, cipher := range found.Ciphers {
		suites = append(suites, cipher.Version+" "+cipher.Name)
	}
	if !slices.Equal(suites, guideSuites) {
		t.Errorf("the listener takes\n%s\nwant\n%s", strings.Join(suites, "\n"), strings.Join(guideSuites, "\n"))
	}
	for _, protocol := range found.Protocols {
		if on := protocol.Type == "tls" && (protocol.Version == "1.2" || protocol.Version == "1.3"); on != (protocol.Enabled == 1) {
			t.Errorf("%s %s: enabled %d", protocol.Type, protocol.Version, protocol.Enabled)
		}
	}
	if found.Compression.Supported != 0 || found.Renegotiation.Supported != 0 {
		t.Errorf("compression is supported: %d, renegotiation: %d", found.Compression.Supported, found.Renegotiation.Supported)
	}
	for _, bleeding := range found.Heartbleed {
		if bleeding.Vulnerable != 0 {
			t.Error("the listener bleeds")
		}
	}
	if t.Failed() {
		t.Log(printed)
	}
}
