package vcek

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"skr/attest/snp"
)

// endorsement is the content of a leaf's extensions.
type endorsement struct {
	kind    snp.SigningKey
	product snp.Product
	levels  snp.Components // the TCB
	hwid    []byte         // the chip; a VLEK has none
}

// amdArc is the arc of AMD's extensions (AMD 57230, tables VCEK and VLEK Certificate
// Extensions).
var amdArc = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 3704, 1}

// Extensions, relative to amdArc. All are INTEGER except the product name, an
// IA5String, and the hardware id, raw bytes without ASN.1. They may be in any order.
// Two more are ignored: the version of the structure (1), because the product
// determines which extensions are required, and the cloud provider of a VLEK (5).
const (
	extProductName = "2"
	extBootloader  = "3.1"
	extTEE         = "3.2"
	extSNP         = "3.3"
	extMicrocode   = "3.8"
	extFMC         = "3.9" // Turin only
	extHWID        = "4"   // VCEK only
)

// extensions contains the values by their place below amdArc.
type extensions map[string][]byte

func parseEndorsement(kind snp.SigningKey, list []pkix.Extension) (endorsement, error) {
	found, err := collectExtensions(list)
	if err != nil {
		return endorsement{}, err
	}
	product, err := found.product()
	if err != nil {
		return endorsement{}, err
	}
	levels, err := found.levels(product)
	if err != nil {
		return endorsement{}, err
	}
	e := endorsement{kind: kind, product: product, levels: levels}
	if kind == snp.VCEK { // a VLEK names no chip
		e.hwid, err = found.hwid(product)
	}
	return e, err
}

// collectExtensions keeps unknown extensions too, and refuses duplicates.
func collectExtensions(list []pkix.Extension) (extensions, error) {
	found := extensions{}
	for _, extension := range list {
		depth := len(amdArc)
		if len(extension.Id) <= depth || !extension.Id[:depth].Equal(amdArc) {
			continue
		}
		place := extension.Id[depth:].String()
		if _, ok := found[place]; ok {
			return nil, fmt.Errorf("extension %s appears twice", extension.Id)
		}
		found[place] = extension.Value
	}
	return found, nil
}

func (x extensions) product() (snp.Product, error) {
	name, err := x.text(extProductName)
	if err != nil {
		return snp.ProductUnknown, err
	}
	return snp.ParseProduct(name)
}

func (x extensions) levels(p snp.Product) (snp.Components, error) {
	var c snp.Components
	fields := map[string]*uint8{
		extBootloader: &c.Bootloader, extTEE: &c.TEE, extSNP: &c.SNP, extMicrocode: &c.Microcode,
	}
	if p == snp.Turin {
		fields[extFMC] = &c.FMC
	}
	var errs []error
	for place, field := range fields {
		var err error
		if *field, err = x.level(place); err != nil {
			errs = append(errs, err)
		}
	}
	return c, errors.Join(errs...)
}

// level parses an INTEGER that fits a byte. Its encoding may have two bytes: 211 is
// 00 D3.
func (x extensions) level(place string) (uint8, error) {
	value, err := x.get(place)
	if err != nil {
		return 0, err
	}
	var n int
	rest, err := asn1.Unmarshal(value, &n)
	if err != nil || len(rest) > 0 {
		return 0, fmt.Errorf("extension %s is not an INTEGER: %.16x", place, value)
	}
	if n < 0 || n > 255 {
		return 0, fmt.Errorf("extension %s is %d, want 0 to 255", place, n)
	}
	return uint8(n), nil
}

func (x extensions) text(place string) (string, error) {
	value, err := x.get(place)
	if err != nil {
		return "", err
	}
	var raw asn1.RawValue
	rest, err := asn1.Unmarshal(value, &raw)
	if err != nil || len(rest) > 0 || raw.Class != asn1.ClassUniversal || raw.Tag != asn1.TagIA5String || raw.IsCompound {
		return "", fmt.Errorf("extension %s is not an IA5String: %.16x", place, value)
	}
	return string(raw.Bytes), nil
}

// hwid returns all of CHIP_ID, or its first 8 bytes on Turin. AMD writes the bytes
// without ASN.1. Other tools write an OCTET STRING, which differs in length.
func (x extensions) hwid(p snp.Product) ([]byte, error) {
	value, err := x.get(extHWID)
	if err != nil {
		return nil, err
	}
	want := len(snp.ChipID{}.HWID(p))
	if len(value) == want+2 {
		value = bytes.TrimPrefix(value, []byte{asn1.TagOctetString, byte(want)}) //nolint:gosec // 8 or 64
	}
	if len(value) != want {
		return nil, fmt.Errorf("extension %s has %d bytes, want %d on %s", extHWID, len(value), want, p)
	}
	return bytes.Clone(value), nil
}

func (x extensions) get(place string) ([]byte, error) {
	value, ok := x[place]
	if !ok {
		return nil, fmt.Errorf("extension %s is missing", place)
	}
	return value, nil
}
