package releasepolicy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// aciPolicy is a typical policy of confidential containers.
const aciPolicy = `{
  "version": "1.0.0",
  "anyOf": [{
    "authority": "https://sharedeus.eus.attest.azure.net/",
    "allOf": [
      {"claim": "x-ms-attestation-type", "equals": "sevsnpvm"},
      {"claim": "x-ms-sevsnpvm-uvm-endorsement.x-ms-sevsnpvm-guestsvn", "greaterOrEquals": 100},
      {"anyOf": [
        {"claim": "x-ms-compliance-status", "equals": "azure-compliant-uvm"},
        {"claim": "x-ms-compliance-status", "equals": "azure-signed-katacc-uvm"}]},
      {"claim": "x-ms-sevsnpvm-is-debuggable", "equals": "false"}]
  }]
}`

const aciIssuer = "https://sharedeus.eus.attest.azure.net"

const aciClaims = `{"iss":"https://sharedeus.eus.attest.azure.net","x-ms-attestation-type":"sevsnpvm",
"x-ms-compliance-status":"azure-signed-katacc-uvm","x-ms-sevsnpvm-is-debuggable":false,
"x-ms-sevsnpvm-uvm-endorsement":{"x-ms-sevsnpvm-guestsvn":"101"}}`

func mustPolicy(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParseKeepsRaw(t *testing.T) {
	p := mustPolicy(t, aciPolicy)
	if string(p.Raw()) != aciPolicy {
		t.Error("Raw is not what was parsed")
	}
	if diff := cmp.Diff([]string{aciIssuer + "/"}, p.Authorities()); diff != "" {
		t.Error(diff)
	}
	if name, ok := p.Authority(aciIssuer); !ok || name != aciIssuer+"/" {
		t.Errorf("Authority(%q) = %q, %v", aciIssuer, name, ok)
	}
}

// onePolicy returns a policy with one authority and one condition.
func onePolicy(condition string) string {
	return `{"version":"1.0.0","anyOf":[{"authority":"https://a","allOf":[` + condition + `]}]}`
}

// inside is the column of the condition in onePolicy.
const inside = 63

func TestParseRefuses(t *testing.T) {
	cases := []struct {
		name, text, want string
		line, column     int
	}{
		{"empty", ``, "ends too early", 1, 1},
		{"array", `[]`, "expecting the policy", 1, 1},
		{"truncated", `{"version":"1.0.0"`, "ends too early", 1, 19},
		{"no version", "\n {\"anyOf\":[{\"authority\":\"a\",\"allOf\":[{\"claim\":\"c\",\"equals\":1}]}]}", "needs a version", 2, 2},
		{"other version", `{"version":"2.0.0"}`, `must be "1.0.0"`, 1, 12},
		{"version number", `{"version":1}`, "must be a string", 1, 12},
		{"no anyOf", `{"version":"1.0.0"}`, "needs anyOf", 1, 1},
		{"policy with allOf", `{"version":"1.0.0","allOf":[]}`, `no member "allOf"`, 1, 20},
		{"empty anyOf", "{\"version\":\"1.0.0\",\n\"anyOf\": []}", "must not be empty", 2, 10},
		{"unknown member", "{\"version\":\"1.0.0\",\n  \"é\":1}", `no member "é"`, 2, 3},
		{"repeated member", `{"version":"1.0.0","version":"1.0.0"}`, "repeated", 1, 20},
		{"repeated by escape", `{"version":"1.0.0","\u0076ersion":"1.0.0"}`, "repeated", 1, 20},
		{"member case", `{"Version":"1.0.0"}`, `no member "Version"`, 1, 2},
		{"authority without name", `{"version":"1.0.0","anyOf":[{"allOf":[{"claim":"c","equals":1}]}]}`, `"authority" is missing`, 1, 29},
		{"authority without list", `{"version":"1.0.0","anyOf":[{"authority":"a"}]}`, "either anyOf or allOf", 1, 29},
		{"both lists", `{"version":"1.0.0","anyOf":[{"authority":"a","allOf":[{"claim":"c","equals":1}],"anyOf":[]}]}`, "side by side", 1, 81},
		{"empty allOf", `{"version":"1.0.0","anyOf":[{"authority":"a","allOf":[]}]}`, "must not be empty", 1, 54},
		{"no operator", onePolicy(`{"claim":"c"}`), "needs an operator", 1, inside},
		{"no claim", onePolicy(`{"equals":1}`), "needs a claim", 1, inside},
		{"nothing", onePolicy(`{}`), "needs a claim", 1, inside},
		{"two operators", onePolicy(`{"claim":"c","equals":1,"less":2}`), "side by side", 1, inside + 24},
		{"unknown operator", onePolicy(`{"claim":"c","matches":1}`), `no member "matches"`, 1, inside + 13},
		{"claim and list", onePolicy(`{"claim":"c","equals":1,"anyOf":[{"claim":"c","equals":1}]}`), "not both", 1, inside},
		{"empty claim", onePolicy(`{"claim":"","equals":1}`), "empty part", 1, inside + 9},
		{"empty part", onePolicy(`{"claim":"a..b","equals":1}`), "empty part", 1, inside + 9},
		{"null value", onePolicy(`{"claim":"c","equals":null}`), "value must be", 1, inside + 22},
		{"object value", onePolicy(`{"claim":"c","equals":{}}`), "value must be", 1, inside + 22},
		{"exists", onePolicy(`{"claim":"c","exists":"maybe"}`), "true or false", 1, inside + 22},
		{"trailing data", onePolicy(`{"claim":"c","equals":1}`) + "\n x", "nothing may follow", 2, 2},
		{"trailing brace", onePolicy(`{"claim":"c","equals":1}`) + "}", "nothing may follow", 1, inside + 28},
		{"trailing comma", onePolicy(`{"claim":"c","equals":1},`), `a comma must not stand before ']'`, 1, inside + 24},
		{"trailing comma in an object", onePolicy(`{"claim":"c","equals":1 , }`), `a comma must not stand before '}'`, 1, inside + 24},
		{"comma alone", onePolicy(`,`), "a comma must not stand before", 1, inside},
		{"two commas", onePolicy(`{"claim":"c","equals":1},,{"claim":"d","equals":1}`), "not JSON", 1, inside + 26},
		{"not UTF-8", "{\"version\":\"\xff\"}", "not UTF-8", 1, 13},
		{"too long", strings.Repeat(" ", maxPolicy+1), "longer than", 1, maxPolicy + 1},
		{"too deep", onePolicy(nested(maxDepth)), "nested deeper", 1, inside + 10*(maxDepth-1) + 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.text))
			e, ok := errors.AsType[*ParseError](err)
			if !ok {
				t.Fatalf("error is %v", err)
			}
			if !strings.Contains(e.Reason, c.want) || e.Line != c.line || e.Column != c.column {
				t.Errorf("got %v; want %q at %d:%d", e, c.want, c.line, c.column)
			}
		})
	}
}

// nested returns a comparison inside depth lists.
func nested(depth int) string {
	return strings.Repeat(`{"anyOf":[`, depth) + `{"claim":"c","equals":1}` + strings.Repeat(`]}`, depth)
}

func TestParseDepth(t *testing.T) {
	p := mustPolicy(t, onePolicy(nested(maxDepth-1)))
	e, err := evaluate(p, "https://a", []byte(`{"c":1}`))
	if err != nil || !e.Met {
		t.Errorf("met %v, %v", e.Met, err)
	}
}

func TestEvaluateOperators(t *testing.T) {
	const claims = `{"s":"sevsnpvm","t":true,"f":false,"i":115,"n":-3,"big":18446744073709551616,"d":1.50,"x":"0x10",
		"num":"100","empty":"","null":null,"o":{"a":{"b":"deep","t":true}},"list":[1],"a.b":"dotted","é\n":"odd","z":-0}`
	cases := []struct {
		condition string
		want      bool
	}{
		{`"claim":"s","equals":"sevsnpvm"`, true},
		{`"claim":"s","equals":"SEVSNPVM"`, false},
		{`"claim":"s","notEquals":"tdxvm"`, true},
		{`"claim":"s","notEquals":"sevsnpvm"`, false},
		{`"claim":"t","equals":"true"`, true},
		{`"claim":"t","equals":true`, true},
		{`"claim":"t","equals":"True"`, false},
		{`"claim":"t","equals":1`, false},
		{`"claim":"f","equals":"false"`, true},
		{`"claim":"f","notEquals":true`, true},
		{`"claim":"i","equals":115`, true},
		{`"claim":"i","equals":"115"`, true},
		{`"claim":"i","equals":"0115"`, false},
		{`"claim":"num","equals":100`, true},
		{`"claim":"z","equals":0`, true},
		{`"claim":"empty","equals":""`, true},
		{`"claim":"empty","notEquals":"x"`, true},
		{`"claim":"i","less":116`, true},
		{`"claim":"i","less":115`, false},
		{`"claim":"i","lessOrEquals":"115"`, true},
		{`"claim":"i","lessOrEquals":114`, false},
		{`"claim":"i","greater":99`, true},
		{`"claim":"i","greater":115`, false},
		{`"claim":"i","greaterOrEquals":115`, true},
		{`"claim":"i","greaterOrEquals":116`, false},
		{`"claim":"i","greater":"099"`, true},
		{`"claim":"num","greaterOrEquals":100`, true},
		{`"claim":"n","less":0`, true},
		{`"claim":"n","less":-4`, false},
		{`"claim":"n","greater":-20`, true},
		{`"claim":"i","greater":-1`, true},
		{`"claim":"z","lessOrEquals":"-0"`, true},
		{`"claim":"big","greater":18446744073709551615`, true},
		{`"claim":"big","less":18446744073709551617`, true},
		{`"claim":"x","greater":1`, false},
		{`"claim":"s","less":"z"`, false},
		{`"claim":"d","greater":1`, false},
		{`"claim":"d","equals":1.50`, true},
		{`"claim":"empty","greater":-1`, false},
		{`"claim":"missing","equals":""`, false},
		{`"claim":"missing","notEquals":"x"`, false},
		{`"claim":"missing","less":1`, false},
		{`"claim":"missing","exists":true`, false},
		{`"claim":"missing","exists":"false"`, true},
		{`"claim":"s","exists":"true"`, true},
		{`"claim":"s","exists":false`, false},
		{`"claim":"o","exists":true`, true},
		{`"claim":"null","exists":true`, false},
		{`"claim":"null","notEquals":"x"`, false},
		{`"claim":"o.a.b","equals":"deep"`, true},
		{`"claim":"o.a.t","equals":"true"`, true},
		{`"claim":"o.a","notEquals":"x"`, false},
		{`"claim":"list","notEquals":"x"`, false},
		{`"claim":"list.0","exists":true`, false},
		{`"claim":"s.a","exists":true`, false},
		{`"claim":"o.a.b.c","exists":true`, false},
		{`"claim":"a.b","exists":true`, false}, // a dot always selects a member of an object
		{`"claim":"é\n","equals":"odd"`, true},
	}
	for _, c := range cases {
		p := mustPolicy(t, onePolicy("{"+c.condition+"}"))
		e, err := evaluate(p, "https://a", []byte(claims))
		if err != nil {
			t.Fatal(err)
		}
		if e.Met != c.want {
			t.Errorf("%s: met %v, want %v", c.condition, e.Met, c.want)
		}
	}
}

func TestEvaluateGroupsAndIssuer(t *testing.T) {
	const two = `{"version":"1.0.0","anyOf":[
		{"authority":"https://a/","allOf":[{"claim":"x","equals":1},{"claim":"y","equals":1}]},
		{"authority":"https://b","anyOf":[{"claim":"x","equals":1},{"claim":"y","equals":1}]}]}`
	cases := []struct {
		issuer, claims string
		want           bool
	}{
		{"https://a", `{"x":1,"y":1}`, true},
		{"https://a/", `{"x":1,"y":1}`, true},
		{"https://a", `{"x":1,"y":2}`, false},
		{"https://b", `{"x":1,"y":2}`, true},
		{"https://b/", `{"x":2,"y":1}`, true},
		{"https://b//", `{"x":1}`, false},
		{"https://b", `{"x":2,"y":2}`, false},
		{"https://c", `{"x":1,"y":1}`, false},
		{"", `{"x":1,"y":1}`, false},
	}
	p := mustPolicy(t, two)
	for _, c := range cases {
		e, err := evaluate(p, c.issuer, []byte(c.claims))
		if err != nil || e.Met != c.want {
			t.Errorf("issuer %q, claims %s: met %v, %v; want %v", c.issuer, c.claims, e.Met, err, c.want)
		}
	}
}

func TestEvaluateExplains(t *testing.T) {
	p := mustPolicy(t, aciPolicy)
	claims := strings.Replace(aciClaims, "debuggable\":false", "debuggable\":true", 1)
	got, err := evaluate(p, aciIssuer, []byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	comparison := func(claim string, o Operator, expected, actual string, met bool) outcomeJSON {
		return outcomeJSON{Kind: Claim, Claim: claim, Operator: o, Expected: expected, Actual: actual, Met: met}
	}
	status := func(expected string, met bool) outcomeJSON {
		return comparison("x-ms-compliance-status", Equals, expected, "azure-signed-katacc-uvm", met)
	}
	want := outcomeJSON{Kind: AllOf, Authority: aciIssuer + "/", Issued: true, Conditions: []outcomeJSON{
		comparison("x-ms-attestation-type", Equals, "sevsnpvm", "sevsnpvm", true),
		comparison("x-ms-sevsnpvm-uvm-endorsement.x-ms-sevsnpvm-guestsvn", GreaterOrEquals, "100", "101", true),
		{Kind: AnyOf, Met: true, Conditions: []outcomeJSON{status("azure-compliant-uvm", false), status("azure-signed-katacc-uvm", true)}},
		comparison("x-ms-sevsnpvm-is-debuggable", Equals, "false", "true", false),
	}}
	if got.Met || got.Issuer != aciIssuer || len(got.Authorities) != 1 {
		t.Fatalf("got %+v", got)
	}
	if diff := cmp.Diff(want, got.Authorities[0].json(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// evaluate parses the claims and evaluates the policy for them.
func evaluate(p *Policy, issuer string, claims []byte) (Evaluation, error) {
	parsed, err := ParseClaims(claims)
	if err != nil {
		return Evaluation{}, err
	}
	return p.Evaluate(issuer, parsed), nil
}

func TestEvaluateRefusesClaims(t *testing.T) {
	p := mustPolicy(t, onePolicy(`{"claim":"o.x","equals":1}`))
	for _, claims := range []string{
		``, `null`, `[]`, `"x"`, `{`, `{}{}`, `{"o":{"x":1},"o":{"x":2}}`, `{"o":{"x":1,"\u0078":2}}`,
		`{"a":"` + strings.Repeat("a", 1<<20) + `"}`,
	} {
		if e, err := evaluate(p, "https://a", []byte(claims)); err == nil || e.Met {
			t.Errorf("claims %.40q are accepted", claims)
		}
	}
}

func TestNormalised(t *testing.T) {
	const given = ` {"anyOf": [ {"anyOf":[{"equals":"<true>", "claim":"sdk-test"}, {"allOf":[{"claim":"n","less":1.0}]}],
		"authority":"https://site.example/"} ], "version":"1.0"}`
	const group = `"anyOf":[{"claim":"sdk-test","equals":"<true>"},{"allOf":[{"claim":"n","less":1.0}]}]`
	p := mustPolicy(t, given)
	for flavour, want := range map[Flavour]string{
		KeyVault:   `{"version":"1.0","anyOf":[{"authority":"https://site.example",` + group + `}]}`,
		ManagedHSM: `{"anyOf":[{` + group + `,"authority":"https://site.example/"}],"version":"1.0.0"}`,
	} {
		if got := string(p.Normalised(flavour)); got != want {
			t.Errorf("%v:\n got %s\nwant %s", flavour, got, want)
		}
	}
}

// sameMeaning reports whether two policies mean the same. It ignores the bytes, the version,
// positions and one trailing slash of an authority.
var sameMeaning = cmp.Options{
	cmp.AllowUnexported(Policy{}, plan{}),
	cmpopts.IgnoreFields(Policy{}, "raw", "version"),
	cmpopts.IgnoreFields(Condition{}, "Line", "Column"),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Authority" }, cmp.Comparer(sameAuthority)),
}

func TestNormalisedIsEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, err := Parse([]byte(drawPolicy(t)))
		if err != nil {
			t.Fatal(err)
		}
		for _, flavour := range []Flavour{KeyVault, ManagedHSM} {
			normal := p.Normalised(flavour)
			again, err := Parse(normal)
			if err != nil {
				t.Fatalf("%s: %v", normal, err)
			}
			if diff := cmp.Diff(p, again, sameMeaning); diff != "" {
				t.Fatalf("%v: %s", flavour, diff)
			}
			if twice := again.Normalised(flavour); string(twice) != string(normal) {
				t.Fatalf("%s normalises to %s", normal, twice)
			}
		}
	})
}

func drawPolicy(t *rapid.T) string {
	authorities := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		name := rapid.OneOf(rapid.String(), rapid.Just("https://a/"), rapid.Just("https://b")).Draw(t, "authority")
		return `{"authority":` + quoteJSON(name) + `,` + drawGroup(t, 3) + `}`
	}), 1, 3).Draw(t, "authorities")
	version := rapid.SampledFrom(versions).Draw(t, "version")
	return `{ "anyOf": [` + strings.Join(authorities, ", ") + `], "version":` + quoteJSON(version) + "}\n"
}

func drawGroup(t *rapid.T, depth int) string {
	kind := rapid.SampledFrom([]Kind{AnyOf, AllOf}).Draw(t, "kind")
	conditions := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string { return drawCondition(t, depth) }), 1, 3).Draw(t, "conditions")
	return quoteJSON(string(kind)) + `:[` + strings.Join(conditions, " ,") + `]`
}

func drawCondition(t *rapid.T, depth int) string {
	if depth > 0 && rapid.Bool().Draw(t, "nest") {
		return "{" + drawGroup(t, depth-1) + "}"
	}
	claim := rapid.StringMatching(`[a-zé"\\-]{1,9}(\.[a-z-]{1,9})?`).Draw(t, "claim")
	operator := rapid.SampledFrom([]Operator{Equals, NotEquals, Less, LessOrEquals, Greater, GreaterOrEquals}).Draw(t, "operator")
	value := rapid.OneOf(
		rapid.Map(rapid.String(), quoteJSON),
		rapid.Map(rapid.Int64(), func(n int64) string { return fmt.Sprint(n) }),
		rapid.SampledFrom([]string{"true", "false", `"true"`, "1.5e3", "-0"}),
	).Draw(t, "value")
	return fmt.Sprintf(`{"%s":%s, "claim":%s}`, operator, value, quoteJSON(claim))
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{aciPolicy, onePolicy(nested(3)), onePolicy(`{"claim":"a.b","exists":false}`), `{}`, `{"version":"1.0.0","anyOf":[]}`} {
		f.Add([]byte(seed), []byte(aciClaims))
	}
	f.Add([]byte(onePolicy(`{"claim":"o.x","less":-1}`)), []byte(`{"o":{"x":-2},"\u006f2":[{"\"":"}"}]} `))
	f.Fuzz(func(t *testing.T, policy, claims []byte) {
		p, err := Parse(policy)
		if err != nil {
			e, ok := errors.AsType[*ParseError](err)
			if !ok || e.Line < 1 || e.Column < 1 {
				t.Fatalf("error %v has no position", err)
			}
			return
		}
		for _, flavour := range []Flavour{KeyVault, ManagedHSM} {
			again, err := Parse(p.Normalised(flavour))
			if err != nil || !cmp.Equal(p, again, sameMeaning) {
				t.Fatalf("normalised policy differs: %v", err)
			}
		}
		evaluated, err := evaluate(p, p.Authorities()[0], claims)
		if members := map[string]any(nil); err == nil && json.Unmarshal(claims, &members) != nil {
			t.Fatalf("claims are not an object, evaluation is %v", evaluated)
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	p := mustPolicy(b, aciPolicy)
	claims, err := ParseClaims([]byte(aciClaims))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if e := p.Evaluate(aciIssuer, claims); !e.Met {
			b.Fatal(e)
		}
	}
}
