package hsm

import (
	"strings"
	"testing"
)

const older, newer = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"

func TestVersions(t *testing.T) {
	for words, want := range map[string]struct {
		list string // the versions to try, joined with commas
		has  map[string]bool
	}{
		"latest":                {"", map[string]bool{"": true, older: false}},
		"all":                   {"", map[string]bool{"": true, older: true, newer: true}},
		older:                   {older, map[string]bool{"": false, older: true, newer: false}},
		"latest " + older:       {"," + older, map[string]bool{"": true, older: true, newer: false}},
		newer + " " + older:     {newer + "," + older, map[string]bool{"": false, older: true, newer: true}},
		older + " " + "latest":  {older + ",", map[string]bool{"": true, older: true, newer: false}},
		strings.ToUpper(older):  {strings.ToUpper(older), map[string]bool{older: false}},
		"latest1":               {"latest1", map[string]bool{"": false}},
		strings.Repeat("a", 64): {strings.Repeat("a", 64), nil},
	} {
		got, err := ParseVersions(strings.Fields(words))
		if err != nil || strings.Join(got.List(), ",") != want.list {
			t.Errorf("%s: got %q, %v, want %q", words, got.List(), err, want.list)
		}
		for version, has := range want.has {
			if got.Has(version) != has {
				t.Errorf("%s: has %q is %v", words, version, !has)
			}
		}
	}
	if zero := (Versions{}); !zero.Has("") || zero.Has(older) || strings.Join(zero.List(), ",") != "" {
		t.Error("the zero value does not give the newest version only")
	}
}

func TestParseVersionsRefuses(t *testing.T) {
	for words, want := range map[string]string{
		"":                               "1 to 8 entries",
		strings.Repeat(older+" ", 9):     "1 to 8 entries",
		"all latest":                     "write versions: all, or list them",
		older + " " + older:              "twice",
		"latest latest":                  "twice",
		"../secrets/s":                   "is no version of a key",
		"1.0":                            "is no version of a key",
		strings.Repeat("a", 65):          "is no version of a key",
		older + " name/" + newer:         "is no version of a key",
		older + " " + newer + "%2f":      "is no version of a key",
		"https://v.vault.azure.net/keys": "is no version of a key",
	} {
		if _, err := ParseVersions(strings.Fields(words)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", words, err, want)
		}
	}
}
