package metadata

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/ipv4"
)

// The fields of version 2 of the service.
const (
	lifeField  = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	tokenField = "X-Aws-Ec2-Metadata-Token"
)

const tokenPath = "/latest/api/token"

// answer answers one request.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, vpcID string) {
	instance, known := s.describe(vpcID, clientOf(r))
	switch {
	case !known:
		refuse(w, http.StatusNotFound)
	case !isAddress(r.Host) || instance.Options.Disabled:
		refuse(w, http.StatusForbidden)
	case r.URL.Path == tokenPath:
		s.answerToken(w, r, instance)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed)
	case !s.admits(r, instance):
		refuse(w, http.StatusUnauthorized)
	default:
		limitHops(r, 0)
		s.answerPath(w, r, instance)
	}
}

// clientOf is the address that a request comes from; invalid if it is none.
func clientOf(r *http.Request) netip.Addr {
	client, _ := netip.ParseAddrPort(r.RemoteAddr) // the zero value is nobody's address
	return client.Addr().Unmap()
}

// isAddress reports whether a Host is an address, with a port or without.
func isAddress(host string) bool {
	if _, err := netip.ParseAddrPort(host); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil
}

// answerToken gives out a token. A request that has come through a proxy gets none: X-Forwarded-For would be what a proxy
// that was tricked into asking has added.
func (s *Server) answerToken(w http.ResponseWriter, r *http.Request, instance Instance) {
	if r.Method != http.MethodPut {
		w.Header().Set("Allow", "PUT")
		refuse(w, http.StatusMethodNotAllowed)
		return
	}
	if r.Header.Values("X-Forwarded-For") != nil {
		refuse(w, http.StatusForbidden)
		return
	}
	life, ok := parseLife(r.Header.Get(lifeField))
	if !ok || len(r.Header.Values(lifeField)) != 1 {
		refuse(w, http.StatusBadRequest)
		return
	}
	limitHops(r, max(instance.Options.HopLimit, 1))
	w.Header().Set(lifeField, strconv.FormatInt(life, 10))
	write(w, s.tokens.issue(instance.ID, s.now().Add(time.Duration(life)*time.Second)))
}

// limitHops bounds how many hops what is sent from now on over the connection of a request may travel; 0 is as many as
// usual.
func limitHops(r *http.Request, hops int) {
	c, ok := r.Context().Value(connKey{}).(*stream)
	if !ok || c.hops == hops {
		return
	}
	const usual = 64 // RFC 1340, "IP time to live parameter"
	ttl := hops
	if ttl == 0 {
		ttl = usual
	}
	if err := ipv4.NewConn(c.Conn).SetTTL(ttl); err == nil { // it fails on a closed connection, and where there are no hops
		c.hops = hops
	}
}

// admits reports whether a request may be answered as far as its token goes. A token that is sent must be good, also
// where none is required.
func (s *Server) admits(r *http.Request, instance Instance) bool {
	switch sent := r.Header.Values(tokenField); len(sent) {
	case 0:
		return instance.Options.TokensOptional
	case 1:
		return s.tokens.valid(instance.ID, sent[0], s.now())
	}
	return false
}

// answerPath answers a question about the instance.
func (s *Server) answerPath(w http.ResponseWriter, r *http.Request, instance Instance) {
	version, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if version == "" && path == "" {
		write(w, strings.Join(versions, "\n"))
		return
	}
	if !isVersion(version) {
		refuse(w, http.StatusNotFound)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), obtainTimeout)
	defer cancel()
	content, found, err := s.find(ctx, instance, path)
	switch {
	case r.Context().Err() != nil: // nobody waits for an answer
	case err != nil:
		s.log.Warn("an instance does not get what it asks its metadata for", "instance", instance.ID, "error", err)
		refuse(w, http.StatusServiceUnavailable)
	case !found:
		refuse(w, http.StatusNotFound)
	default:
		if path == userDataPath { // which is no text to anybody but the instance
			w.Header().Set("Content-Type", "application/octet-stream")
		}
		write(w, content)
	}
}

// write sends content. Nobody on the way may keep it.
func write(w http.ResponseWriter, content string) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/plain")
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	_, _ = w.Write([]byte(content)) // a client that is gone needs no answer
}

// refuse sends the page of a status.
func refuse(w http.ResponseWriter, status int) {
	title := strconv.Itoa(status) + " - " + http.StatusText(status)
	page := `<?xml version="1.0" encoding="utf-8"?>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>` + title + `</title></head><body><h1>` + title + `</h1></body></html>
`
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(page)) // a client that is gone needs no answer
}
