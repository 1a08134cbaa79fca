package snptest

import (
	"testing"

	"github.com/google/go-sev-guest/abi"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	"github.com/google/go-sev-guest/verify"
	"github.com/google/go-sev-guest/verify/trust"

	"skr/attest/snp"
)

// TestAnotherVerifierAgrees verifies reports with
// github.com/google/go-sev-guest, which requires AMD's name in the certificates
// and does not support Turin.
func TestAnotherVerifierAgrees(t *testing.T) {
	tests := []struct {
		product snp.Product
		key     snp.SigningKey
		version uint32
	}{
		{snp.Milan, snp.VCEK, 2}, {snp.Milan, snp.VCEK, 3}, {snp.Milan, snp.VCEK, 5}, {snp.Milan, snp.VLEK, 3},
		{snp.Genoa, snp.VCEK, 3}, {snp.Genoa, snp.VCEK, 5}, {snp.Genoa, snp.VLEK, 5},
	}
	chips := map[snp.Product]*Chip{}
	for _, p := range []snp.Product{snp.Milan, snp.Genoa} {
		v, err := newVendor(p, now, "Advanced Micro Devices")
		if err != nil {
			t.Fatal(err)
		}
		if chips[p], err = v.NewChip(); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range tests {
		t.Run(test.product.String()+"/"+test.key.String(), func(t *testing.T) {
			chip := chips[test.product]
			options := Options{Version: test.version, SigningKey: test.key}
			if err := verifyElsewhere(t, chip, options); err != nil {
				t.Errorf("an honest report was refused: %v", err)
			}
			options.MutateSigned = func(raw []byte) { raw[0xC0] ^= 1 }
			if err := verifyElsewhere(t, chip, options); err == nil {
				t.Error("a report modified after signing was accepted")
			}
		})
	}
}

func verifyElsewhere(t *testing.T, chip *Chip, o Options) error {
	t.Helper()
	raw, err := chip.Report(snp.Bind([]byte("runtime data")), o)
	if err != nil {
		t.Fatal(err)
	}
	report, err := abi.ReportToProto(raw)
	if err != nil {
		t.Fatal(err)
	}
	leaf := chip.VCEK
	if o.SigningKey == snp.VLEK {
		leaf = chip.VLEK
	}
	pem, err := leaf(chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	der := certificates(t, pem)[0].Raw
	chain := &spb.CertificateChain{VcekCert: der}
	if o.SigningKey == snp.VLEK {
		chain = &spb.CertificateChain{VlekCert: der}
	}
	return verify.SnpAttestation(&spb.Attestation{Report: report, CertificateChain: chain}, &verify.Options{
		TrustedRoots:        trustOnly(t, chip.Vendor()),
		DisableCertFetching: true,
		Now:                 now,
	})
}

func trustOnly(t *testing.T, v *Vendor) map[string][]*trust.AMDRootCerts {
	t.Helper()
	asvk, err := v.asvk()
	if err != nil {
		t.Fatal(err)
	}
	line := v.Product().String()
	return map[string][]*trust.AMDRootCerts{line: {{
		ProductLine:  line,
		ProductCerts: &trust.ProductCerts{Ark: v.ark.cert, Ask: v.ask.cert, Asvk: asvk.cert},
	}}}
}
