package releasepolicy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/test/samples"
)

const hostData = "fef932e0103f6132437e8a1223f32efc4bea63342f893b5124645224ef29ba73"

// at returns a policy with one authority and these conditions.
func at(authority string, conditions ...string) string {
	return `{"version":"1.0.0","anyOf":[{"authority":"` + authority + `","allOf":[` + strings.Join(conditions, ",") + `]}]}`
}

func is(claim, value string) string { return fmt.Sprintf(`{"claim":%q,"equals":%q}`, claim, value) }

func anyOf(members ...string) string { return `{"anyOf":[` + strings.Join(members, ",") + `]}` }
func allOf(members ...string) string { return `{"allOf":[` + strings.Join(members, ",") + `]}` }

func mustClaims(t testing.TB, data []byte) map[string]any {
	t.Helper()
	claims, err := ParseClaims(data)
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestExplainText(t *testing.T) {
	policy := `{"version":"1.0.0","anyOf":[{"authority":"https://other","allOf":[` + is("a", "b") + `]},{"authority":"https://mine/","allOf":[` +
		strings.Join([]string{
			is("x-ms-attestation-type", "sevsnpvm"),
			anyOf(is("x-ms-compliance-status", "azure-compliant-uvm"), is("x-ms-compliance-status", "azure-signed-katacc-uvm")),
			is("x-ms-sevsnpvm-hostdata", strings.ToUpper(hostData)),
			`{"claim":"x-ms-sevsnpvm-vmpl","less":1}`,
			is("x-ms-isolation-tee.x-ms-sevsnpvm-is-debuggable", "false"), is("x-ms-hostdata", "x"), is("my own", "x"),
			`{"claim":"nonce","exists":true}`, is("x-ms-runtime.note", "y"), is("secureboot", "true"),
		}, ",") + `]}]}`
	token := mustClaims(t, []byte(`{"iss":"https://mine","x-ms-attestation-type":"sevsnpvm","x-ms-compliance-status":"azure-signed-katacc-uvm",
		"x-ms-sevsnpvm-hostdata":"`+hostData+`","x-ms-sevsnpvm-vmpl":2,"x-ms-sevsnpvm-is-debuggable":false,"x-ms-runtime":{"note":"a\u001b[31m b"}}`))
	e := mustPolicy(t, policy).Explain(token)
	want := `issuer  https://mine

unmet   authority https://other did not issue the token
NOT MET authority https://mine/, all of
met       x-ms-attestation-type equals sevsnpvm
met       any of
unmet       x-ms-compliance-status equals azure-compliant-uvm, and is azure-signed-katacc-uvm
met         x-ms-compliance-status equals azure-signed-katacc-uvm
NOT MET   x-ms-sevsnpvm-hostdata equals ` + strings.ToUpper(hostData) + `, and is ` + hostData + `
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
	if plain := strings.NewReplacer("\x1b[30;42m", "", "\x1b[1;97;41m", "", "\x1b[0m", "").Replace(colour); plain != want || colour == want {
		t.Errorf("colour changes the text:\n%s", cmp.Diff(want, plain))
	}
}

func TestExplainOtherIssuer(t *testing.T) {
	e := mustPolicy(t, at("https://mine", is("a", "b"))).Explain(mustClaims(t, []byte(`{"iss":"https://other","a":"b"}`)))
	want := `issuer  https://other

NOT MET authority https://mine did not issue the token
met       a equals b

The token does not meet the policy, because of iss.
`
	if diff := cmp.Diff(want, e.Text(PlainMarks)); diff != "" || e.Met {
		t.Error(diff)
	}
	e = mustPolicy(t, at("https://other", `{"claim":"b","exists":false}`)).Explain(mustClaims(t, []byte(`{"iss":"https://other"}`)))
	if text := e.Text(PlainMarks); !e.Met || !strings.HasSuffix(text, "b exists false, and it does not\n\nThe token meets the policy.\n") {
		t.Error(text)
	}
}

func TestExplainJSON(t *testing.T) {
	e := mustPolicy(t, at("https://a", is("secure-boot", "true"))).Explain(mustClaims(t, []byte(`{"iss":"https://a"}`)))
	got, err := json.Marshal(e)
	want := `{"met":false,"issuer":"https://a","conditions":[{"kind":"allOf","authority":"https://a","issued":true,"met":false,"conditions":` +
		`[{"kind":"claim","claim":"secure-boot","operator":"equals","expected":"true","absent":true,"met":false}]}],` +
		`"hints":{"secure-boot":"there is no such claim; is secureboot meant?"}}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}

// The direct token lacks the claims below x-ms-isolation-tee that the policy requires. The
// explanation names where the token has them.
func TestExplainGenuineToken(t *testing.T) {
	policy := mustPolicy(t, string(samples.Read(t, "cvm/release-policy-30-authorities.json")))
	text := policy.Explain(mustClaims(t, genoaClaims(t))).Text(PlainMarks)
	if !strings.Contains(text, "the token has it elsewhere, as x-ms-compliance-status") || strings.Count(text, "did not issue") != len(policy.Authorities())-1 {
		t.Error(text)
	}
}
