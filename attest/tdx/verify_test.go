package tdx_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	"skr/attest/tdx"
	"skr/test/tdxtest"
)

func flip(at int) func([]byte) { return func(raw []byte) { raw[at] ^= 1 } }

// An honest quote verifies in each layout, and each false one is refused by the step that
// looks at it.
func TestVerifyRefusesQuotes(t *testing.T) {
	m := newMachine(t)
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	after := func(change func([]byte)) func([]byte) []byte {
		return func(raw []byte) []byte { change(raw); return raw }
	}
	const body, data, data5 = 48, 48 + 584 + 4, 54 + 648 + 4
	for _, c := range []struct {
		name   string
		o      tdxtest.QuoteOptions
		change func([]byte) []byte // after it was signed
		want   error
		text   string
	}{
		{"version 4", tdxtest.QuoteOptions{}, nil, nil, ""},
		{"version 4 with zeros after it", tdxtest.QuoteOptions{Padding: 70}, nil, nil, ""},
		{"version 5, TDX 1.0", tdxtest.QuoteOptions{Version: 5, BodyType: 2}, nil, nil, ""},
		{"version 5, TDX 1.5", tdxtest.QuoteOptions{Version: 5}, nil, nil, ""},
		{"no authentication data", tdxtest.QuoteOptions{AuthData: []byte{}}, nil, nil, ""},

		{"qe_svn", tdxtest.QuoteOptions{}, after(flip(8)), tdx.ErrQuoteSignature, "does not verify"},
		{"user data", tdxtest.QuoteOptions{}, after(flip(28)), tdx.ErrQuoteSignature, "does not verify"},
		{"TEE_TCB_SVN", tdxtest.QuoteOptions{}, after(flip(body)), tdx.ErrQuoteSignature, "does not verify"},
		{"MRSEAM", tdxtest.QuoteOptions{}, after(flip(body + 16)), tdx.ErrQuoteSignature, "does not verify"},
		{"MRSIGNERSEAM", tdxtest.QuoteOptions{}, after(flip(body + 64)), tdx.ErrQuoteSignature, "does not verify"},
		{"SEAMATTRIBUTES", tdxtest.QuoteOptions{}, after(flip(body + 112)), tdx.ErrQuoteSignature, "does not verify"},
		{"TDATTRIBUTES", tdxtest.QuoteOptions{}, after(flip(body + 123)), tdx.ErrQuoteSignature, "does not verify"},
		{"XFAM", tdxtest.QuoteOptions{}, after(flip(body + 128)), tdx.ErrQuoteSignature, "does not verify"},
		{"MRTD", tdxtest.QuoteOptions{}, after(flip(body + 136)), tdx.ErrQuoteSignature, "does not verify"},
		{"MRCONFIGID", tdxtest.QuoteOptions{}, after(flip(body + 184)), tdx.ErrQuoteSignature, "does not verify"},
		{"MROWNER", tdxtest.QuoteOptions{}, after(flip(body + 232)), tdx.ErrQuoteSignature, "does not verify"},
		{"MROWNERCONFIG", tdxtest.QuoteOptions{}, after(flip(body + 280)), tdx.ErrQuoteSignature, "does not verify"},
		{"RTMR3", tdxtest.QuoteOptions{}, after(flip(body + 472)), tdx.ErrQuoteSignature, "does not verify"},
		{"REPORTDATA after signing", tdxtest.QuoteOptions{}, after(flip(body + 520)), tdx.ErrQuoteSignature, "does not verify"},
		{"the last byte of the body", tdxtest.QuoteOptions{Version: 5}, after(flip(data5 - 5)), tdx.ErrQuoteSignature, "does not verify"},
		{"two bytes after it", tdxtest.QuoteOptions{}, func(raw []byte) []byte { return append(raw, 0, 1) }, tdx.ErrQuoteSignature, "2 bytes after it"},
		{"r", tdxtest.QuoteOptions{}, after(flip(data)), tdx.ErrQuoteSignature, "does not verify"},
		{"s", tdxtest.QuoteOptions{}, after(flip(data + 63)), tdx.ErrQuoteSignature, "does not verify"},
		{"no signature", tdxtest.QuoteOptions{}, after(func(raw []byte) { clear(raw[data : data+64]) }), tdx.ErrQuoteSignature, "does not verify"},
		{"another key's signature", tdxtest.QuoteOptions{Key: key}, nil, tdx.ErrQuoteSignature, "does not verify"},

		{"x of the attestation key", tdxtest.QuoteOptions{}, after(flip(data + 64)), tdx.ErrQE, "the attestation key needs"},
		{"y of the attestation key", tdxtest.QuoteOptions{}, after(flip(data + 127)), tdx.ErrQE, "the attestation key needs"},
		{"authentication data", tdxtest.QuoteOptions{}, after(flip(data + 584)), tdx.ErrQE, "the attestation key needs"},
		{"REPORTDATA of the QE", tdxtest.QuoteOptions{QE: flip(320)}, nil, tdx.ErrQE, "the attestation key needs"},
		{"zeros in REPORTDATA of the QE", tdxtest.QuoteOptions{QE: flip(383)}, nil, tdx.ErrQE, "the attestation key needs"},
		{"MRSIGNER of the QE", tdxtest.QuoteOptions{QE: flip(128)}, nil, tdx.ErrQE, "want dc9e2a7c6f94"},
		{"the QE for SGX", tdxtest.QuoteOptions{QE: func(raw []byte) { raw[256] = 1 }}, nil, tdx.ErrQE, "product 1, want 2"},
		{"a QE under debug", tdxtest.QuoteOptions{QE: func(raw []byte) { raw[48] |= 2 }}, nil, tdx.ErrQE, "under debug"},
		{"MRENCLAVE after signing", tdxtest.QuoteOptions{}, after(flip(data + 134 + 64)), tdx.ErrQE, "key of the PCK"},
		{"ISVSVN after signing", tdxtest.QuoteOptions{}, after(flip(data + 134 + 258)), tdx.ErrQE, "key of the PCK"},
		{"signature of the QE", tdxtest.QuoteOptions{}, after(flip(data + 518)), tdx.ErrQE, "key of the PCK"},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := m.raw(t, tdxtest.TD{}, c.o)
			if c.change != nil {
				raw = c.change(raw)
			}
			_, err := must(tdx.ParseQuote(raw))(t).Verify(m.verification())
			checkError(t, err, c.want, c.text)
		})
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
