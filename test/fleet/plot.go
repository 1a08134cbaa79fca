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
	plotWidth   = 860
	panelWidth  = 720
	panelHeight = 220
	panelLeft   = 70
	points      = 180 // of a line; each is the maximum of its seconds
)

var colours = []string{"#c0392b", "#8e44ad", "#e67e22", "#16a085", "#2c3e50", "#2980b9"}

// svg returns a plot of the runs.
func svg(results []*Result) string {
	last := time.Duration(0)
	for _, r := range results {
		last = max(last, r.Total)
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		plotWidth, 2*panelHeight+150+16*len(results))
	fmt.Fprintf(&out, "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n")
	rates := panel{top: 40, seconds: last.Seconds(), low: 1, high: highest(results), logarithmic: true}
	rates.frame(&out, fmt.Sprintf("Requests per second to the vault, %d pods", results[0].Config.Pods), "%.0f")
	rates.level(&out, perSecond, "limit")
	shares := panel{top: 40 + panelHeight + 70, seconds: last.Seconds(), high: 100}
	shares.frame(&out, "Pods that have their key, %", "%.0f")
	for i, r := range results {
		colour := colours[i%len(colours)]
		rates.line(&out, colour, rateLine(r))
		shares.line(&out, colour, shareLine(r))
		y := shares.top + panelHeight + 46 + 16*i
		fmt.Fprintf(&out, "<path d=\"M%d %dh24\" stroke=\"%s\" stroke-width=\"3\"/><text x=\"%d\" y=\"%d\">%s</text>\n",
			panelLeft, y-4, colour, panelLeft+32, y, r.Config.Policy.Name)
	}
	out.WriteString("</svg>\n")
	return out.String()
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
	top         int
	seconds     float64
	low, high   float64
	logarithmic bool
}

func (p panel) x(seconds float64) float64 { return panelLeft + panelWidth*seconds/p.seconds }

func (p panel) y(value float64) float64 {
	share := (value - p.low) / (p.high - p.low)
	if p.logarithmic {
		share = math.Log(max(value, p.low)/p.low) / math.Log(p.high/p.low)
	}
	return float64(p.top) + panelHeight*(1-share)
}

func (p panel) frame(out *strings.Builder, title, format string) {
	fmt.Fprintf(out, "<text x=\"%d\" y=\"%d\" font-weight=\"bold\">%s</text>\n", panelLeft, p.top-12, title)
	fmt.Fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#999\"/>\n", panelLeft, p.top, panelWidth, panelHeight)
	for _, value := range p.ticks() {
		fmt.Fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">"+format+"</text>\n", panelLeft-6, p.y(value)+4, value)
	}
	for i := range 7 {
		seconds := p.seconds * float64(i) / 6
		fmt.Fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f s</text>\n", p.x(seconds), p.top+panelHeight+16, seconds)
	}
}

func (p panel) ticks() (values []float64) {
	if !p.logarithmic {
		return []float64{0, 25, 50, 75, 100}
	}
	for value := p.low; value <= p.high; value *= 10 {
		values = append(values, value)
	}
	return values
}

func (p panel) level(out *strings.Builder, value float64, name string) {
	fmt.Fprintf(out, "<path d=\"M%d %.1fh%d\" stroke=\"#999\" stroke-dasharray=\"4 4\"/><text x=\"%d\" y=\"%.1f\">%s</text>\n",
		panelLeft, p.y(value), panelWidth, panelLeft+panelWidth+6, p.y(value)+4, name)
}

func (p panel) line(out *strings.Builder, colour string, line []point) {
	fmt.Fprintf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", colour)
	for _, at := range line {
		fmt.Fprintf(out, "%.1f,%.1f ", p.x(at.x), p.y(at.y))
	}
	out.WriteString("\"/>\n")
}
