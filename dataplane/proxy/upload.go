package proxy

import (
	"sync/atomic"
	"time"

	"pergola/dataplane/http1"
)

// upload is a request body on its way while the response is awaited. Its goroutine alone uses the client's In and the
// target's Out until done is closed; the fields below are for afterwards.
type upload struct {
	done              chan struct{}
	failed            atomic.Bool // the client failed; done is about to be closed
	readErr, writeErr error
}

// startUpload passes the rest of the body on in a goroutine of its own.
func (x *exchange) startUpload() {
	u := &upload{done: make(chan struct{})}
	x.upload = u
	go u.run(x.proxy, x.client, x.to)
}

// run passes the body on. If the client fails the target will wait in vain, so the wait for its response is ended; if the
// target fails its response may still be on its way.
func (u *upload) run(p *Proxy, from *client, to *targetConn) {
	defer close(u.done)
	defer func() {
		if problem := recover(); problem != nil {
			p.panicked(from, problem)
		}
	}()
	u.readErr, u.writeErr = http1.Relay(to.out, from.body)
	switch {
	case u.readErr != nil:
		u.failed.Store(true)
		to.StopReading()
	case u.writeErr == nil:
		from.noteSent()
		copyTrailers(to.out, from.body.Trailers())
		u.writeErr = to.out.End()
	}
}

// finishUpload ends the upload with the response, and reports whether all of the body was passed on. A body that is
// nearly through is given a moment; broken says that there is nothing to wait for.
func (x *exchange) finishUpload(broken bool) bool {
	u := x.upload
	if u == nil {
		return true
	}
	if !broken {
		u.wait(lingerTime)
	}
	x.abandonUpload()
	return u.readErr == nil && u.writeErr == nil
}

func (u *upload) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-u.done:
	case <-timer.C:
	}
}

// abandonUpload stops the upload, waits for its goroutine and returns the error that the client's side had by itself. It
// makes both connections useless if the upload was still going on.
func (x *exchange) abandonUpload() error {
	u := x.upload
	if u == nil {
		return nil
	}
	if u.finished() || u.failed.Load() {
		<-u.done
		return u.readErr
	}
	x.client.StopReading()
	x.to.Cut() // ends a write that is under way; the Conn is closed later, by its user
	<-u.done
	return nil
}

// finished reports whether the body was passed on as far as it can be; a nil upload has nothing to do.
func (u *upload) finished() bool {
	if u == nil {
		return true
	}
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}
