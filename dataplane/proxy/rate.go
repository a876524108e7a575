package proxy

import (
	"sync"
	"sync/atomic"
	"time"
)

// rates bounds how many requests each service takes in a second. A service that was idle takes a second's worth at
// once. What is kept of a service is one number, and it stays when the service is gone.
type rates struct {
	interval time.Duration // between requests that come as fast as they may; 0 for no limit
	epoch    time.Time
	services sync.Map // of *atomic.Int64 by service id: when the requests so far would all be due, in ns since epoch
}

func newRates(perSecond int) *rates {
	switch {
	case perSecond < 0:
		return &rates{}
	case perSecond == 0:
		perSecond = DefaultRequestsPerSecond
	}
	return &rates{interval: max(1, time.Second/time.Duration(perSecond)), epoch: time.Now()}
}

// allow reports whether a service may take one more request, and counts it if so. since is when the request began to
// arrive, which can be a while ago: the clock is read again only for a request that seems to be one too many.
func (r *rates) allow(service string, since time.Time) bool {
	if r.interval == 0 {
		return true
	}
	due, ok := r.services.Load(service)
	if !ok {
		due, _ = r.services.LoadOrStore(service, new(atomic.Int64))
	}
	counter := due.(*atomic.Int64)
	return r.count(counter, since) || r.count(counter, time.Now())
}

// count counts a request that comes now, unless that would be one too many.
func (r *rates) count(due *atomic.Int64, now time.Time) bool {
	at := int64(now.Sub(r.epoch))
	for {
		before := due.Load()
		after := max(before, at) + int64(r.interval)
		if after > at+int64(time.Second) {
			return false
		}
		if due.CompareAndSwap(before, after) {
			return true
		}
	}
}
