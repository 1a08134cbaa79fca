package migrate

import (
	"encoding/json"
	"strings"
	"testing"

	"skr/internal/operator/lint"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

const oldDigest, newDigest = "11" + zeros, "22" + zeros

const zeros = "00000000000000000000000000000000000000000000000000000000000000"

// kata is a release policy as skrctl policy new writes it for kata-cc.
func kata(t *testing.T) []byte {
	t.Helper()
	svn := uint64(2)
	policy, err := lint.New(lint.Spec{
		Platform: claims.AKSKata, Authorities: []string{"mine.eus.attest.azure.net", "other.eus.attest.azure.net"},
		HostData: []string{oldDigest, "12" + zeros}, Measurements: []string{strings.Repeat("ab", 48)}, MinimumSVN: &svn,
	})
	if err != nil {
		t.Fatal(err)
	}
	return policy.Raw()
}

func translated(t *testing.T, text []byte, o PolicyOptions) (*releasepolicy.Policy, string) {
	t.Helper()
	policy, notes, err := Policy(text, o)
	if err != nil {
		t.Fatal(err)
	}
	return policy, lines(notes)
}

// tokens of one workload before and after its migration.
var tokens = map[Target]string{
	"kata": `{"iss":"https://mine.eus.attest.azure.net","x-ms-attestation-type":"sevsnpvm","x-ms-compliance-status":"azure-signed-katacc-uvm",
		"x-ms-sevsnpvm-hostdata":"` + oldDigest + `","x-ms-sevsnpvm-is-debuggable":false}`,
	VirtualNodes: `{"iss":"https://mine.eus.attest.azure.net","x-ms-attestation-type":"sevsnpvm","x-ms-compliance-status":"azure-compliant-uvm",
		"x-ms-sevsnpvm-hostdata":"` + newDigest + `","x-ms-sevsnpvm-is-debuggable":false}`,
	CVM: `{"iss":"https://mine.eus.attest.azure.net","x-ms-attestation-type":"azurevm","secureboot":true,
		"x-ms-isolation-tee":{"x-ms-attestation-type":"sevsnpvm","x-ms-compliance-status":"azure-compliant-cvm","x-ms-sevsnpvm-is-debuggable":false}}`,
}

func released(t *testing.T, policy *releasepolicy.Policy, token string) bool {
	t.Helper()
	found, err := releasepolicy.ParseClaims([]byte(token))
	if err != nil {
		t.Fatal(err)
	}
	return policy.Evaluate("https://mine.eus.attest.azure.net", found).Met
}

// The translated policy releases the key to the migrated workload and no longer to the old one.
func TestPolicy(t *testing.T) {
	spec := lint.Spec{Platform: claims.AKSKata, Authorities: []string{"mine.eus.attest.azure.net"}, HostData: []string{oldDigest}}
	old, err := lint.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		to       Target
		hostData []string
		want     map[Target]bool
	}{
		{VirtualNodes, []string{newDigest}, map[Target]bool{VirtualNodes: true}},
		{VirtualNodes, []string{oldDigest, newDigest}, map[Target]bool{VirtualNodes: true}},
		{VirtualNodes, nil, map[Target]bool{}},
		{CVM, nil, map[Target]bool{CVM: true}},
		{CoCo, nil, map[Target]bool{CVM: true}},
	} {
		policy, notes := translated(t, old.Raw(), PolicyOptions{To: c.to, HostData: c.hostData})
		for of, token := range tokens {
			if got := released(t, policy, token); got != c.want[of] {
				t.Errorf("to %s with HOST_DATA %q: released to %s %v, want %v\n%s%s", c.to, c.hostData, of, got, c.want[of], policy.Raw(), notes)
			}
		}
		for _, f := range lint.Check(policy.Raw(), lint.Subject{Platform: c.to.Platform()}) {
			if f.Outcome == lint.Error {
				t.Errorf("to %s: %s: %s", c.to, f.Name, f.Found)
			}
		}
	}
	if !released(t, old, tokens["kata"]) {
		t.Error("the old policy does not fit the old workload: this test shows nothing")
	}
}

// Notes name each claim that is measured again or left out, with the commands.
func TestPolicyNotes(t *testing.T) {
	for to, want := range map[Target][]string{
		VirtualNodes: {
			"not carried over: release policy: x-ms-sevsnpvm-hostdata keeps the value of kata-cc", "x-ms-sevsnpvm-launchmeasurement keeps",
			"changed: release policy: x-ms-compliance-status becomes azure-compliant-uvm",
			"skrctl migrate --to aci-vn2 --policy old.json --policy-out NEW --workload FILE",
			"skrctl policy new --platform aci --token token.jwt --with launch-measurement,svn",
		},
		CVM: {
			"x-ms-sevsnpvm-hostdata is left out", "every pod of every such machine", "guestsvn is left out: there is no utility VM",
			"x-ms-isolation-tee.x-ms-sevsnpvm-launchmeasurement keeps the value of kata-cc", "secureboot added",
			"skrctl policy new --platform cvm --token token.jwt --with launch-measurement",
		},
		CoCo: {"initdata is measured into PCR 8", "--with pcr8,launch-measurement"},
	} {
		_, notes := translated(t, kata(t), PolicyOptions{To: to, File: "old.json"})
		for _, words := range want {
			if !strings.Contains(notes, words) {
				t.Errorf("to %s: want %q in\n%s", to, words, notes)
			}
		}
	}
}

// Conditions keep their meaning in groups: a claim that becomes two stays one alternative, and an
// alternative that is left out does not widen its group.
func TestPolicyGroups(t *testing.T) {
	const form = `{"version":"1.0.0","anyOf":[{"authority":"https://mine.eus.attest.azure.net","%s":[%s]}]}`
	hostdata := `{"claim":"x-ms-sevsnpvm-hostdata","equals":"` + oldDigest + `"}`
	for _, c := range []struct{ kind, conditions, want string }{
		{"anyOf", `{"claim":"x-ms-attestation-type","equals":"sevsnpvm"},{"claim":"mine","equals":"1"}`,
			"all of (any of (all of (x-ms-attestation-type equals azurevm; x-ms-isolation-tee.x-ms-attestation-type equals sevsnpvm); " +
				"mine equals 1); secureboot equals true)"},
		{"allOf", `{"anyOf":[` + hostdata + `,{"claim":"mine","equals":"1"}]}`, "all of (any of (mine equals 1); secureboot equals true)"},
		{"allOf", `{"anyOf":[{"claim":"secureboot","equals":"true"},{"claim":"mine","equals":"1"}]}`,
			"all of (any of (secureboot equals true; mine equals 1); secureboot equals true)"},
		{"allOf", `{"claim":"secureboot","equals":"true"}`, "all of (secureboot equals true)"},
		{"allOf", `{"claim":"x-ms-sevsnpvm-tee-svn","greaterOrEquals":4}`,
			"all of (x-ms-isolation-tee.x-ms-sevsnpvm-tee-svn greaterOrEquals 4; secureboot equals true)"},
		{"allOf", `{"claim":"x-ms-sevsnpvm-uvm-endorsement-headers.feed","equals":"ConfAKS-AMD-UVM"},{"claim":"mine","equals":"1"}`,
			"all of (mine equals 1; secureboot equals true)"},
	} {
		policy, notes := translated(t, []byte(strings.Replace(strings.Replace(form, "%s", c.kind, 1), "%s", c.conditions, 1)), PolicyOptions{To: CVM})
		if got := policy.Tree()[0].String(); got != c.want {
			t.Errorf("%s becomes %s, want %s", c.conditions, got, c.want)
		}
		if strings.Contains(c.conditions, "mine") && !strings.Contains(notes, "mine is kept, but unknown here") {
			t.Errorf("the unknown claim has no note: %s", notes)
		}
	}
	only := strings.Replace(strings.Replace(form, "%s", "allOf", 1), "%s", hostdata, 1)
	if _, _, err := Policy([]byte(only), PolicyOptions{To: CVM}); err == nil || !strings.Contains(err.Error(), noConditions) {
		t.Errorf("%v", err)
	}
	both := strings.Replace(strings.Replace(form, "%s", "anyOf", 1), "%s", hostdata+","+strings.Replace(hostdata, "11", "12", 1), 1)
	policy, _ := translated(t, []byte(both), PolicyOptions{To: VirtualNodes, HostData: []string{newDigest}})
	if got := policy.Tree()[0].String(); got != "any of (x-ms-sevsnpvm-hostdata equals "+newDigest+")" {
		t.Error(got)
	}
	feeds := strings.Replace(strings.Replace(form, "%s", "allOf", 1), "%s", `{"claim":"x-ms-sevsnpvm-uvm-endorsement-headers.feed","equals":"ConfAKS-AMD-UVM"}`, 1)
	policy, _ = translated(t, []byte(feeds), PolicyOptions{To: VirtualNodes})
	if got := policy.Tree()[0].String(); !strings.Contains(got, "equals ContainerPlat-AMD-UVM") {
		t.Error(got)
	}
}

// Each claim of the catalogue that tokens of kata-cc have is translated to one that tokens of the target
// have, or left out.
func TestPolicyClaims(t *testing.T) {
	for _, claim := range claims.All() {
		if !claim.On(claims.AKSKata) || claim.Kind == claims.Object {
			continue
		}
		condition := releasepolicy.Condition{Kind: releasepolicy.Claim, Claim: claim.Name, Operator: releasepolicy.Equals, Value: releasepolicy.Text("sevsnpvm")}
		for _, to := range targets {
			tr := translation{PolicyOptions: PolicyOptions{To: to}, named: map[string]bool{}}
			for _, c := range tr.comparison(condition) {
				if after, known := claims.Lookup(c.Claim); !known || !after.On(to.Platform()) {
					t.Errorf("%s becomes %s, which tokens of %s do not have", claim.Name, c.Claim, to)
				}
			}
		}
	}
}

// The notes of a policy encode as JSON that names their kind.
func TestNoteJSON(t *testing.T) {
	text, err := json.Marshal(Note{Kind: Lost, Where: "w", Text: "t"})
	if err != nil || string(text) != `{"kind":"not_carried_over","where":"w","text":"t"}` {
		t.Errorf("%s, %v", text, err)
	}
	if got := (Note{Kind: Next, Text: "a\x1b[31m", Command: "b"}).String(); got != "next: a\ufffd[31m: b" {
		t.Errorf("%q", got)
	}
}
