package tdxtest

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"

	"skr/attest/tdx"
)

// CollateralForgery is collateral with one fault, and what package tdx says about it to a policy
// that demands UpToDate.
type CollateralForgery struct {
	// Name names the fault, such as "tcb-info-signature".
	Name string
	// Err is the error that the parser, [tdx.Collateral.Authenticate] or [tdx.Quote.Verify]
	// wraps, and Text is part of its message.
	Err  error
	Text string

	options func(o *CollateralOptions, v *Vendor, p *Platform)
	change  func(c *Collateral, v *Vendor, p *Platform) error
}

// Collateral returns the false collateral of the platform.
func (f CollateralForgery) Collateral(v *Vendor, p *Platform, o CollateralOptions) (Collateral, error) {
	if f.options != nil {
		f.options(&o, v, p)
	}
	c, err := v.Collateral(p, o)
	if err == nil && f.change != nil {
		err = f.change(&c, v, p)
	}
	return c, err
}

// CollateralForgeries returns all false collateral.
func CollateralForgeries() []CollateralForgery {
	return slices.Concat(tcbInfoForgeries(), qeIdentityForgeries(), signatureForgeries(), revocationForgeries())
}

func set(name string, value any) func(map[string]any) {
	return func(document map[string]any) { document[name] = value }
}

// info changes TCB info before it is signed.
func info(change func(map[string]any)) func(*CollateralOptions, *Vendor, *Platform) {
	return func(o *CollateralOptions, _ *Vendor, _ *Platform) { o.TCBInfo = change }
}

// identity changes QE identity before it is signed.
func identity(change func(map[string]any)) func(*CollateralOptions, *Vendor, *Platform) {
	return func(o *CollateralOptions, _ *Vendor, _ *Platform) { o.QEIdentity = change }
}

func tcbInfoForgeries() []CollateralForgery {
	modules := func(change func(map[string]any)) func(*CollateralOptions, *Vendor, *Platform) {
		return info(func(document map[string]any) {
			for _, module := range document["tdxModuleIdentities"].([]map[string]any) {
				change(module)
			}
		})
	}
	levels := func(status string) func(*CollateralOptions, *Vendor, *Platform) {
		return info(func(document map[string]any) {
			for _, level := range document["tcbLevels"].([]map[string]any) {
				level["tcbStatus"] = status
			}
		})
	}
	return []CollateralForgery{
		{Name: "tcb-info-id", Err: tdx.ErrCollateralMalformed, Text: `it is of "SGX"`, options: info(set("id", "SGX"))},
		{Name: "tcb-info-version", Err: tdx.ErrCollateralMalformed, Text: "version 2, want", options: info(set("version", 2))},
		{Name: "tcb-info-type", Err: tdx.ErrCollateralMalformed, Text: "tcbType is 1", options: info(set("tcbType", 1))},
		{Name: "tcb-info-fmspc", Err: tdx.ErrCollateral, Text: "for FMSPC 00806f050000", options: info(set("fmspc", "00806F050000"))},
		{Name: "tcb-info-pceid", Err: tdx.ErrCollateral, Text: "PCEID 0001", options: info(set("pceId", "0001"))},
		{Name: "tcb-info-no-module", Err: tdx.ErrCollateral, Text: "no identity of the TDX module TDX_01", options: info(set("tdxModuleIdentities", []any{}))},
		{Name: "tcb-info-module-signer", Err: tdx.ErrCollateral, Text: "MRSIGNERSEAM", options: modules(set("mrsigner", strings.Repeat("AB", 48)))},
		{Name: "tcb-info-module-attributes", Err: tdx.ErrCollateral, Text: "SEAMATTRIBUTES", options: modules(set("attributes", "0100000000000000"))},
		{Name: "tcb-info-module-revoked", Err: tdx.ErrRevoked, Text: "Revoked by the TDX module",
			options: modules(set("tcbLevels", []any{ISVSVN(0, "Revoked")}))},
		{Name: "tcb-info-unknown-status", Err: tdx.ErrCollateralMalformed, Text: "unknown tcbStatus", options: levels("Fine")},
		{Name: "tcb-info-revoked", Err: tdx.ErrRevoked, Text: "Revoked by the platform", options: levels("Revoked")},
		{Name: "tcb-info-out-of-date", Err: tdx.ErrTCBStatus, Text: "OutOfDate by the platform", options: info(OutOfDate)},
		{Name: "tcb-info-below-all-levels", Err: tdx.ErrTCBStatus, Text: "NotSupported by the platform", options: info(func(document map[string]any) {
			document["tcbLevels"] = []any{Level([16]uint8{255}, 13, [16]uint8{}, "UpToDate")}
		})},
		{Name: "tcb-info-expired", Err: tdx.ErrNoCollateral, Text: "TCB info (valid from", options: info(set("nextUpdate", "2020-01-01T00:00:00Z"))},
		{Name: "tcb-info-not-yet", Err: tdx.ErrNoCollateral, Text: "TCB info (valid from", options: info(set("issueDate", "2099-01-01T00:00:00Z"))},
	}
}

func qeIdentityForgeries() []CollateralForgery {
	return []CollateralForgery{
		{Name: "qe-identity-id", Err: tdx.ErrCollateralMalformed, Text: `it is of "QE"`, options: identity(set("id", "QE"))},
		{Name: "qe-identity-miscselect", Err: tdx.ErrCollateral, Text: "MISCSELECT", options: identity(set("miscselect", "00000001"))},
		{Name: "qe-identity-attributes", Err: tdx.ErrCollateral, Text: "ATTRIBUTES",
			options: identity(set("attributes", "21000000000000000000000000000000"))},
		{Name: "qe-identity-mrsigner", Err: tdx.ErrCollateral, Text: "of signer", options: identity(set("mrsigner", strings.Repeat("ab", 32)))},
		{Name: "qe-identity-product", Err: tdx.ErrCollateral, Text: "is product 2", options: identity(set("isvprodid", 1))},
		{Name: "qe-identity-revoked", Err: tdx.ErrRevoked, Text: "Revoked by the quoting enclave",
			options: identity(set("tcbLevels", []any{ISVSVN(0, "Revoked")}))},
		{Name: "qe-identity-out-of-date", Err: tdx.ErrTCBStatus, Text: "OutOfDate by the quoting enclave",
			options: identity(set("tcbLevels", []any{ISVSVN(QESVN+1, "UpToDate"), ISVSVN(QESVN, "OutOfDate")}))},
		{Name: "qe-identity-expired", Err: tdx.ErrNoCollateral, Text: "QE identity (valid from", options: identity(set("nextUpdate", "2020-01-01T00:00:00Z"))},
	}
}

// signatureForgeries are changed after they were signed, or signed by another vendor.
func signatureForgeries() []CollateralForgery {
	replaced := func(part func(*Collateral) *[]byte, old, new string) func(*Collateral, *Vendor, *Platform) error {
		return func(c *Collateral, _ *Vendor, _ *Platform) error {
			*part(c) = bytes.Replace(*part(c), []byte(old), []byte(new), 1)
			return nil
		}
	}
	foreign := func(take func(own, other *Collateral)) func(*Collateral, *Vendor, *Platform) error {
		return func(c *Collateral, v *Vendor, p *Platform) error {
			vendor, err := NewVendor(v.now)
			if err != nil {
				return err
			}
			platform, err := vendor.NewPlatform(PlatformOptions{PCK: p.pck})
			if err != nil {
				return err
			}
			other, err := vendor.Collateral(platform, CollateralOptions{})
			take(c, &other)
			return err
		}
	}
	tcb := func(c *Collateral) *[]byte { return &c.TCBInfo }
	qe := func(c *Collateral) *[]byte { return &c.QEIdentity }
	const failed = "the signature does not verify with the key of"
	return []CollateralForgery{
		{Name: "tcb-info-changed", Err: tdx.ErrCollateral, Text: failed, change: replaced(tcb, `"OutOfDate"`, `"UpToDate"`)},
		{Name: "tcb-info-respaced", Err: tdx.ErrCollateral, Text: failed, change: replaced(tcb, `"version":3`, `"version": 3`)},
		{Name: "tcb-info-unsigned", Err: tdx.ErrCollateralMalformed, Text: "not 128 hexadecimal digits", change: replaced(tcb, `"signature":"`, `"signature":"zz`)},
		{Name: "tcb-info-other-vendor", Err: tdx.ErrCollateral, Text: failed, change: foreign(func(own, other *Collateral) { own.TCBInfo = other.TCBInfo })},
		{Name: "tcb-info-other-signer", Err: tdx.ErrCollateral, Text: "Intel SGX TCB Signing",
			change: foreign(func(own, other *Collateral) { own.Issuers = other.Issuers })},
		{Name: "qe-identity-changed", Err: tdx.ErrCollateral, Text: failed, change: replaced(qe, `"OutOfDate"`, `"UpToDate"`)},
		{Name: "qe-identity-other-vendor", Err: tdx.ErrCollateral, Text: failed,
			change: foreign(func(own, other *Collateral) { own.QEIdentity = other.QEIdentity })},
		{Name: "no-issuers", Err: tdx.ErrCollateral, Text: "is not here", change: func(c *Collateral, _ *Vendor, _ *Platform) error { c.Issuers = nil; return nil }},
		{Name: "pck-crl-other-vendor", Err: tdx.ErrCollateral, Text: "the PCK CRL: ", change: foreign(func(own, other *Collateral) { own.PCKCRL = other.PCKCRL })},
		{Name: "root-crl-other-vendor", Err: tdx.ErrCollateral, Text: "the root CRL: ",
			change: foreign(func(own, other *Collateral) { own.RootCRL = other.RootCRL })},
	}
}

func revocationForgeries() []CollateralForgery {
	delta := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}
	return []CollateralForgery{
		{Name: "pck-crl-of-root", Err: tdx.ErrCollateral, Text: `the PCK CRL is of "Intel SGX Root CA"`,
			change: func(c *Collateral, _ *Vendor, _ *Platform) error { c.PCKCRL = c.RootCRL; return nil }},
		{Name: "crl-delta", Err: tdx.ErrCollateral, Text: "unknown critical extension", options: func(o *CollateralOptions, _ *Vendor, _ *Platform) {
			o.List = func(l *x509.RevocationList) { l.ExtraExtensions = append(l.ExtraExtensions, delta) }
		}},
		{Name: "crl-no-der", Err: tdx.ErrCollateralMalformed, Text: "CRL",
			change: func(c *Collateral, _ *Vendor, _ *Platform) error { c.PCKCRL = c.PCKCRL[:40]; return nil }},
		{Name: "pck-revoked", Err: tdx.ErrRevoked, Text: `"Intel SGX PCK Certificate"`, options: func(o *CollateralOptions, _ *Vendor, p *Platform) {
			o.Revoked = append(o.Revoked, p.leaf.cert)
		}},
		{Name: "authority-revoked", Err: tdx.ErrRevoked, Text: `"Intel SGX PCK Platform CA"`, options: func(o *CollateralOptions, v *Vendor, _ *Platform) {
			o.RevokedAuthorities = append(o.RevokedAuthorities, v.platform.cert)
		}},
		{Name: "signer-revoked", Err: tdx.ErrRevoked, Text: `"Intel SGX TCB Signing"`, options: func(o *CollateralOptions, v *Vendor, _ *Platform) {
			o.RevokedAuthorities = append(o.RevokedAuthorities, v.tcb.cert)
		}},
		{Name: "all-expired", Err: tdx.ErrNoCollateral, Text: "root CRL (valid from", options: func(o *CollateralOptions, v *Vendor, _ *Platform) {
			o.Issued = v.now.AddDate(0, -2, 0)
		}},
	}
}
