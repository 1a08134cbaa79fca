package tdxtest

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"

	"skr/attest/tdx"
)

const uncertified = "the signature does not verify with the key of the PCK certificate"

func qeForgeries() []Forgery {
	inReport := func(at int) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
		return flipped(inData(dataQE + at))
	}
	flip := func(at int) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
		return enclave(func(report []byte) { report[at] ^= 1 })
	}
	return []Forgery{
		{Name: "qe-cpusvn", Err: tdx.ErrQE, Text: uncertified, forge: inReport(0)},
		{Name: "qe-miscselect", Err: tdx.ErrQE, Text: uncertified, forge: inReport(16)},
		{Name: "qe-attributes", Err: tdx.ErrQE, Text: uncertified, forge: inReport(56)},
		{Name: "qe-mrenclave", Err: tdx.ErrQE, Text: uncertified, forge: inReport(64)},
		{Name: "qe-isvsvn", Err: tdx.ErrQE, Text: uncertified, forge: inReport(258)},
		{Name: "qe-signature", Err: tdx.ErrQE, Text: uncertified, forge: flipped(inData(dataQESig))},
		{Name: "qe-other-signer", Err: tdx.ErrQE, Text: "want dc9e2a7c6f94", forge: flip(128)},
		{Name: "qe-of-sgx", Err: tdx.ErrQE, Text: "product 1, want 2", forge: enclave(func(report []byte) { report[256] = 1 })},
		{Name: "qe-under-debug", Err: tdx.ErrQE, Text: "under debug", forge: enclave(func(report []byte) { report[48] |= 2 })},
		{Name: "qe-other-key", Err: tdx.ErrQE, Text: "the attestation key needs", forge: flip(320)},
		{Name: "qe-data-beyond-hash", Err: tdx.ErrQE, Text: "the attestation key needs", forge: flip(383)},
		{Name: "auth-data", Err: tdx.ErrQE, Text: "the attestation key needs", forge: flipped(inData(dataAuth))},
		{Name: "auth-length", Err: tdx.ErrMalformed, Text: "the QE is certified with data of type", forge: put(inData(dataAuthSize), 30)},
		{Name: "certificates-type", Err: tdx.ErrMalformed, Text: "data of type 1, want 5", forge: put(inData(dataInner), 1)},
		{Name: "certificates-size", Err: tdx.ErrMalformed, Text: "a PCK certificate chain of", forge: flipped(inData(dataInner + 2))},
	}
}

// chainForgeries send other certificates with the quote.
func chainForgeries() []Forgery {
	type certificates struct{ leaf, ca, root, otherCA, otherRoot, signer, otherLeaf []byte }
	chain := func(pick func(certificates) [][]byte) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
		return func(o *QuoteOptions, v *Vendor, p *Platform) (*Platform, error) {
			foreign, err := NewVendor(v.now)
			if err != nil {
				return nil, err
			}
			other, err := v.NewPlatform(PlatformOptions{})
			if err != nil {
				return nil, err
			}
			o.Chain = append(bytes.Join(pick(certificates{
				encode(p.leaf.cert), encode(p.ca.cert), encode(p.root.cert),
				encode(foreign.platform.cert), encode(foreign.root.cert), encode(v.tcb.cert), encode(other.leaf.cert),
			}), nil), 0)
			return nil, nil //nolint:nilnil // the same platform
		}
	}
	const untrusted, failed = "is not among the trusted Intel roots", "x509: ECDSA verification failure"
	return []Forgery{
		{Name: "chain-other-vendor", Err: tdx.ErrUntrustedChain, Text: untrusted, forge: foreignPlatform},
		{Name: "chain-other-root", Err: tdx.ErrUntrustedChain, Text: untrusted,
			forge: chain(func(c certificates) [][]byte { return [][]byte{c.leaf, c.ca, c.otherRoot} })},
		{Name: "chain-other-authority", Err: tdx.ErrUntrustedChain, Text: failed,
			forge: chain(func(c certificates) [][]byte { return [][]byte{c.leaf, c.otherCA, c.root} })},
		{Name: "chain-root-as-authority", Err: tdx.ErrUntrustedChain, Text: `named "Intel SGX Root CA", want`,
			forge: chain(func(c certificates) [][]byte { return [][]byte{c.leaf, c.root, c.root} })},
		{Name: "chain-signer-as-authority", Err: tdx.ErrUntrustedChain, Text: `named "Intel SGX TCB Signing", want`,
			forge: chain(func(c certificates) [][]byte { return [][]byte{c.leaf, c.signer, c.root} })},
		{Name: "chain-reversed", Err: tdx.ErrMalformed, Text: "SGX extensions",
			forge: chain(func(c certificates) [][]byte { return [][]byte{c.root, c.ca, c.leaf} })},
		{Name: "chain-other-platform", Err: tdx.ErrQE, Text: uncertified,
			forge: chain(func(c certificates) [][]byte { return [][]byte{c.otherLeaf, c.ca, c.root} })},
		{Name: "chain-without-root", Err: tdx.ErrMalformed, Text: "2 certificates, want 3",
			forge: chain(func(c certificates) [][]byte { return [][]byte{c.leaf, c.ca} })},
		{Name: "chain-of-four", Err: tdx.ErrMalformed, Text: "4 certificates, want 3",
			forge: chain(func(c certificates) [][]byte { return [][]byte{c.leaf, c.ca, c.root, c.root} })},
		{Name: "chain-none", Err: tdx.ErrMalformed, Text: "0 certificates, want 3", forge: chain(func(certificates) [][]byte { return nil })},
		{Name: "chain-no-pem", Err: tdx.ErrMalformed, Text: "not PEM of certificates alone",
			forge: chain(func(c certificates) [][]byte { return [][]byte{[]byte("chain\n"), c.leaf, c.ca, c.root} })},
	}
}

func foreignPlatform(_ *QuoteOptions, v *Vendor, _ *Platform) (*Platform, error) {
	foreign, err := NewVendor(v.now)
	if err != nil {
		return nil, err
	}
	return foreign.NewPlatform(PlatformOptions{})
}

// certificateForgeries are of platforms whose PCK certificate is not as Intel issues it.
func certificateForgeries() []Forgery {
	platform := func(change func(*x509.Certificate, time.Time)) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
		return func(_ *QuoteOptions, v *Vendor, p *Platform) (*Platform, error) {
			return v.NewPlatform(PlatformOptions{PCK: p.pck, Template: func(c *x509.Certificate) { change(c, v.now) }})
		}
	}
	extension := func(change func(map[int]any)) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
		return func(_ *QuoteOptions, v *Vendor, p *Platform) (*Platform, error) {
			return v.NewPlatform(PlatformOptions{PCK: p.pck, Extension: change})
		}
	}
	critical := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}
	return []Forgery{
		{Name: "pck-expired", Err: tdx.ErrUntrustedChain, Text: "is valid from",
			forge: platform(func(c *x509.Certificate, now time.Time) { c.NotAfter = now.Add(-30 * time.Minute) })},
		{Name: "pck-not-yet-valid", Err: tdx.ErrUntrustedChain, Text: "is valid from",
			forge: platform(func(c *x509.Certificate, now time.Time) { c.NotBefore = now.AddDate(1, 0, 0) })},
		{Name: "pck-is-authority", Err: tdx.ErrUntrustedChain, Text: "the leaf is a certificate authority",
			forge: platform(func(c *x509.Certificate, _ time.Time) { c.IsCA = true })},
		{Name: "pck-may-not-sign", Err: tdx.ErrUntrustedChain, Text: "lacks digital signature",
			forge: platform(func(c *x509.Certificate, _ time.Time) { c.KeyUsage = x509.KeyUsageKeyEncipherment })},
		{Name: "pck-sha-384", Err: tdx.ErrUntrustedChain, Text: "signed with ECDSA-SHA384",
			forge: platform(func(c *x509.Certificate, _ time.Time) { c.SignatureAlgorithm = x509.ECDSAWithSHA384 })},
		{Name: "pck-unknown-critical", Err: tdx.ErrUntrustedChain, Text: "critical extension 1.2.3",
			forge: platform(func(c *x509.Certificate, _ time.Time) { c.ExtraExtensions = append(c.ExtraExtensions, critical) })},
		{Name: "pck-no-extension", Err: tdx.ErrMalformed, Text: "0 SGX extensions",
			forge: platform(func(c *x509.Certificate, _ time.Time) { c.ExtraExtensions = nil })},
		{Name: "pck-no-fmspc", Err: tdx.ErrMalformed, Text: "field 4 of the SGX extension is missing",
			forge: extension(func(all map[int]any) { delete(all, 4) })},
		{Name: "pck-short-ppid", Err: tdx.ErrMalformed, Text: "want an OCTET STRING of 16 bytes",
			forge: extension(func(all map[int]any) { all[1] = []byte{1} })},
		{Name: "pck-no-tcb", Err: tdx.ErrMalformed, Text: "is not a sequence of pairs", forge: extension(func(all map[int]any) { delete(all, 2) })},
		{Name: "pck-svn-too-large", Err: tdx.ErrMalformed, Text: "want an INTEGER from 0 to 255",
			forge: extension(func(all map[int]any) { all[2].(map[int]any)[1] = 256 })},
	}
}
