package sidecar

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"skr/internal/config"
)

// The start reports callers that may attest and have every key, because the aliases do not
// restrict them.
func TestUnguardedRulesAreReported(t *testing.T) {
	for routes, want := range map[string]string{
		`"*"`:           "rule=app",
		`"/attest/maa"`: "rule=app",
		`"/key_provider.KeyProviderService/GetReport"`: "rule=app",
		`"/key/release"`: "",
	} {
		s, _, err := config.Load(nil, config.Environment{"SKR_KEYS": narrowKeys, "SKR_ACCESS": `[{"name":"app","uid":1,"keys":["*"],"routes":[` + routes + `]}]`})
		if err != nil {
			t.Fatal(err)
		}
		var logged bytes.Buffer
		parts, err := Assemble(s, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		parts.warnOfAttesting(slog.New(slog.NewTextHandler(&logged, nil)))
		if !strings.Contains(logged.String(), want) || want == "" && logged.Len() > 0 {
			t.Errorf("%s: logged %q, want %q", routes, &logged, want)
		}
	}
}

// An alias that keeps its key bounds what every caller may attest, so that there is nothing to report.
func TestKeptKeysAreGuarded(t *testing.T) {
	s, _, err := config.Load(nil, config.Environment{
		"SKR_KEYS":   strings.Replace(narrowKeys, `"key":"k",`, `"key":"k","ops":["sign"],`, 1),
		"SKR_ACCESS": `[{"name":"app","uid":1,"keys":["*"],"routes":["*"]}]`,
	})
	if err != nil {
		t.Fatal(err)
	}
	parts, err := Assemble(s, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	parts.warnOfAttesting(slog.New(slog.NewTextHandler(&logged, nil)))
	if logged.Len() > 0 {
		t.Errorf("logged %q", &logged)
	}
}
