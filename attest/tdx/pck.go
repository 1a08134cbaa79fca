package tdx

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
)

// SGX extension of a PCK certificate ("Intel SGX PCK Certificate and Certificate Revocation
// List Profile Specification", revision 1.5, section 1.3.5): a SEQUENCE of pairs of object
// identifier and value. Identifiers are relative to sgxExtension.
var sgxExtension = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}

const (
	extPPID   = 1 // OCTET STRING, 16 bytes
	extTCB    = 2 // SEQUENCE of 2.1 to 2.18
	extPCEID  = 3 // OCTET STRING, 2 bytes
	extFMSPC  = 4 // OCTET STRING, 6 bytes
	tcbPCESVN = 17
	tcbCPUSVN = 18
	maxSVN    = 255
	maxPCESVN = 65535
)

// PCK is what a provisioning certification key's certificate says about its platform.
type PCK struct {
	// PPID identifies the processor.
	PPID [16]byte
	// FMSPC identifies family, model, stepping, platform and custom SKU, to which TCB levels
	// apply.
	FMSPC [6]byte
	// PCEID identifies the provisioning certification enclave.
	PCEID [2]byte
	// SVNs are the security versions of the platform's 16 components (SGX TCB Comp01 to Comp16).
	SVNs [16]uint8
	// PCESVN is the security version of the provisioning certification enclave.
	PCESVN uint16
	// CPUSVN is the raw security version of the processor.
	CPUSVN [16]byte
}

// String returns the FMSPC and the security versions.
func (p PCK) String() string {
	return fmt.Sprintf("FMSPC %x, components %v, PCESVN %d", p.FMSPC, p.SVNs, p.PCESVN)
}

// pckChain is leaf, intermediate and root, with the content of the leaf.
type pckChain struct {
	leaf, intermediate, root *x509.Certificate

	key *ecdsa.PublicKey
	pck PCK
}

// parsePCKChain parses three certificates. Azure's quotes have a NUL byte after the PEM.
func parsePCKChain(text []byte) (pckChain, error) {
	if len(text) > 0 && text[len(text)-1] == 0 {
		text = text[:len(text)-1]
	}
	certificates, err := parseCertificates(text)
	if err != nil {
		return pckChain{}, fmt.Errorf("PCK certificate chain: %w", err)
	}
	if len(certificates) != 3 {
		return pckChain{}, fmt.Errorf("PCK certificate chain: %d certificates, want 3", len(certificates))
	}
	c := pckChain{leaf: certificates[0], intermediate: certificates[1], root: certificates[2]}
	var ok bool
	if c.key, ok = c.leaf.PublicKey.(*ecdsa.PublicKey); !ok || c.key.Curve != elliptic.P256() {
		return pckChain{}, errors.New("the PCK certificate has no ECDSA P-256 key")
	}
	if c.pck, err = parsePCK(c.leaf); err != nil {
		return pckChain{}, fmt.Errorf("PCK certificate: %w", err)
	}
	return c, nil
}

// PCK returns what the platform's certificate says. It has been verified if [Quote.Verify] or
// [Quote.VerifyCertificates] returned no error.
func (q *Quote) PCK() PCK { return q.pck.pck }

// Certificates returns the PCK certificate, the platform's or processor's authority and the
// root. The caller must not change them.
func (q *Quote) Certificates() []*x509.Certificate {
	return []*x509.Certificate{q.pck.leaf, q.pck.intermediate, q.pck.root}
}

func parsePCK(leaf *x509.Certificate) (PCK, error) {
	var found [][]byte
	for _, extension := range leaf.Extensions {
		if extension.Id.Equal(sgxExtension) {
			found = append(found, extension.Value)
		}
	}
	if len(found) != 1 {
		return PCK{}, fmt.Errorf("it has %d SGX extensions, want 1", len(found))
	}
	return parsePCKExtension(found[0])
}

func parsePCKExtension(der []byte) (PCK, error) {
	fields, err := parseFields(der, sgxExtension)
	if err != nil {
		return PCK{}, err
	}
	var p PCK
	for place, into := range map[int][]byte{extPPID: p.PPID[:], extPCEID: p.PCEID[:], extFMSPC: p.FMSPC[:]} {
		if err := fields.octets(place, into); err != nil {
			return PCK{}, err
		}
	}
	levels, err := parseFields(fields[extTCB].FullBytes, append(sgxExtension[:len(sgxExtension):len(sgxExtension)], extTCB))
	if err != nil {
		return PCK{}, fmt.Errorf("TCB: %w", err)
	}
	if err := levels.levels(&p); err != nil {
		return PCK{}, err
	}
	return p, nil
}

// field is a pair in the extension.
type field struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue
}

// fields are the values by their last number below an identifier.
type fields map[int]asn1.RawValue

func parseFields(der []byte, below asn1.ObjectIdentifier) (fields, error) {
	var list []field
	rest, err := asn1.Unmarshal(der, &list)
	if err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("extension %s is not a sequence of pairs", below)
	}
	found := fields{}
	for _, f := range list {
		if len(f.ID) != len(below)+1 || !f.ID[:len(below)].Equal(below) {
			return nil, fmt.Errorf("extension %s contains %s", below, f.ID)
		}
		place := f.ID[len(below)]
		if _, twice := found[place]; twice {
			return nil, fmt.Errorf("extension %s appears twice", f.ID)
		}
		found[place] = f.Value
	}
	return found, nil
}

// octets copies an OCTET STRING of exactly the length of into.
func (f fields) octets(place int, into []byte) error {
	value, found := f[place]
	switch {
	case !found:
		return fmt.Errorf("field %d of the SGX extension is missing", place)
	case value.Class != asn1.ClassUniversal || value.Tag != asn1.TagOctetString || len(value.Bytes) != len(into):
		return fmt.Errorf("field %d of the SGX extension is %.40s, want an OCTET STRING of %d bytes", place, hex.EncodeToString(value.FullBytes), len(into))
	}
	copy(into, value.Bytes)
	return nil
}

// levels reads the security versions.
func (f fields) levels(p *PCK) error {
	for i := range p.SVNs {
		n, err := f.integer(i+1, maxSVN)
		if err != nil {
			return err
		}
		p.SVNs[i] = uint8(n) // #nosec G115 -- integer has checked the limit
	}
	n, err := f.integer(tcbPCESVN, maxPCESVN)
	if err != nil {
		return err
	}
	p.PCESVN = uint16(n) // #nosec G115 -- integer has checked the limit
	return f.octets(tcbCPUSVN, p.CPUSVN[:])
}

func (f fields) integer(place, limit int) (int, error) {
	value, found := f[place]
	if !found {
		return 0, fmt.Errorf("field 2.%d of the SGX extension is missing", place)
	}
	var n int
	rest, err := asn1.Unmarshal(value.FullBytes, &n)
	if err != nil || len(rest) > 0 || n < 0 || n > limit {
		return 0, fmt.Errorf("field 2.%d of the SGX extension is %.40s, want an INTEGER from 0 to %d", place, hex.EncodeToString(value.FullBytes), limit)
	}
	return n, nil
}
