package fabric

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxProxyHead bounds a request's head, in bytes.
const maxProxyHead = 64 << 10

// proxyRequest is what an HTTP client asks of the proxy.
type proxyRequest struct {
	host           string
	port           uint16
	user, password string
	head           []byte // what goes to the target; nil for CONNECT
}

// readProxyRequest reads the head of a request (RFC 9112 §3.2.2 and §3.2.3). The target gets the client's own lines, but for
// what is meant for the proxy, and is asked to close the connection after its answer, so that the next request comes here
// again. Host stays as the client wrote it: which service it means is for the listener to judge.
func readProxyRequest(r *bufio.Reader) (proxyRequest, error) {
	lines, err := readHead(r)
	if err != nil {
		return proxyRequest{}, err
	}
	words := strings.Split(lines[0], " ")
	if len(words) != 3 || words[0] == "" || !strings.HasPrefix(words[2], "HTTP/1.") {
		return proxyRequest{}, errors.New("the first line is not an HTTP/1 request")
	}
	method, target, version := words[0], words[1], words[2]
	var q proxyRequest
	if method == "CONNECT" {
		q.host, q.port, err = splitAuthority(target, 0)
	} else {
		target, err = q.takeAbsolute(target)
	}
	if err != nil {
		return proxyRequest{}, err
	}
	kept, err := q.takeHeaders(lines[1:])
	if err != nil || method == "CONNECT" {
		return q, err
	}
	q.head = []byte(method + " " + target + " " + version + "\r\n" + kept + "\r\n")
	return q, nil
}

// readHead reads lines up to an empty one. They end with CRLF and nothing less (RFC 9112 §2.2).
func readHead(r *bufio.Reader) ([]string, error) {
	var lines []string
	for left := maxProxyHead; ; {
		var line []byte
		for {
			part, err := r.ReadSlice('\n')
			line, left = append(line, part...), left-len(part)
			if left < 0 {
				return nil, fmt.Errorf("the request's head is longer than %d bytes", maxProxyHead)
			}
			if err == nil {
				break
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				return nil, fmt.Errorf("read the request's head: %w", err)
			}
		}
		text, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if !ok || bytes.ContainsAny(text, "\r\x00") {
			return nil, errors.New("a line of the request's head does not end with CRLF")
		}
		if len(text) == 0 && len(lines) > 0 {
			return lines, nil
		}
		lines = append(lines, string(text))
	}
}

// takeAbsolute splits http://authority/path and gives the origin form for the target.
func (q *proxyRequest) takeAbsolute(target string) (string, error) {
	const scheme = "http://"
	if len(target) < len(scheme) || !strings.EqualFold(target[:len(scheme)], scheme) {
		return "", errors.New("the request target is not an http URL; this is a proxy, and https goes by CONNECT")
	}
	rest := target[len(scheme):]
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	var err error
	if q.host, q.port, err = splitAuthority(rest[:end], 80); err != nil {
		return "", err
	}
	if rest = rest[end:]; !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	return rest, nil
}

// splitAuthority splits host and port; without a port there must be a default, which is not 0.
func splitAuthority(authority string, defaultPort uint16) (string, uint16, error) {
	if defaultPort != 0 && (!strings.Contains(authority, ":") || strings.HasSuffix(authority, "]")) {
		authority += ":" + strconv.Itoa(int(defaultPort))
	}
	host, port, err := net.SplitHostPort(authority)
	if err != nil || host == "" || strings.ContainsAny(host, "@/?#%") {
		return "", 0, fmt.Errorf("%q is not host:port", authority)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q has no port", authority)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		host = a.String()
	}
	return host, uint16(n), nil
}

// takeHeaders takes the fields that are the proxy's and gives the others, each line as it came. A connection that is to be
// upgraded stays (RFC 9110 §7.8); any other ends with the answer.
func (q *proxyRequest) takeHeaders(lines []string) (string, error) {
	var kept, connection strings.Builder
	upgrade := false
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return "", fmt.Errorf("%q is not a header field", line)
		}
		switch strings.ToLower(name) {
		case "proxy-authorization":
			q.takeCredentials(strings.TrimSpace(value))
		case "proxy-connection":
		case "connection":
			connection.WriteString(line + "\r\n")
		default:
			upgrade = upgrade || strings.EqualFold(name, "upgrade")
			kept.WriteString(line + "\r\n")
		}
	}
	if upgrade {
		return kept.String() + connection.String(), nil
	}
	return kept.String() + "Connection: close\r\n", nil
}

// takeCredentials reads Basic credentials (RFC 7617 §2); others leave the request without.
func (q *proxyRequest) takeCredentials(value string) {
	scheme, encoded, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "basic") {
		return
	}
	if decoded, err := base64.StdEncoding.DecodeString(encoded); err == nil {
		q.user, q.password, _ = strings.Cut(string(decoded), ":")
	}
}
