package tdx_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"testing"
	"time"

	"skr/attest/tdx"
	"skr/test/tdxtest"
)

func TestVerify(t *testing.T) {
	m := newMachine(t)
	for name, o := range map[string]tdxtest.QuoteOptions{
		"version 4": {}, "version 4 with zeros after it": {Padding: 70}, "version 5, TDX 1.0": {Version: 5, BodyType: 2}, "version 5, TDX 1.5": {Version: 5},
		"no authentication data": {AuthData: []byte{}},
	} {
		if _, err := m.quote(t, tdxtest.TD{}, o).Verify(m.verification()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each false quote is refused, in each layout, by the step that looks at it.
func TestForgeries(t *testing.T) {
	m := newMachine(t)
	td := tdxtest.TD{ReportData: m.bound}
	report := must(tdx.ParseReport(td.Report()))(t)
	seen := map[string]bool{}
	for _, f := range tdxtest.Forgeries() {
		if seen[f.Name] {
			t.Errorf("two forgeries are named %s", f.Name)
		}
		seen[f.Name] = true
		for _, o := range []tdxtest.QuoteOptions{{Padding: 70}, {Version: 5, BodyType: 2}, {Version: 5}} {
			t.Run(fmt.Sprintf("%s/%d.%d", f.Name, o.Version, o.BodyType), func(t *testing.T) {
				raw := must(f.Quote(m.vendor, m.platform, report.Raw(), o))(t)
				q, err := tdx.ParseQuote(raw)
				if err == nil {
					_, err = q.Verify(m.verification())
				}
				if err == nil {
					err = q.CheckReport(report)
				}
				checkError(t, err, f.Err, f.Text)
			})
		}
	}
	if len(seen) < 60 {
		t.Errorf("%d forgeries", len(seen))
	}
}

// An attestation key that is no point of the curve is refused even if the QE names it.
func TestVerifyRefusesPoint(t *testing.T) {
	m := newMachine(t)
	raw := m.raw(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	clear(raw[48+584+4+64:][:64])
	checkError(t, must(tdx.ParseQuote(raw))(t).VerifySignature(), tdx.ErrQuoteSignature, "not a point of P-256")
}

func TestVerifyRefusesTDs(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		name       string
		attributes tdx.Attributes
		data       []byte
		want       error
		text       string
	}{
		{"none", 0, nil, nil, ""},
		{"SEPT_VE_DISABLE, PKS, KL, PERFMON", 1<<28 | 1<<30 | 1<<31 | 1<<63, nil, nil, ""},
		{"DEBUG", 1, nil, tdx.ErrAttributes, "DEBUG"},
		{"another bit of TUD", 1 << 4, nil, tdx.ErrAttributes, "TUD is 0x10"},
		{"the last bit of TUD", 1 << 7, nil, tdx.ErrAttributes, "TUD is 0x80"},
		{"MIGRATABLE", 1 << 29, nil, tdx.ErrAttributes, "MIGRATABLE"},
		{"other data", 0, []byte("other"), tdx.ErrNotBound, "its data needs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			td := tdxtest.TD{Attributes: &c.attributes}
			if c.data != nil {
				td.ReportData = tdx.Bind(c.data)
			}
			_, err := m.quote(t, td, tdxtest.QuoteOptions{Version: 5}).Verify(m.verification())
			checkError(t, err, c.want, c.text)
		})
	}
	td := tdxtest.TD{ReportData: m.bound}
	td.ReportData[63] = 1 // one of the zeros after the digest
	_, err := m.quote(t, td, tdxtest.QuoteOptions{}).Verify(m.verification())
	checkError(t, err, tdx.ErrNotBound, "its data needs")
}

func TestAttributes(t *testing.T) {
	for bit, get := range map[uint]func(tdx.Attributes) bool{
		0: tdx.Attributes.Debug, 28: tdx.Attributes.SEPTVEDisable, 29: tdx.Attributes.Migratable, 30: tdx.Attributes.PKS,
		31: tdx.Attributes.KeyLocker, 63: tdx.Attributes.Perfmon,
	} {
		if a := tdx.Attributes(1 << bit); !get(a) || get(^a) {
			t.Errorf("bit %d", bit)
		}
	}
	if text := tdx.Attributes(1 << 28).String(); text != "0000000010000000" {
		t.Errorf("prints %s", text)
	}
}

func TestVerifyRefusesCertificates(t *testing.T) {
	critical := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}
	for _, c := range []struct {
		name   string
		change func(*x509.Certificate)
		text   string
	}{
		{"none", func(*x509.Certificate) {}, ""},
		{"expired", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }, "is valid from"},
		{"not yet valid", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }, "is valid from"},
		{"a certificate authority", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, "the leaf is a certificate authority"},
		{"may not sign", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, "lacks digital signature"},
		{"SHA-384", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA384 }, "signed with ECDSA-SHA384"},
		{"an unknown critical extension", func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, critical) }, "critical extension 1.2.3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachineOf(t, tdxtest.PlatformOptions{Template: c.change})
			_, err := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{}).Verify(m.verification())
			var want error
			if c.text != "" {
				want = tdx.ErrUntrustedChain
			}
			checkError(t, err, want, c.text)
		})
	}
}

func TestVerifyRefusesChains(t *testing.T) {
	m, other := newMachine(t), newMachine(t)
	split := func(m *machine) (leaf, ca, root []byte) {
		blocks := bytes.SplitAfter(m.platform.ChainPEM(), []byte("-----END CERTIFICATE-----\n"))
		return blocks[0], blocks[1], blocks[2]
	}
	leaf, ca, root := split(m)
	_, otherCA, otherRoot := split(other)
	chain := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name  string
		chain []byte
		roots *tdx.Roots
		now   time.Time
		text  string
	}{
		{"honest", nil, m.roots, now, ""},
		{"the roots of another vendor", nil, other.roots, now, `root "Intel SGX Root CA" is not among`},
		{"Intel's root", nil, nil, now, "not among the trusted"},
		{"another vendor's root", chain(leaf, ca, otherRoot), other.roots, now, `"Intel SGX PCK Platform CA": x509: ECDSA verification failure`},
		{"another vendor's authority", chain(leaf, otherCA, root), other.roots, now, "not among the trusted"},
		{"another vendor's authority and root", chain(leaf, otherCA, otherRoot), other.roots, now, `"Intel SGX PCK Certificate": x509: ECDSA verification failure`},
		{"the root as the authority", chain(leaf, root, root), m.roots, now, `named "Intel SGX Root CA", want`},
		{"the signer of TCB info as the authority", chain(leaf, m.vendor.Issuers()), m.roots, now, `named "Intel SGX TCB Signing", want`},
		{"before all", nil, m.roots, now.AddDate(-1, 0, 0), "is valid from"},
		{"after the leaf", nil, m.roots, now.AddDate(8, 0, 0), `"Intel SGX PCK Certificate" is valid`},
		{"without a time", nil, m.roots, time.Time{}, "is valid from"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := m.verification()
			v.Roots, v.Now = c.roots, c.now
			_, err := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{Chain: c.chain}).Verify(v)
			var want error
			if c.text != "" {
				want = tdx.ErrUntrustedChain
			}
			checkError(t, err, want, c.text)
		})
	}
	err := m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{}).VerifyCertificates(nil, now)
	checkError(t, err, tdx.ErrUntrustedChain, "not among the trusted")
}

// A platform of one processor is certified by another authority.
func TestVerifyProcessor(t *testing.T) {
	m := newMachineOf(t, tdxtest.PlatformOptions{Processor: true})
	v := m.verification()
	v.Collateral = m.collateral(t, tdxtest.CollateralOptions{})
	result := must(m.quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{}).Verify(v))(t)
	if result.Level.Status != tdx.UpToDate {
		t.Errorf("level %v", result.Level)
	}
}

func BenchmarkVerify(b *testing.B) {
	m := newMachine(b)
	raw := m.raw(b, tdxtest.TD{}, tdxtest.QuoteOptions{Version: 5})
	v := m.verification()
	v.Collateral = m.collateral(b, tdxtest.CollateralOptions{})
	for b.Loop() {
		q, err := tdx.ParseQuote(raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := q.Verify(v); err != nil {
			b.Fatal(err)
		}
	}
}
