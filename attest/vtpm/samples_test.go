package vtpm_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strconv"
	"strings"
	"testing"
	"time"

	"skr/attest/vtpm"
	"skr/test/samples"
)

func read[T any](t *testing.T, name string) (value T) {
	t.Helper()
	if err := json.Unmarshal(samples.Read(t, name), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func fromHex(t *testing.T, text string) []byte {
	t.Helper()
	return must(hex.DecodeString(strings.TrimSpace(text)))(t)
}

// A confidential VM: HCL report, binding, quote over all PCRs, AK certificate.
func TestSampleBundle(t *testing.T) {
	bundle := read[struct {
		Report struct {
			SnpCvm struct {
				Nonce    []byte
				Evidence struct {
					TPMQuote, HCLReport, AIKCert []byte
					PCRs                         map[string][]byte
				}
			}
		}
	}](t, "cvm/milan-2025-evidence.json").Report.SnpCvm
	h := must(vtpm.ParseHCL(bundle.Evidence.HCLReport))(t)
	checkError(t, h.CheckBound(), "")
	quote := must(vtpm.ParseQuote(bundle.Evidence.TPMQuote))(t)
	ak := must(h.Claims().AK())(t)
	checkError(t, quote.VerifySignature(ak), "")
	checkError(t, quote.CheckNonce(bundle.Nonce), "")
	checkError(t, quote.CheckSelection(1<<24-1), "")
	pcrs := vtpm.PCRs{}
	for name, value := range bundle.Evidence.PCRs {
		pcrs[must(strconv.Atoi(name))(t)] = vtpm.Digest(value)
	}
	checkError(t, quote.CheckPCRs(pcrs), "")
	certificate := must(vtpm.ParseAKCertificate(bundle.Evidence.AIKCert))(t)
	if !certificate.Key().Equal(ak) {
		t.Error("the certificate is not for HCLAkPub")
	}
	checkError(t, certificate.Verify(vtpm.AzureRoots(), nil, certificate.Certificate().NotBefore.Add(time.Hour)), "")
	if on, known := h.Claims().SecureBoot(); !on || !known {
		t.Error("the claims do not report secure boot")
	}
	pcrs[4] = vtpm.Digest{}
	checkError(t, quote.CheckPCRs(pcrs), "the values have the digest")
}

// A quote with a 48-byte nonce and a separate signature.
func TestSampleQuote(t *testing.T) {
	evidence := read[struct {
		Quote struct {
			Signature, Message string
			PCRs               []string
		} `json:"tpm_quote"`
		HCLReport string `json:"hcl_report"`
	}](t, "cvm/milan-quote-with-nonce.json")
	h := must(vtpm.ParseHCL(must(base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(evidence.HCLReport)))(t)))(t)
	checkError(t, h.CheckBound(), "")
	quote := must(must(vtpm.ParseQuote(fromHex(t, evidence.Quote.Message)))(t).WithSignature(fromHex(t, evidence.Quote.Signature)))(t)
	checkError(t, quote.VerifySignature(must(h.Claims().AK())(t)), "")
	pcrs := vtpm.PCRs{}
	for pcr, value := range evidence.Quote.PCRs {
		pcrs[pcr] = must(vtpm.ParseDigest(value))(t)
	}
	checkError(t, quote.CheckPCRs(pcrs), "")
	if len(quote.Nonce()) != 48 {
		t.Errorf("the nonce is %x", quote.Nonce())
	}
	if _, ok := h.Claims().UserData(); !ok {
		t.Error("user-data is missing")
	}
}

// A report of 2022: 2048 bytes, one key, no user-data.
func TestSampleOldHCL(t *testing.T) {
	h := must(vtpm.ParseHCL(samples.Read(t, "cvm/hcl-report-2022.bin")))(t)
	checkError(t, h.CheckBound(), "")
	must(h.Claims().AK())(t)
	if _, ok := h.Claims().UserData(); ok {
		t.Error("user-data is present")
	}
}

// Trusted Launch: the quote verifies with the key that made it. That is not the
// certified key.
func TestSampleTrustedLaunch(t *testing.T) {
	block, _ := pem.Decode(samples.Read(t, "trusted-launch/ak.pub"))
	made, ok := must(x509.ParsePKIXPublicKey(block.Bytes))(t).(*rsa.PublicKey)
	if !ok {
		t.Fatal("ak.pub is not an RSA key")
	}
	quote := must(vtpm.ParseQuote(samples.Read(t, "trusted-launch/quote.msg")))(t)
	quote = must(quote.WithSignature(samples.Read(t, "trusted-launch/quote.sig")))(t)
	checkError(t, quote.VerifySignature(made), "")
	checkError(t, quote.CheckNonce(fromHex(t, string(samples.Read(t, "trusted-launch/nonce.hex")))), "")
	checkError(t, quote.CheckSelection(firstEight), "")
	pcrs := vtpm.PCRs{}
	list := samples.Read(t, "trusted-launch/pcrs.bin")[136:] // as tpm2-tools writes them
	for pcr := range 8 {
		at := 4 + pcr*66
		if size := binary.LittleEndian.Uint16(list[at:]); size != 32 {
			t.Fatalf("PCR %d has %d bytes", pcr, size)
		}
		pcrs[pcr] = vtpm.Digest(list[at+2 : at+34])
	}
	checkError(t, quote.CheckPCRs(pcrs), "")

	certificate := must(vtpm.ParseAKCertificate(samples.Read(t, "trusted-launch/akcert_0x01C101D0.der")))(t)
	checkError(t, certificate.Verify(vtpm.AzureRoots(), nil, time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)), "")
	checkError(t, quote.VerifySignature(certificate.Key()), "has not signed")
}

// Logs of other clouds replay and report secure boot.
func TestSampleEventLogs(t *testing.T) {
	for name, on := range map[string]bool{
		"cos-101-amd-sev.bin": true, "rhel8-uefi.bin": true, "ubuntu-2104-no-secure-boot.bin": false, "ubuntu-2404-amd-sevsnp.bin": false,
	} {
		t.Run(name, func(t *testing.T) {
			log := must(vtpm.ParseEventLog(samples.Read(t, "event-logs/"+name)))(t)
			pcrs := log.Replay()
			// PCR 3 contains only separators, so its value is the same on Azure.
			if got := pcrs[3].String(); got != "3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969" {
				t.Errorf("PCR 3 is %s", got)
			}
			state := must(log.SecureBoot())(t)
			if state.Enabled != on || len(state.Databases) != 4 {
				t.Errorf("%+v", state)
			}
		})
	}
}

// Genuine HCL reports of TDX machines bind their claims, which name the TPM's key.
func TestSampleTDX(t *testing.T) {
	for _, file := range []string{
		"tdx/flashbots-2025-12-hcl-report.bin", "tdx/flashbots-hclreport.bin", "tdx/kinvolk-hcl-report-tdx.bin", "tdx/trustee-hcl-report.bin",
		"turn2/12-tdx-messages/hcl-report.bin", "turn2/02-tdx-passes-with-chain/hcl-report-tdx.bin",
	} {
		h := must(vtpm.ParseHCL(samples.Read(t, file)))(t)
		checkError(t, h.CheckBound(), "")
		if _, err := h.Claims().AK(); err != nil || h.Hardware() != vtpm.TDX || h.TDReport().MRTD().IsZero() {
			t.Errorf("%s: %s, %v", file, h.Hardware(), err)
		}
	}
}
