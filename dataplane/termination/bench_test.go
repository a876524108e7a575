package termination

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"testing"
)

// BenchmarkHandshake makes handshakes on both sides; signing with an RSA key is most of it.
func BenchmarkHandshake(b *testing.B) {
	for name, config := range map[string]*tls.Config{
		"TLS 1.3":          {ServerName: custom},
		"TLS 1.3, P-256":   {ServerName: generated},
		"TLS 1.2":          {ServerName: custom, MaxVersion: tls.VersionTLS12},
		"TLS 1.2, no ECDH": in12(tls.TLS_RSA_WITH_AES_128_GCM_SHA256),
		"TLS 1.3, resumed": {ServerName: custom, ClientSessionCache: tls.NewLRUClientSessionCache(1)},
		"TLS 1.2, resumed": {ServerName: custom, MaxVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(1)},
	} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			if _, err := w.handshake(config); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.handshake(config); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkIdleConnection reports the memory of an idle connection with its goroutine, after it has sent and received as
// much as is said. "none" is the same without TLS.
func BenchmarkIdleConnection(b *testing.B) {
	for name, tt := range map[string]struct {
		version uint16 // 0 for none
		bytes   int
	}{
		"none": {0, 1}, "TLS 1.2, new": {tls.VersionTLS12, 1}, "TLS 1.3, new": {tls.VersionTLS13, 1},
		"TLS 1.3, 1 KB": {tls.VersionTLS13, 1 << 10}, "TLS 1.3, 64 KB": {tls.VersionTLS13, 64 << 10},
	} {
		b.Run(name, func(b *testing.B) {
			const connections = 400
			w := newWorld(b)
			if _, err := w.handshake(&tls.Config{ServerName: custom}); err != nil {
				b.Fatal(err)
			}
			var total uint64
			n := 0
			for b.Loop() {
				before := inUse()
				open := make([]net.Conn, connections)
				for i := range open {
					open[i] = w.idle(tt.version, tt.bytes)
				}
				total += inUse() - before
				n += connections
				for _, conn := range open {
					_ = conn.Close()
				}
			}
			b.ReportMetric(float64(total)/float64(n), "B/conn")
		})
	}
}

func inUse() uint64 {
	for range 3 {
		runtime.GC() // stacks shrink by half each time
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc + stats.StackInuse
}

// idle opens a connection whose server has echoed some bytes and waits for more. The client's side is forgotten, but for
// the end of the pipe that keeps it open.
func (w *world) idle(version uint16, size int) net.Conn {
	near, far := net.Pipe()
	go func() {
		conn := far
		if version != 0 {
			server, err := w.Handshake(context.Background(), far, w.snapshot, w.service, custom)
			if err != nil {
				w.t.Error(err)
				return
			}
			conn = server
		}
		buffer := make([]byte, 1)
		for {
			if _, err := conn.Read(buffer); err != nil {
				_ = conn.Close()
				return
			}
			if buffer[0] == '\n' {
				_, _ = conn.Write(buffer)
			}
		}
	}()
	var client io.ReadWriter = near
	if version != 0 {
		client = tls.Client(near, &tls.Config{ServerName: custom, RootCAs: w.roots, MaxVersion: version})
	}
	message := make([]byte, size)
	message[size-1] = '\n'
	if _, err := client.Write(message); err != nil {
		w.t.Fatal(err)
	}
	if _, err := io.ReadFull(client, message[:1]); err != nil {
		w.t.Fatal(err)
	}
	return near
}
