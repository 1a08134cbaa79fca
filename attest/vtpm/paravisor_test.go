package vtpm_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"skr/attest/snp"
	"skr/attest/vtpm"
	"skr/test/samples"
)

// Genuine confidential VMs are recognised by the key that signed their paravisor. A
// container group, in which any container chooses REPORT_DATA, is not recognised.
func TestKnownParavisor(t *testing.T) {
	group, err := snp.Parse(samples.Read(t, "aci-milan/snp_report.bin"))
	if err != nil {
		t.Fatal(err)
	}
	turin, err := snp.Parse(samples.Read(t, "turn2/14-genuine-turin/ccf-turin_attestation.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if vtpm.KnownParavisor(group) || vtpm.KnownParavisor(turin) {
		t.Error("a container group counts as a confidential VM")
	}
	var evidence struct {
		HCL string `json:"hcl_report"`
	}
	if err := json.Unmarshal(samples.Read(t, "turn2/10-lone-vcek/evidence-v1.json"), &evidence); err != nil {
		t.Fatal(err)
	}
	index, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(evidence.HCL, "="))
	if err != nil {
		t.Fatal(err)
	}
	hcl, err := vtpm.ParseHCL(index)
	if err != nil {
		t.Fatal(err)
	}
	if !vtpm.KnownParavisor(hcl.Report()) {
		t.Errorf("an Azure confidential VM is not recognised: ID_KEY_DIGEST %x", hcl.Report().IDKeyDigest())
	}
}
