package verify_test

import (
	"slices"
	"testing"
	"time"

	"skr/attest/vcek"
	"skr/attest/vtpm"
	"skr/internal/check"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
	"skr/test/samples"
)

func checkNamed(t *testing.T, v *verify.Verdict, name string) check.Result {
	t.Helper()
	at := slices.IndexFunc(v.Checks, func(c check.Result) bool { return c.Name == name })
	if at < 0 {
		t.Fatalf("no check %q: %+v", name, v.Checks)
	}
	return v.Checks[at]
}

// The verdict reports that a chain was completed and with what.
func TestSampleCompleted(t *testing.T) {
	found := must(inspect.Recognise(samples.Read(t, "turn2/10-lone-vcek/evidence-v1.json")))(t)
	evidence, _ := found.Evidence()
	given := verify.Given{Evidence: evidence, Parts: found.Parts()}
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	v := verify.OfEvidence(given, verify.Silicon{Roots: vcek.BuiltinRoots()}, at)
	want := "of Milan, it came with the evidence, completed with AMD's public ASK and ARK"
	if got := checkNamed(t, v, "certificate chain").Found; got != want || !v.Passed {
		t.Errorf("certificate chain %q, want %q", got, want)
	}
	v = verify.OfEvidence(given, verify.Silicon{Roots: newMachine(t).silicon.Roots}, at)
	if got := checkNamed(t, v, "certificate chain"); got.Outcome != check.Failed || v.Passed {
		t.Errorf("with other roots the chain is %+v", got)
	}
}

// TDX evidence is named as such.
func TestSampleTDXNames(t *testing.T) {
	for file, name := range map[string]string{
		"turn2/12-tdx-messages/evidence-v1.json": "evidence of a TDX machine", "turn2/12-tdx-messages/hcl-report.bin": "HCL report of a TDX machine",
		"turn2/12-tdx-messages/td-quote.bin": "TDX quote", "tdx/flashbots-2026-td-quote-v5-low-tcb.bin": "TDX quote",
	} {
		found := must(inspect.Recognise(samples.Read(t, file)))(t)
		if found.String() != name {
			t.Errorf("%s is called %q, want %q", file, found, name)
		}
		for _, p := range found.Parts() {
			if p.Err != nil {
				t.Errorf("%s: %v", file, p.Err)
			}
		}
	}
}

// A quote and the certificate of its key verify, whether the certificate is the index or PEM
// of the whole index.
func TestSamplePaddedCertificate(t *testing.T) {
	const folder = "turn2/06-ak-pem-padded/"
	policy := must(verify.ParseBootPolicy(samples.Read(t, folder+"pol-cert.yaml")))(t)
	for _, name := range []string{"fb25-ak.index", "fb25-ak.pem"} {
		t.Run(name, func(t *testing.T) {
			files := []inspect.File{
				{Name: "fb25-quote.json", Found: must(inspect.Recognise(samples.Read(t, folder+"fb25-quote.json")))(t)},
				{Name: name, Found: must(inspect.Recognise(samples.Read(t, folder+name)))(t)},
			}
			joined := inspect.Join(files)
			machine := verify.Machine{Boot: joined.Boot(), Policy: policy, Roots: vtpm.AzureRoots(), Given: verify.Given{Parts: joined.Parts()}}
			v := verify.OfBoot(machine, verify.Silicon{}, time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC))
			if !v.Passed {
				t.Errorf("%+v", v.Checks)
			}
		})
	}
}

// Evidence as lists of numbers verifies as a measured boot too.
func TestSampleNumbersOfBoot(t *testing.T) {
	found := must(inspect.Recognise(samples.Read(t, "turn2/05-byte-lists/evidence-v0.json")))(t)
	evidence, _ := found.Evidence()
	machine := verify.Machine{
		Boot: found.Boot(), Policy: policyOf(t, "ak: hcl\nsecure_boot: false\nselection: ["+pcrNumbers+"]"), Roots: vtpm.AzureRoots(),
		Given: verify.Given{Evidence: evidence, Parts: found.Parts()},
	}
	v := verify.OfBoot(machine, verify.Silicon{Roots: vcek.BuiltinRoots()}, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
	for _, name := range []string{
		"contents", "certificate chain", "report signature", "runtime data", "attestation key", "quote signature", "PCR selection", "PCR values",
	} {
		if got := checkNamed(t, v, name); got.Outcome != check.OK {
			t.Errorf("%+v", got)
		}
	}
}

const pcrNumbers = "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23"
