package verify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"skr/attest/tdx"
	"skr/attest/vtpm"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
	"skr/test/samples"
)

// readSamples joins files as skrctl does.
func readSamples(t *testing.T, files ...string) inspect.Artefact {
	t.Helper()
	var parts []inspect.File
	for _, name := range files {
		found := must(inspect.Recognise(samples.Read(t, name)))(t)
		if len(files) == 1 {
			return found
		}
		parts = append(parts, inspect.File{Name: name[strings.LastIndex(name, "/")+1:], Found: found})
	}
	return inspect.Join(parts)
}

// tdxSamples lists all samples of TDX with their expected outcomes, at the time of their
// collateral or, without, at a time of the machine.
var tdxSamples = []struct {
	files  string // separated by spaces
	at     string
	demand []string // tcb_status
	failed string   // checks, separated by commas
	text   string   // of the first failed check or, if none failed, of the TCB level
}{
	// A machine of December 2025, with the collateral of February 2026.
	{"tdx/flashbots-2025-12-td-quote-v4.bin tdx/flashbots-2025-12-hcl-report.bin tdx/flashbots-2026-02-collateral.yaml", "2026-03-01", []string{"UpToDate"}, "",
		"UpToDate by the platform as of 2024-11-13"},
	{"tdx/flashbots-2025-12-td-quote-v4.bin tdx/flashbots-2025-12-hcl-report.bin", "2026-03-01", nil, "", "there is none"},
	{"tdx/flashbots-2025-12-td-quote-v4.bin", "2026-03-01", []string{"UpToDate"}, "collateral,revocation,TCB level", "there is none"},
	{"tdx/flashbots-2025-12-td-quote-v4.bin tdx/flashbots-2026-02-collateral.yaml", "2026-06-01", nil, "", "UpToDate"},
	{"tdx/flashbots-2025-12-td-quote-v4.bin tdx/flashbots-2026-02-collateral.yaml", "2026-06-01", []string{"UpToDate"}, "collateral", "is out of date"},
	{"tdx/flashbots-2025-12-td-quote-v4.bin", "2025-01-01", nil, "PCK certificate", "is valid from 2025-07-29"},
	{"tdx/flashbots-2025-12-hcl-report.bin", "2026-03-01", nil, "TDX quote,PCK certificate,QE report,TDX signature,TD attributes,runtime data", "proves nothing"},
	{"tdx/flashbots-2025-12-td-quote-v4.bin tdx/trustee-hcl-report.bin", "2026-03-01", nil, "TD report,runtime data", "they differ in TEE_TCB_SVN"},

	// Version 5: genuine, of a platform that is below all levels of its FMSPC.
	{"tdx/flashbots-2026-td-quote-v5-low-tcb.bin tdx/flashbots-2026-02-collateral.yaml", "2026-03-01", nil, "", "NotSupported by the platform"},
	{"tdx/flashbots-2026-td-quote-v5-low-tcb.bin tdx/flashbots-2026-02-collateral.yaml", "2026-03-01", []string{"UpToDate", "OutOfDate"}, "TCB level",
		"it is NotSupported by the platform"},
	{"tdx/flashbots-2026-td-quote-v5-low-tcb.bin", "2026-03-01", nil, "", "there is none"},

	// Another machine with the same FMSPC and a lower level.
	{"tdx/microsoft-cat-td-quote-v4.bin tdx/flashbots-2026-02-collateral.yaml", "2026-03-01", nil, "", "NotSupported by the platform"},
	{"tdx/microsoft-cat-td-quote-v4.bin", "2026-03-01", nil, "", "there is none"},

	// A machine of 2023, which collateral of another FMSPC does not fit.
	{"tdx/trustee-td-quote-v4.bin tdx/trustee-hcl-report.bin", "2024-01-01", nil, "", "there is none"},
	{"tdx/trustee-td-quote-v4.bin tdx/flashbots-2026-02-collateral.yaml", "2026-03-01", nil, "collateral", "TCB info is for FMSPC 90c06f000000"},
	{"tdx/trustee-hcl-report.bin", "2024-01-01", nil, "TDX quote,PCK certificate,QE report,TDX signature,TD attributes,runtime data", "proves nothing"},
	{"turn2/12-tdx-messages/td-quote.bin turn2/12-tdx-messages/hcl-report.bin", "2024-01-01", nil, "", "there is none"},
	{"turn2/12-tdx-messages/td-quote.bin", "2024-01-01", nil, "", "there is none"},
	{"turn2/12-tdx-messages/hcl-report.bin", "2024-01-01", nil, "TDX quote,PCK certificate,QE report,TDX signature,TD attributes,runtime data", "proves nothing"},
	{"turn2/12-tdx-messages/evidence-v1.json", "2024-01-01", nil, "", "there is none"},
	{"turn2/02-tdx-passes-with-chain/hcl-report-tdx.bin", "2024-01-01", nil,
		"TDX quote,PCK certificate,QE report,TDX signature,TD attributes,runtime data", "proves nothing"},

	// Text was added to a genuine quote.
	{"tdx/googletdx-td-quote-v4-spr.bin", "2023-06-01", nil, "TDX signature", "39 bytes after it are not all zero"},

	// Reports without their quotes, and collateral without a quote.
	{"tdx/flashbots-hclreport.bin", "2024-06-01", nil, "TDX quote,PCK certificate,QE report,TDX signature,TD attributes,runtime data", "proves nothing"},
	{"tdx/kinvolk-hcl-report-tdx.bin", "2024-06-01", nil, "TDX quote,PCK certificate,QE report,TDX signature,TD attributes,runtime data", "proves nothing"},
	{"tdx/flashbots-2026-02-collateral.yaml", "2026-03-01", nil,
		"TDX quote,PCK certificate,QE report,TDX signature,TD attributes", "there is no TDX quote, which collateral is for"},
}

// Each sample of TDX verifies, or is refused for the right reason.
func TestSamplesOfTDX(t *testing.T) {
	for _, c := range tdxSamples {
		t.Run(c.files+" "+c.at+" "+strings.Join(c.demand, " "), func(t *testing.T) {
			found := readSamples(t, strings.Fields(c.files)...)
			for _, s := range found.Show(time.Now()).Sections {
				if len(s.Fields) == 0 && s.Title == "" {
					t.Error("a section without content")
				}
			}
			evidence, is := found.Evidence()
			if !is || !evidence.IsTDX() {
				t.Fatalf("it is %s", found)
			}
			v := verify.OfEvidence(verify.Given{Evidence: evidence, Parts: found.Parts()},
				verify.Silicon{Intel: verify.Platform{Policy: must(tdx.ParsePolicy(c.demand...))(t)}}, must(time.Parse(time.DateOnly, c.at))(t))
			if got := strings.Join(v.Failures(), ","); !sameNames(got, c.failed) {
				t.Errorf("failed %q, want %q: %+v", got, c.failed, v.Checks)
			}
			about := "TCB level"
			if c.failed != "" {
				about = v.Failures()[0]
			}
			if got := checkNamed(t, v, about).Found; !strings.Contains(got, c.text) {
				t.Errorf("%s: %q, want %q", about, got, c.text)
			}
		})
	}
}

func sameNames(a, b string) bool {
	one, other := strings.Split(a, ","), strings.Split(b, ",")
	slices.Sort(one)
	slices.Sort(other)
	return slices.Equal(one, other)
}

// The list has every file of the samples that holds evidence of TDX.
func TestSamplesOfTDXAreListed(t *testing.T) {
	var listed []string
	for _, c := range tdxSamples {
		listed = append(listed, strings.Fields(c.files)...)
	}
	for _, folder := range []string{"tdx", "turn2/12-tdx-messages"} {
		for _, file := range samples.Files(t, folder) {
			name := folder + "/" + file
			found, err := inspect.Recognise(samples.Read(t, name))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if evidence, is := found.Evidence(); is && evidence.IsTDX() && !slices.Contains(listed, name) {
				t.Errorf("%s is not listed", name)
			}
		}
	}
}

// The boot of a genuine TDX machine verifies: HCL report, TDX quote, TPM quote and PCRs.
func TestSampleTDXBoot(t *testing.T) {
	found := readSamples(t, "turn2/12-tdx-messages/evidence-v1.json")
	evidence, _ := found.Evidence()
	for _, c := range []struct {
		measurements string
		failed       []string
	}{
		{"any", nil}, {"[" + evidence.TDQuote.MRTD().String() + "]", nil}, {"[" + strings.Repeat("ab", 48) + "]", []string{"launch measurement"}},
	} {
		machine := verify.Machine{
			Boot:   found.Boot(),
			Policy: policyOf(t, "ak: hcl\nsecure_boot: false\nselection: [%s]\nmeasurements: %s", pcrNumbers, c.measurements),
			Roots:  vtpm.AzureRoots(), Given: verify.Given{Evidence: evidence, Parts: found.Parts()},
		}
		v := verify.OfBoot(machine, verify.Silicon{}, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))
		if !slices.Equal(v.Failures(), c.failed) {
			t.Errorf("%s: %+v", c.measurements, v.Checks)
		}
	}
}
