package inspect

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"skr/internal/strictjson"
	"skr/releasepolicy/claims"
)

// Bounds of what is shown: claims may nest 64 levels, and each shows its whole path.
const (
	maxLeaves = 1000
	maxPath   = 200 // bytes
)

// claimSet is the payload of an MAA token without its signature.
type claimSet struct{ strictjson.Object }

func recogniseClaims(in input) (content, error) {
	if !in.has("x-ms-attestation-type") && !in.has("x-ms-ver", "iss") {
		return nil, errOther
	}
	return claimSet{in.object}, nil
}

func (c claimSet) sections(now time.Time) []Section {
	return []Section{claimSection("Claims, whose signature is not here", c.Object, now)}
}

// claimSection lists the leaves by their dotted paths.
func claimSection(title string, o strictjson.Object, now time.Time) Section {
	w := walk{now: now, section: Section{Title: title}}
	w.members("", o.Members())
	if w.left > 0 {
		w.section.add("…", strconv.Itoa(w.left), "further claims, which are not shown")
	}
	return w.section
}

// walk adds claims to a section, sorted by name.
type walk struct {
	now     time.Time
	section Section
	left    int
}

func (w *walk) members(prefix string, all map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value := all[name]
		if isSecret(name, all) {
			value = withheld
		}
		w.value(prefix+name, value)
	}
}

func (w *walk) value(path string, value any) {
	if len(w.section.Fields) >= maxLeaves || len(path) > maxPath {
		w.left++
		return
	}
	switch value := value.(type) {
	case map[string]any:
		if len(value) > 0 {
			w.members(path+".", value)
			return
		}
	case []any:
		if hasObjects(value) {
			w.list(path, value)
			return
		}
	}
	w.leaf(path, value)
}

func (w *walk) list(path string, values []any) {
	for i, value := range values {
		w.value(fmt.Sprintf("%s[%d]", path, i), value)
	}
}

func hasObjects(values []any) bool {
	return slices.ContainsFunc(values, func(v any) bool {
		switch v.(type) {
		case map[string]any, []any:
			return true
		}
		return false
	})
}

// leaf adds one claim with its meaning in the catalogue.
func (w *walk) leaf(path string, value any) {
	known, _ := claims.Lookup(path)
	if above, ok := claims.Lookup(path[:max(0, strings.LastIndexByte(path, '.'))]); ok && above.Kind == claims.Free {
		known.Meaning = "" // shown once, for the whole
	}
	at, ok := unixTime(value)
	if attribute, found := timeAttribute(path); found {
		known = attribute
	}
	switch {
	case !ok || known.Kind != claims.Time:
		w.section.add(path, textOf(value), known.Meaning)
	case known.Name == "exp":
		w.section.addExpiry(path, at, w.now, known.Meaning)
	default:
		w.section.addTime(path, at, w.now, known.Meaning)
	}
}

// timeAttributes of keys, in seconds since 1970 (Azure REST API specification, Key
// Vault 7.4, KeyAttributes).
var timeAttributes = []claims.Claim{
	{Name: "created", Kind: claims.Time, Meaning: "when the key was made"},
	{Name: "updated", Kind: claims.Time, Meaning: "when its attributes were changed"},
	{Name: "nbf", Kind: claims.Time, Meaning: "before this the vault only opens with the key, and releases it"},
	{Name: "exp", Kind: claims.Time, Meaning: "after this the vault only opens with the key, and releases it"},
}

func timeAttribute(path string) (claims.Claim, bool) {
	for _, a := range timeAttributes {
		if path == "attributes."+a.Name || strings.HasSuffix(path, ".attributes."+a.Name) {
			return a, true
		}
	}
	return claims.Claim{}, false
}

// unixTime accepts numbers that RFC 3339 can express.
func unixTime(value any) (time.Time, bool) {
	number, ok := value.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := number.Int64()
	if err != nil || seconds < 0 || seconds > 253402300799 { // the last second of 9999
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}

// textOf returns a string as it is, and anything else as JSON.
func textOf(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "" // not from JSON, which all values are
	}
	return string(text)
}
