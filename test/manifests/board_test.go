package manifests

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// decodeBoard decodes a dashboard with Grafana's types, and checks its values. It refuses unknown members, also in the
// options of panels and in queries. It returns the number of panels, rows not counted.
func decodeBoard(text string) (panels int, err error) {
	runtime := cog.NewRuntime()
	runtime.RegisterPanelcfgVariant(stat.VariantConfig())
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
	var board dashboard.Dashboard
	if err := found(board.UnmarshalJSONStrict([]byte(text))); err != nil {
		return 0, err
	}
	var parts struct{ Panels []json.RawMessage }
	if err := json.Unmarshal([]byte(text), &parts); err != nil {
		return 0, err
	}
	for _, part := range parts.Panels {
		isRow, err := decodePanel(part)
		if err != nil {
			return 0, err
		}
		if !isRow {
			panels++
		}
	}
	return panels, found(board.Validate())
}

// decodePanel decodes a panel. The type of the dashboard drops panels, and decodes the field configuration leniently.
func decodePanel(text []byte) (isRow bool, err error) {
	var part struct {
		Type, Title string
		FieldConfig json.RawMessage
	}
	if err := json.Unmarshal(text, &part); err != nil || part.Type == "row" {
		return true, err
	}
	if part.Type != "stat" && part.Type != "timeseries" {
		return false, fmt.Errorf("%s: register the options of %s panels here", part.Title, part.Type)
	}
	var panel dashboard.Panel
	var fields dashboard.FieldConfigSource
	return false, errors.Join(found(panel.UnmarshalJSONStrict(text)), found(fields.UnmarshalJSONStrict(part.FieldConfig)), found(panel.Validate()))
}

// found returns nil for an empty list of errors, which the package does not return as nil.
func found(err error) error {
	if list, is := errors.AsType[cog.BuildErrors](err); is && len(list) == 0 {
		return nil
	}
	return err
}

// TestBoardSchema checks that the dashboard is what Grafana's schema describes.
func TestBoardSchema(t *testing.T) {
	panels, err := decodeBoard(string(read(t, root+"/deploy/grafana/skr.json")))
	if err != nil {
		t.Fatal(err)
	}
	if panels < 25 {
		t.Errorf("only %d panels were checked", panels)
	}
}

// TestBoardSchemaRefuses checks that a misspelt or absent member, or a value of another type, is refused at each depth.
func TestBoardSchemaRefuses(t *testing.T) {
	text := string(read(t, root+"/deploy/grafana/skr.json"))
	if _, err := decodeBoard(text); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{
		`"templating":`:         `"template":`,
		`"schemaVersion": 39`:   `"schemaVersion": "39"`,
		`"includeAll": true`:    `"includeall": true`,
		`"fieldConfig":`:        `"fieldConfigs":`,
		`"gridPos":`:            `"gridpos":`,
		`"thresholds":`:         `"threshold":`,
		`"lineWidth":`:          `"linewidth":`,
		`"drawStyle": "line"`:   `"drawStyle": ["line"]`,
		`"graphMode": "none",`:  ``,
		`"showLegend":`:         `"showLegends":`,
		`"legendFormat":`:       `"legend":`,
		`"expr":`:               `"expression":`,
		`"collapsed":`:          `"colapsed":`,
		`"wideLayout": true`:    `"wideLayout": "yes"`,
		`"type": "timeseries",`: `"type": "timeseries", "colour": "red",`,
	} {
		changed := strings.Replace(text, from, to, 1)
		if changed == text {
			t.Errorf("the dashboard has no %s", from)
		}
		if _, err := decodeBoard(changed); err == nil {
			t.Errorf("accepted: %s in place of %s", to, from)
		}
	}
}
