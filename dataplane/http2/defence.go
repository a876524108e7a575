package http2

// A peer can make the other side work with frames that achieve nothing: requests that it takes back at once
// (CVE-2023-44487), settings, pings, empty pieces, windows that open by a byte. None of them is forbidden, and each has an
// honest use, so they are paid for. A connection starts with a full budget; time fills it slowly, and useful work at once.
// When it is empty the connection ends with ENHANCE_YOUR_CALM.
const (
	fullBudget = 1024
	// refill is how much time brings, in a second.
	refill = 128

	costFrame    = 1 // a frame that changes nothing: PRIORITY, an unknown kind, an acknowledgement, WINDOW_UPDATE
	costEmpty    = 4 // DATA without data that ends nothing
	costPing     = 4 // it wants an answer
	costReset    = 4 // a request that was begun for nothing, or something on a stream that is gone
	costSettings = 8
	costRefused  = 4 // a stream beyond those that were allowed

	earnStream = 8 // an exchange that came to its end
	earnData   = 2 // a DATA frame that was sent, for which the peer may have to open windows
	earnInput  = 1 // DATA that has arrived: who sends much may measure the way with pings
)

const (
	// maxContinuations bounds the frames of a header block, and maxPending what may wait to be sent to a peer that does not
	// read, in bytes: beyond it there are only answers that the peer provokes.
	maxContinuations = 32
	maxPending       = 256 << 10
	// maxInformational is how many 1xx responses may precede a response.
	maxInformational = 16
)

// budget is what a peer may still spend.
type budget struct {
	tokens int
	at     int64 // when it was filled last
}

// charge takes something off the budget. mu is held.
func (c *conn) charge(cost int) error {
	b := &c.budget
	b.tokens -= cost
	if b.tokens >= 0 {
		return nil
	}
	if add := (c.heard - b.at) * refill / 1e9; add > 0 {
		b.tokens = int(min(fullBudget, int64(b.tokens)+add))
		b.at = c.heard
	}
	if b.tokens < 0 {
		return connError(EnhanceYourCalm, "too many frames that achieve nothing")
	}
	return nil
}

// earn puts something back. mu is held.
func (c *conn) earn(n int) { c.budget.tokens = min(fullBudget, c.budget.tokens+n) }
