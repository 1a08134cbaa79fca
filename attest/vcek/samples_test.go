package vcek

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/attest/snp"
	"skr/test/samples"
	"skr/test/snptest"
)

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: der}))
}

func sampleReport(t testing.TB) *snp.Report {
	t.Helper()
	return parsed(t, samples.Read(t, "aci-milan/snp_report.bin"))
}

func parsed(t testing.TB, raw []byte) *snp.Report {
	t.Helper()
	report, err := snp.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func decoded(t *testing.T, text string) []byte {
	t.Helper()
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func unmarshal[T any](t *testing.T, data []byte) (value T) {
	t.Helper()
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// maaReport is the inner JSON of an attestation request.
type maaReport struct{ SnpReport, VcekCertChain string }

func maaSample(t *testing.T, name string) (report, chain []byte) {
	t.Helper()
	outer := unmarshal[struct{ Report string }](t, samples.Read(t, name))
	inner := unmarshal[maaReport](t, decoded(t, outer.Report))
	return decoded(t, inner.SnpReport), decoded(t, inner.VcekCertChain)
}

// TestGenuineChains verifies genuine reports with AMD's own roots.
func TestGenuineChains(t *testing.T) {
	for _, test := range []struct {
		name string
		load func(t *testing.T) (report, chain []byte)
	}{
		{"aci-milan PEM", func(t *testing.T) ([]byte, []byte) {
			return samples.Read(t, "aci-milan/snp_report.bin"), samples.Read(t, "aci-milan/uvm_host_amd_certificate.pem")
		}},
		{"aci-milan THIM", func(t *testing.T) ([]byte, []byte) {
			return samples.Read(t, "aci-milan/snp_report.bin"), samples.Read(t, "aci-milan/uvm_host_amd_certificate.json")
		}},
		{"aci-milan-v3 bundle", func(t *testing.T) ([]byte, []byte) {
			evidence := unmarshal[struct {
				Report struct {
					SnpCACI struct{ Attestation, PlatformCertificates string }
				}
			}](t, samples.Read(t, "aci-milan-v3/attestation.json")).Report.SnpCACI
			return decoded(t, evidence.Attestation), decoded(t, evidence.PlatformCertificates)
		}},
		{"aci-milan-v3 request", func(t *testing.T) ([]byte, []byte) { return maaSample(t, "aci-milan-v3/maa-request.json") }},
		{"maa request", func(t *testing.T) ([]byte, []byte) { return maaSample(t, "maa/aci-request.json") }},
		{"confidential VM", func(t *testing.T) ([]byte, []byte) {
			evidence := unmarshal[struct {
				Report struct {
					SnpCvm struct {
						Evidence             struct{ SnpReport string }
						PlatformCertificates string
					}
				}
			}](t, samples.Read(t, "cvm/milan-2025-evidence.json")).Report.SnpCvm
			return decoded(t, evidence.Evidence.SnpReport), []byte(evidence.PlatformCertificates)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw, document := test.load(t)
			report := parsed(t, raw)
			source, err := NewHostSource(document)
			if err != nil {
				t.Fatal(err)
			}
			chain, err := source.Chain(t.Context(), WantedBy(report))
			if err != nil {
				t.Fatal(err)
			}
			at := chain.leaf.NotBefore.AddDate(1, 0, 0)
			if err := chain.Verify(report, BuiltinRoots(), at); err != nil {
				t.Error(err)
			}
			again, err := ParsePEM(chain.PEM())
			if err != nil || !bytes.Equal(again.leaf.Raw, chain.leaf.Raw) {
				t.Errorf("its own PEM is parsed as %v", err)
			}
			if chain.TCB().Raw() != report.ReportedTCB().Raw() {
				t.Errorf("chain is for %s, report has %s", chain.TCB().Hex(), report.ReportedTCB().Hex())
			}
			raw[0xC0] ^= 1 // HOST_DATA
			checkError(t, chain.Verify(parsed(t, raw), BuiltinRoots(), at), "does not verify")
			checkError(t, chain.Verify(report, milan(t).roots, at), "not among the trusted")
			checkError(t, chain.Verify(report, BuiltinRoots(), chain.leaf.NotAfter.Add(time.Second)), "is valid from")
		})
	}
}

func TestGenuineHostDocument(t *testing.T) {
	document := decoded(t, string(samples.Read(t, "aci-security-context/host-amd-cert-base64")))
	chain, err := ParseTHIM(document)
	if err != nil {
		t.Fatal(err)
	}
	if chain.TCB().Hex() != "7308000000000003" || chain.Product() != snp.Milan {
		t.Errorf("got %s of %s", chain.TCB().Hex(), chain.Product())
	}
}

// TestGenuineTurin verifies genuine Turin certificates alone, because no genuine Turin
// report is public. The report comes from emulated silicon that claims the genuine
// chip. Verification fails only at its signature.
func TestGenuineTurin(t *testing.T) {
	leaf := samples.Read(t, "turin/vcek_turin_azure.pem")
	chain := mustParse(t, append(leaf, firstTwo(t, samples.Read(t, "amd-roots/turin_ask_ark_asvk.pem"))...))
	at := chain.leaf.NotBefore.AddDate(1, 0, 0)
	if err := chain.verifyCertificates(BuiltinRoots(), at); err != nil {
		t.Fatal(err)
	}
	want := snp.Components{FMC: 1, Bootloader: 3, TEE: 2, SNP: 5, Microcode: 0x5a}
	if diff := cmp.Diff(want, chain.TCB().Components()); diff != "" {
		t.Errorf("TCB (-want +got):\n%s", diff)
	}
	if got := chain.TCB().Hex(); got != "5a00000005020301" {
		t.Errorf("TCB is %s", got)
	}
	var id snp.ChipID
	copy(id[:], chain.endorsed.hwid)
	tcb := chain.TCB()
	claimed := reportOf(t, turin(t).first, snptest.Options{ChipID: &id, ReportedTCB: &tcb})
	checkError(t, chain.Verify(claimed, BuiltinRoots(), at), "the signature does not verify with the key of the VCEK")
}

func firstTwo(t *testing.T, text []byte) []byte {
	t.Helper()
	certificates, err := parseAllCertificates(text)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(pemOf(certificates[0].Raw) + pemOf(certificates[1].Raw))
}

func TestRootsEqualSamples(t *testing.T) {
	want := map[string]string{}
	for _, product := range []string{"milan", "genoa", "turin"} {
		roots, err := ParseRoots(samples.Read(t, "amd-roots/"+product+"_ask_ark_asvk.pem"))
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(want, fingerprints(roots))
	}
	if diff := cmp.Diff(want, fingerprints(BuiltinRoots())); diff != "" {
		t.Errorf("(-sample +built in):\n%s", diff)
	}
}

// TestGenuineHWID checks that the extension is the report's CHIP_ID without wrapping.
func TestGenuineHWID(t *testing.T) {
	report := sampleReport(t)
	chain := mustParse(t, samples.Read(t, "aci-milan/uvm_host_amd_certificate.pem"))
	if got := hex.EncodeToString(chain.endorsed.hwid); got != report.ChipID().String() {
		t.Errorf("hardware id %s, CHIP_ID %s", got, report.ChipID())
	}
}
