package releasepolicy

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Parsing the output of New gives the same tree.
func TestNew(t *testing.T) {
	compare := func(claim string, o Operator, v Value) Condition {
		return Condition{Kind: Claim, Claim: claim, Operator: o, Value: v}
	}
	given := []Condition{
		{Kind: AllOf, Authority: "https://a/", Conditions: []Condition{
			compare("a.b", Equals, Text(`<"é">`)),
			{Kind: AnyOf, Conditions: []Condition{compare("c", Less, Integer(math.MaxUint64)), compare("d", Exists, Text("true"))}},
		}},
		{Kind: AnyOf, Authority: "https://b", Conditions: []Condition{compare("e", NotEquals, Text(""))}},
	}
	p, err := New(given...)
	if err != nil {
		t.Fatal(err)
	}
	again := mustPolicy(t, string(p.Raw()))
	if diff := cmp.Diff(given, again.Tree(), sameMeaning); diff != "" {
		t.Error(diff)
	}
	if name := again.Tree()[0].Authority; name != "https://a/" {
		t.Errorf("the authority is %q", name)
	}
}

// New refuses what the grammar does not allow.
func TestNewRefuses(t *testing.T) {
	one := Condition{Kind: Claim, Claim: "a", Operator: Equals, Value: Text("b")}
	of := func(c Condition) []Condition {
		return []Condition{{Kind: AllOf, Authority: "https://a", Conditions: []Condition{c}}}
	}
	for name, authorities := range map[string][]Condition{
		"no authority":     nil,
		"no condition":     {{Kind: AllOf, Authority: "https://a"}},
		"claim as root":    {one},
		"no kind":          of(Condition{}),
		"unknown kind":     of(Condition{Kind: "noneOf", Conditions: []Condition{one}}),
		"unknown operator": of(Condition{Kind: Claim, Claim: "a", Operator: "matches", Value: Text("b")}),
		"no value":         of(Condition{Kind: Claim, Claim: "a", Operator: Equals}),
		"two values":       of(Condition{Kind: Claim, Claim: "a", Operator: Equals, Value: Value{JSON: `1,"less":2`}}),
		"more conditions":  of(Condition{Kind: Claim, Claim: "a", Operator: Equals, Value: Value{JSON: `1},{"claim":"b","equals":1`}}),
		"value null":       of(Condition{Kind: Claim, Claim: "a", Operator: Equals, Value: Value{JSON: "null"}}),
		"empty claim":      of(Condition{Kind: Claim, Operator: Equals, Value: Text("b")}),
	} {
		if p, err := New(authorities...); err == nil {
			t.Errorf("%s: %s", name, p.Raw())
		}
	}
}

// A float64 may have lost digits, so it does not count as a number.
func TestEvaluateNumbersOfOtherTypes(t *testing.T) {
	p := mustPolicy(t, onePolicy(`{"claim":"n","greaterOrEquals":1}`))
	for _, number := range []any{float64(2), int(2), uint64(2), math.NaN()} {
		if e := p.Evaluate("https://a", map[string]any{"n": number}); e.Met {
			t.Errorf("%T meets the condition", number)
		}
	}
	if e := p.Evaluate("https://a", map[string]any{"n": json.Number("2")}); !e.Met {
		t.Error("a json.Number does not")
	}
	if e := p.Evaluate("https://a", nil); e.Met || !e.Unmet()[0].Absent {
		t.Error("no claims meet a condition")
	}
}

func TestSame(t *testing.T) {
	given := mustPolicy(t, onePolicy(`{"equals":"x", "claim":"c"}`))
	for _, c := range []struct {
		stored            string
		keyVault, managed bool
	}{
		{onePolicy(`{"claim":"c","equals":"x"}`), true, true},
		{strings.Replace(onePolicy(`{"claim":"c","equals":"x"}`), "https://a", "https://a/", 1), true, false},
		{strings.Replace(onePolicy(`{"claim":"c","equals":"x"}`), "1.0.0", "1.0", 1), false, true},
		{onePolicy(`{"claim":"c","equals":"y"}`), false, false},
		{onePolicy(`{"claim":"c","notEquals":"x"}`), false, false},
	} {
		stored := mustPolicy(t, c.stored)
		if a, b := Same(stored, given, KeyVault), Same(stored, given, ManagedHSM); a != c.keyVault || b != c.managed {
			t.Errorf("%s: same in Key Vault %v, in Managed HSM %v", c.stored, a, b)
		}
	}
}

// An Outcome leaves the escaping of < and > to the encoder.
func TestOutcomeJSONEscapes(t *testing.T) {
	p := mustPolicy(t, onePolicy(`{"claim":"c","equals":"<a>"}`))
	e := p.Evaluate("https://a", map[string]any{"c": "<a>"})
	var plain strings.Builder
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil || !strings.Contains(plain.String(), `"actual":"<a>"`) {
		t.Errorf("%s, %v", plain.String(), err)
	}
	if escaped, err := json.Marshal(e); err != nil || !strings.Contains(string(escaped), `"actual":"\u003ca\u003e"`) {
		t.Errorf("%s, %v", escaped, err)
	}
}
