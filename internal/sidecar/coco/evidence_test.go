package coco

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"skr/attest"
	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/tpm"
	"skr/attest/vtpm"
	"skr/test/samples"
	"skr/test/tdxtest"
)

func TestTEE(t *testing.T) {
	for platform, want := range map[attest.Platform]string{
		attest.Direct: "snp", attest.DirectTDX: "tdx", attest.ConfidentialVM: "az-snp-vtpm", attest.ConfidentialTDX: "az-tdx-vtpm",
		attest.TrustedLaunch: "", 0: "",
	} {
		if got := TEE(platform); got != want {
			t.Errorf("%s: %q, want %q", platform, got, want)
		}
	}
}

// Without a virtual TPM, evidence of TDX is the quote alone.
func TestTDXEvidence(t *testing.T) {
	vendor, err := tdxtest.NewVendor(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	platform, err := vendor.NewPlatform(tdxtest.PlatformOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := platform.Quote(tdxtest.TD{ReportData: tdx.ReportData{1}}.Report(), tdxtest.QuoteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	quote, err := tdx.ParseQuote(raw)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Evidence(&attest.Evidence{TDQuote: quote})
	if want := `{"quote":"` + base64.StdEncoding.EncodeToString(quote.Raw()) + `"}`; err != nil || string(text) != want {
		t.Errorf("evidence %s, error %v", text, err)
	}
	for want, e := range map[string]*attest.Evidence{
		"no report with its certificates": {Report: new(snp.Report)},
		"lacks PCR 0":                     {TDQuote: quote, Guest: &attest.Guest{}},
	} {
		if text, err := Evidence(e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("evidence %s, error %v, want %q", text, err, want)
		}
	}
}

// The evidence of a real machine has the form of the attester of guest-components, but for its
// version and for zeros after the report and the quote.
func TestAzureTDXEvidence(t *testing.T) {
	var want azureEvidence
	if err := json.Unmarshal(samples.Read(t, "turn2/12-tdx-messages/evidence-v1.json"), &want); err != nil {
		t.Fatal(err)
	}
	hcl, err := vtpm.ParseHCL(samples.Read(t, "turn2/12-tdx-messages/hcl-report.bin"))
	if err != nil {
		t.Fatal(err)
	}
	quote, err := tdx.ParseQuote(samples.Read(t, "turn2/12-tdx-messages/td-quote.bin"))
	if err != nil {
		t.Fatal(err)
	}
	signed := tpm.Attestation{Info: unhex(t, want.TPMQuote.Message), Signature: unhex(t, want.TPMQuote.Signature)}
	guest := &attest.Guest{HCL: hcl, Quote: signed, PCRs: vtpm.PCRs{}}
	for index, value := range want.TPMQuote.PCRs {
		guest.PCRs[index] = [32]byte(unhex(t, value))
	}
	text, err := Evidence(&attest.Evidence{TDQuote: quote, Guest: guest})
	var got azureEvidence
	if err != nil || json.Unmarshal(text, &got) != nil {
		t.Fatalf("evidence %s, error %v", text, err)
	}
	if got.Version != 2 || got.VCEK != "" || got.TPMQuote.Message != want.TPMQuote.Message || got.TPMQuote.Signature != want.TPMQuote.Signature ||
		strings.Join(got.TPMQuote.PCRs, " ") != strings.Join(want.TPMQuote.PCRs, " ") {
		t.Errorf("evidence %s", text)
	}
	for name, pair := range map[string][2]string{"hcl_report": {got.HCLReport, want.HCLReport}, "td_quote": {got.TDQuote, want.TDQuote}} {
		ours, theirs := decoded(t, pair[0]), decoded(t, pair[1])
		if rest, same := bytes.CutPrefix(theirs, ours); len(ours) < 1000 || !same || len(bytes.Trim(rest, "\x00")) > 0 {
			t.Errorf("%s: %s", name, pair[0])
		}
	}
	delete(guest.PCRs, 23)
	if text, err := Evidence(&attest.Evidence{TDQuote: quote, Guest: guest}); err == nil || !strings.Contains(err.Error(), "lacks PCR 23") {
		t.Errorf("evidence %s, error %v", text, err)
	}
}

// decoded decodes base64 of the URL alphabet with padding, which verifiers expect.
func decoded(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.URLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
