package policy

import "strings"

// MaxWork bounds what one decision may cost, in steps of a few nanoseconds: what is beyond it is denied. Reading a
// document and a request takes time by the size of either; comparing each of a document's patterns with each of a
// request's values takes time by the product, which no order of comparing avoids. The largest documents that people
// write take some thousand steps for the longest requests that they send.
const MaxWork = 250_000

// What the parts of an evaluation cost, in steps, as BenchmarkWork measures them.
const (
	workStatement = 4  // a statement, and whom it is about
	workPattern   = 3  // a pattern that is one text, before that is looked at
	workGlob      = 10 // one that is more
	workValue     = 5  // asking the context for a value
	workParse     = 24 // reading a value as a number, a date or an address, beside its length
	workOperand   = 12 // comparing what was read
	workTry       = 12 // a place at which a piece of a pattern may begin
	workPiece     = 4  // a piece of a pattern that is compared there
	workSearched  = 8  // bytes that a search or a comparison passes over in a step
	workScanned   = 64 // bytes that a search for a single one passes over in a step
)

// spend counts steps.
func (r *Request) spend(steps int) { r.work += steps }

// exhausted reports whether the decision costs too much. What is found out from then on does not count.
func (r *Request) exhausted() bool { return r.work > MaxWork }

// search is strings.Index.
func (r *Request) search(s, text string) int {
	found := strings.Index(s, text)
	passed := found
	if found < 0 {
		passed = len(s)
	}
	if len(text) > shortText {
		r.spend(passed)
	} else {
		r.spend(passed / workSearched)
	}
	return found
}

// shortText is how long a text is at most that is searched for many bytes at a time.
const shortText = 8
