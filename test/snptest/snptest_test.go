package snptest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/attest/snp"
)

var (
	now      = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	products = []snp.Product{snp.Milan, snp.Genoa, snp.Turin}
)

func newChip(t *testing.T, p snp.Product) *Chip {
	t.Helper()
	v, err := NewVendor(p, now)
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.NewChip()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// certificates parses all PEM blocks of data.
func certificates(t *testing.T, data []byte) []*x509.Certificate {
	t.Helper()
	var certs []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, cert)
	}
	return certs
}

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// verifies reports whether leaf's key made the report's signature.
func verifies(t *testing.T, leaf *x509.Certificate, raw []byte) bool {
	t.Helper()
	report, err := snp.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	r, s := report.Signature()
	slices.Reverse(r)
	slices.Reverse(s)
	digest := sha512.Sum384(report.Signed())
	return ecdsa.Verify(leaf.PublicKey.(*ecdsa.PublicKey), digest[:], new(big.Int).SetBytes(r), new(big.Int).SetBytes(s))
}

func TestReportsVerifyUnderTheirChain(t *testing.T) {
	for _, p := range products {
		chip := newChip(t, p)
		vcek, err := chip.ChainPEM(chip.TCB())
		if err != nil {
			t.Fatal(err)
		}
		vlek, err := chip.VLEK(chip.TCB())
		if err != nil {
			t.Fatal(err)
		}
		asvk, err := chip.Vendor().VLEKChainPEM()
		if err != nil {
			t.Fatal(err)
		}
		for _, version := range []uint32{2, 3, 4, 5} {
			for key, chain := range map[snp.SigningKey][]byte{snp.VCEK: vcek, snp.VLEK: append(vlek, asvk...)} {
				t.Run(fmt.Sprintf("%s/%d/%s", p, version, key), func(t *testing.T) {
					raw, err := chip.Report(snp.Bind([]byte("data")), Options{Version: version, SigningKey: key})
					if err != nil {
						t.Fatal(err)
					}
					certs := certificates(t, chain)
					if len(certs) != 3 {
						t.Fatalf("%d certificates, want 3", len(certs))
					}
					options := x509.VerifyOptions{Roots: pool(certs[2]), Intermediates: pool(certs[1]), CurrentTime: now}
					if _, err := certs[0].Verify(options); err != nil {
						t.Errorf("the chain does not verify: %v", err)
					}
					if !verifies(t, certs[0], raw) {
						t.Error("the report's signature does not verify")
					}
				})
			}
		}
	}
}

func TestCertificateForm(t *testing.T) {
	tests := []struct {
		product snp.Product
		levels  snp.Components
		want    []string // arc and DER, in order; without the identity
		hwid    int
	}{
		{snp.Milan, snp.Components{Bootloader: 4, TEE: 1, SNP: 24, Microcode: 211}, []string{
			"1 020100", "2 16084d696c616e2d4230", "3.1 020104", "3.2 020101",
			"3.4 020100", "3.5 020100", "3.6 020100", "3.7 020100", "3.3 020118", "3.8 020200d3"}, 64},
		{snp.Genoa, snp.Components{Bootloader: 10, SNP: 27, Microcode: 88}, []string{
			"1 020100", "2 160547656e6f61", "3.1 02010a", "3.2 020100",
			"3.4 020100", "3.5 020100", "3.6 020100", "3.7 020100", "3.3 02011b", "3.8 020158"}, 64},
		{snp.Turin, snp.Components{FMC: 1, Bootloader: 3, TEE: 2, SNP: 5, Microcode: 90}, []string{
			"1 020101", "2 1605547572696e", "3.9 020101", "3.1 020103", "3.2 020102",
			"3.3 020105", "3.5 020100", "3.6 020100", "3.7 020100", "3.8 02015a"}, 8},
	}
	for _, test := range tests {
		t.Run(test.product.String(), func(t *testing.T) {
			chip := newChip(t, test.product)
			chip.SetTCB(test.levels)
			vcek, err := chip.VCEK(chip.TCB())
			if err != nil {
				t.Fatal(err)
			}
			cert := certificates(t, vcek)[0]
			var got []string
			last := len(cert.Extensions) - 1
			for _, e := range cert.Extensions[:last] {
				got = append(got, fmt.Sprintf("%s %x", arc(e.Id), e.Value))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("extensions (-want +got):\n%s", diff)
			}
			id := chip.ID()
			if e := cert.Extensions[last]; arc(e.Id) != "4" || !bytes.Equal(e.Value, id[:test.hwid]) {
				t.Errorf("last extension is %s %x, want 4 with the first %d bytes of %s", arc(e.Id), e.Value, test.hwid, id)
			}
			if cert.SerialNumber.Sign() != 0 || cert.SignatureAlgorithm != x509.SHA384WithRSAPSS {
				t.Errorf("serial number %v, algorithm %v", cert.SerialNumber, cert.SignatureAlgorithm)
			}
			if got, want := cert.Issuer.CommonName, "SEV-"+test.product.String(); got != want {
				t.Errorf("issuer %q, want %q", got, want)
			}
			if got := cert.Subject; got.CommonName != "SEV-VCEK" || got.Organization[0] != "TEST ONLY" {
				t.Errorf("subject %v", got)
			}
		})
	}
}

// arc returns the part of id after AMD's arc.
func arc(id asn1.ObjectIdentifier) string { return id[8:].String() }

func TestAuthorityNames(t *testing.T) {
	chip := newChip(t, snp.Milan)
	vlek, err := chip.VLEK(chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	asvk, err := chip.Vendor().VLEKChainPEM()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, cert := range certificates(t, slices.Concat(chip.Vendor().ChainPEM(), vlek, asvk)) {
		got = append(got, cert.Subject.CommonName+" by "+cert.Issuer.CommonName)
	}
	want := []string{
		"SEV-Milan by ARK-Milan", "ARK-Milan by ARK-Milan",
		"SEV-VLEK by SEV-VLEK-Milan", "SEV-VLEK-Milan by ARK-Milan", "ARK-Milan by ARK-Milan",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestFirmwareUpdateChangesTheKey(t *testing.T) {
	chip := newChip(t, snp.Milan)
	before := chip.TCB()
	old, err := chip.VCEK(before)
	if err != nil {
		t.Fatal(err)
	}
	chip.SetTCB(snp.Components{Bootloader: 4, SNP: 24, Microcode: 220})
	fresh, err := chip.VCEK(chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := chip.Report(snp.ReportData{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if verifies(t, certificates(t, old)[0], raw) {
		t.Error("the certificate from before the update verifies a report from after it")
	}
	if !verifies(t, certificates(t, fresh)[0], raw) {
		t.Error("the certificate from after the update does not verify")
	}
	// A report may still be requested under the old TCB.
	raw, err = chip.Report(snp.ReportData{}, Options{ReportedTCB: &before})
	if err != nil {
		t.Fatal(err)
	}
	if !verifies(t, certificates(t, old)[0], raw) {
		t.Error("a report with the old REPORTED_TCB does not verify under the old certificate")
	}
	again, err := chip.VCEK(snp.NewTCB(before.Raw(), snp.ProductUnknown))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, old) {
		t.Error("the same TCB gave another certificate")
	}
}

func TestMutation(t *testing.T) {
	chip := newChip(t, snp.Genoa)
	chain, err := chip.ChainPEM(chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	leaf := certificates(t, chain)[0]
	flip := func(raw []byte) { raw[0x90] ^= 1 }
	tests := map[string]struct {
		options Options
		want    bool
	}{
		"before signing": {Options{Mutate: flip}, true},
		"after signing":  {Options{MutateSigned: flip}, false},
		"unsigned":       {Options{SigningKey: snp.Unsigned}, false},
		"masked key":     {Options{MaskChipKey: true}, false},
		"by the VLEK":    {Options{SigningKey: snp.VLEK}, false},
	}
	for name, test := range tests {
		raw, err := chip.Report(snp.ReportData{}, test.options)
		if err != nil {
			t.Fatal(err)
		}
		if got := verifies(t, leaf, raw); got != test.want {
			t.Errorf("%s: verifies under the VCEK: %v, want %v", name, got, test.want)
		}
	}
}

func TestLies(t *testing.T) {
	chip, other := newChip(t, snp.Milan), newChip(t, snp.Milan)
	otherID := other.ID()
	levels := snp.Components{Bootloader: 9, Microcode: 128}
	raw, err := chip.LyingVCEK(chip.TCB(), Lies{
		HWID: otherID[:], TCB: &levels, ProductName: "Naples", NotAfter: now.Add(-time.Minute),
		Template: func(c *x509.Certificate) { c.SerialNumber = big.NewInt(7) },
	})
	if err != nil {
		t.Fatal(err)
	}
	cert := certificates(t, raw)[0]
	values := map[string][]byte{}
	for _, e := range cert.Extensions {
		values[arc(e.Id)] = e.Value
	}
	want := map[string][]byte{"2": []byte("\x16\x06Naples"), "3.1": {2, 1, 9}, "3.8": {2, 2, 0, 128}, "4": otherID[:]}
	for id, value := range want {
		if !bytes.Equal(values[id], value) {
			t.Errorf("extension %s is %x, want %x", id, values[id], value)
		}
	}
	if !cert.NotAfter.Equal(now.Add(-time.Minute)) || cert.SerialNumber.Int64() != 7 {
		t.Errorf("not after %v, serial number %v", cert.NotAfter, cert.SerialNumber)
	}
	// The key is still the chip's: only the certificate lies.
	report, err := chip.Report(snp.ReportData{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !verifies(t, cert, report) {
		t.Error("the lying certificate is for another key")
	}
	honest, err := chip.VCEK(chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(honest, raw) {
		t.Error("a lie was kept as the truth")
	}
}

func TestTHIMDocument(t *testing.T) {
	chip := newChip(t, snp.Milan)
	document, err := chip.THIMDocument(chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	values, order := map[string]string{}, []string(nil)
	for {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		name, ok := token.(string)
		if !ok {
			continue
		}
		value, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, name)
		values[name] = value.(string)
	}
	if diff := cmp.Diff([]string{"vcekCert", "tcbm", "certificateChain", "cacheControl"}, order); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if values["tcbm"] != "DB18000000000004" {
		t.Errorf("tcbm %q, want DB18000000000004", values["tcbm"])
	}
	chain, err := chip.ChainPEM(chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	if values["vcekCert"]+values["certificateChain"] != string(chain) {
		t.Error("the document's certificates are not the chip's chain")
	}
}

func TestUnknownProduct(t *testing.T) {
	if _, err := NewVendor(snp.ProductUnknown, now); err == nil {
		t.Error("a vendor without a product is accepted")
	}
}

func TestConcurrentUse(t *testing.T) {
	chip := newChip(t, snp.Turin)
	var group sync.WaitGroup
	for i := range uint8(8) {
		group.Go(func() {
			chip.SetTCB(snp.Components{Microcode: i})
			if _, err := chip.THIMDocument(chip.TCB()); err != nil {
				t.Error(err)
			}
			if _, err := chip.VLEK(chip.TCB()); err != nil {
				t.Error(err)
			}
			if _, err := chip.Report(snp.ReportData{}, Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}
