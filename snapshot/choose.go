package snapshot

import "math/bits"

// Choose takes one of the target groups of a forward action, in proportion to their weights, by a random number. With no
// weight at all there is nowhere to go, and nil is returned.
func (a *Action) Choose(random uint64) *TargetGroup {
	if a.TotalWeight <= 0 {
		return nil
	}
	high, _ := bits.Mul64(random, uint64(a.TotalWeight))
	n := int(high)
	for _, share := range a.Forward {
		if n -= share.Weight; n < 0 {
			return share.Group
		}
	}
	return nil
}
