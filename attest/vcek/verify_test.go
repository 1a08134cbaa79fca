package vcek

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/test/samples"
	"skr/test/snptest"
)

func TestVerify(t *testing.T) {
	for _, make := range []func(testing.TB) *maker{milan, genoa, turin} {
		m := make(t)
		product := m.first.TCB().Product()
		t.Run(product.String(), func(t *testing.T) {
			chain := chainOf(t, m.first)
			for _, version := range []uint32{2, 3, 5} {
				report := reportOf(t, m.first, snptest.Options{Version: version})
				if err := chain.Verify(report, m.roots, now); err != nil {
					t.Errorf("version %d: %v", version, err)
				}
			}
			report := reportOf(t, m.first, snptest.Options{SigningKey: snp.VLEK})
			if err := vlekChain(t, m.first).Verify(report, m.roots, now); err != nil {
				t.Errorf("VLEK: %v", err)
			}
			masked := reportOf(t, m.first, snptest.Options{SigningKey: snp.VLEK, ChipID: &snp.ChipID{}})
			if err := vlekChain(t, m.first).Verify(masked, m.roots, now); err != nil {
				t.Errorf("VLEK of a masked chip: %v", err)
			}
		})
	}
}

// TestVerifyRefusesReports verifies false reports with an honest chain.
func TestVerifyRefusesReports(t *testing.T) {
	m := milan(t)
	chip, chain := m.first, chainOf(t, m.first)
	stale := chip.TCB().Components()
	stale.Microcode--
	staleTCB := stale.TCB(snp.Milan)
	flip := func(offset int) func([]byte) { return func(raw []byte) { raw[offset] ^= 1 } }
	for _, test := range []struct {
		name  string
		chip  *snptest.Chip
		o     snptest.Options
		wrong string
	}{
		{"another chip", m.second, snptest.Options{}, "comes from chip"},
		{"another TCB", chip, snptest.Options{ReportedTCB: &staleTCB}, "REPORTED_TCB " + staleTCB.Hex()},
		{"another product", chip, snptest.Options{CPUID: &snp.CPUID{Family: 0x19, Model: 0x11, Stepping: 1}}, "product Genoa, the certificate is for Milan"},
		{"an unknown product", chip, snptest.Options{CPUID: &snp.CPUID{Family: 0x1B}}, "product unknown"},
		{"signed by the VLEK", chip, snptest.Options{SigningKey: snp.VLEK}, "signed by its VLEK"},
		{"unsigned", chip, snptest.Options{SigningKey: snp.Unsigned}, "not signed"},
		{"masked key", chip, snptest.Options{MaskChipKey: true}, "MASK_CHIP_KEY"},
		{"masked chip", chip, snptest.Options{ChipID: &snp.ChipID{}}, "MASK_CHIP_ID"},
		{"first signed byte", chip, snptest.Options{MutateSigned: flip(0x004)}, "does not verify"},
		{"REPORT_DATA", chip, snptest.Options{MutateSigned: flip(0x050)}, "does not verify"},
		{"MEASUREMENT", chip, snptest.Options{MutateSigned: flip(0x090)}, "does not verify"},
		{"last signed byte", chip, snptest.Options{Version: 2, MutateSigned: flip(0x1F7)}, "does not verify"},
		{"R", chip, snptest.Options{MutateSigned: flip(0x2A0)}, "does not verify"},
		{"R's extension", chip, snptest.Options{MutateSigned: flip(0x2A0 + 71)}, "does not verify"},
		{"S", chip, snptest.Options{MutateSigned: flip(0x2E8)}, "does not verify"},
		{"S's extension", chip, snptest.Options{MutateSigned: flip(0x2E8 + 48)}, "does not verify"},
		{"no signature", chip, snptest.Options{MutateSigned: func(raw []byte) { clear(raw[0x2A0:0x330]) }}, "does not verify"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := chain.Verify(reportOf(t, test.chip, test.o), m.roots, now)
			checkError(t, err, test.wrong)
		})
	}
}

// TestVerifyEachComponent checks every component of the TCB.
func TestVerifyEachComponent(t *testing.T) {
	for _, make := range []func(testing.TB) *maker{milan, turin} {
		m := make(t)
		product := m.first.TCB().Product()
		for name, raise := range map[string]func(*snp.Components){
			"bootloader": func(c *snp.Components) { c.Bootloader++ },
			"tee":        func(c *snp.Components) { c.TEE++ },
			"snp":        func(c *snp.Components) { c.SNP++ },
			"microcode":  func(c *snp.Components) { c.Microcode++ },
			"fmc":        func(c *snp.Components) { c.FMC++ },
		} {
			if name == "fmc" && product != snp.Turin {
				continue
			}
			levels := m.first.TCB().Components()
			raise(&levels)
			chain := lyingChain(t, m.first, snptest.Lies{TCB: &levels})
			err := chain.Verify(reportOf(t, m.first, snptest.Options{}), m.roots, now)
			checkError(t, err, "REPORTED_TCB")
		}
	}
}

// TestVerifyRefusesCertificates verifies an honest report with false chains.
func TestVerifyRefusesCertificates(t *testing.T) {
	m := milan(t)
	report := reportOf(t, m.first, snptest.Options{})
	otherKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := m.second.ID()
	critical := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}
	for _, test := range []struct {
		name  string
		lies  snptest.Lies
		wrong string
	}{
		{"none", snptest.Lies{}, ""},
		{"expired", snptest.Lies{NotAfter: now.Add(-time.Second)}, "is valid from"},
		{"not yet valid", snptest.Lies{NotBefore: now.Add(time.Second)}, "is valid from"},
		{"another chip", snptest.Lies{HWID: id[:]}, "the certificate is for"},
		{"another key", snptest.Lies{Key: &otherKey.PublicKey}, "does not verify with the key"},
		{"a certificate authority", snptest.Lies{Template: func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }},
			"the leaf is a certificate authority"},
		{"PKCS #1 v1.5", snptest.Lies{Template: func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA384WithRSA }}, "it is signed with SHA384-RSA"},
		{"SHA-256", snptest.Lies{Template: func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS }}, "it is signed with SHA256-RSAPSS"},
		{"an unknown critical extension", snptest.Lies{Template: func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, critical) }},
			"critical extension 1.2.3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkError(t, lyingChain(t, m.first, test.lies).Verify(report, m.roots, now), test.wrong)
		})
	}
}

func TestVerifyRefusesChains(t *testing.T) {
	m := milan(t)
	report := reportOf(t, m.first, snptest.Options{})
	honest := chainOf(t, m.first)
	other, err := snptest.NewVendor(snp.Milan, now)
	if err != nil {
		t.Fatal(err)
	}
	otherRoots, err := ParseRoots(other.RootsPEM())
	if err != nil {
		t.Fatal(err)
	}
	join := func(leaf, intermediate, root *Chain) *Chain {
		chain, err := newChain(leaf.leaf, intermediate.intermediate, root.root)
		if err != nil {
			t.Fatal(err)
		}
		return chain
	}
	stranger, err := other.NewChip()
	if err != nil {
		t.Fatal(err)
	}
	foreign := chainOf(t, stranger)
	tampered := *honest.leaf
	tampered.Signature = append([]byte{honest.leaf.Signature[0] ^ 1}, honest.leaf.Signature[1:]...)
	withBadLeaf, err := newChain(&tampered, honest.intermediate, honest.root)
	if err != nil {
		t.Fatal(err)
	}
	oversized := *honest.intermediate
	oversized.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), maxRSABits), E: 65537}
	// These certificates differ in one field from the signed originals. They could exist
	// only if AMD signed them.
	noCA := *honest.intermediate
	noCA.IsCA = false
	issuedElsewhere := *honest.leaf
	issuedElsewhere.RawIssuer = honest.root.RawSubject
	wrapping := *honest.leaf
	wrapping.KeyUsage = x509.KeyUsageKeyEncipherment
	authority := *honest.leaf
	authority.IsCA = true
	renamed := *honest.root
	renamed.RawSubject = foreign.leaf.RawSubject
	for _, test := range []struct {
		name  string
		chain *Chain
		roots *Roots
		now   time.Time
		wrong string
	}{
		{"honest", honest, m.roots, now, ""},
		{"other roots", honest, otherRoots, now, `root "ARK-Milan" is not among the trusted`},
		{"AMD's roots", honest, BuiltinRoots(), now, "not among the trusted"},
		{"no roots", honest, nil, now, "not among the trusted"},
		{"another vendor's root", join(honest, honest, foreign), otherRoots, now, "intermediate: crypto/rsa: verification error"},
		{"another vendor's intermediate", join(honest, foreign, honest), m.roots, now, "crypto/rsa: verification error"},
		{"the root as the intermediate", &Chain{honest.leaf, honest.root, honest.root, honest.key, honest.endorsed, "", nil}, m.roots, now,
			`named "ARK-Milan", want "SEV-Milan"`},
		{"the ASVK for a VCEK", join(honest, vlekChain(t, m.first), honest), m.roots, now, `named "SEV-VLEK-Milan", want "SEV-Milan"`},
		{"Genoa's authorities", join(honest, chainOf(t, genoa(t).first), chainOf(t, genoa(t).first)), genoa(t).roots, now, `want "SEV-Milan"`},
		{"a bit of the leaf", withBadLeaf, m.roots, now, "leaf: crypto/rsa: verification error"},
		{"an intermediate that is no CA", &Chain{honest.leaf, &noCA, honest.root, honest.key, honest.endorsed, "", nil}, m.roots, now, "is no certificate authority"},
		{"a leaf that may not sign", &Chain{&wrapping, honest.intermediate, honest.root, honest.key, honest.endorsed, "", nil}, m.roots, now,
			"lacks digital signature"},
		{"a leaf that is a CA", &Chain{&authority, honest.intermediate, honest.root, honest.key, honest.endorsed, "", nil}, m.roots, now,
			"is a certificate authority"},
		{"another issuer's name", &Chain{&issuedElsewhere, honest.intermediate, honest.root, honest.key, honest.endorsed, "", nil}, m.roots, now,
			"leaf: it is issued by"},
		{"a trusted key by another name", &Chain{honest.leaf, honest.intermediate, &renamed, honest.key, honest.endorsed, "", nil}, m.roots, now,
			"not among the trusted"},
		{"a huge RSA key", &Chain{honest.leaf, &oversized, honest.root, honest.key, honest.endorsed, "", nil}, m.roots, now, "RSA key of 4097 bits"},
		{"after the leaf", honest, m.roots, now.AddDate(8, 0, 0), `"SEV-VCEK" is valid`},
		{"before all", honest, m.roots, now.AddDate(-1, 0, 0), "is valid from"},
		{"empty", &Chain{}, m.roots, now, "empty"},
		{"none", nil, m.roots, now, "empty"},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkError(t, test.chain.Verify(report, test.roots, test.now), test.wrong)
		})
	}
}

// TestReportNeedsItsOwnKind checks that a VCEK's report does not verify with a VLEK.
func TestReportNeedsItsOwnKind(t *testing.T) {
	m := milan(t)
	err := vlekChain(t, m.first).Verify(reportOf(t, m.first, snptest.Options{}), m.roots, now)
	checkError(t, err, "signed by its VCEK, the certificate is of a VLEK")
}

func BenchmarkVerify(b *testing.B) {
	b.Run("emulated", func(b *testing.B) { // RSA of 2048 bits
		m := milan(b)
		benchmarkVerify(b, chainOf(b, m.first), reportOf(b, m.first, snptest.Options{}), m.roots)
	})
	b.Run("genuine", func(b *testing.B) { // RSA of 4096 bits
		benchmarkVerify(b, mustParse(b, samples.Read(b, "aci-milan/uvm_host_amd_certificate.pem")), sampleReport(b), BuiltinRoots())
	})
}

func benchmarkVerify(b *testing.B, chain *Chain, report *snp.Report, roots *Roots) {
	at := chain.leaf.NotBefore.AddDate(1, 0, 0)
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		report, err := snp.Parse(report.Raw())
		if err != nil {
			b.Fatal(err)
		}
		if err := chain.Verify(report, roots, at); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[0].Microseconds()), "least-µs")
}
