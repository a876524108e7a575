package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// http1Opener returns what opens a connection that speaks HTTP/1.1.
func (u *loading) http1Opener() func() ([]asker, error) {
	r := u.request
	said := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, r.path, r.host)
	for _, field := range r.fields {
		said = fmt.Appendf(said, "%s: %s\r\n", field[0], field[1])
	}
	said = append(said, "\r\n"...)
	config := clientTLS(r.host, "http/1.1", u.use != useFresh)
	return func() ([]asker, error) {
		c := &http1Client{loading: u, said: said, config: config}
		if u.use.onceOnly() {
			return []asker{c}, nil
		}
		err := c.connect()
		return []asker{c}, err
	}
}

// http1Client is a client's connection, or, where each request has a connection of its own, one after the other.
type http1Client struct {
	loading *loading
	socket  *socket
	config  *tls.Config
	said    []byte
	partial partial
	within  bool // within a body
	left    int  // what is to come of it, with TLS; without, the socket knows
	due     time.Duration
}

func (c *http1Client) connect() (err error) {
	u := c.loading
	if c.socket, err = u.world.connect(u.from, u.to); err != nil {
		return err
	}
	c.socket.end = c
	if !u.use.onceOnly() {
		u.sockets = append(u.sockets, c.socket)
	}
	if u.tls {
		err = c.socket.secureWith(c.config)
	}
	return err
}

func (c *http1Client) ask(due time.Duration) error {
	c.due = due
	if c.loading.use.onceOnly() {
		if err := c.connect(); err != nil {
			return err
		}
	}
	return c.socket.send(c.said)
}

// receive takes a part of an answer.
func (c *http1Client) receive(data []byte) error {
	left := &c.left
	if c.socket.secure == nil {
		left = &c.socket.skip // which skips all of it but the first part
	}
	if !c.within {
		head, body, whole := c.partial.head(data)
		if !whole {
			return nil
		}
		if err := checkHead(head, c.loading.body); err != nil {
			return err
		}
		c.within, *left = true, c.loading.body
		data = body
	}
	if *left -= len(data); *left < 0 {
		return errors.New("an answer is longer than it says")
	}
	if *left > 0 {
		return nil
	}
	c.within = false
	if c.loading.use.onceOnly() {
		if err := c.socket.secure.close(); err != nil {
			return err
		}
	}
	return c.loading.answered(c, c.due)
}

func (c *http1Client) ended(err error) error {
	return fmt.Errorf("the subject ended a connection: %w", err)
}

// partial is the part of a head that has arrived.
type partial []byte

// blankLine ends a head.
var blankLine = []byte("\r\n\r\n")

// head divides what has arrived into a head, with its last line end, and what follows it.
func (p *partial) head(data []byte) (head, rest []byte, whole bool) {
	if len(*p) > 0 {
		data = append(*p, data...)
	}
	end := bytes.Index(data, blankLine)
	if end < 0 {
		*p = append((*p)[:0], data...)
		return nil, nil, false
	}
	*p = (*p)[:0]
	return data[:end+2], data[end+4:], true
}

// checkHead checks that an answer is a 200 with a body of the right length.
func checkHead(head []byte, body int) error {
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("the subject answers %q", head)
	}
	for line := range bytes.Lines(head) {
		if len(line) > 15 && line[14] == ':' && bytes.EqualFold(line[:14], []byte("content-length")) {
			length, err := strconv.Atoi(string(bytes.TrimSpace(line[15:])))
			if err == nil && length == body {
				return nil
			}
		}
	}
	return fmt.Errorf("the subject answers without the length of %d bytes: %q", body, head)
}

// answer is what the target says to one path. A long one is a file in memory as well, which costs less to send.
type answer struct {
	said []byte
	file piece // of no length if there is none
}

// longAnswer is the length from which an answer is a file.
const longAnswer = 32 << 10

// http1Target makes a target that speaks HTTP/1.1: it answers a GET of a length with that many bytes.
func (w *world) http1Target() (func(*socket) end, error) {
	answers := map[string]answer{}
	for _, s := range scenarios {
		said := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", s.body)
		said = append(said, bytes.Repeat([]byte("x"), s.body)...)
		a := answer{said: said}
		if len(said) >= longAnswer {
			file, err := w.file(said)
			if err != nil {
				return nil, err
			}
			a.file = piece{file: file, length: len(said)}
		}
		answers[bodyPath(s.body)] = a
	}
	return func(s *socket) end { return &http1Server{socket: s, answers: answers} }, nil
}

// http1Server is a target's side of a connection.
type http1Server struct {
	socket  *socket
	answers map[string]answer // by path
	partial partial
}

func (c *http1Server) receive(data []byte) error {
	head, _, whole := c.partial.head(data)
	if !whole {
		return nil
	}
	_, path, _ := bytes.Cut(head, []byte(" "))
	path, _, _ = bytes.Cut(path, []byte(" "))
	a, ok := c.answers[string(path)]
	if !ok {
		return fmt.Errorf("the target is asked for %q", head)
	}
	if a.file.length > 0 {
		return c.socket.sendFile(a.file)
	}
	return c.socket.write(a.said)
}

// ended ends the connection on this side too, as a subject may with one that it no longer needs.
func (c *http1Server) ended(error) error {
	c.socket.world.remove(c.socket)
	return nil
}
