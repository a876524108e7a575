package loadbalancer

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"pergola/aws/elbv2"
	"pergola/snapshot"
)

// forwardedFor is the field that tells a target who has asked.
const forwardedFor = "X-Forwarded-For"

// The patience with targets.
const (
	dialTimeout   = 10 * time.Second
	keepIdleFor   = 30 * time.Second
	keptPerTarget = 64
)

// transport reaches targets from a place, and waits for their answers for as long as the load balancer says. It asks for
// nothing that the client has not asked for, and believes every certificate, as load balancers do (user guide for
// Application Load Balancers, "Target groups").
func (s *Set) transport(from Place, patience time.Duration) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			return s.reach(ctx, from, to)
		},
		TLSClientConfig:       &tls.Config{InsecureSkipVerify: true},
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: patience,
		DisableCompression:    true,
		IdleConnTimeout:       keepIdleFor,
		MaxIdleConnsPerHost:   keptPerTarget,
	}
}

// serve answers a request that has arrived at a door: with a fixed response, or with the answer of a target.
func (b *balancer) serve(w http.ResponseWriter, r *http.Request, d door) {
	now := b.current.Load()
	listener := listenerAt(now.LoadBalancer, d.port)
	switch {
	case listener == nil: // it is being closed
		say(w, http.StatusServiceUnavailable)
	case listener.Fixed != nil:
		answerFixed(w, listener.Fixed)
	default:
		b.forward(w, r, now, arrival{d, listener})
	}
}

// arrival is where a request has arrived.
type arrival struct {
	door
	listener *snapshot.BalancerListener
}

func listenerAt(l *snapshot.LoadBalancer, port uint16) *snapshot.BalancerListener {
	for i := range l.Listeners {
		if l.Listeners[i].Port == port {
			return &l.Listeners[i]
		}
	}
	return nil
}

// forward hands a request to the next target of a target group that is chosen by weight.
func (b *balancer) forward(w http.ResponseWriter, r *http.Request, now *state, at arrival) {
	group := choose(at.listener, rand.IntN)
	if group == nil {
		say(w, http.StatusServiceUnavailable)
		return
	}
	target, ok := b.targets.Pick(group)
	if !ok {
		say(w, http.StatusServiceUnavailable)
		return
	}
	defer target.Done()
	to := &url.URL{Scheme: strings.ToLower(string(group.Protocol)), Host: target.Address().String()}
	proxy := httputil.ReverseProxy{
		Transport: now.transports[at.place],
		Rewrite:   func(p *httputil.ProxyRequest) { rewrite(p, to, now.LoadBalancer, at) },
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			b.set.log.Debug("a target behind a load balancer did not answer", "loadBalancer", now.ARN, "target", to.Host, "error", err)
			say(w, failureStatus(err))
		},
		ErrorLog:      log.New(io.Discard, "", 0), // what fails after the head, the client sees
		FlushInterval: -1,
	}
	proxy.ServeHTTP(w, r)
}

// failureStatus is the answer to a request whose target has failed (user guide for Application Load Balancers,
// "Troubleshoot").
func failureStatus(err error) int {
	var failure net.Error
	if errors.As(err, &failure) && failure.Timeout() {
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// choose chooses a target group by weight, or nil when all weights are 0 or no group is left. below draws a number from 0
// to one less than its argument.
func choose(l *snapshot.BalancerListener, below func(int) int) *snapshot.TargetGroup {
	if l.TotalWeight == 0 {
		return nil
	}
	n := below(l.TotalWeight)
	for _, share := range l.Forward {
		if n -= share.Weight; n < 0 {
			return share.Group
		}
	}
	return nil
}

// rewrite addresses a request to a target and says in it who has asked, and how (user guide for Application Load
// Balancers, "HTTP headers"). All else goes on as it came, but what is about the client's connection. So does no request
// to upgrade that.
func rewrite(p *httputil.ProxyRequest, to *url.URL, l *snapshot.LoadBalancer, at arrival) {
	in, out := p.In.Header, p.Out.Header
	p.Out.URL.Scheme, p.Out.URL.Host, p.Out.URL.RawQuery = to.Scheme, to.Host, p.In.URL.RawQuery
	out.Del("Connection")
	out.Del("Upgrade")
	for _, name := range []string{"Forwarded", "X-Forwarded-Host"} { // which the proxy takes out
		if values := in.Values(name); len(values) > 0 {
			out[name] = values
		}
	}
	out.Set("X-Forwarded-Port", strconv.Itoa(int(at.port)))
	out.Set("X-Forwarded-Proto", strings.ToLower(string(at.protocol)))
	before := in.Values(forwardedFor)
	switch l.ForwardedFor {
	case elbv2.ForwardedForRemove:
	case elbv2.ForwardedForPreserve:
		if len(before) > 0 {
			out[forwardedFor] = before
		}
	default:
		out.Set(forwardedFor, strings.Join(append(before[:len(before):len(before)], client(p.In, l)), ", "))
	}
}

// client is the address of the client of a request, with its port if the load balancer is to tell it.
func client(r *http.Request, l *snapshot.LoadBalancer) string {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || l.ForwardedClientPort {
		return r.RemoteAddr
	}
	return address
}

// say answers with a status and its words.
func say(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }

func answerFixed(w http.ResponseWriter, fixed *elbv2.FixedResponse) {
	w.Header()["Content-Type"] = nil // or the server guesses one
	if fixed.ContentType != "" {
		w.Header().Set("Content-Type", fixed.ContentType)
	}
	w.WriteHeader(fixed.Status)
	_, _ = io.WriteString(w, fixed.Body) // a client that is gone does not want it
}
