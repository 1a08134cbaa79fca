package lint

import (
	"errors"
	"strings"
	"testing"
)

const table = `policy: p.json
cases:
  - name: good
    claims: good.json
    released: true
  - name: inline
    claims: {iss: "https://mine", a: 2}
    released: false
    reason: a
  - name: other issuer
    claims: good.json
    issuer: https://other
    released: false
    reason: iss
`

func files(name string) ([]byte, error) {
	switch name {
	case "p.json":
		return []byte(at("https://mine", is("a", "1"), is("b", "x"))), nil
	case "good.json":
		return []byte(`{"iss":"https://mine","a":1,"b":"x"}`), nil
	}
	return nil, errors.New(name + " is not there")
}

func TestSuite(t *testing.T) {
	cases := []struct{ old, changed, problem string }{
		{"", "", ""},
		{"released: true", "released: false", "the key would be released"},
		{"    claims: good.json\n    released: true", `    claims: {iss: "https://mine"}` + "\n    released: true", "would not be released, because of a, b"},
		{"reason: a", "reason: c", "the reason is not c, but a, b"},
		{"reason: iss", "reason: a", "the reason is not a, but iss"},
	}
	for _, c := range cases {
		suite, err := ParseSuite([]byte(strings.Replace(table, c.old, c.changed, 1)))
		if err != nil {
			t.Fatal(err)
		}
		outcomes, err := suite.Run(files)
		if err != nil || len(outcomes) != 3 {
			t.Fatalf("%v, %v", outcomes, err)
		}
		var problems string
		for _, o := range outcomes {
			problems += o.Problem
			if o.Passed != (o.Problem == "") {
				t.Errorf("%+v", o)
			}
		}
		if (problems == "") != (c.problem == "") || !strings.Contains(problems, c.problem) {
			t.Errorf("%q: %q; want %q", c.changed, problems, c.problem)
		}
	}
}

func TestSuiteRefuses(t *testing.T) {
	for changed, want := range map[string]string{
		"":               "the document is present and empty",
		"policy: p.json": "cases: the list is empty",
		"policy: p.json\ncases: [{released: true}]":                            "case 1: name is missing",
		"policy: p\ncases: [{name: a, casts: }]":                               "casts",
		"policy: p\ncases: [{name: a, released: true}]":                        `case 1, "a": claims are missing`,
		"policy: p\ncases: [{name: a, claims: {}}]":                            "released is missing",
		"policy: p\ncases: [{name: a, claims: {}, released: true, reason: b}]": "no reason can be expected",
		"policy: p\npolicy: q\n":                                               "policy",
		"[":                                                                    "reading the table",
	} {
		if _, err := ParseSuite([]byte(changed)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v; want %q", changed, err, want)
		}
	}
	for changed, want := range map[string]string{
		strings.Replace(table, "p.json", "q.json", 1):      "q.json is not there",
		strings.Replace(table, "p.json", "good.json", 1):   "good.json: release policy, line 1",
		strings.Replace(table, "good.json", "bad.json", 1): `case "good": bad.json is not there`,
		strings.Replace(table, "good.json", "[1]", 1):      `case "good": reading claims`,
	} {
		suite, err := ParseSuite([]byte(changed))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := suite.Run(files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

func FuzzSuite(f *testing.F) {
	f.Add([]byte(table))
	f.Add([]byte("policy: [*a]"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if suite, err := ParseSuite(data); err == nil {
			_, _ = suite.Run(files)
		}
	})
}
