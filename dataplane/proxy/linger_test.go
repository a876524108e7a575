package proxy

import (
	"bufio"
	"fmt"
	"net"
	"testing"
)

// TestAnswerReachesAClientThatSends holds that a client which sends a large body to the end before it looks for an answer
// finds one, although nobody needed the body.
func TestAnswerReachesAClientThatSends(t *testing.T) {
	conn, err := net.Dial("tcp", onLoopback(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := make([]byte, 12<<20) // more than the buffers on the way hold
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: none.example\r\nContent-Length: %d\r\n\r\n", len(body))
	if n, err := conn.Write(body); err != nil {
		t.Errorf("%d bytes were sent: %v", n, err)
	}
	if a, err := readAnswer(bufio.NewReader(conn), false); err != nil || a.status != 404 || !a.close {
		t.Errorf("answered %v, %v", a, err)
	}
}
