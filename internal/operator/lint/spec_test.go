package lint

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/internal/strictjson"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
	"skr/test/samples"
)

var (
	launched = strings.Repeat("0123456789ab", 8)
	zeroPCR  = strings.Repeat("0", 64)
)

// summary returns a policy as lines: authorities and conditions in words.
func summary(p *releasepolicy.Policy) string {
	var lines []string
	for _, tree := range p.Tree() {
		lines = append(lines, tree.Authority)
		for _, n := range tree.Conditions {
			lines = append(lines, "  "+n.String())
		}
	}
	return strings.Join(lines, "\n")
}

func TestNew(t *testing.T) {
	cases := map[string]struct {
		spec Spec
		want string
	}{
		"aci": {Spec{Platform: claims.ACI, Authorities: []string{"mine.weu.attest.azure.net"},
			HostData: []string{strings.ToUpper(digest)}, MinimumSVN: new(uint64(100))}, `
https://mine.weu.attest.azure.net
  x-ms-attestation-type equals sevsnpvm
  x-ms-compliance-status equals azure-compliant-uvm
  x-ms-sevsnpvm-hostdata equals ` + digest + `
  x-ms-sevsnpvm-is-debuggable equals false
  x-ms-sevsnpvm-uvm-endorsement.x-ms-sevsnpvm-guestsvn greaterOrEquals 100`},
		"aks-kata": {Spec{Platform: claims.AKSKata, Authorities: []string{own + "/", "https://other.weu.attest.azure.net"},
			HostData: []string{digest, strings.Repeat("1", 64)}}, `
https://mine.weu.attest.azure.net
  x-ms-attestation-type equals sevsnpvm
  x-ms-compliance-status equals azure-signed-katacc-uvm
  any of (x-ms-sevsnpvm-hostdata equals ` + digest + `; x-ms-sevsnpvm-hostdata equals ` + strings.Repeat("1", 64) + `)
  x-ms-sevsnpvm-is-debuggable equals false
https://other.weu.attest.azure.net
  x-ms-attestation-type equals sevsnpvm
  x-ms-compliance-status equals azure-signed-katacc-uvm
  any of (x-ms-sevsnpvm-hostdata equals ` + digest + `; x-ms-sevsnpvm-hostdata equals ` + strings.Repeat("1", 64) + `)
  x-ms-sevsnpvm-is-debuggable equals false`},
		"cvm": {Spec{Platform: claims.CVM, Authorities: []string{own}, Measurements: []string{launched}, PCRs: map[int]string{11: zeroPCR, 4: pcr4},
			MinimumSVN: new(uint64(65549)), MinimumTCB: &snp.Components{Bootloader: 3, SNP: 8, Microcode: 115}}, `
https://mine.weu.attest.azure.net
  x-ms-attestation-type equals azurevm
  x-ms-isolation-tee.x-ms-attestation-type equals sevsnpvm
  x-ms-isolation-tee.x-ms-compliance-status equals azure-compliant-cvm
  x-ms-isolation-tee.x-ms-sevsnpvm-launchmeasurement equals ` + launched + `
  x-ms-isolation-tee.x-ms-sevsnpvm-is-debuggable equals false
  secureboot equals true
  x-ms-azurevm-attested-pcr-values.pcr4 equals ` + pcr4 + `
  x-ms-azurevm-attested-pcr-values.pcr11 equals ` + pcr4 + `
  x-ms-isolation-tee.x-ms-sevsnpvm-guestsvn greaterOrEquals 65549
  x-ms-isolation-tee.x-ms-sevsnpvm-bootloader-svn greaterOrEquals 3
  x-ms-isolation-tee.x-ms-sevsnpvm-tee-svn greaterOrEquals 0
  x-ms-isolation-tee.x-ms-sevsnpvm-snpfw-svn greaterOrEquals 8
  x-ms-isolation-tee.x-ms-sevsnpvm-microcode-svn greaterOrEquals 115`},
		"cvm-tdx": {Spec{Platform: claims.CVMTDX, Authorities: []string{own}, Measurements: []string{launched}, PCRs: map[int]string{4: pcr4}}, `
https://mine.weu.attest.azure.net
  x-ms-attestation-type equals azurevm
  x-ms-isolation-tee.x-ms-attestation-type equals tdxvm
  x-ms-isolation-tee.x-ms-compliance-status equals azure-compliant-cvm
  x-ms-isolation-tee.tdx_mrtd equals ` + launched + `
  x-ms-isolation-tee.tdx_td_attributes_debug equals false
  secureboot equals true
  x-ms-azurevm-attested-pcr-values.pcr4 equals ` + pcr4},
		"trusted-launch": {Spec{Platform: claims.TrustedLaunch, Authorities: []string{own}}, `
https://mine.weu.attest.azure.net
  x-ms-attestation-type equals azurevm
  secureboot equals true
  x-ms-azurevm-bootdebug-enabled equals false
  x-ms-azurevm-kerneldebug-enabled equals false
  x-ms-azurevm-hypervisordebug-enabled equals false
  x-ms-azurevm-testsigning-enabled equals false
  x-ms-azurevm-flightsigning-enabled equals false`},
	}
	for name, c := range cases {
		policy, err := New(c.spec)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(strings.TrimSpace(c.want), summary(policy)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, f := range Check(policy.Raw(), Subject{Platform: c.spec.Platform}) {
			if f.Outcome != Info {
				t.Errorf("%s: findings for the output of New: %+v", name, f)
			}
		}
	}
}

func TestNewForAnyWorkload(t *testing.T) {
	policy, err := New(Spec{Platform: claims.ACI, Authorities: []string{own}, AnyWorkload: true})
	if err != nil || strings.Contains(string(policy.Raw()), hostData) {
		t.Fatalf("%v", err)
	}
	if findings := Check(policy.Raw(), Subject{}); !failed(findings) {
		t.Error("no finding")
	}
}

func TestNewRefuses(t *testing.T) {
	one := []string{own}
	cases := map[string]Spec{
		`platform "mars"`:                  {Platform: "mars", Authorities: one},
		"it needs an authority":            {Platform: claims.CVM},
		"only https is spoken":             {Platform: claims.CVM, Authorities: []string{"http://a.b"}},
		"aci needs the HOST_DATA":          {Platform: claims.ACI, Authorities: one},
		"aks-kata needs the HOST_DATA":     {Platform: claims.AKSKata, Authorities: one},
		"is not 64 hexadecimal digits":     {Platform: claims.ACI, Authorities: one, HostData: []string{digest[1:]}},
		"allows every container":           {Platform: claims.ACI, Authorities: one, HostData: []string{digest, allowAll[0]}},
		"is zero":                          {Platform: claims.ACI, Authorities: one, HostData: []string{zeroDigest}},
		"aci has no PCRs":                  {Platform: claims.ACI, Authorities: one, HostData: []string{digest}, PCRs: map[int]string{1: pcr4}},
		"cvm has no HOST_DATA":             {Platform: claims.CVM, Authorities: one, HostData: []string{digest}},
		"trusted-launch has no HOST_DATA":  {Platform: claims.TrustedLaunch, Authorities: one, AnyWorkload: true},
		"is not 96 hexadecimal digits":     {Platform: claims.CVM, Authorities: one, Measurements: []string{digest}},
		"cvm-tdx has no HOST_DATA":         {Platform: claims.CVMTDX, Authorities: one, HostData: []string{digest}},
		"cvm-tdx has none of the versions": {Platform: claims.CVMTDX, Authorities: one, MinimumSVN: new(uint64(1))},
		"trusted-launch has no report":     {Platform: claims.TrustedLaunch, Authorities: one, MinimumSVN: new(uint64(1))},
		"PCR 24 does not exist":            {Platform: claims.CVM, Authorities: one, PCRs: map[int]string{24: pcr4}},
		"of PCR 1 is not 32 bytes":         {Platform: claims.CVM, Authorities: one, PCRs: map[int]string{1: "AAAA"}},
		"of PCR 2 is not 32 bytes in hexa": {Platform: claims.CVM, Authorities: one, PCRs: map[int]string{2: "%"}},
	}
	for want, spec := range cases {
		if policy, err := New(spec); err == nil || policy != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

// A machine's token meets the policy made from its genuine report or token. A token with
// another HOST_DATA or version does not.
func TestAdopt(t *testing.T) {
	endorsed := mustClaims(t, samples.Read(t, "maa/aci-claims-with-uvm-endorsement.json"))
	spec := Spec{Platform: claims.ACI}
	if err := spec.Adopt(FactsOfClaims(endorsed), []string{"svn", "tcb", "launch-measurement"}); err != nil {
		t.Fatal(err)
	}
	policy, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	if !policy.Explain(endorsed.Members()).Met {
		t.Errorf("the machine's own token does not meet\n%s", policy.Raw())
	}
	for old, changed := range map[string]string{
		"fef932e0":    "fef932e1",
		`"100"`:       `"99"`,
		"-svn\": 115": "-svn\": 114",
		"03fea028":    "13fea028",
		"sharedeus.e": "sharedeus.f",
	} {
		text := strings.ReplaceAll(string(samples.Read(t, "maa/aci-claims-with-uvm-endorsement.json")), old, changed)
		if policy.Explain(mustClaims(t, []byte(text)).Members()).Met {
			t.Errorf("a token with %s is enough", changed)
		}
	}
}

func TestAdoptReport(t *testing.T) {
	report, err := snp.Parse(samples.Read(t, "aci-milan/snp_report.bin"))
	if err != nil {
		t.Fatal(err)
	}
	spec := Spec{Platform: claims.ACI}
	if err := spec.Adopt(FactsOfReport(report), []string{"tcb"}); err != nil {
		t.Fatal(err)
	}
	tcb := report.ReportedTCB().Components()
	if len(spec.HostData) != 1 || spec.HostData[0] != report.HostData().String() || *spec.MinimumTCB != tcb || len(spec.Authorities) > 0 {
		t.Errorf("%+v", spec)
	}
	for _, wanted := range []string{"svn", "pcr0", "pcr", "pcr-1", "everything", ""} {
		if err := spec.Adopt(FactsOfReport(report), []string{wanted}); err == nil || !strings.Contains(err.Error(), "does not say") {
			t.Errorf("%q: %v", wanted, err)
		}
	}
}

// A quote says only MRTD, which is the launch measurement of TDX and of no other platform.
func TestAdoptQuote(t *testing.T) {
	quote, err := tdx.ParseQuote(samples.Read(t, "tdx/trustee-td-quote-v4.bin"))
	if err != nil {
		t.Fatal(err)
	}
	facts := FactsOfQuote(quote)
	spec := Spec{Platform: claims.CVMTDX, Authorities: []string{own}}
	if err := spec.Adopt(facts, []string{"launch-measurement"}); err != nil || spec.Measurements[0] != quote.MRTD().String() {
		t.Errorf("%v, error %v", spec.Measurements, err)
	}
	for _, wanted := range []string{"svn", "tcb", "pcr0"} {
		if err := spec.Adopt(facts, []string{wanted}); err == nil {
			t.Errorf("%s was adopted", wanted)
		}
	}
	if err := (&Spec{Platform: claims.CVM}).Adopt(facts, []string{"launch-measurement"}); err == nil {
		t.Error("MRTD is the launch measurement of SEV-SNP")
	}
}

func TestAdoptMachine(t *testing.T) {
	guest := mustClaims(t, samples.Read(t, "maa/azureguest-claims-2022-windows.json"))
	spec := Spec{Platform: claims.CVM}
	if err := spec.Adopt(FactsOfClaims(guest), []string{"svn", "tcb", "launch-measurement"}); err != nil {
		t.Fatal(err)
	}
	policy, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	if !policy.Explain(guest.Members()).Met || len(spec.HostData) > 0 {
		t.Errorf("the machine's own token does not meet\n%s", policy.Raw())
	}
	token := mustClaims(t, []byte(`{"iss":"https://a.b","x-ms-azurevm-attested-pcr-values":{"pcr7":"`+pcr4+`"}}`))
	spec = Spec{Platform: claims.TrustedLaunch}
	if err := spec.Adopt(FactsOfClaims(token), []string{"pcr7"}); err != nil || spec.PCRs[7] != pcr4 || spec.Authorities[0] != "https://a.b" {
		t.Errorf("%+v, %v", spec, err)
	}
	if err := spec.Adopt(FactsOfClaims(token), []string{"tcb"}); err == nil {
		t.Error("a token without versions has a TCB")
	}
}

func mustClaims(t testing.TB, data []byte) strictjson.Object {
	t.Helper()
	token, err := ReadClaims(data)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestReadClaims(t *testing.T) {
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"me"}`))
	token := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + payload + ".c2ln"
	for _, text := range []string{`{"iss":"me"}`, " " + token + "\n", `{"token":"` + token + `"}`} {
		if got, _ := mustClaims(t, []byte(text)).Text("iss"); got != "me" {
			t.Errorf("%s: iss is %q", text, got)
		}
	}
	for _, text := range []string{"", "{", "hello", "a.b.c", `{"token":"a"}`, strings.Replace(token, payload, "W10", 1)} {
		if _, err := ReadClaims([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "reading claims: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOpen(t *testing.T) {
	encoded := base64.RawURLEncoding.EncodeToString([]byte(aci()))
	bundle := func(policy string) string {
		return `{"key":{"kid":"https://v/keys/k/1"},"release_policy":` + policy + `}`
	}
	for text, immutable := range map[string]*bool{
		aci():                                nil,
		encoded:                              nil,
		encoded + "\n":                       nil,
		bundle(`{"data":"` + encoded + `"}`): new(false),
		bundle(`{"data":"` + encoded + `=","immutable":true}`):   new(true),
		bundle(`{"data":"` + encoded + `==","immutable":false}`): new(false),
	} {
		d, err := Open([]byte(text))
		if err != nil || string(d.Text) != aci() || !cmp.Equal(d.Immutable, immutable) {
			t.Errorf("%.60s: %.20q, %v, %v", text, d.Text, d.Immutable, err)
		}
	}
	for _, text := range []string{bundle("null"), bundle(`{"data":"%"}`), `{"key":{}}`} {
		if _, err := Open([]byte(text)); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
	for _, text := range []string{"", "{", "hello world", `{"version":1}`} {
		if d, err := Open([]byte(text)); err != nil || string(d.Text) != text {
			t.Errorf("%q: %q, %v", text, d.Text, err)
		}
	}
}

func BenchmarkThirtyAuthorities(b *testing.B) {
	text := samples.Read(b, "cvm/release-policy-30-authorities.json")
	token := samples.Read(b, "maa/cvm-genoa-token.jwt")
	b.ReportAllocs()
	for b.Loop() {
		policy, err := releasepolicy.Parse(text)
		if err != nil {
			b.Fatal(err)
		}
		findings := Check(text, Subject{Platform: claims.CVM})
		e := policy.Explain(mustClaims(b, token).Members())
		if out, err := json.Marshal(e); err != nil || len(findings) == 0 || len(out) == 0 || e.Text(releasepolicy.PlainMarks) == "" {
			b.Fatal(err)
		}
	}
}
