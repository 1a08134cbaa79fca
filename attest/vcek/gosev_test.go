package vcek

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	test "github.com/google/go-sev-guest/testing"

	"skr/attest/snp"
)

// Emulated silicon of another project, go-sev-guest's signer, verifies too.
func TestOtherEmulatedSilicon(t *testing.T) {
	now := time.Now()
	parts := kds.TCBParts{BlSpl: 3, SnpSpl: 8, UcodeSpl: 211}
	chip := make([]byte, 64)
	chip[0], chip[63] = 7, 9
	builder := &test.AmdSignerBuilder{
		Keys: test.DefaultAmdKeys(), ProductName: "Milan-B1", ArkCreationTime: now.Add(-time.Hour),
		AskCreationTime: now.Add(-time.Hour), VcekCreationTime: now.Add(-time.Hour),
		VcekCustom: test.CertOverride{Extensions: test.CustomExtensions(parts, chip, "", "Milan-B1")},
	}
	signer, err := builder.TestOnlyCertChain()
	if err != nil {
		t.Fatal(err)
	}
	raw := test.CreateRawReport(&test.TestReportOptions{ReportData: make([]byte, 64)})
	tcb, err := kds.ComposeTCBParts(parts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		raw[0x180+i] = byte(uint64(tcb) >> (8 * i))
	}
	copy(raw[0x1a0:], chip)
	r, s, err := signer.Sign(abi.SignedComponent(raw[:snp.ReportSize]))
	if err != nil {
		t.Fatal(err)
	}
	if err := abi.SetSignature(r, s, raw[:snp.ReportSize]); err != nil {
		t.Fatal(err)
	}
	report, err := snp.Parse(raw[:snp.ReportSize])
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, c := range []*x509.Certificate{signer.Vcek, signer.Ask, signer.Ark} {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	chain, err := ParsePEM(text)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := ParseRoots(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signer.Ark.Raw}))
	if err != nil {
		t.Fatal(err)
	}
	if err := chain.Verify(report, roots, now); err != nil {
		t.Error(err)
	}
	if err := chain.Verify(report, BuiltinRoots(), now); err == nil {
		t.Error("it verifies with AMD's roots")
	}
}
