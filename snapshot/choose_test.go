package snapshot

import (
	"math"
	"testing"
)

func TestChooseFollowsTheWeights(t *testing.T) {
	groups := [...]*TargetGroup{{ID: "tg-0"}, {ID: "tg-1"}, {ID: "tg-2"}}
	for _, weights := range [][3]int{{1, 1, 1}, {10, 20, 0}, {0, 0, 7}, {999, 1, 999}, {1, 0, 0}} {
		var a Action
		for i, w := range weights {
			a.Forward = append(a.Forward, WeightedTargetGroup{groups[i], w})
			a.TotalWeight += w
		}
		const draws = 100_000
		chosen := map[*TargetGroup]int{}
		for i := range uint64(draws) {
			chosen[a.Choose(i*(math.MaxUint64/draws))]++
		}
		chosen[a.Choose(math.MaxUint64)]++
		for i, w := range weights {
			want := float64(w) / float64(a.TotalWeight) * draws
			if got := chosen[groups[i]]; w == 0 && got != 0 || math.Abs(float64(got)-want) > 2 {
				t.Errorf("weights %v: group %d is chosen %d times in %d, want %.0f", weights, i, got, draws, want)
			}
		}
	}
}

func TestChooseWithoutWeight(t *testing.T) {
	for _, a := range []Action{{}, {Forward: []WeightedTargetGroup{{&TargetGroup{}, 0}}}, {FixedStatus: 404}} {
		if g := a.Choose(0); g != nil {
			t.Errorf("%+v: %+v", a, g)
		}
	}
}
