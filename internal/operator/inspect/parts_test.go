package inspect

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-sev-guest/verify/testdata"

	"skr/attest/snp"
)

// A member with a known name that cannot be read is a fault, whatever is wrong with it. An
// absent member is not a fault.
func TestKnownParts(t *testing.T) {
	report, chain := base64.StdEncoding.EncodeToString(testdata.AttestationBytes), string(chainPEM())
	garbage := strings.Repeat("A", 100)
	for _, c := range []struct {
		name, member string
		value        any
		fault        string
	}{
		{"garbage", "uvm_endorsements", garbage, "it cannot be read as: UVM endorsement"},
		{"short", "uvmEndorsements", "A", "it cannot be read as: UVM endorsement"},
		{"number", "reference-info-base64", 7, "it cannot be read as: UVM endorsement"},
		{"list", "uvm_endorsement", []any{1, 2, 3}, "it cannot be read as: UVM endorsement"},
		{"object", "UVM_Endorsements", map[string]any{"a": "b"}, "it cannot be read as: UVM endorsement"},
		{"another artefact", "uvm_endorsements", chain, "it is: VCEK certificate chain; want: UVM endorsement"},
		{"object with another artefact", "uvm_endorsements", map[string]any{"x": chain}, "it is: several artefacts; want: UVM endorsement"},
		{"forged", "mine", hex.EncodeToString(append(slices.Clone(coseSign1), testdata.AttestationBytes...)), `"mine": parsing endorsement: `},
		{"chain", "platformCertificates", garbage, "it cannot be read as: VCEK certificate chain"},
		{"HCL report", "hcl_report", garbage, "it cannot be read as: HCL report"},
		{"HCL report of another kind", "hclReport", report, "it is: SEV-SNP report; want: HCL report"},
		{"malformed HCL report", "x", base64.StdEncoding.EncodeToString([]byte("HCLA" + strings.Repeat("\xff", 100))), "it looks like: HCL report; but"},
		{"quote", "tpm_quote", map[string]any{"message": garbage, "signature": garbage}, "it cannot be read as: TPM quote"},
		{"PCRs", "pcrs", []any{strings.Repeat("ab", 32), "x"}, "it cannot be read as: PCR values"},
		{"event log", "event_log", garbage, "it cannot be read as: TCG event log"},
		{"AK certificate", "ak_certificate", garbage, "it cannot be read as: certificates"},
		{"token", "token", "opaque", "it cannot be read as: MAA token"},
		{"runtime data", "runtime_data", 7, "it is neither JSON nor base64"},
		{"CCE policy", "security-policy-base64", "*", "it is neither JSON nor base64"},
		{"nested", "outer", map[string]any{"uvm_endorsements": garbage}, "it cannot be read as: UVM endorsement"},
		{"nested in base64", "outer", base64.StdEncoding.EncodeToString([]byte(`{"uvm_endorsements":"` + garbage + `"}`)), "it cannot be read as: UVM endorsement"},
		{"of TDX", "td_quote", garbage, "it cannot be read"},
		{"in another spelling", "uvm.endorsements-B64", "AAAA", "it cannot be read as: UVM endorsement"},
		{"not there", "uvm_endorsements", "", ""},
		{"null", "uvm_endorsements", nil, ""},
		{"not known", "signature_of_mine", garbage, ""},
		{"short and not known", "version", 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := Recognise(jsonOf(t, map[string]any{"report": report, c.member: c.value}))
			if err != nil {
				t.Fatal(err)
			}
			if got := faults(found); c.fault == "" && got != "" || !strings.Contains(got, c.fault) {
				t.Errorf("faults %q, want %q", got, c.fault)
			}
			shown := textFor(t, found, goldenNow)
			if c.fault != "" && !strings.Contains(shown, "not shown") && !strings.Contains(shown, "does not verify") {
				t.Errorf("what cannot be read is hidden:\n%s", shown)
			}
		})
	}
}

func faults(found Artefact) string {
	var texts []string
	for _, p := range found.Parts() {
		if p.Err != nil {
			texts = append(texts, p.Err.Error())
		}
	}
	return strings.Join(texts, "; ")
}

// Members beside those that make up a kind are parsed too.
func TestBeside(t *testing.T) {
	for _, s := range specimens(t) {
		if s.kind != MAAToken && s.kind != MAARequest && s.kind != THIM && s.kind != Quote {
			continue
		}
		var members map[string]any
		if json.Unmarshal(s.data, &members) != nil {
			continue
		}
		members["uvm_endorsements"] = "x"
		found, err := Recognise(jsonOf(t, members))
		if err != nil || found.Kind() != s.kind {
			t.Fatalf("%s: %s, %v", s.name, found, err)
		}
		if got := faults(found); !strings.Contains(got, "UVM endorsement") {
			t.Errorf("%s: faults %q", s.name, got)
		}
	}
}

// Two parts that state different values for the same thing contradict each other. Equal
// values do not.
func TestContradictions(t *testing.T) {
	one, other := hex.EncodeToString(testdata.AttestationBytes), hex.EncodeToString(turinReport(t, snp.ReportData{1}))
	pcrs := func(digit string) map[string]any { return map[string]any{"0": strings.Repeat(digit, 64)} }
	for _, c := range []struct {
		name string
		a, b any
		want string
	}{
		{"reports", one, other, `"b": its report is another than that of "a"`},
		{"the same report", one, "0x" + strings.ToUpper(one), ""},
		{"in an HCL report", one, hex.EncodeToString(hclOf(turinReport(t, snp.ReportData{1}), hclTypeSNP, runtimeJSON)), "its report is another"},
		{"PCRs", pcrs("a"), pcrs("b"), "values of PCRs is another"},
		{"the same PCRs", pcrs("a"), pcrs("a"), ""},
		{"policies", regoText + strings.Repeat("# x\n", 10), regoText + strings.Repeat("# y\n", 10), "init-time data is another"},
		{"quotes", hex.EncodeToString(quoteOf([]byte("1"))), hex.EncodeToString(quoteOf([]byte("2"))), "quote is another"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := Recognise(jsonOf(t, map[string]any{"a": c.a, "b": c.b}))
			if err != nil {
				t.Fatal(err)
			}
			if got := faults(found); c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("faults %q, want %q", got, c.want)
			}
		})
	}
}

// Excess parts are a fault and are not silently left out.
func TestTooManyParts(t *testing.T) {
	members := map[string]any{"a": hex.EncodeToString(testdata.AttestationBytes), strings.Repeat("n", maxPath) + "_uvm_endorsements": strings.Repeat("x", 100)}
	found, err := Recognise(jsonOf(t, members))
	if err != nil {
		t.Fatal(err)
	}
	if got := faults(found); !strings.Contains(got, "name is too long") {
		t.Errorf("faults %q", got)
	}
	for i := range maxParts {
		members[fmt.Sprintf("b%02d", i)] = strings.Repeat("x", 100)
	}
	if found, err = Recognise(jsonOf(t, members)); err != nil {
		t.Fatal(err)
	}
	if got := faults(found); !strings.Contains(got, "more than 64 parts") {
		t.Errorf("faults %q", got)
	}
}

// Data that a report covers is returned under its name, as its exact bytes.
func TestBoundData(t *testing.T) {
	report := hex.EncodeToString(testdata.AttestationBytes)
	for _, c := range []struct {
		name, member string
		value        any
		want         Evidence
	}{
		{"JSON", "runtime_data", runtimeJSON, Evidence{RuntimeData: []byte(runtimeJSON)}},
		{"base64", "runtimeData", base64.StdEncoding.EncodeToString([]byte(" any ")), Evidence{RuntimeData: []byte(" any ")}},
		{"request", "runtimeData", map[string]any{"data": unpadded([]byte("x")), "dataType": "Binary"}, Evidence{RuntimeData: []byte("x")}},
		{"policy", "securityPolicyBase64", base64.StdEncoding.EncodeToString([]byte("x")), Evidence{InitTimeData: []byte("x")}},
		{"Rego", "mine", regoText + strings.Repeat("#\n", 40), Evidence{InitTimeData: []byte(regoText + strings.Repeat("#\n", 40))}},
		{"hex", "runtimeData", hex.EncodeToString([]byte(runtimeJSON)), Evidence{RuntimeData: []byte(runtimeJSON)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := Recognise(jsonOf(t, map[string]any{"report": report, c.member: c.value}))
			if err != nil {
				t.Fatal(err)
			}
			got, _ := found.Evidence()
			if !slices.Equal(got.RuntimeData, c.want.RuntimeData) || !slices.Equal(got.InitTimeData, c.want.InitTimeData) || faults(found) != "" {
				t.Errorf("runtime data %q, init-time data %q, faults %q", got.RuntimeData, got.InitTimeData, faults(found))
			}
		})
	}
}

// The exact bytes of an object are unknown. Beside exact bytes, the object has no effect;
// alone, it is a fault.
func TestLostData(t *testing.T) {
	alone := map[string]any{"report": hex.EncodeToString(testdata.AttestationBytes), "runtimeClaims": json.RawMessage(`{"a":{"b":1}}`)}
	both := maps.Clone(alone)
	both["runtime_data"] = runtimeJSON
	for want, document := range map[string]map[string]any{"its exact bytes are lost": alone, "": both} {
		found, err := Recognise(jsonOf(t, document))
		if err != nil {
			t.Fatal(err)
		}
		if got := faults(found); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("faults %q, want %q", got, want)
		}
		if !slices.ContainsFunc(found.Parts(), func(p Part) bool { return p.Path == "runtimeClaims" && !p.Bound }) {
			t.Errorf("the object is not reported: %+v", found.Parts())
		}
	}
}

// Members beside an artefact in its own object are parts like all others, even if that
// object is part of another one.
func TestBesideContradicts(t *testing.T) {
	other := hex.EncodeToString(turinReport(t, snp.ReportData{1}))
	for name, whole := range map[string][]byte{"request": requestOf(t, testdata.AttestationBytes), "THIM": thimOf(t)} {
		for member, value := range map[string]string{
			"snp_report": other, "hcl_report": hex.EncodeToString(hclOf(turinReport(t, snp.ReportData{1}), hclTypeSNP, runtimeJSON)),
		} {
			object := map[string]any{}
			if err := json.Unmarshal(whole, &object); err != nil {
				t.Fatal(err)
			}
			object[member] = value
			nested := map[string]any{"report": hex.EncodeToString(testdata.AttestationBytes), "x": object}
			for _, document := range []map[string]any{object, nested} {
				found, err := Recognise(jsonOf(t, document))
				if err != nil {
					t.Fatal(err)
				}
				if e, _ := found.Evidence(); e.Report == nil {
					t.Errorf("%s with %s: no report", name, member)
				}
				if document["x"] == nil && name == "THIM" {
					continue // the object has one report
				}
				if got := faults(found); !strings.Contains(got, "its report is another than that of") {
					t.Errorf("%s with %s: faults %q", name, member, got)
				}
			}
		}
	}
}

// A report must cover the runtime data beside a request without its own.
func TestBesideRequest(t *testing.T) {
	whole := map[string]any{}
	if err := json.Unmarshal(requestOf(t, testdata.AttestationBytes), &whole); err != nil {
		t.Fatal(err)
	}
	whole["runtimeData"], whole["runtime_data"] = nil, runtimeJSON
	found, err := Recognise(jsonOf(t, whole))
	if err != nil {
		t.Fatal(err)
	}
	if e, _ := found.Evidence(); string(e.RuntimeData) != runtimeJSON {
		t.Errorf("runtime data %q", e.RuntimeData)
	}
}

// MAA reads one endorsement in one place. A second one, or one in another spelling, would
// not be verified.
func TestRequestEndorsements(t *testing.T) {
	for _, text := range []string{
		`{"Uvm":["AA"],"Uvm":["BB"]}`, `{"Uvm":["AA"],"uvm":["BB"]}`, `{"uvm":["AA"]}`, `{"Uvm":["AA"],"Other":["BB"]}`,
		`{"Uvm":["AA","BB"]}`, `{"Uvm":[7]}`, `{"Uvm":[""]}`, `["AA"]`,
	} {
		inner := jsonOf(t, map[string]string{"SnpReport": unpadded(testdata.AttestationBytes), "Endorsements": unpadded([]byte(text))})
		found, err := Recognise(jsonOf(t, map[string]any{"report": unpadded(inner)}))
		if err != nil {
			t.Fatal(err)
		}
		e, _ := found.Evidence()
		if e.EndorsementErr == nil || !strings.Contains(e.EndorsementErr.Error(), "ndorsement") || strings.Contains(e.EndorsementErr.Error(), "uvm:") {
			t.Errorf("%s: %v", text, e.EndorsementErr)
		}
	}
}

// A request's own report may have endorsements under a name that MAA does not read.
func TestBesideReport(t *testing.T) {
	whole, inner := map[string]any{}, map[string]any{}
	if err := json.Unmarshal(requestOf(t, testdata.AttestationBytes), &whole); err != nil {
		t.Fatal(err)
	}
	text, _ := decodeBase64([]byte(fmt.Sprint(whole["report"])))
	if err := json.Unmarshal(text, &inner); err != nil {
		t.Fatal(err)
	}
	inner["endorsements"] = "AAAA"
	whole["report"] = unpadded(jsonOf(t, inner))
	found, err := Recognise(jsonOf(t, whole))
	if err != nil {
		t.Fatal(err)
	}
	if got := faults(found); !strings.Contains(got, `"report.endorsements": it cannot be read`) {
		t.Errorf("faults %q", got)
	}
}

// A request to MAA with members of a wrong type is refused.
func TestRequestTypes(t *testing.T) {
	whole := map[string]any{}
	if err := json.Unmarshal(requestOf(t, testdata.AttestationBytes), &whole); err != nil {
		t.Fatal(err)
	}
	for _, value := range []any{7, "text", map[string]any{"data": 7}, []any{}, map[string]any{"Data": "eA"}, map[string]any{"data": "eA", "x": "eA"}} {
		whole["runtimeData"] = value
		if found, err := Recognise(jsonOf(t, whole)); err == nil {
			t.Errorf("runtimeData %v: recognised as %s", value, found)
		}
	}
}
