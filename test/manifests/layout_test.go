package manifests

import (
	"encoding/json"
	"strings"
	"testing"
)

// place is where a panel is on the dashboard, in columns and rows of Grafana's grid.
type place struct{ H, W, X, Y int }

func (p place) overlaps(other place) bool {
	return p.X < other.X+other.W && other.X < p.X+p.W && p.Y < other.Y+other.H && other.Y < p.Y+p.H
}

// TestLayout checks that the dashboard can be read: panels do not overlap and fill each row, each
// row asks a question, and each panel says what it shows, in a unit, with a legend for several
// lines.
func TestLayout(t *testing.T) {
	var board struct {
		Panels []struct {
			Title, Type, Description string
			GridPos                  place
			Targets                  []struct{ Expr, LegendFormat string }
			FieldConfig              struct{ Defaults struct{ Unit string } }
		}
	}
	if err := json.Unmarshal(read(t, root+"/deploy/grafana/skr.json"), &board); err != nil {
		t.Fatal(err)
	}
	widths := map[int]int{} // by Y
	for i, panel := range board.Panels {
		widths[panel.GridPos.Y] += panel.GridPos.W
		for _, other := range board.Panels[:i] {
			if panel.GridPos.overlaps(other.GridPos) || panel.Title == other.Title {
				t.Errorf("%q is over %q, or has its title", panel.Title, other.Title)
			}
		}
		if panel.Type == "row" {
			if !strings.HasSuffix(panel.Title, "?") {
				t.Errorf("the row %q is not a question", panel.Title)
			}
			continue
		}
		if panel.FieldConfig.Defaults.Unit == "" || !strings.HasSuffix(panel.Description, ".") {
			t.Errorf("%q needs a unit and a description", panel.Title)
		}
		for _, target := range panel.Targets {
			if panel.Type == "timeseries" && target.LegendFormat == "" {
				t.Errorf("%q needs a legend for %s", panel.Title, target.Expr)
			}
		}
	}
	for y, width := range widths {
		if width != 24 {
			t.Errorf("the panels at %d have %d of 24 columns", y, width)
		}
	}
}
