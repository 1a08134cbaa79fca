package snp_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/attest/snp"
	"skr/test/samples"
)

// member returns a string from JSON; "a.b" is member b of member a.
func member(t *testing.T, document []byte, path string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			t.Fatalf("no member %s of %s", name, path)
		}
		value = object[name]
	}
	text, ok := value.(string)
	if !ok {
		t.Fatalf("%s is %T, want a string", path, value)
	}
	return text
}

func decode64(t *testing.T, text string) []byte {
	t.Helper()
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// ofHCL returns the hardware report in an Azure confidential VM's HCL report. It
// starts at offset 32 (MicrosoftDocs/azure-docs, guest-attestation-
// confidential-virtual-machines-design).
func ofHCL(blob []byte) []byte { return blob[32 : 32+snp.ReportSize] }

func TestSamples(t *testing.T) {
	const (
		milan2023 = "bootloader 3, tee 0, snp 8, microcode 115"
		milan2025 = "bootloader 4, tee 0, snp 24, microcode 219"
	)
	tests := []struct {
		file, member string // path of a base64 member in JSON
		hcl          bool
		version      uint32
		product      snp.Product
		guestSVN     uint32
		tcb          string
		firmware     string
	}{
		{"aci-milan/snp_report.bin", "", false, 2, snp.ProductUnknown, 2, milan2023, "1.52.4"},
		{"aci-milan-v3/attestation.json", "report.snpCACI.attestation", false, 3, snp.Milan, 2, milan2025, "1.55.29"},
		{"cvm/hcl-report-2022.bin", "", true, 2, snp.ProductUnknown, 2, milan2023, "1.52.4"},
		{"cvm/milan-2025-evidence.json", "report.snpCvm.evidence.hclReport", true, 3, snp.Milan, 10, milan2025, "1.55.29"},
		{"cvm/milan-2025-evidence.json", "report.snpCvm.evidence.snpReport", false, 3, snp.Milan, 10, milan2025, "1.55.29"},
		{"cvm/milan-quote-with-nonce.json", "hcl_report", true, 3, snp.Milan, 12, milan2025, "1.55.29"},
	}
	for _, test := range tests {
		t.Run(test.file+" "+test.member, func(t *testing.T) {
			raw := samples.Read(t, test.file)
			if test.member != "" {
				raw = decode64(t, member(t, raw, test.member))
			}
			if test.hcl {
				raw = ofHCL(raw)
			}
			r := parse(t, raw)
			if r.Version() != test.version || r.Product() != test.product || r.GuestSVN() != test.guestSVN ||
				r.ReportedTCB().String() != test.tcb || r.CurrentVersion().String() != test.firmware {
				t.Errorf("got %s, guest SVN %d, firmware %s", r, r.GuestSVN(), r.CurrentVersion())
			}
			if r.Policy() != 0x3001f || r.VMPL() != 0 || r.SigningKey() != snp.VCEK || r.ChipID().IsZero() {
				t.Errorf("policy %s, VMPL %d, signing key %s, chip %s", r.Policy(), r.VMPL(), r.SigningKey(), r.ChipID())
			}
		})
	}
}

// sampleRequest returns the report of a request to Microsoft Azure Attestation.
func sampleRequest(t *testing.T, file string) *snp.Report {
	t.Helper()
	request := decode64(t, member(t, samples.Read(t, file), "report"))
	return parse(t, decode64(t, member(t, request, "SnpReport")))
}

// TestSampleRuntimeData checks that a genuine report binds its runtime data.
func TestSampleRuntimeData(t *testing.T) {
	report := sampleRequest(t, "aci-milan-v3/maa-request.json")
	if got, want := report.ReportData(), snp.Bind(samples.Read(t, "aci-milan-v3/runtime-data.jwks.json")); got != want {
		t.Errorf("REPORT_DATA %s, want %s", got, want)
	}
}

// TestSampleClaims compares a report with the claims that Microsoft Azure Attestation
// issued for it.
func TestSampleClaims(t *testing.T) {
	r := sampleRequest(t, "maa/aci-request.json")
	token := strings.Split(string(samples.Read(t, "maa/aci-token.jwt")), ".")
	var claims map[string]any
	if err := json.Unmarshal(decode64(t, token[1]), &claims); err != nil {
		t.Fatal(err)
	}
	tcb := r.ReportedTCB().Components()
	got := map[string]any{
		"authorkeydigest":   fmt.Sprintf("%x", r.AuthorKeyDigest()),
		"bootloader-svn":    float64(tcb.Bootloader),
		"familyId":          fmt.Sprintf("%x", r.FamilyID()),
		"guestsvn":          float64(r.GuestSVN()),
		"hostdata":          r.HostData().String(),
		"idkeydigest":       fmt.Sprintf("%x", r.IDKeyDigest()),
		"imageId":           fmt.Sprintf("%x", r.ImageID()),
		"is-debuggable":     r.Policy().Debug(),
		"launchmeasurement": r.Measurement().String(),
		"microcode-svn":     float64(tcb.Microcode),
		"migration-allowed": r.Policy().MigrationAgent(),
		"reportdata":        r.ReportData().String(),
		"reportid":          fmt.Sprintf("%x", r.ReportID()),
		"smt-allowed":       r.Policy().SMT(),
		"snpfw-svn":         float64(tcb.SNP),
		"tee-svn":           float64(tcb.TEE),
		"vmpl":              float64(r.VMPL()),
	}
	want := map[string]any{}
	for name, value := range claims {
		if claim, ok := strings.CutPrefix(name, "x-ms-sevsnpvm-"); ok {
			want[claim] = value
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-token +report):\n%s", diff)
	}
	if r.CurrentTCB().Components().Microcode != 0xd2 {
		t.Errorf("current TCB %s, want microcode 210: it differs from the reported TCB", r.CurrentTCB())
	}
}
