package fleet

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A plot has two panels with a line for each run: the requests per second to the vault, and
// the share of pods that have their key.
const (
	panelHeight = 220
	points      = 180 // of a line; each is the maximum of its seconds
)

// format is the size of a plot: text has about the size of the page's text on that screen.
type format struct {
	width, left, right int // right is for the name of the limit
	ticks              int // on the axis of time, at most
}

var (
	wide   = format{width: 860, left: 70, right: 70, ticks: 8}
	narrow = format{width: 400, left: 52, right: 40, ticks: 4}
)

// plotStyle follows the reader's light or dark setting. Lines differ in colour and in dashes.
const plotStyle = `<style>
text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}.back{fill:#ffffff}.frame{fill:none;stroke:#818b98}
.limit{stroke:#59636e;stroke-dasharray:1 3}.line{fill:none;stroke-width:1.8}
.l0{stroke:#cf222e}.l1{stroke:#8250df;stroke-dasharray:9 3}.l2{stroke:#bc4c00;stroke-dasharray:4 2}
.l3{stroke:#1a7f37;stroke-dasharray:9 3 2 3}.l4{stroke:#59636e;stroke-dasharray:2 2}.l5{stroke:#0969da}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.back{fill:#0d1117}.frame{stroke:#656c76}.limit{stroke:#9198a1}
.l0{stroke:#f85149}.l1{stroke:#ab7df8}.l2{stroke:#db6d28}.l3{stroke:#3fb950}.l4{stroke:#9198a1}.l5{stroke:#4493f8}}
</style>
`

// svg returns a plot of the runs.
func svg(results []*Result, f format) string {
	last := time.Duration(0)
	for _, r := range results {
		last = max(last, r.Total)
	}
	pods := results[0].Config.Pods
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc" lang="en">`+"\n",
		f.width, 2*panelHeight+150+18*len(results))
	fmt.Fprintf(&out, "<title id=\"title\">A fleet of %d pods restarts at once</title>\n", pods)
	fmt.Fprintf(&out, "<desc id=\"desc\">%s</desc>\n%s", description(results), plotStyle)
	out.WriteString("<rect class=\"back\" width=\"100%\" height=\"100%\" rx=\"8\"/>\n")
	rates := panel{format: f, top: 40, seconds: last.Seconds(), low: 1, high: highest(results), logarithmic: true}
	rates.frame(&out, fmt.Sprintf("Requests per second to the vault, %d pods", pods))
	rates.level(&out, perSecond, "limit")
	shares := panel{format: f, top: 40 + panelHeight + 70, seconds: last.Seconds(), high: 100}
	shares.frame(&out, "Pods that have their key, %")
	for i, r := range results {
		rates.line(&out, i, rateLine(r))
		shares.line(&out, i, shareLine(r))
		y := shares.top + panelHeight + 50 + 18*i
		fmt.Fprintf(&out, "<path class=\"line l%d\" d=\"M%d %dh36\"/><text x=\"%d\" y=\"%d\">%s</text>\n",
			i, f.left, y-4, f.left+44, y, r.Config.Policy.Name)
	}
	out.WriteString("</svg>\n")
	return out.String()
}

// description tells for each line when its fleet has all keys, and its highest rate.
func description(results []*Result) string {
	var lines []string
	for _, r := range results {
		lines = append(lines, fmt.Sprintf("%s: all keys after %s, at most %.0f requests per second to the vault.",
			r.Config.Policy.Name, r.Total.Round(time.Second), most(r.Vaults[0].Rate)))
	}
	return strings.Join(lines, " ")
}

// highest returns the lowest power of ten above all rates.
func highest(results []*Result) float64 {
	top := 0.0
	for _, r := range results {
		top = max(top, most(r.Vaults[0].Rate))
	}
	return math.Pow(10, math.Ceil(math.Log10(top)))
}

// point is a point of a line: seconds since the start, and a value.
type point struct{ x, y float64 }

// rateLine keeps the peaks: each point is the maximum of its seconds.
func rateLine(r *Result) (line []point) {
	rates := r.Vaults[0].Rate
	step := max(1, len(rates)/points)
	for at := 0; at < len(rates); at += step {
		line = append(line, point{float64(at), most(rates[at:min(at+step, len(rates))])})
	}
	return line
}

func shareLine(r *Result) (line []point) {
	for i := range points + 1 {
		at := i * (len(r.Waits) - 1) / points
		line = append(line, point{r.Waits[at].Seconds(), 100 * float64(at+1) / float64(r.Config.Pods)})
	}
	return line
}

// panel is a rectangle with axes.
type panel struct {
	format
	top         int
	seconds     float64
	low, high   float64
	logarithmic bool
}

// inner returns the width between the axes.
func (p panel) inner() int { return p.width - p.left - p.right }

func (p panel) x(seconds float64) float64 {
	return float64(p.left) + float64(p.inner())*seconds/p.seconds
}

func (p panel) y(value float64) float64 {
	share := (value - p.low) / (p.high - p.low)
	if p.logarithmic {
		share = math.Log(max(value, p.low)/p.low) / math.Log(p.high/p.low)
	}
	return float64(p.top) + panelHeight*(1-share)
}

func (p panel) frame(out *strings.Builder, title string) {
	fmt.Fprintf(out, "<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n", p.left, p.top-12, title)
	fmt.Fprintf(out, "<rect class=\"frame\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", p.left, p.top, p.inner(), panelHeight)
	for _, value := range p.values() {
		fmt.Fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>\n", p.left-6, p.y(value)+4, value)
	}
	for at, step := 0, roundStep(p.seconds, p.ticks); float64(at) <= p.seconds; at += step {
		fmt.Fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d s</text>\n", p.x(float64(at)), p.top+panelHeight+16, at)
	}
}

// roundStep returns the shortest round time that divides seconds into fewer than ticks parts.
func roundStep(seconds float64, ticks int) int {
	for unit := 1; ; unit *= 10 {
		for _, step := range []int{unit, 2 * unit, 5 * unit} {
			if seconds/float64(step) < float64(ticks) {
				return step
			}
		}
	}
}

func (p panel) values() (values []float64) {
	if !p.logarithmic {
		return []float64{0, 25, 50, 75, 100}
	}
	for value := p.low; value <= p.high; value *= 10 {
		values = append(values, value)
	}
	return values
}

func (p panel) level(out *strings.Builder, value float64, name string) {
	fmt.Fprintf(out, "<path class=\"limit\" d=\"M%d %.1fh%d\"/><text x=\"%d\" y=\"%.1f\">%s</text>\n",
		p.left, p.y(value), p.inner(), p.width-p.right+6, p.y(value)+4, name)
}

func (p panel) line(out *strings.Builder, number int, line []point) {
	fmt.Fprintf(out, "<polyline class=\"line l%d\" points=\"", number)
	for _, at := range line {
		fmt.Fprintf(out, "%.1f,%.1f ", p.x(at.x), p.y(at.y))
	}
	out.WriteString("\"/>\n")
}
