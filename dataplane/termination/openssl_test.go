package termination

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// serve listens on the loopback interface and ends TLS there, for a name, until the test ends.
func (w *world) serve(name string) string {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if server, err := w.Handshake(context.Background(), conn, w.snapshot, w.service, name); err == nil {
				_, _ = server.Write([]byte(greeting))
				_ = server.Close()
			}
			_ = conn.Close()
		}
	}()
	w.t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// TestOpenSSL shakes hands with a client that is not ours.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	w := newWorld(t)
	address := w.serve(custom)
	for options, want := range map[string]string{
		"-servername " + custom + " -tls1_2":                                            "Cipher is ECDHE-RSA-AES128-GCM-SHA256",
		"-servername " + custom + " -tls1_2 -cipher AES256-SHA:ECDHE-RSA-AES256-SHA":    "Cipher is ECDHE-RSA-AES256-SHA",
		"-servername " + custom + " -tls1_2 -cipher AES256-GCM-SHA384:AES128-SHA":       "Cipher is AES128-SHA",
		"-servername " + custom + " -tls1_2 -groups X448":                               "Cipher is AES128-GCM-SHA256", // no common curve
		"-servername " + custom + " -tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305":        "handshake failure",
		"-servername " + custom + " -tls1_3":                                            "TLSv1.3",
		"-servername " + custom + " -tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256": "Cipher is TLS_CHACHA20_POLY1305_SHA256",
		"-servername " + custom + " -tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384":       "Cipher is TLS_AES_256_GCM_SHA384",
		"-servername " + custom + " -alpn http/1.1,h2":                                  "ALPN protocol: h2",
		"-servername " + custom + " -alpn http/1.1,h2 -tls1_2 -cipher AES128-SHA":       "ALPN protocol: http/1.1",
		"-servername " + custom + " -alpn spdy/3":                                       "No ALPN negotiated",
		"-servername " + custom + " -reconnect -tls1_2":                                 "Reused, TLSv1.2",
		"-noservername":                 "unrecognized name",
		"-servername other.example.com": "unrecognized name",
		"-servername " + custom + " -tls1_1 -cipher DEFAULT:@SECLEVEL=0": "protocol version",
	} {
		askOpenSSL(t, openssl, address, options, want)
	}
}

// TestKeyOfAGeneratedName shows the key on P-256 to clients of TLS 1.3 that accept it, and the RSA key to all others.
func TestKeyOfAGeneratedName(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	w := newWorld(t)
	address := w.serve(generated)
	for options, want := range map[string]string{
		"-tls1_3": "Peer signature type: ECDSA",
		"-tls1_3 -sigalgs rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256": "Peer signature type: ECDSA",
		"-tls1_3 -sigalgs rsa_pss_rsae_sha256":                        "Peer signature type: RSA-PSS",
		"-tls1_3 -sigalgs ecdsa_secp384r1_sha384:rsa_pss_rsae_sha256": "Peer signature type: RSA-PSS",
		"-tls1_2":                    "Cipher is ECDHE-RSA-AES128-GCM-SHA256",
		"-tls1_2 -cipher AES256-SHA": "Cipher is AES256-SHA",
		"-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256": "handshake failure",
	} {
		askOpenSSL(t, openssl, address, "-servername "+generated+" "+options, want)
	}
}

// askOpenSSL has openssl shake hands with a server, and looks for what it should say.
func askOpenSSL(t *testing.T, openssl, address, options, want string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), openssl, append([]string{"s_client", "-connect", address, "-ign_eof"},
		strings.Fields(options)...)...)
	output, _ := command.CombinedOutput()
	if !bytes.Contains(output, []byte(want)) {
		t.Errorf("openssl s_client %s: want %q, got\n%s", options, want, output)
	}
}
