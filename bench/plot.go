package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// Lengths in the plot, in pixels.
const (
	plotLeft   = 190 // where the axis begins
	plotRight  = 830
	plotTop    = 56
	plotBar    = 11 // the height of a bar
	plotGap    = 12 // between scenarios
	plotLabels = 60 // beside the bars
)

// plotted are the subjects in the plot, with their colours; the others are variations of the first.
var plotted = []struct{ subject, colour string }{
	{subjectPergola, "#1a7f5a"}, {subjectSigned, "#7fc8a9"},
	{subjectHAProxy, "#4878a8"}, {subjectCaddy, "#c08a3e"}, {subjectReverseProxy, "#9a9a9a"},
}

// svg draws, for each scenario, the ratios to nginx of what was measured first. The axis is logarithmic, so that half
// and twice are as far from nginx.
func (r report) svg() []byte {
	var bars bytes.Buffer
	low, high := r.plotRange()
	at := func(ratio float64) float64 {
		share := (math.Log2(ratio) - low) / (high - low)
		return plotLeft + share*(plotRight-plotLabels-plotLeft)
	}
	y := plotTop
	for _, result := range r.Results {
		top := y
		for _, p := range plotted {
			ratio, ok := result.ratio(p.subject)
			if !ok {
				continue
			}
			from, to := min(at(1), at(ratio)), max(at(1), at(ratio))
			fmt.Fprintf(&bars, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"><title>%s, %s: %.2f</title></rect>`+"\n",
				from, y, max(to-from, 1), plotBar-1, p.colour, html.EscapeString(result.Scenario), html.EscapeString(p.subject), ratio)
			fmt.Fprintf(&bars, `<text x="%.1f" y="%d" font-size="9">%.2f</text>`+"\n", to+4, y+plotBar-2, ratio)
			y += plotBar
		}
		if y == top {
			continue
		}
		fmt.Fprintf(&bars, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", plotLeft-10, (top+y)/2+4, html.EscapeString(result.Scenario))
		y += plotGap
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotRight, y+24)
	fmt.Fprintf(&out, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	fmt.Fprintf(&out, `<text x="10" y="18" font-size="13">CPU time for each request, for idle connections memory, as a ratio to nginx: less is better</text>`+"\n")
	x := plotLeft
	for _, p := range plotted {
		fmt.Fprintf(&out, `<rect x="%d" y="29" width="10" height="10" fill="%s"/><text x="%d" y="38" font-size="11">%s</text>`+"\n", x, p.colour, x+14, p.subject)
		x += 115
	}
	for power := low; power <= high; power++ {
		line := at(math.Exp2(power))
		colour := "#dddddd"
		if power == 0 {
			colour = "#333333"
		}
		fmt.Fprintf(&out, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/>`+"\n", line, plotTop-6, line, y, colour)
		fmt.Fprintf(&out, `<text x="%.1f" y="%d" text-anchor="middle" font-size="11">×%g</text>`+"\n", line, y+16, math.Exp2(power))
	}
	out.Write(bars.Bytes())
	fmt.Fprintln(&out, "</svg>")
	return out.Bytes()
}

// ratio is the ratio to nginx of what was measured first of a subject.
func (r result) ratio(subject string) (float64, bool) {
	figures, reference := r.of(subject), r.of(subjectNginx)
	if figures == nil || reference == nil {
		return 0, false
	}
	ratio := figures[0].ratios(reference[0]).median()
	return ratio, ratio > 0 && !math.IsInf(ratio, 0)
}

// plotRange is the range of the axis, in powers of two; it includes nginx.
func (r report) plotRange() (low, high float64) {
	low, high = -1, 1
	for _, result := range r.Results {
		for _, p := range plotted {
			if ratio, ok := result.ratio(p.subject); ok {
				low, high = min(low, math.Floor(math.Log2(ratio))), max(high, math.Ceil(math.Log2(ratio)))
			}
		}
	}
	return low, high
}
