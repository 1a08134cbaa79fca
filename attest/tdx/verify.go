package tdx

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"skr/internal/certificate"
)

// Names of the authorities ("Intel SGX PCK Certificate and Certificate Revocation List Profile
// Specification", revision 1.5, section 1.3).
const (
	rootName    = "Intel SGX Root CA"
	platformCA  = "Intel SGX PCK Platform CA"
	processorCA = "Intel SGX PCK Processor CA"
)

// Verification is what a quote is verified with.
type Verification struct {
	// Roots are the trusted roots; nil means [BuiltinRoots].
	Roots *Roots
	// ReportData must be REPORTDATA of the quote: see [Bind].
	ReportData ReportData
	// Collateral is Intel's, for the quote's platform; nil means that none is at hand.
	Collateral *Collateral
	// Policy says which collateral and which TCB status are demanded. The zero value
	// demands none.
	Policy Policy
	// Now is the time that certificates and collateral are compared with.
	Now time.Time
}

// Result is what the verification found beyond that the quote is genuine.
type Result struct {
	// Level is the TCB level; nil if it was not looked at.
	Level *Level
	// NotLookedAt lists what was not looked at because the collateral is missing, and what
	// was looked at in collateral that is out of date, each with the reason.
	NotLookedAt []string
}

// Verify makes all checks: that Intel's quoting enclave signed the quote on a platform that
// Intel certified, that the TD is neither debuggable nor migratable, that REPORTDATA is what
// it must be and, as far as there is collateral, that no certificate is revoked and which TCB
// level the platform has. False collateral is always an error, and so is a revocation.
//
// The error wraps one of the errors of this package, as the steps do. A quote is acceptable
// only if MRTD is a value that the caller trusts, too.
func (q *Quote) Verify(v Verification) (*Result, error) {
	if v.Roots == nil {
		v.Roots = BuiltinRoots()
	}
	err := q.VerifyCertificates(v.Roots, v.Now)
	for _, step := range []func() error{q.VerifyQE, q.VerifySignature, q.Attributes().Check} {
		if err == nil {
			err = step()
		}
	}
	if err == nil {
		err = q.CheckReportData(v.ReportData)
	}
	if err != nil {
		return nil, err
	}
	return q.appraise(v)
}

// VerifySignature checks that the attestation key in the quote signed header and body, and that
// nothing but zeros follows the quote. It does not check whose key that is: see
// [Quote.VerifyQE]. The error wraps [ErrQuoteSignature].
func (q *Quote) VerifySignature() error {
	if q.trailing > 0 {
		return fmt.Errorf("%w: %d bytes after it are not all zero", ErrQuoteSignature, q.trailing)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, q.key[:]...))
	if err != nil {
		return fmt.Errorf("%w: the attestation key is not a point of P-256", ErrQuoteSignature)
	}
	if !verifyP256(key, q.raw[:q.signed], q.signature) {
		return fmt.Errorf("%w: the signature does not verify with the attestation key", ErrQuoteSignature)
	}
	return nil
}

// VerifyQE checks that the PCK signed the report of the quoting enclave, that the enclave is
// Intel's, and that its report names the attestation key. It does not check whose key the PCK
// is: see [Quote.VerifyCertificates]. The error wraps [ErrQE].
func (q *Quote) VerifyQE() error {
	err := q.qe.checkKey(q.key)
	if err == nil {
		err = q.qe.checkIdentity()
	}
	if err == nil && !verifyP256(q.pck.key, q.qe.raw[:], q.qe.signature) {
		err = errors.New("the signature does not verify with the key of the PCK certificate")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrQE, err)
	}
	return nil
}

// VerifyCertificates checks that the PCK certificate leads to one of roots at the time now. It
// does not check whether one of the certificates is revoked: see [Collateral]. The error wraps
// [ErrUntrustedChain].
func (q *Quote) VerifyCertificates(roots *Roots, now time.Time) error {
	if err := q.pck.verify(roots, now); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrustedChain, err)
	}
	return nil
}

// CheckReportData checks that REPORTDATA is want. The error wraps [ErrNotBound].
func (q *Quote) CheckReportData(want ReportData) error {
	if got := q.ReportData(); got != want {
		return fmt.Errorf("%w: the quote has %s, its data needs %s", ErrNotBound, got, want)
	}
	return nil
}

// CheckReport checks that the quote was made from the report: all that both have is equal. The
// error names the fields that differ and wraps [ErrOtherReport].
func (q *Quote) CheckReport(r *Report) error {
	hash, _ := r.SERVTDHash()
	service, _ := q.MRSERVICETD()
	svn2, is15 := q.TEETCBSVN2()
	var wrong []string
	for _, field := range []struct {
		name string
		same bool
	}{
		{"TEE_TCB_SVN", q.TEETCBSVN() == r.TEETCBSVN()}, {"MRSEAM", q.MRSEAM() == r.MRSEAM()},
		{"MRSIGNERSEAM", q.MRSIGNERSEAM() == r.MRSIGNERSEAM()}, {"SEAMATTRIBUTES", q.SEAMAttributes() == r.SEAMAttributes()},
		{"ATTRIBUTES", q.Attributes() == r.Attributes()}, {"XFAM", q.XFAM() == r.XFAM()}, {"MRTD", q.MRTD() == r.MRTD()},
		{"MRCONFIGID", q.MRCONFIGID() == r.MRCONFIGID()}, {"MROWNER", q.MROWNER() == r.MROWNER()},
		{"MROWNERCONFIG", q.MROWNERCONFIG() == r.MROWNERCONFIG()}, {"RTMR0 to RTMR3", q.RTMRs() == r.RTMRs()},
		{"REPORTDATA", q.ReportData() == r.ReportData()},
		{"TEE_TCB_SVN_2", !is15 || svn2 == r.TEETCBSVN2()}, {"MRSERVICETD", !is15 || service == hash},
	} {
		if !field.same {
			wrong = append(wrong, field.name)
		}
	}
	if wrong != nil {
		return fmt.Errorf("%w: they differ in %s", ErrOtherReport, strings.Join(wrong, ", "))
	}
	return nil
}

func (c pckChain) verify(roots *Roots, now time.Time) error {
	anchor, err := roots.anchor(c.root)
	if err != nil {
		return err
	}
	if name := c.intermediate.Subject.CommonName; !slices.Contains([]string{platformCA, processorCA}, name) {
		return fmt.Errorf("the authority of the PCK certificate is named %q, want %q or %q", name, platformCA, processorCA)
	}
	if err := checkLink(c.intermediate, anchor); err != nil {
		return err
	}
	if err := checkLink(c.leaf, c.intermediate); err != nil {
		return err
	}
	if err := certificate.CheckSigner(c.leaf); err != nil {
		return err
	}
	for _, one := range []error{checkValidity(c.leaf, now), checkValidity(c.intermediate, now), checkValidity(anchor, now)} {
		if one != nil {
			return one
		}
	}
	return nil
}

// verifyP256 verifies ECDSA with SHA-256. The signature is r and s, big-endian.
func verifyP256(key *ecdsa.PublicKey, message []byte, signature [64]byte) bool {
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	digest := sha256.Sum256(message)
	return err == nil && ecdsa.VerifyASN1(key, digest[:], der)
}
