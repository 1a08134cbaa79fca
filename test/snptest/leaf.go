package snptest

import (
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"skr/attest/snp"
)

// Lies are false statements in a leaf certificate. A zero field keeps the true
// value.
type Lies struct {
	// HWID is the chip in a VCEK.
	HWID []byte
	// TCB is the patch levels in the certificate. The key remains the one for
	// the requested TCB.
	TCB *snp.Components
	// ProductName replaces "Milan-B0", "Genoa" or "Turin".
	ProductName string
	// NotBefore and NotAfter are the validity.
	NotBefore, NotAfter time.Time
	// Key is the certified public key.
	Key *ecdsa.PublicKey
	// Template may change anything else before the certificate is signed. AMD's
	// extensions are in ExtraExtensions.
	Template func(*x509.Certificate)
}

// LyingVCEK returns the certificate of the chip's key at t with lies in it,
// PEM.
func (c *Chip) LyingVCEK(t snp.TCB, lies Lies) ([]byte, error) {
	key, err := c.vcek(c.withProduct(t))
	if err != nil {
		return nil, err
	}
	hwid := c.id.HWID(c.vendor.product)
	if lies.HWID != nil {
		hwid = lies.HWID
	}
	// HWID is the bare bytes, without a DER header (AMD 57230, VCEK certificate
	// extensions; Azure's certificates agree).
	identity := pkix.Extension{Id: extension(4), Value: hwid}
	return c.leaf("SEV-VCEK", c.vendor.ask, key, t, identity, silicon[c.vendor.product].certName, lies)
}

// VLEK returns the certificate of the loaded key at t, PEM. Vendor.VLEKChainPEM
// continues it.
func (c *Chip) VLEK(t snp.TCB) ([]byte, error) { return c.LyingVLEK(t, Lies{}) }

// LyingVLEK returns the certificate of the loaded key at t with lies in it,
// PEM.
func (c *Chip) LyingVLEK(t snp.TCB, lies Lies) ([]byte, error) {
	asvk, err := c.vendor.asvk()
	if err != nil {
		return nil, err
	}
	key, err := c.vlek(c.withProduct(t))
	if err != nil {
		return nil, err
	}
	csp, err := asn1.MarshalWithParams(organisation, "ia5")
	if err != nil {
		return nil, fmt.Errorf("snptest: encoding CSP_ID: %w", err)
	}
	// A VLEK belongs to a cloud provider, not to a chip, and its product name
	// has no stepping.
	identity := pkix.Extension{Id: extension(5), Value: csp}
	return c.leaf("SEV-VLEK", asvk, key, t, identity, c.vendor.product.String(), lies)
}

// leaf issues a certificate for key at t in AMD's form: serial number 0,
// RSASSA-PSS, a P-384 key, only AMD's own extensions.
func (c *Chip) leaf(name string, issuer *authority, key *ecdsa.PrivateKey, t snp.TCB,
	identity pkix.Extension, product string, lies Lies,
) ([]byte, error) {
	extensions, err := c.extensions(orElse(lies.ProductName, product), override(lies.TCB, c.withProduct(t).Components()))
	if err != nil {
		return nil, fmt.Errorf("snptest: encoding extensions of %s: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber:       big.NewInt(0),
		Subject:            c.vendor.name(name),
		NotBefore:          orElse(lies.NotBefore, c.vendor.now.Add(-time.Hour)),
		NotAfter:           orElse(lies.NotAfter, c.vendor.now.AddDate(leafYears, 0, 0)),
		SignatureAlgorithm: x509.SHA384WithRSAPSS,
		ExtraExtensions:    append(extensions, identity),
	}
	if lies.Template != nil {
		lies.Template(template)
	}
	// Without the issuer's key identifier, the leaf gets no authority key
	// identifier.
	bare := *issuer.cert
	bare.SubjectKeyId = nil
	cert, err := issue(template, &authority{cert: &bare, key: issuer.key}, orElse(lies.Key, &key.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("snptest: issuing %s: %w", name, err)
	}
	return encodePEM(cert.Raw), nil
}

// extension returns an identifier in AMD's arc for SEV certificates (AMD 57230,
// VCEK certificate extensions).
func extension(arc ...int) asn1.ObjectIdentifier {
	return append(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 3704, 1}, arc...)
}

// extensions returns AMD's extensions before the identity, in the order of real
// certificates.
func (c *Chip) extensions(product string, t snp.Components) ([]pkix.Extension, error) {
	type member struct {
		arc    []int
		value  any
		params string
	}
	members := []member{
		{[]int{1}, silicon[c.vendor.product].structVersion, ""},
		{[]int{2}, product, "ia5"},
	}
	for _, level := range c.patchLevels(t) {
		members = append(members, member{[]int{3, level[0]}, level[1], ""})
	}
	var extensions []pkix.Extension
	for _, m := range members {
		der, err := asn1.MarshalWithParams(m.value, m.params)
		if err != nil {
			return nil, err
		}
		extensions = append(extensions, pkix.Extension{Id: extension(m.arc...), Value: der})
	}
	return extensions, nil
}

// patchLevels pairs the last arc of an extension below .3 with its level: 1
// bootloader, 2 TEE, 3 SNP, 4 to 7 spare, 8 microcode, 9 FMC. Turin has FMC
// instead of the first spare; Milan and Genoa have SNP after the spares.
func (c *Chip) patchLevels(t snp.Components) [][2]int {
	bootloader, tee, snpLevel, microcode := [2]int{1, int(t.Bootloader)}, [2]int{2, int(t.TEE)}, [2]int{3, int(t.SNP)}, [2]int{8, int(t.Microcode)}
	if c.vendor.product == snp.Turin {
		return [][2]int{{9, int(t.FMC)}, bootloader, tee, snpLevel, {5}, {6}, {7}, microcode}
	}
	return [][2]int{bootloader, tee, {4}, {5}, {6}, {7}, snpLevel, microcode}
}

// orElse returns value, or truth if value is zero.
func orElse[T comparable](value, truth T) T {
	var zero T
	if value == zero {
		return truth
	}
	return value
}
