package http2

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pergola/dataplane/http1"
)

// BenchmarkGET is one exchange at a time, both ends in this process; over TLS the cipher is a part of it.
func BenchmarkGET(b *testing.B) {
	b.Run("clear", func(b *testing.B) { benchGET(b, dial(b, serve(b, Config{}, nil, echo).address, Config{}, nil)) })
	b.Run("TLS", func(b *testing.B) {
		server, client := certificate(b)
		benchGET(b, dial(b, serve(b, Config{}, server, echo).address, Config{}, client))
	})
}

func benchGET(b *testing.B, c *Client) {
	var r http1.Response
	b.ReportAllocs()
	for b.Loop() {
		if _, err := get(c, "/100", &r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGETParallel has 64 exchanges under way on one connection, whose writes combine.
func BenchmarkGETParallel(b *testing.B) {
	b.Run("clear", func(b *testing.B) { benchParallel(b, dial(b, serve(b, Config{}, nil, echo).address, Config{}, nil)) })
	b.Run("TLS", func(b *testing.B) {
		server, client := certificate(b)
		benchParallel(b, dial(b, serve(b, Config{}, server, echo).address, Config{}, client))
	})
}

func benchParallel(b *testing.B, c *Client) {
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		var r http1.Response
		for pb.Next() {
			if _, err := get(c, "/100", &r); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkLarge is a body of 16 MiB, for windows of several sizes.
func BenchmarkLarge(b *testing.B) {
	for _, window := range []int{64 << 10, 256 << 10, 1 << 20} {
		b.Run(fmt.Sprint(window>>10, "KiB"), func(b *testing.B) {
			h := serve(b, Config{}, nil, echo)
			c := dial(b, h.address, Config{Window: window}, nil)
			var r http1.Response
			b.SetBytes(16 << 20)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := get(c, "/16777216", &r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// someFrames are what a server gets for 16 small requests.
func someFrames() []byte {
	var b, block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	fr := xhttp2.NewFramer(&b, nil)
	for i := range uint32(16) {
		block.Reset()
		fields := request("GET", "user-agent", "some/1.0", "accept", "*/*", "accept-encoding", "gzip")
		for i := 0; i < len(fields); i += 2 {
			enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 2*i + 1, EndHeaders: true, EndStream: true, BlockFragment: block.Bytes()})
		fr.WriteWindowUpdate(0, 100)
	}
	return b.Bytes()
}

// BenchmarkFrames compares our parting of frames with the Framer's, for 32 frames.
func BenchmarkFrames(b *testing.B) {
	input := someFrames()
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for rest := input; len(rest) > 0; {
				f, size, err := nextFrame(rest)
				if err != nil || size == 0 {
					b.Fatal(err)
				}
				if f.kind == kindHeaders {
					f.block()
				}
				rest = rest[size:]
			}
		}
	})
	b.Run("Framer", func(b *testing.B) {
		r := bytes.NewReader(input)
		fr := xhttp2.NewFramer(nil, r)
		fr.SetReuseFrames()
		b.ReportAllocs()
		for b.Loop() {
			r.Reset(input)
			for {
				if _, err := fr.ReadFrame(); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkEncode compares literals without a table with the library's encoder, which keeps one, for the head of a
// response as a proxy sends it.
func BenchmarkEncode(b *testing.B) {
	fields := []hpack.HeaderField{
		{Name: "content-type", Value: "application/json"}, {Name: "content-length", Value: "345"},
		{Name: "date", Value: "Mon, 01 Jan 2024 00:00:00 GMT"}, {Name: "server", Value: "something/1.2.3"},
		{Name: "cache-control", Value: "no-store"}, {Name: "x-amzn-requestid", Value: "5f0c1f2e-7f5c-4a57-9e0e-2a1b6c0d9e8f"},
	}
	b.Run("ours", func(b *testing.B) {
		var block []byte
		b.ReportAllocs()
		for b.Loop() {
			block = appendStatus(block[:0], 200)
			for i := range fields {
				block = appendField(block, fields[i].Name, fields[i].Value)
			}
		}
		b.ReportMetric(float64(len(block)), "bytes")
	})
	b.Run("library", func(b *testing.B) {
		var block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		id := []byte(fields[5].Value)
		b.ReportAllocs()
		for b.Loop() {
			block.Reset()
			enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			id[0]++ // no two are alike
			fields[5].Value = string(id)
			for i := range fields {
				enc.WriteField(fields[i])
			}
		}
		b.ReportMetric(float64(block.Len()), "bytes")
	})
}
