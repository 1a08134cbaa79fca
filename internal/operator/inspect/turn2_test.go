package inspect

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"skr/test/samples"
)

// Real files are described correctly.
func TestSampleNames(t *testing.T) {
	for file, want := range map[string]string{
		"turn2/08-az-key-show/az-key-show.json":                      "Authority https://",
		"turn2/15-forms/key-azcli-show.json":                         "Authority https://",
		"turn2/10-lone-vcek/milanv0-vcek.pem":                        "AMD's public ASK and ARK",
		"turn2/13-cose-not-uvm/css-attested-cosesign1-20260302.cose": "COSE_Sign1, not a UVM endorsement",
		"turn2/01-uvm-endorsement-octet-stream/uvm_0.2.10.cose":      "UVM endorsement\n",
		"turn2/12-tdx-messages/td-quote.bin":                         "TDX quote\n",
		"turn2/12-tdx-messages/hcl-report.bin":                       "HCL report of a TDX machine\n",
		"turn2/02-tdx-passes-with-chain/hcl-report-tdx.bin":          "HCL report of a TDX machine\n",
		"tdx/googletdx-td-quote-v4-spr.bin":                          "TDX quote\n",
		"tdx/flashbots-2026-td-quote-v5-low-tcb.bin":                 "TDX quote\n",
		"turn2/06-ak-pem-padded/fb25-ak.pem":                         "Certificate of CN=353c6d9a70bc.ConfidentialVM.Azure.windows.net",
	} {
		found, err := Recognise(samples.Read(t, file))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if text := textFor(t, found, goldenNow); !strings.Contains(text, want) {
			t.Errorf("%s: %q is missing:\n%s", file, want, text)
		}
	}
}

// A SHA-1 event log is identified as such and refused.
func TestSampleSHA1Log(t *testing.T) {
	_, err := Recognise(samples.Read(t, "turn2/11-sha1-log/debian-10.bin"))
	if err == nil || !strings.Contains(err.Error(), "it looks like: TCG event log; but") || !strings.Contains(err.Error(), "digests of SHA-1 only") {
		t.Errorf("got %v", err)
	}
}

// The certificate is the same from the index, from PEM of the index and from a member.
func TestSamplePadded(t *testing.T) {
	index := samples.Read(t, "turn2/06-ak-pem-padded/fb25-ak.index")
	inPEM := samples.Read(t, "turn2/06-ak-pem-padded/fb25-ak.pem")
	member := func(value any) []byte { return jsonOf(t, map[string]any{"ak_certificate": value}) }
	for name, data := range map[string][]byte{
		"index": index, "PEM": inPEM, "PEM as a member": member(string(inPEM)), "index as a member": member(unpadded(index)), "numbers": member(numbersOf(index)),
	} {
		found, err := Recognise(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if boot := found.Boot(); boot.Certificate == nil || faults(found) != "" {
			t.Errorf("%s: no AK certificate, faults %q", name, faults(found))
		}
	}
}

// All recorded vault answers are recognised.
func TestSampleVaultAnswers(t *testing.T) {
	kinds := map[Kind]int{}
	for _, name := range []string{"crud-ec", "crud-ec_mhsm", "crud-rsa", "importkey-kv", "importkey-mhsm", "listkeys-kv", "releasekey-kv", "releasekey-mhsm"} {
		var recorded struct {
			Entries []struct {
				RequestURI   string `json:"RequestUri"`
				StatusCode   int
				ResponseBody json.RawMessage
			}
		}
		if err := json.Unmarshal(samples.Read(t, "keyvault/"+name+".json"), &recorded); err != nil {
			t.Fatal(err)
		}
		for i, entry := range recorded.Entries {
			if entry.StatusCode != http.StatusOK || strings.HasSuffix(entry.RequestURI, "/generate-test-token") { // not from a vault
				continue
			}
			found, err := Recognise(entry.ResponseBody)
			if err != nil {
				t.Errorf("%s, entry %d: %v", name, i, err)
				continue
			}
			kinds[found.Kind()]++
		}
	}
	for _, kind := range []Kind{KeyBundle, KeyList, ReleaseStatement} {
		if kinds[kind] == 0 {
			t.Errorf("no answer was recognised as %s: %v", kind, kinds)
		}
	}
}
