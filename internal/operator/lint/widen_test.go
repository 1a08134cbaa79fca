package lint

import (
	"os"
	"strings"
	"testing"

	"skr/releasepolicy"
)

// Each way to widen a policy is found, by the rule that people name to accept it.
func TestWidening(t *testing.T) {
	digest := strings.Repeat("1", hostDataDigits)
	other := strings.Repeat("2", hostDataDigits)
	policy := func(spec Spec) string {
		spec.Platform, spec.Authorities = "aci", []string{"mine.weu.attest.azure.net"}
		p, err := New(spec)
		if err != nil {
			t.Fatal(err)
		}
		return string(p.Raw())
	}
	before := policy(Spec{HostData: []string{digest}, MinimumSVN: new(uint64(100))})
	without := func(claim string) string {
		lines := strings.Split(before, "\n")
		for i, line := range lines {
			if strings.Contains(line, `"`+claim+`"`) {
				return strings.Join(append(lines[:i-1:i-1], lines[i+3:]...), "\n")
			}
		}
		t.Fatalf("no condition on %s in\n%s", claim, before)
		return ""
	}
	replaced := func(old, next string) string { return strings.Replace(before, old, next, 1) }
	fired := make(map[string]bool)
	for name, c := range map[string]struct{ after, want string }{
		"the same":          {before, ""},
		"another workload":  {policy(Spec{HostData: []string{digest, other}, MinimumSVN: new(uint64(100))}), ""},
		"higher":            {replaced("100", "101"), ""},
		"lower":             {replaced("100", "99"), "unlisted-values"},
		"no hostdata":       {without(hostData), "drops-claim no-hostdata"},
		"no debug":          {without(debuggable), "drops-claim debug-not-excluded"},
		"no compliance":     {without(compliance), "drops-claim compliance-not-required"},
		"debuggable":        {replaced(`"false"`, `"true"`), "debug-not-excluded"},
		"any but one":       {replaced(`"equals": "`+digest, `"notEquals": "`+other), "unlisted-values no-hostdata"},
		"allows everything": {replaced(digest, allowAll[0]), "allow-all-hostdata"},
	} {
		findings := Widening(policyOf(t, before), policyOf(t, c.after), Subject{})
		var got []string
		for _, f := range findings {
			got = append(got, f.Name)
			fired[f.Name] = true
			if f.Outcome != Error || f.Found == "" || f.Fix == "" {
				t.Errorf("%s: %+v is incomplete", name, f)
			}
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %q, want %q", name, text, c.want)
		}
	}
	for _, rule := range ChangeRules() {
		if !fired[rule.Name] {
			t.Errorf("no case reports %s", rule.Name)
		}
	}
}

// A policy that has an error already may be changed in other respects.
func TestWideningOfAnOpenPolicy(t *testing.T) {
	open := policyOf(t, `{"version":"1.0.0","anyOf":[{"authority":"https://mine.weu.attest.azure.net","allOf":[`+is(hostData, strings.Repeat("1", 64))+`]}]}`)
	next, err := open.Allow(hostData, strings.Repeat("2", 64))
	if err != nil {
		t.Fatal(err)
	}
	if found := Widening(open, next, Subject{}); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

func TestChangeRulesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range ChangeRules() {
		if row := "| `" + rule.Name + "` | " + rule.Summary + " |\n"; !strings.Contains(string(page), row) {
			t.Errorf("docs/policies.md lacks %s", row)
		}
	}
}

func policyOf(t *testing.T, text string) *releasepolicy.Policy {
	t.Helper()
	p, err := releasepolicy.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return p
}
