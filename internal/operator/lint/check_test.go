package lint

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"skr/internal/check"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
	"skr/test/samples"
)

const (
	own    = "https://mine.weu.attest.azure.net"
	digest = "fef932e0103f6132437e8a1223f32efc4bea63342f893b5124645224ef29ba73"
	svn    = `{"claim":"x-ms-sevsnpvm-uvm-endorsement.x-ms-sevsnpvm-guestsvn","greaterOrEquals":100}`
)

var pcr4 = strings.Repeat("A", 43) + "="

// at returns a policy with one authority. Each condition has its own line, from line 2.
func at(authority string, conditions ...string) string {
	return `{"version":"1.0.0","anyOf":[{"authority":"` + authority + `","allOf":[` + "\n" + strings.Join(conditions, ",\n") + "\n]}]}"
}

func is(claim, value string) string { return fmt.Sprintf(`{"claim":%q,"equals":%q}`, claim, value) }

func anyOf(members ...string) string { return `{"anyOf":[` + strings.Join(members, ",") + `]}` }
func allOf(members ...string) string { return `{"allOf":[` + strings.Join(members, ",") + `]}` }

// aci, cvm, td and launch return a policy without findings, plus the given conditions.
func aci(more ...string) string {
	return at(own, append([]string{is(attestationType, "sevsnpvm"), is(compliance, "azure-compliant-uvm"),
		is(hostData, digest), is(debuggable, "false"), svn}, more...)...)
}

func cvm(more ...string) string {
	return at(own, append([]string{is(attestationType, "azurevm"), is(isolation+attestationType, "sevsnpvm"),
		is(isolation+compliance, "azure-compliant-cvm"), is(isolation+debuggable, "false"), is(secureBoot, "true")}, more...)...)
}

func td(more ...string) string {
	return at(own, append([]string{is(attestationType, "azurevm"), is(isolation+attestationType, "tdxvm"),
		is(isolation+compliance, "azure-compliant-cvm"), is(isolation+tdxDebug, "false"), is(secureBoot, "true")}, more...)...)
}

func launch(more ...string) string {
	all := []string{is(attestationType, "azurevm"), is(secureBoot, "true")}
	for _, claim := range debuggers {
		all = append(all, is(claim, "false"))
	}
	return at(own, append(all, more...)...)
}

func TestCheck(t *testing.T) {
	cases := []struct {
		name, text string
		platform   claims.Platform
		want       string // RULE:LINE of each finding, except findings of the first rule in `aside`
		fix        string // part of one of the fixes
	}{
		{name: "aci", text: aci()},
		{name: "cvm", text: cvm(), platform: claims.CVM},
		{name: "cvm, guessed", text: cvm()},
		{name: "trusted launch", text: launch(), platform: claims.TrustedLaunch},
		{name: "no platform", text: at(own, is("sdk-test", "x")), want: "unknown-claim:2"},
		{name: "direct protocol", text: at(own, is(attestationType, "sevsnpvm"), is(compliance, "azure-compliant-cvm"))},
		{name: "HOST_DATA of a virtual machine", text: at(own, is(attestationType, "sevsnpvm"), is(compliance, "azure-compliant-cvm"), is(hostData, digest)),
			want: "mixed-platforms:4", fix: "claims of one platform"},
		{name: "zero HOST_DATA of a virtual machine",
			text: at(own, is(attestationType, "sevsnpvm"), is(compliance, "azure-compliant-cvm"), is(hostData, zeroDigest))},
		{name: "alternative of another platform", text: at(own, is(attestationType, "sevsnpvm"), is(compliance, "azure-compliant-cvm"),
			anyOf(is("x-ms-ver", "1.0"), "\n"+is(hostData, digest))), want: "mixed-platforms:5", fix: "remove this alternative"},
		{name: "TDX and SEV-SNP", text: at(own, is(attestationType, "azurevm"), is(isolation+attestationType, "tdxvm"),
			is(isolation+compliance, "azure-compliant-cvm"), is(isolation+debuggable, "false"), is(secureBoot, "true")), want: "mixed-platforms:5"},
		{name: "TDX", text: at(own, is(attestationType, "azurevm"), is(isolation+attestationType, "tdxvm"),
			is(isolation+compliance, "azure-compliant-cvm"), is(isolation+tdxDebug, "false"), is(secureBoot, "true"))},
		{name: "SEV-SNP in a policy for TDX", text: cvm(), platform: claims.CVMTDX,
			want: "claim-not-on-platform:5 value-not-on-platform:3", fix: "write tdxvm"},
		{name: "TDX of a direct token", text: at(own, is(attestationType, "tdxvm"), is(tdxDebug, "false"), is(tdMeasurement, strings.Repeat("1", 96)))},
		{name: "TDX of a direct token, debugger", text: at(own, is(attestationType, "tdxvm"), is(tdMeasurement, strings.Repeat("1", 96))),
			want: "debug-not-excluded:1", fix: tdxDebug},
		{name: "TDX of a direct token and SEV-SNP", text: at(own, is(tdxDebug, "false"), is(debuggable, "false")), want: "mixed-platforms:3"},
		{name: "TDX without its prefix", text: at(own, is(attestationType, "azurevm"), is(isolation+attestationType, "tdxvm"),
			is(isolation+compliance, "azure-compliant-cvm"), is(tdxDebug, "false"), is(secureBoot, "true")), platform: claims.CVMTDX,
			want: "claim-prefix:5 debug-not-excluded:1", fix: "write " + isolation + tdxDebug},
		{name: "TDX attributes", text: td(is(isolation+tdxAttributes, "0000001000000000"), is(isolation+tdxDebugState, "disabled"),
			is(isolation+tdxAttributes+"_septve_disable", "true"), `{"claim":"`+isolation+tdxAttributes+`_perfmon","notEquals":"true"}`)},
		{name: "TDX attributes under debug", text: td(is(isolation+tdxAttributes, "0100001000000000")), want: "contradiction:7"},
		{name: "TDX debug state", text: td(is(isolation+tdxDebugState, "enabled")), want: "contradiction:7"},
		{name: "TDX attributes with another bit", want: "contradiction:8",
			text: td(is(isolation+tdxAttributes, "0000001000000000"), `{"claim":"`+isolation+tdxAttributes+`_perfmon","notEquals":"false"}`)},
		{name: "TDX attributes with the same bit", text: td(is(isolation+tdxAttributes+"_key_locker", "true"), is(isolation+tdxAttributes, "0000008000000000"))},
		{name: "REPORTDATA of TDX", text: at(own, is(attestationType, "tdxvm"), is(tdxDebug, "false"), is("tdx_report_data", strings.Repeat("1", 128))),
			want: "volatile-claim:4"},
		{name: "TDX, debugger", text: at(own, is(attestationType, "azurevm"), is(isolation+attestationType, "tdxvm"),
			is(isolation+compliance, "azure-compliant-cvm"), is(secureBoot, "true")), want: "debug-not-excluded:1", fix: tdxDebug},
		{name: "either technology", text: at(own, is(attestationType, "azurevm"), is(isolation+compliance, "azure-compliant-cvm"), is(secureBoot, "true"),
			anyOf(allOf(is(isolation+attestationType, "sevsnpvm"), is(isolation+debuggable, "false")),
				allOf(is(isolation+attestationType, "tdxvm"), is(isolation+tdxDebug, "false"))))},
		{name: "both containers", text: at(own, anyOf(is(compliance, "azure-compliant-uvm"), is(compliance, "azure-signed-katacc-uvm")),
			is(hostData, digest), is(debuggable, "false"), svn)},

		{name: "no policy", text: "hello", want: "not-a-policy:1", fix: "skrctl policy new"},
		{name: "no policy, place", text: "{\n\"version\":\"3\"}", want: "not-a-policy:2"},
		{name: "exists without boolean", text: aci(`{"claim":"a","exists":"x"}`), want: "not-a-policy:7"},
		{name: "trailing comma", text: aci(is(guestSVN, "2") + ","), want: "trailing-comma:7", fix: "remove the comma"},

		{name: "http", text: at("http://mine.weu.attest.azure.net/", is("x-ms-ver", "1.0")), want: "authority-not-https:1", fix: own},
		{name: "bare host", text: at("mine.weu.attest.azure.net", is("x-ms-ver", "1.0")), want: "authority-not-https:1", fix: own},
		{name: "path", text: at(own+"/certs", is("x-ms-ver", "1.0")), want: "authority-form:1"},
		{name: "capitals", text: at("https://Mine.weu.attest.azure.net", is("x-ms-ver", "1.0")), want: "authority-form:1"},
		{name: "two slashes", text: at(own+"//", is("x-ms-ver", "1.0")), want: "authority-form:1"},
		{name: "slash", text: at(own+"/", is("x-ms-ver", "1.0"))},
		{name: "elsewhere", text: at("https://mine.weu.attest.azure.com", is("x-ms-ver", "1.0")), want: "authority-not-azure:1"},
		{name: "sovereign", text: at("https://mine.attest.azure.us", is("x-ms-ver", "1.0"))},
		{name: "shared", text: at("https://sharedweu.weu.attest.azure.net", is("x-ms-ver", "1.0")), want: "shared-authority:1"},
		{name: "shared test", text: at("https://sharedweu.weu.test.attest.azure.net/", is("x-ms-ver", "1.0")), want: "shared-authority:1"},
		{name: "shared and pinned", text: strings.Replace(aci(), own, "https://sharedweu.weu.attest.azure.net", 1)},
		{name: "shared, pinned by PCR", text: strings.Replace(cvm(is(registerValues+"pcr4", pcr4)), own, "https://sharedeus.eus.attest.azure.net", 1)},
		{name: "twice", text: `{"version":"1.0.0","anyOf":[{"authority":"` + own + `","allOf":[` + is("x-ms-ver", "1.0") + `]},` + "\n" +
			`{"authority":"` + own + `/","allOf":[` + is("x-ms-policy-hash", "a") + `]}]}`, want: "authority-twice:2"},

		{name: "no hostdata", text: strings.Replace(aci(), is(hostData, digest), is("x-ms-ver", "1.0"), 1), want: "no-hostdata:1", fix: "skrctl measure"},
		{name: "no hostdata by name", text: at(own, is("x-ms-ver", "1.0")), platform: claims.ACI,
			want: "compliance-not-required:1 debug-not-excluded:1 no-hostdata:1 no-minimum-svn:1"},
		{name: "hostdata in one branch",

			text: strings.Replace(aci(), is(hostData, digest), "{\"anyOf\":[\n"+is(hostData, digest)+",\n"+is("x-ms-ver", "1.0")+"]}", 1),
			want: "no-hostdata:6"},
		{name: "hostdata in both branches",
			text: strings.Replace(aci(), is(hostData, digest), anyOf(is(hostData, digest), allOf(is(hostData, strings.ToLower(strings.Repeat("AB", 32))))), 1)},
		{name: "hostdata unequal", text: strings.Replace(aci(), is(hostData, digest), `{"claim":"`+hostData+`","notEquals":"`+digest+`"}`, 1),
			want: "no-hostdata:1"},
		{name: "allow all", text: strings.Replace(aci(), digest, allowAll[0], 1), want: "allow-all-hostdata:4"},
		{name: "zero", text: strings.Replace(aci(), digest, zeroDigest, 1), want: "zero-hostdata:4"},
		{name: "zero on a machine", text: cvm(is(isolation+hostData, zeroDigest))},
		{name: "debug", text: strings.Replace(aci(), is(debuggable, "false"), is("x-ms-ver", "1.0"), 1), want: "debug-not-excluded:1"},
		{name: "debug demanded", text: strings.Replace(aci(), is(debuggable, "false"), is(debuggable, "true"), 1), want: "debug-not-excluded:1"},
		{name: "debug not true", text: strings.Replace(aci(), `"equals":"false"`, `"notEquals":true`, 1)},
		{name: "debug of a machine", text: strings.Replace(cvm(), is(isolation+debuggable, "false"), is("x-ms-ver", "1.0"), 1), want: "debug-not-excluded:1"},
		{name: "kernel debugger", text: strings.Replace(launch(), is(debuggers[1], "false"), is("x-ms-ver", "1.0"), 1),
			want: "debuggers-not-excluded:1", fix: debuggers[1]},
		{name: "compliance", text: strings.Replace(aci(), is(compliance, "azure-compliant-uvm"), is("x-ms-ver", "1.0"), 1), want: "compliance-not-required:1"},
		{name: "secure boot", text: strings.Replace(cvm(), is(secureBoot, "true"), is("x-ms-ver", "1.0"), 1), want: "secure-boot-not-required:1"},
		{name: "svn", text: strings.Replace(aci(), svn, is("x-ms-ver", "1.0"), 1), want: "no-minimum-svn:1"},

		{name: "typo", text: aci(is("x-ms-sevsnpvm-host-data", digest)), want: "unknown-claim:7", fix: "write " + hostData},
		{name: "unknown", text: aci(is("my-claim", "x")), want: "unknown-claim:7", fix: "skrctl policy explain"},
		{name: "policy claim", text: aci(is("x-ms-policy.mine", "x"))},
		{name: "claim of another service", text: aci(is("x-ms-azurevm-ostype", "Linux")), platform: claims.ACI, want: "claim-not-on-platform:7"},
		{name: "needs prefix", text: cvm(is(measurement, strings.Repeat("a", 96))), want: "claim-prefix:7", fix: isolation + measurement},
		{name: "has prefix", text: aci(is(isolation+measurement, strings.Repeat("a", 96))), platform: claims.AKSKata,
			want: "claim-prefix:7 value-not-on-platform:3", fix: "write " + measurement},
		{name: "nonce", text: aci(is("nonce", "1")), want: "volatile-claim:7"},
		{name: "times", text: aci(`{"claim":"exp","greater":1}`), want: "volatile-claim:7"},
		{name: "report id of a machine", text: cvm(is(isolation+"x-ms-sevsnpvm-reportid", digest)), want: "volatile-claim:7"},
		{name: "runtime data", text: aci(is("x-ms-runtime.location", "here")), want: "guest-chosen-claim:7"},
		{name: "firmware's runtime data", text: cvm(is(isolation+"x-ms-runtime.vm-configuration.secure-boot", "true"))},

		{name: "upper case", text: aci(is(measurement, strings.Repeat("AB", 48))), want: "hex-form:7", fix: "write " + strings.Repeat("ab", 48)},
		{name: "0x", text: strings.Replace(aci(), digest, "0x"+digest, 1), want: "hex-form:4", fix: "write " + digest},
		{name: "base64", text: aci(is(measurement, strings.Repeat("qqqq", 16))), want: "hex-form:7", fix: "write " + strings.Repeat("aa", 48)},
		{name: "short", text: strings.Replace(aci(), digest, digest[:63], 1), want: "hex-form:4", fix: "64 hexadecimal digits"},
		{name: "not hex", text: strings.Replace(aci(), digest, "sha256", 1), want: "hex-form:4"},
		{name: "short chip", text: aci(is("x-ms-sevsnpvm-chipid", "5b0f3945c57a2338")), want: "volatile-claim:7"},
		{name: "PCR in hex", text: cvm(is(registerValues+"pcr4", strings.Repeat("0", 64))), want: "base64-form:7", fix: pcr4},
		{name: "True", text: strings.Replace(aci(), `"equals":"false"`, `"equals":"False"`, 1), want: "boolean-form:5 debug-not-excluded:1", fix: "write false"},
		{name: "boolean as number", text: cvm(`{"claim":"x-ms-azurevm-is-windows","equals":0}`), want: "boolean-form:7", fix: "write false"},
		{name: "boolean", text: strings.Replace(aci(), `"false"`, `false`, 1)},
		{name: "leading zeros", text: aci(is(guestSVN, "0115")), want: "number-form:7", fix: "write 115"},
		{name: "fraction", text: aci(`{"claim":"` + guestSVN + `","greater":1.5}`), want: "number-form:7"},
		{name: "hex number", text: aci(is(guestSVN, "0x10")), want: "number-form:7"},
		{name: "number", text: aci(is(guestSVN, "0"))},
		{name: "ordering text", text: aci(`{"claim":"x-ms-ver","less":"2"}`), want: "ordering-on-text:7"},
		{name: "ordering unknown", text: at(own, `{"claim":"x-ms-policy.level","less":"high"}`), want: "ordering-on-text:2"},
		{name: "ordering what the policy adds", text: at(own, `{"claim":"x-ms-policy.level","less":"-3"}`)},
		{name: "object", text: cvm(`{"claim":"x-ms-isolation-tee","notEquals":"x"}`), want: "compares-object:7"},
		{name: "list", text: cvm(is("x-ms-azurevm-attested-pcrs", "[0]")), want: "compares-object:7"},
		{name: "object exists", text: cvm(`{"claim":"x-ms-isolation-tee","exists":true}`)},
		{name: "exists", text: cvm(`{"claim":"x-ms-azurevm-is-windows","exists":true}`), want: "exists-ignores-value:7"},
		{name: "value of another service", text: strings.Replace(aci(), "azure-compliant-uvm", "azure-signed-katacc-uvm", 1), platform: claims.ACI,
			want: "value-not-on-platform:3", fix: "write azure-compliant-uvm"},
		{name: "capitals in a value", text: strings.Replace(aci(), "sevsnpvm\"}", "SevSnpVm\"}", 1), want: "value-not-on-platform:2", fix: "write sevsnpvm"},

		{name: "duplicate", text: aci(is("x-ms-ver", "1.0"), is("x-ms-ver", "1.0")), want: "duplicate-condition:8"},
		{name: "duplicate as boolean", text: aci(`{"claim":"` + debuggable + `","equals":false}`), want: "duplicate-condition:7"},
		{name: "duplicate alternative", text: aci(anyOf(is("x-ms-ver", "1"), is("x-ms-ver", "1"))), want: "duplicate-condition:7"},
		{name: "always met", text: aci(anyOf(is("x-ms-ver", "1"), is(attestationType, "sevsnpvm"))), want: "duplicate-condition:7"},
		{name: "contradiction", text: aci(is("x-ms-ver", "1"), is("x-ms-ver", "2")), want: "contradiction:8"},
		{name: "contradiction, nested", text: aci(allOf(allOf(is("x-ms-ver", "1"))), is("x-ms-ver", "2")), want: "contradiction:8"},
		{name: "contradiction, order", text: aci(anyOf(is("x-ms-ver", "1"), "\n"+is("x-ms-ver", "2")), is("x-ms-ver", "1")),
			want: "contradiction:8 duplicate-condition:7"},
		{name: "alternatives", text: aci(anyOf(is("x-ms-ver", "1"), is("x-ms-ver", "2")))},
		{name: "not itself", text: aci(is("x-ms-ver", "1"), `{"claim":"x-ms-ver","notEquals":"1"}`), want: "contradiction:8"},
		{name: "absent", text: aci(is("x-ms-ver", "1"), `{"claim":"x-ms-ver","exists":false}`), want: "contradiction:8"},
		{name: "range", text: aci(`{"claim":"x-ms-sevsnpvm-vmpl","less":1}`, `{"claim":"x-ms-sevsnpvm-vmpl","greaterOrEquals":"1"}`), want: "contradiction:8"},
		{name: "range of one", text: aci(`{"claim":"x-ms-sevsnpvm-vmpl","lessOrEquals":1}`, `{"claim":"x-ms-sevsnpvm-vmpl","greater":0}`)},
		{name: "outside", text: aci(`{"claim":"x-ms-sevsnpvm-vmpl","less":1}`, is("x-ms-sevsnpvm-vmpl", "1")), want: "contradiction:8"},
		{name: "outside, below", text: aci(`{"claim":"x-ms-sevsnpvm-vmpl","greater":1}`, is("x-ms-sevsnpvm-vmpl", "1")), want: "contradiction:8"},
		{name: "shadowed", text: aci(anyOf(is("x-ms-ver", "1"), "\n"+allOf(is("x-ms-ver", "1"), is("x-ms-policy-hash", "a")))), want: "shadowed-branch:8"},
		{name: "shadowed before", text: aci(anyOf(allOf(is("x-ms-ver", "1"), is("x-ms-policy-hash", "a")), "\n"+is("x-ms-ver", "1"))), want: "shadowed-branch:7"},
		{name: "equal branches", text: aci(anyOf(allOf(is("x-ms-ver", "1"), is("iss", "a")), "\n"+allOf(is("iss", "a"), is("x-ms-ver", "1")))),
			want: "shadowed-branch:8"},
		{name: "shadowed by a number", text: aci(anyOf(`{"claim":"`+guestSVN+`","greater":1}`, "\n"+`{"claim":"`+guestSVN+`","greaterOrEquals":3}`)),
			want: "shadowed-branch:8"},
		{name: "shadowed by a group", text: aci(anyOf(anyOf(is("x-ms-ver", "1"), is("x-ms-ver", "2")), "\n"+is("x-ms-ver", "2"))), want: "shadowed-branch:8"},
		{name: "shadowed authority", text: `{"version":"1.0.0","anyOf":[{"authority":"` + own + `","anyOf":[` + is("x-ms-ver", "1") + `]},` + "\n" +
			`{"authority":"` + own + `","allOf":[` + is("x-ms-policy-hash", "a") + "," + is("x-ms-ver", "1") + `]}]}`, want: "authority-twice:2 shadowed-branch:2"},
	}
	fired := make(map[string]bool)
	for _, c := range cases {
		findings := Check([]byte(c.text), Subject{Platform: c.platform})
		var got []string
		fixed := c.fix == ""
		for _, f := range findings {
			got = append(got, fmt.Sprintf("%s:%d", f.Name, f.Line))
			fixed = fixed || strings.Contains(f.Fix, c.fix)
			fired[f.Name] = true
			if f.Found == "" || f.Fix == "" || f.Column < 1 {
				t.Errorf("%s: %+v is incomplete", c.name, f)
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != c.want || !fixed {
			t.Errorf("%s: %v; want %q and a fix with %q\n%+v\n%s", c.name, got, c.want, c.fix, findings, c.text)
		}
	}
	for _, rule := range Rules() {
		if !fired[rule.Name] && rule.Name != "mutable-policy" && rule.Name != "other-workload" { // these need a Subject
			t.Errorf("no case reports %s", rule.Name)
		}
	}
}

func TestCheckMutable(t *testing.T) {
	for _, immutable := range []*bool{nil, new(true), new(false)} {
		findings := Check([]byte(aci()), Subject{Immutable: immutable})
		found := len(findings) == 1 && findings[0].Name == "mutable-policy" && findings[0].Line == 0
		if found != (immutable != nil && !*immutable) {
			t.Errorf("immutable %v: %+v", immutable, findings)
		}
	}
}

func TestCheckOtherWorkload(t *testing.T) {
	other := strings.Repeat("ab", 32)
	for _, c := range []struct {
		workloads []string
		text      string
		want      int
	}{
		{nil, aci(), 0},
		{[]string{digest}, aci(), 0},
		{[]string{other, digest}, aci(), 0},
		{[]string{other}, aci(), 1},
		{[]string{other}, at(own, is("x-ms-ver", "1.0")), 0}, // without HOST_DATA, no-hostdata says so
	} {
		found := 0
		for _, f := range Check([]byte(c.text), Subject{Workloads: c.workloads}) {
			if f.Name == "other-workload" && f.Line > 0 {
				found++
			}
		}
		if found != c.want {
			t.Errorf("%q: %d findings, want %d", c.workloads, found, c.want)
		}
	}
}

func TestCheckIsBounded(t *testing.T) {
	many := make([]string, 3000)
	for i := range many {
		many[i] = fmt.Sprintf(`{"anyOf":[{"claim":"c","less":%d}]}`, i)
	}
	for name, text := range map[string]string{
		"alternatives": at(own, anyOf(many...)),
		"conditions":   at(own, many...),
		"unknown":      at(own, slices.Repeat([]string{is("x-ms-sevsnpvm-\\u001b[31m", "x")}, 2000)...),
	} {
		findings := Check([]byte(text), Subject{})
		if len(findings) > maxFindings {
			t.Errorf("%s: %d findings", name, len(findings))
		}
		for _, f := range findings {
			if strings.ContainsRune(f.Found+f.Fix, '\x1b') {
				t.Fatalf("%s: %q", name, f.Found)
			}
		}
	}
}

// This policy is in production use. The findings must be true for it.
func TestCheckPolicyInProduction(t *testing.T) {
	count := make(map[string]int)
	for _, f := range Check(samples.Read(t, "cvm/release-policy-30-authorities.json"), Subject{}) {
		count[f.Name]++
	}
	t.Log(count)
	untrue := count["unknown-claim"] + count["contradiction"] + count["claim-prefix"] + count["value-not-on-platform"]
	if count["shared-authority"] < 25 || count["debug-not-excluded"] < 25 || untrue > 0 {
		t.Errorf("findings: %v", count)
	}
}

func TestRulesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\| (error|warning|info) \\| (.*) \\|$").FindAllStringSubmatch(string(page), -1)
	var got, want []string
	for _, row := range rows {
		got = append(got, row[1]+" "+row[2]+" "+row[3])
	}
	for _, rule := range Rules() {
		want = append(want, rule.Name+" "+Format.Words[rule.Severity]+" "+rule.Summary)
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/policies.md has\n%s\nand the code\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func FuzzCheck(f *testing.F) {
	for _, text := range []string{aci(), cvm(is("nonce", "1")), launch(), at("x", anyOf(is("a", "b"), is("a", "b"))), aci(is("a", "b") + ","),
		at(own, `{"claim":"x-ms-sevsnpvm-vmpl","less":-1}`, `{"claim":"x-ms-sevsnpvm-vmpl","greater":"99999999999999999999"}`), "{"} {
		f.Add([]byte(text), "")
		f.Add([]byte(text), "cvm")
	}
	f.Fuzz(func(t *testing.T, text []byte, platform string) {
		findings := Check(text, Subject{Platform: claims.Platform(platform)})
		_, err := releasepolicy.Parse(text)
		if err != nil && !failed(findings) {
			t.Fatalf("%v is not a valid finding", err)
		}
		for _, f := range findings {
			if f.Line < 1 || f.Found == "" || f.Fix == "" || strings.ContainsAny(f.Found+f.Fix, "\n\r\x1b") {
				t.Fatalf("%+v", f)
			}
		}
	})
}

func failed(findings []check.Result) bool {
	return slices.ContainsFunc(findings, func(f check.Result) bool { return f.Outcome == Error })
}

// Advice for real policies names the claims of their technology.
func TestCheckRealPolicies(t *testing.T) {
	findings := Check(samples.Read(t, "turn2/09-policy-check/p11-learn-uvm-cvm.json"), Subject{})
	if !slices.ContainsFunc(findings, func(f check.Result) bool { return f.Name == "mixed-platforms" && f.Outcome == Error }) {
		t.Errorf("HOST_DATA with azure-compliant-cvm: %+v", findings)
	}
	tdx := false
	for _, f := range Check(samples.Read(t, "turn2/09-policy-check/p5-tdx-cvm.json"), Subject{}) {
		tdx = tdx || strings.Contains(f.Fix, tdxDebug)
		if strings.Contains(f.Found+f.Fix, "x-ms-sevsnpvm") {
			t.Errorf("a TDX policy is given advice for SEV-SNP: %+v", f)
		}
	}
	if !tdx {
		t.Error("no finding for a TDX policy that does not exclude debugging")
	}
}
