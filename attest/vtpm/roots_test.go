package vtpm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/test/samples"
)

func fingerprints(t *testing.T, text []byte) (all []string) {
	t.Helper()
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return all
		}
		sum := sha256.Sum256(block.Bytes)
		all, text = append(all, hex.EncodeToString(sum[:])), rest
	}
}

// The built-in certificates are these four. Only the first is trusted.
func TestAzureRoots(t *testing.T) {
	want := []string{
		"e6c596b17f8ffefba5c300f714cfb1260c6028704ecf7becc4ab5018efb00e95",
		"fd7c92dabce4dcec9feaa30f8b087ada0598413189182152b881f5564064a29c",
		"41a1675dc1b7df8a5c59c8101c697ce500d0fa5f09bcdaa431bc4a3652363b14",
		"acad819dd909df6aac8c9c5d2c16efaae4ac1fb01ab3439a1e986612d1ebc6d4",
	}
	if diff := cmp.Diff(want, fingerprints(t, azureCertificates)); diff != "" {
		t.Errorf("(-want +built in):\n%s", diff)
	}
	block, _ := pem.Decode(azureCertificates)
	alone, err := ParseRoots(pem.EncodeToMemory(block))
	if err != nil {
		t.Fatal(err)
	}
	if !AzureRoots().pool.Equal(alone.pool) {
		t.Error("a root other than that of 2023 is trusted")
	}
}

// An authority that may certify attestation keys names their usage too.
func TestAuthorityIsNoAK(t *testing.T) {
	_, rest := pem.Decode(azureCertificates)
	issuer, _ := pem.Decode(rest)
	if _, err := ParseAKCertificate(issuer.Bytes); err == nil {
		t.Error("an authority counts as an attestation key")
	}
}

func TestRootsEqualSamples(t *testing.T) {
	var want []string
	for _, name := range []string{"azure-virtual-tpm-root-2023", "global-virtual-tpm-ca-03", "azure-cloud-virtual-tpm-ca-2025", "azure-cloud-virtual-tpm-ca-24"} {
		want = append(want, fingerprints(t, samples.Read(t, "vtpm-roots", name+".pem"))...)
	}
	if diff := cmp.Diff(want, fingerprints(t, azureCertificates)); diff != "" {
		t.Errorf("(-sample +built in):\n%s", diff)
	}
}
