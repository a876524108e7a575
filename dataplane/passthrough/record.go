package passthrough

import (
	"time"

	"pergola/dataplane/record"
)

// noteLink takes down how a connection went that was carried, once neither direction is.
func noteLink(r *record.Record, there, back *flow, l *link) {
	r.BytesReceived, r.BytesSent = there.read, back.written
	r.RequestToTarget = there.last
	r.ResponseFromTarget = max(0, back.last-back.first)
	r.Failure = l.failed()
}

// finish completes the record and hands it over.
func (c *connection) finish() {
	if c.relay.config.Record != nil {
		c.record.Duration = time.Since(c.record.Start)
		c.relay.config.Record(&c.record)
	}
}
