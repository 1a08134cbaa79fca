package vcek

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"skr/attest/snp"
	"skr/internal/certificate"
	"skr/internal/crash"
)

const arkPrefix = "ARK-"

// Verify checks that the leaf endorses the report's chip and REPORTED_TCB, that the
// chain leads to one of roots at the time now, and that the leaf's key signed the
// report. Its error wraps [ErrNotEndorsed], [ErrUntrustedChain] or
// [ErrReportSignature].
func (c *Chain) Verify(report *snp.Report, roots *Roots, now time.Time) error {
	if c == nil || c.leaf == nil {
		return fmt.Errorf("verifying: %w", errEmptyChain)
	}
	if err := c.Endorses(report); err != nil {
		return err
	}
	signed := crash.Beside(func() error { return c.VerifySignature(report) }) // the two take equally long
	if err := c.VerifyCertificates(roots, now); err != nil {
		return err
	}
	return signed()
}

// Endorses is the first of the three steps of [Chain.Verify], for tools that show each
// step: it checks that the leaf names the report's chip and REPORTED_TCB. Alone it
// proves nothing.
func (c *Chain) Endorses(report *snp.Report) error {
	if err := c.checkEndorses(report); err != nil {
		return fmt.Errorf("%w: %w", ErrNotEndorsed, err)
	}
	return nil
}

// VerifyCertificates is the second step: it checks that the chain leads to one of roots
// at the time now. It does not look at a report.
func (c *Chain) VerifyCertificates(roots *Roots, now time.Time) error {
	if err := c.verifyCertificates(roots, now); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrustedChain, err)
	}
	return nil
}

// VerifySignature is the third step: it checks that the leaf's key signed the report. It
// does not check whose key that is.
func (c *Chain) VerifySignature(report *snp.Report) error {
	if err := c.verifySignature(report); err != nil {
		return fmt.Errorf("%w: %w", ErrReportSignature, err)
	}
	return nil
}

// checkEndorses compares the leaf's kind, product, chip and TCB with the report.
func (c *Chain) checkEndorses(report *snp.Report) error {
	if err := checkSigner(report); err != nil {
		return err
	}
	if got, want := report.SigningKey(), c.endorsed.kind; got != want {
		return fmt.Errorf("the report is signed by its %s, the certificate is of a %s", kindName(got), kindName(want))
	}
	// A version 2 report does not name its product. Then the certificate's product
	// determines the layout of the TCB.
	if _, named := report.CPUID(); named && report.Product() != c.Product() {
		return fmt.Errorf("the report comes from product %s, the certificate is for %s", report.Product(), c.Product())
	}
	if got, want := report.ChipID().HWID(c.Product()), c.endorsed.hwid; c.endorsed.kind == snp.VCEK && !bytes.Equal(got, want) {
		return fmt.Errorf("the report comes from chip %x, the certificate is for %x", got, want)
	}
	if got := snp.NewTCB(report.ReportedTCB().Raw(), c.Product()); got.Components() != c.endorsed.levels {
		return fmt.Errorf("the report has REPORTED_TCB %s (%s), the certificate is for %s (%s)", got.Hex(), got, c.TCB().Hex(), c.TCB())
	}
	return nil
}

// checkSigner refuses reports that no certificate can endorse.
func checkSigner(report *snp.Report) error {
	switch report.SigningKey() {
	case snp.VCEK:
		return checkUnmasked(report)
	case snp.VLEK:
		return nil
	case snp.Unsigned:
		return errors.New("the report is not signed")
	}
	return fmt.Errorf("the report is signed by the unknown key %d", uint8(report.SigningKey()))
}

// checkUnmasked refuses reports without a signature or chip, which hosts can configure
// (AMD 56860, section SNP_CONFIG, MASK_CHIP_KEY, MASK_CHIP_ID).
func checkUnmasked(report *snp.Report) error {
	if report.ChipKeyMasked() {
		return errors.New("the report is not signed, as the host masks the chip's key (MASK_CHIP_KEY)")
	}
	if report.ChipID().IsZero() {
		return errors.New("the report's CHIP_ID is masked (MASK_CHIP_ID), so that no VCEK can be found for it")
	}
	return nil
}

// verifyCertificates checks leaf, intermediate and root (AMD 57230, chapter Certificate
// Formats).
func (c *Chain) verifyCertificates(roots *Roots, now time.Time) error {
	anchor, err := roots.anchor(c.root)
	if err != nil {
		return err
	}
	if err := c.checkNames(); err != nil {
		return err
	}
	for _, certificate := range []*x509.Certificate{c.leaf, c.intermediate, anchor} {
		if err := checkValidity(certificate, now); err != nil {
			return err
		}
	}
	if err := certificate.CheckSigner(c.leaf); err != nil {
		return err
	}
	if err := checkLink(c.intermediate, anchor); err != nil {
		return fmt.Errorf("intermediate: %w", err)
	}
	if err := checkLink(c.leaf, c.intermediate); err != nil {
		return fmt.Errorf("leaf: %w", err)
	}
	return nil
}

// anchored returns the chain with its root replaced by the trusted one. Verify compares
// only name and key of the root that came with the chain.
func (c *Chain) anchored(roots *Roots) (*Chain, error) {
	anchor, err := roots.anchor(c.root)
	if err != nil {
		return nil, err
	}
	own := *c
	own.root = anchor
	return &own, nil
}

// checkNames checks that the issuers' names fit the product and kind of the leaf: for
// example, SEV-Milan certifies a VCEK and SEV-VLEK-Milan a VLEK.
func (c *Chain) checkNames() error {
	prefix := "SEV-"
	if c.endorsed.kind == snp.VLEK {
		prefix = "SEV-VLEK-"
	}
	line := c.Product().String()
	for _, name := range []struct{ got, want string }{
		{c.intermediate.Subject.CommonName, prefix + line},
		{c.root.Subject.CommonName, arkPrefix + line},
	} {
		if name.got != name.want {
			return fmt.Errorf("the chain of a %s for %s has a certificate named %q, want %q", kindName(c.endorsed.kind), line, name.got, name.want)
		}
	}
	return nil
}

func checkValidity(certificate *x509.Certificate, now time.Time) error {
	if now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
		return fmt.Errorf("certificate %q is valid from %s to %s, not at %s", certificate.Subject.CommonName,
			certificate.NotBefore.Format(time.RFC3339), certificate.NotAfter.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkLink checks that parent issued child: the names, that parent is a certificate
// authority, and the signature by RSASSA-PSS with SHA-384, the only algorithm that AMD
// uses.
func checkLink(child, parent *x509.Certificate) error {
	switch {
	case !bytes.Equal(child.RawIssuer, parent.RawSubject):
		return fmt.Errorf("it is issued by %q, not by %q", child.Issuer.CommonName, parent.Subject.CommonName)
	case !parent.BasicConstraintsValid || !parent.IsCA:
		return fmt.Errorf("its issuer %q is no certificate authority", parent.Subject.CommonName)
	case child.SignatureAlgorithm != x509.SHA384WithRSAPSS:
		return fmt.Errorf("it is signed with %s, want %s", child.SignatureAlgorithm, x509.SHA384WithRSAPSS)
	case rsaBits(parent) > maxRSABits:
		return fmt.Errorf("its issuer has an RSA key of %d bits", rsaBits(parent))
	case len(child.UnhandledCriticalExtensions) > 0:
		return fmt.Errorf("it has the unknown critical extension %s", child.UnhandledCriticalExtensions[0])
	}
	return child.CheckSignatureFrom(parent)
}

// maxRSABits is the size of AMD's keys. Verifying with a much larger key would take very
// long.
const maxRSABits = 4096

func rsaBits(certificate *x509.Certificate) int {
	if key, ok := certificate.PublicKey.(*rsa.PublicKey); ok {
		return key.N.BitLen()
	}
	return 0
}

// verifySignature checks ECDSA P-384 with SHA-384 over the report's first 0x2A0
// bytes; R and S are little-endian, zero-extended to 72 bytes (AMD 56860, table
// "Signature Format for ECDSA P-384 with SHA-384").
func (c *Chain) verifySignature(report *snp.Report) error {
	r, s := report.Signature()
	signature, err := asn1.Marshal(struct{ R, S *big.Int }{fromLittleEndian(r), fromLittleEndian(s)})
	if err != nil {
		return err
	}
	digest := sha512.Sum384(report.Signed())
	if !ecdsa.VerifyASN1(c.key, digest[:], signature) {
		return fmt.Errorf("the signature does not verify with the key of the %s certificate", kindName(c.endorsed.kind))
	}
	return nil
}

func fromLittleEndian(number []byte) *big.Int {
	slices.Reverse(number)
	return new(big.Int).SetBytes(number)
}
