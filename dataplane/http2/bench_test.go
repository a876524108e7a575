package http2

import (
	"testing"

	"pergola/dataplane/http1"
)

func BenchmarkGET(b *testing.B) {
	h := serve(b, Config{}, nil, echo)
	c := dial(b, h.address, Config{}, nil)
	var r http1.Response
	b.ReportAllocs()
	for b.Loop() {
		if _, err := get(c, "/100", &r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGETParallel(b *testing.B) {
	h := serve(b, Config{}, nil, echo)
	c := dial(b, h.address, Config{}, nil)
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

func BenchmarkLarge(b *testing.B) {
	h := serve(b, Config{}, nil, echo)
	c := dial(b, h.address, Config{}, nil)
	var r http1.Response
	b.SetBytes(16 << 20)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := get(c, "/16777216", &r); err != nil {
			b.Fatal(err)
		}
	}
}
