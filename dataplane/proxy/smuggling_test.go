package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
)

// FuzzSmuggling sends arbitrary bytes as a client, and holds that a target which reads with net/http sees no request but
// those that the proxy forwarded: each bears the proxy's word on its origin, once, and nobody else's.
func FuzzSmuggling(f *testing.F) {
	for _, seed := range []string{
		get + get,
		"POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: s.example\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: s.example\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n" + get,
		"POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 30\r\n\r\nGET /x HTTP/1.1\r\nHost: evil\r\n\r\n" + get,
		"POST / HTTP/1.1\r\nHost: s.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc" + get,
		"GET http://s.example/a HTTP/1.1\r\nHost: b\r\nConnection: x-amzn-lattice-target, host\r\nX-Amzn-Lattice-Target: evil\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: s.example\r\nConnection: keep-alive\r\n\r\n" + get,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWorld(t)
		w.targets[targetA] = func(conn net.Conn) { suspicious(t, conn) }
		conn := w.connect(inVPC)
		go io.Copy(io.Discard, conn)
		conn.Write(data)
		conn.Close()
		w.close()
	})
}

// suspicious is a target that looks at who speaks to it.
func suspicious(t *testing.T, conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return
		}
		if err != nil {
			t.Errorf("net/http refuses what was forwarded: %v", err)
			return
		}
		if word := r.Header["X-Amzn-Lattice-Target"]; len(word) != 1 || word[0] != "ServiceArn="+serviceARN+"; ServiceNetworkArn="+networkARN+"; TargetGroupArn="+groupARN {
			t.Errorf("%s %s bears %q", r.Method, r.URL, word)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}
