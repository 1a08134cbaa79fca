package lint

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/hsm"
	"skr/test/samples"
)

func mustPolicy(t testing.TB, text string) *hsm.ReleasePolicy {
	t.Helper()
	p, err := hsm.ParseReleasePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestExplainText(t *testing.T) {
	policy := `{"version":"1.0.0","anyOf":[{"authority":"https://other","allOf":[` + is("a", "b") + `]},{"authority":"https://mine/","allOf":[` +
		strings.Join([]string{
			is(attestationType, "sevsnpvm"),
			anyOf(is(compliance, "azure-compliant-uvm"), is(compliance, "azure-signed-katacc-uvm")),
			is(hostData, strings.ToUpper(digest)),
			`{"claim":"x-ms-sevsnpvm-vmpl","less":1}`,
			is(isolation+debuggable, "false"), is("x-ms-hostdata", "x"), is("my own", "x"),
			`{"claim":"nonce","exists":true}`, is("x-ms-runtime.note", "y"), is("secureboot", "true"),
		}, ",") + `]}]}`
	token := mustClaims(t, []byte(`{"iss":"https://mine","x-ms-attestation-type":"sevsnpvm","x-ms-compliance-status":"azure-signed-katacc-uvm",
		"x-ms-sevsnpvm-hostdata":"`+digest+`","x-ms-sevsnpvm-vmpl":2,"x-ms-sevsnpvm-is-debuggable":false,"x-ms-runtime":{"note":"a\u001b[31m b"}}`))
	e := Explain(mustPolicy(t, policy), token)
	want := `issuer  https://mine

unmet   authority https://other did not issue the token
NOT MET authority https://mine/, all of
met       x-ms-attestation-type equals sevsnpvm
met       any of
unmet       x-ms-compliance-status equals azure-compliant-uvm, and is azure-signed-katacc-uvm
met         x-ms-compliance-status equals azure-signed-katacc-uvm
NOT MET   x-ms-sevsnpvm-hostdata equals ` + strings.ToUpper(digest) + `, and is ` + digest + `
            only capitals differ, and they count
NOT MET   x-ms-sevsnpvm-vmpl less 1, and is 2
            it says: privilege level that asked for the report; 0 is the highest
NOT MET   x-ms-isolation-tee.x-ms-sevsnpvm-is-debuggable equals false, and is absent
            the token has it elsewhere, as x-ms-sevsnpvm-is-debuggable
NOT MET   x-ms-hostdata equals x, and is absent
            there is no such claim; is x-ms-sevsnpvm-hostdata meant?
NOT MET   my own equals x, and is absent
NOT MET   nonce exists true, and it does not
            it says: what the request for the token carried to make it fresh
NOT MET   x-ms-runtime.note equals y, and is "a�[31m b"
NOT MET   secureboot equals true, and is absent
            it says: the machine booted with Secure Boot

The token does not meet the policy, because of x-ms-sevsnpvm-hostdata, x-ms-sevsnpvm-vmpl, ` +
		`x-ms-isolation-tee.x-ms-sevsnpvm-is-debuggable, x-ms-hostdata, my own, nonce, x-ms-runtime.note, secureboot.
`
	if diff := cmp.Diff(want, e.Text(PlainMarks)); diff != "" {
		t.Error(diff)
	}
	colour := e.Text(ColourMarks)
	if plain := strings.NewReplacer("\x1b[32m", "", "\x1b[1;31m", "", "\x1b[2m", "", "\x1b[0m", "").Replace(colour); plain != want || colour == want {
		t.Errorf("colour changes the text:\n%s", cmp.Diff(want, plain))
	}
}

func TestExplainOtherIssuer(t *testing.T) {
	e := Explain(mustPolicy(t, at("https://mine", is("a", "b"))), mustClaims(t, []byte(`{"iss":"https://other","a":"b"}`)))
	want := `issuer  https://other

NOT MET authority https://mine did not issue the token
met       a equals b

The token does not meet the policy, because of iss.
`
	if diff := cmp.Diff(want, e.Text(PlainMarks)); diff != "" || e.Met {
		t.Error(diff)
	}
	e = Explain(mustPolicy(t, at("https://other", `{"claim":"b","exists":false}`)), mustClaims(t, []byte(`{"iss":"https://other"}`)))
	if text := e.Text(PlainMarks); !e.Met || !strings.HasSuffix(text, "b exists false, and it does not\n\nThe token meets the policy.\n") {
		t.Error(text)
	}
}

func TestExplainJSON(t *testing.T) {
	e := Explain(mustPolicy(t, at("https://a", is("secure-boot", "true"))), mustClaims(t, []byte(`{"iss":"https://a"}`)))
	got, err := json.Marshal(e)
	want := `{"met":false,"issuer":"https://a","conditions":[{"kind":"allOf","authority":"https://a","issued":true,"met":false,"conditions":` +
		`[{"kind":"claim","claim":"secure-boot","operator":"equals","expected":"true","absent":true,"met":false}]}],` +
		`"hints":{"secure-boot":"there is no such claim; is secureboot meant?"}}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}

// The direct token lacks what the policy asks for below x-ms-isolation-tee, and the
// explanation says where it is.
func TestExplainGenuineToken(t *testing.T) {
	policy := mustPolicy(t, string(samples.Read(t, "cvm/release-policy-30-authorities.json")))
	text := Explain(policy, mustClaims(t, samples.Read(t, "maa/cvm-genoa-token.jwt"))).Text(PlainMarks)
	if !strings.Contains(text, "the token has it elsewhere, as x-ms-compliance-status") || strings.Count(text, "did not issue") != len(policy.Authorities())-1 {
		t.Error(text)
	}
}

func TestDiff(t *testing.T) {
	cases := []struct {
		name, a, b string
		want       []Change
	}{
		{"order and nesting", at(own, is("a", "1"), is("b", "2")), at(own+"/", allOf(is("b", "2"), anyOf(is("a", "1"))), is("a", "1")), nil},
		{"types", at(own, is("a", "true")), at(own, `{"claim":"a","equals":true}`), nil},
		{"groups", at(own, anyOf(is("a", "1"), anyOf(is("b", "2")))), at(own, anyOf(is("b", "2"), is("a", "1"), is("a", "1"))), nil},
		{"value", at(own, is("a", "1"), is("b", "2")), at(own, is("a", "3"), is("b", "2")), []Change{{own, "a equals 1", "a equals 3"}}},
		{"operator", at(own, is("a", "1")), at(own, `{"claim":"a","greater":1}`), []Change{{own, "a equals 1", "a greater 1"}}},
		{"alternative", at(own, is("a", "1")), at(own, anyOf(is("a", "1"), is("a", "2"))),
			[]Change{{own, "a equals 1", "any of (a equals 1; a equals 2)"}}},
		{"added and removed", at(own, is("a", "1"), is("b", "1")), at(own, is("b", "1"), is("c", "x y")),
			[]Change{{own, "a equals 1", ""}, {own, "", `c equals "x y"`}}},
		{"authority", at("https://a", is("a", "1")), at("https://b", is("a", "1"), is("b", "1")),
			[]Change{{"https://a", "a equals 1", ""}, {"https://b", "", "all of (a equals 1; b equals 1)"}}},
		{"kind", at(own, is("a", "1"), is("b", "1")), at(own, anyOf(is("a", "1"), is("b", "1"))),
			[]Change{{own, "a equals 1", ""}, {own, "b equals 1", ""}, {own, "", "any of (a equals 1; b equals 1)"}}},
		{"quotes", at(own, `{"claim":"a\"equals\"b","equals":"c"}`), at(own, `{"claim":"a","equals":"b\"equals\"c"}`),
			[]Change{{own, `a"equals"b equals c`, ""}, {own, "", `a equals "b"equals"c"`}}},
	}
	for _, c := range cases {
		a, b := mustPolicy(t, c.a), mustPolicy(t, c.b)
		if diff := cmp.Diff(c.want, Diff(a, b)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if back := Diff(b, a); len(back) != len(c.want) {
			t.Errorf("%s: reversed it is %v", c.name, back)
		}
	}
}

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
		"policy: p.json": "cases: there is none",
		"policy: p.json\ncases: [{released: true}]":                            "case 1: name is missing",
		"policy: p\ncases: [{name: a, casts: }]":                               "casts",
		"policy: p\ncases: [{name: a, released: true}]":                        `case 1, "a": claims are missing`,
		"policy: p\ncases: [{name: a, claims: {}}]":                            "released is missing",
		"policy: p\ncases: [{name: a, claims: {}, released: true, reason: b}]": "has no reason",
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

func FuzzDiff(f *testing.F) {
	f.Add([]byte(aci()), []byte(cvm()))
	f.Add([]byte(at(own, anyOf(is("a", "1"), is("b", "2")))), []byte(at(own, allOf(is("a", "1")))))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		a, err := hsm.ParseReleasePolicy(before)
		if err != nil {
			return
		}
		if again, err := hsm.ParseReleasePolicy(a.Normalised(hsm.KeyVault)); err != nil || len(Diff(a, again)) > 0 {
			t.Fatalf("a policy differs from its normal form: %v", err)
		}
		if b, err := hsm.ParseReleasePolicy(after); err == nil && (len(Diff(a, b)) > 0) != (len(Diff(b, a)) > 0) {
			t.Fatal("the difference has a direction")
		}
	})
}
