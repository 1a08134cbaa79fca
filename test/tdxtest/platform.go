package tdxtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"skr/attest/tdx"
)

// PlatformOptions describe a platform.
type PlatformOptions struct {
	// PCK says what the certificate states; FMSPC, SVNs and PCESVN are Azure's if all are zero.
	PCK tdx.PCK
	// Processor makes the authority of processors issue the certificate, in place of that of
	// platforms.
	Processor bool
	// Template may change the certificate before it is signed.
	Template func(*x509.Certificate)
	// Extension may change the pairs of the SGX extension, by their number.
	Extension func(map[int]any)
}

// Platform is an emulated machine with its quoting enclave.
type Platform struct {
	pck         tdx.PCK
	leaf        *authority
	ca, root    *authority
	attestation *ecdsa.PrivateKey
	macKey      [32]byte // of the MAC of TD reports
}

// azurePCK is of Emerald Rapids on Azure, UpToDate in 2026.
var azurePCK = tdx.PCK{FMSPC: [6]byte{0x90, 0xc0, 0x6f}, SVNs: [16]uint8{3, 3, 2, 2, 4, 1, 0, 5}, PCESVN: 13}

// NewPlatform makes a platform.
func (v *Vendor) NewPlatform(o PlatformOptions) (*Platform, error) {
	if o.PCK == (tdx.PCK{}) {
		o.PCK = azurePCK
	}
	_, _ = rand.Read(o.PCK.PPID[:]) // never fails
	p := &Platform{pck: o.PCK, ca: v.platform, root: v.root}
	_, _ = rand.Read(p.macKey[:]) // never fails
	if o.Processor {
		p.ca = v.processor
	}
	extension, err := sgxExtension(o.PCK, o.Extension)
	if err != nil {
		return nil, err
	}
	p.leaf, err = v.issue("Intel SGX PCK Certificate", p.ca, leafYears, func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: sgxOID, Value: extension}}
		if o.Template != nil {
			o.Template(c)
		}
	})
	if err != nil {
		return nil, err
	}
	if p.attestation, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("tdxtest: making a key: %w", err)
	}
	return p, nil
}

// PCK returns what the certificate states.
func (p *Platform) PCK() tdx.PCK { return p.pck }

// Certificate returns the PCK certificate.
func (p *Platform) Certificate() *x509.Certificate { return p.leaf.cert }

// ChainPEM returns the PCK certificate, its authority and the root.
func (p *Platform) ChainPEM() []byte { return encode(p.leaf.cert, p.ca.cert, p.root.cert) }

// sgxOID is the identifier of the extension of PCK certificates.
var sgxOID = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}

type pair struct {
	ID    asn1.ObjectIdentifier
	Value any
}

// sgxExtension encodes the pairs in ascending order.
func sgxExtension(p tdx.PCK, change func(map[int]any)) ([]byte, error) {
	tcb := map[int]any{17: int(p.PCESVN), 18: p.CPUSVN[:]}
	for i, svn := range p.SVNs {
		tcb[i+1] = int(svn)
	}
	all := map[int]any{1: p.PPID[:], 2: tcb, 3: p.PCEID[:], 4: p.FMSPC[:], 5: asn1.Enumerated(1)}
	if change != nil {
		change(all)
	}
	if levels, is := all[2].(map[int]any); is {
		all[2] = pairsOf(levels, append(sgxOID[:len(sgxOID):len(sgxOID)], 2))
	}
	return asn1.Marshal(pairsOf(all, sgxOID))
}

func pairsOf(values map[int]any, below asn1.ObjectIdentifier) []pair {
	var pairs []pair
	for i := range 32 {
		if value, found := values[i]; found {
			pairs = append(pairs, pair{append(below[:len(below):len(below)], i), value})
		}
	}
	return pairs
}

// Report returns TDREPORT_STRUCT of a TD on this platform: [Platform.Made] recognises its MAC.
func (p *Platform) Report(td TD) []byte {
	raw := td.Report()
	copy(raw[macOffset:], p.mac(raw))
	return raw
}

// Made reports whether the MAC of a TD report is this platform's. Intel's quoting enclave
// quotes no other; [Platform.Quote] quotes any.
func (p *Platform) Made(report []byte) bool {
	return len(report) == tdx.ReportSize && hmac.Equal(report[macOffset:][:sha256.Size], p.mac(report))
}

// macOffset is where the MAC is. It covers what is before it, which has the hashes of the rest.
const macOffset = 224

func (p *Platform) mac(report []byte) []byte {
	mac := hmac.New(sha256.New, p.macKey[:])
	mac.Write(report[:macOffset])
	return mac.Sum(nil)
}

// Key returns the attestation key, for false quotes of another platform.
func (p *Platform) Key() *ecdsa.PrivateKey { return p.attestation }
