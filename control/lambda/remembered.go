package lambda

import (
	"sync"

	"pergola/functions"
	"pergola/store"
)

// target is a function of a target group.
type target struct{ function, group string }

// maxRemembered is how many functions of target groups are remembered. Beyond it one of them is forgotten.
const maxRemembered = 1000

// remembered are the functions that were invoked for target groups, as they were last found, so that traffic to them
// goes on while the store is away.
type remembered struct {
	mu   sync.Mutex
	last map[target]*functions.Function
}

// get returns what a target was.
func (r *remembered) get(of target) (*functions.Function, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.last[of]
	return f, ok
}

// learn takes in what came of the search for a target. An outage teaches nothing.
func (r *remembered) learn(of target, f *functions.Function, err error) {
	if store.IsOutage(err) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, of)
	if err != nil {
		return
	}
	if r.last == nil {
		r.last = map[target]*functions.Function{}
	}
	for other := range r.last {
		if len(r.last) < maxRemembered {
			break
		}
		delete(r.last, other)
	}
	r.last[of] = f
}
