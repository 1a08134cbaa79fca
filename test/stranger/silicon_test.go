package stranger

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"
)

// Offsets in an attestation report (AMD 56860, table "ATTESTATION_REPORT Structure"). All
// integers are little-endian.
const (
	atVersion      = 0x000
	atGuestSVN     = 0x004
	atPolicy       = 0x008
	atFamilyID     = 0x010
	atImageID      = 0x020
	atVMPL         = 0x030
	atAlgorithm    = 0x034
	atCurrentTCB   = 0x038
	atReportData   = 0x050
	atMeasurement  = 0x090
	atHostData     = 0x0C0
	atIDKeyDigest  = 0x0E0
	atAuthorDigest = 0x110
	atReportID     = 0x140
	atReportIDMA   = 0x160
	atReportedTCB  = 0x180
	atCPUID        = 0x188 // family, model, stepping; version 3 and later
	atChipID       = 0x1A0
	atCommittedTCB = 0x1E0
	atLaunchTCB    = 0x1F0
	atSignature    = 0x2A0 // R and S, 72 bytes each, little-endian
	reportSize     = 1184
)

// chipTCB is a Milan TCB: bootloader 4, TEE 0, SNP firmware 0x18, microcode 0xDB. Microcode
// above 127 distinguishes signed from unsigned parsing.
const chipTCB = 0xDB18000000000004

// silicon is a processor: a key signed by an ASK, signed by an ARK.
type silicon struct {
	ark, ask, vcek *x509.Certificate
	askKey         *rsa.PrivateKey
	key            *ecdsa.PrivateKey
	chip           []byte
}

// milan is one processor for all tests, because its RSA-4096 keys take a while to make.
var milan = sync.OnceValue(func() *silicon {
	keys := [2]*rsa.PrivateKey{}
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() { keys[i] = must(rsa.GenerateKey(rand.Reader, 4096)) })
	}
	wg.Wait()
	s := &silicon{chip: random(64), key: must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), askKey: keys[1]}
	s.ark = issue(amdAuthority("ARK-Milan", 65536, -1), nil, keys[0].Public(), keys[0])
	s.ask = issue(amdAuthority("SEV-Milan", 65537, 0), s.ark, keys[1].Public(), keys[0])
	s.vcek = s.endorse(vcekTemplate("Milan-B0", chipTCB, s.chip))
	return s
})

// endorse signs a certificate for the chip's key.
func (s *silicon) endorse(template *x509.Certificate) *x509.Certificate {
	return issue(template, s.ask, s.key.Public(), s.askKey)
}

func amdName(common string) pkix.Name {
	return pkix.Name{
		OrganizationalUnit: []string{"Engineering"}, Country: []string{"US"}, Locality: []string{"Santa Clara"},
		Province: []string{"CA"}, Organization: []string{"Advanced Micro Devices"}, CommonName: common,
	}
}

func amdAuthority(common string, serial int64, pathLength int) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: amdName(common),
		NotBefore: time.Now().AddDate(-5, 0, 0), NotAfter: time.Now().AddDate(20, 0, 0),
		SignatureAlgorithm: x509.SHA384WithRSAPSS, KeyUsage: x509.KeyUsageCertSign,
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: pathLength, MaxPathLenZero: pathLength == 0,
	}
}

// vcekTemplate follows AMD 57230, table "VCEK certificate extensions". The serial number is
// 0, and the hardware ID is raw, without an ASN.1 tag.
func vcekTemplate(product string, tcb uint64, chip []byte) *x509.Certificate {
	level := func(shift uint) []byte { return must(asn1.Marshal(int(tcb >> shift & 0xFF))) }
	name := must(asn1.MarshalWithParams(product, "ia5"))
	structure := must(asn1.Marshal(0))
	return &x509.Certificate{
		SerialNumber: big.NewInt(0), Subject: amdName("SEV-VCEK"),
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(6, 0, 0),
		SignatureAlgorithm: x509.SHA384WithRSAPSS,
		ExtraExtensions: []pkix.Extension{
			amdExtension(structure, 1), amdExtension(name, 2),
			amdExtension(level(0), 3, 1), amdExtension(level(8), 3, 2),
			amdExtension(level(16), 3, 4), amdExtension(level(24), 3, 5),
			amdExtension(level(32), 3, 6), amdExtension(level(40), 3, 7),
			amdExtension(level(48), 3, 3), amdExtension(level(56), 3, 8),
			amdExtension(chip, 4),
		},
	}
}

func amdExtension(value []byte, arc ...int) pkix.Extension {
	return pkix.Extension{Id: slices.Concat(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 3704, 1}, arc), Value: value}
}

// measurement and hostData are in every report unless a test changes them.
var measurement, hostData = slices.Repeat([]byte{0x4D}, 48), slices.Repeat([]byte{0x48}, 32)

// report returns a signed report of the given version over reportData.
func (s *silicon) report(version uint32, measurement, reportData []byte) []byte {
	raw := make([]byte, reportSize)
	le := binary.LittleEndian
	le.PutUint32(raw[atVersion:], version)
	le.PutUint32(raw[atGuestSVN:], 2)
	le.PutUint64(raw[atPolicy:], 0x3001F)
	raw[atFamilyID], raw[atImageID] = 1, 2
	le.PutUint32(raw[atAlgorithm:], 1) // ECDSA P-384 with SHA-384
	for _, at := range []int{atCurrentTCB, atReportedTCB, atCommittedTCB, atLaunchTCB} {
		le.PutUint64(raw[at:], chipTCB)
	}
	copy(raw[atReportData:], reportData)
	copy(raw[atMeasurement:atHostData], measurement)
	copy(raw[atHostData:atIDKeyDigest], hostData)
	copy(raw[atReportID:], random(32))
	copy(raw[atReportIDMA:], slices.Repeat([]byte{0xFF}, 32))
	if version >= 3 {
		copy(raw[atCPUID:], []byte{0x19, 0x01, 0x01})
	}
	copy(raw[atChipID:], s.chip)
	digest := sha512.Sum384(raw[:atSignature])
	r, q, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		panic(err)
	}
	copy(raw[atSignature:], littleEndian(r))
	copy(raw[atSignature+72:], littleEndian(q))
	return raw
}

// littleEndian returns x in 72 bytes, least significant first.
func littleEndian(x *big.Int) []byte {
	raw := x.FillBytes(make([]byte, 72))
	slices.Reverse(raw)
	return raw
}

// verifyReport checks a report's signature with the key of a certificate.
func verifyReport(raw []byte, vcek *x509.Certificate) error {
	if len(raw) != reportSize {
		return fmt.Errorf("the report has %d bytes", len(raw))
	}
	number := func(at int) *big.Int {
		field := slices.Clone(raw[at : at+72])
		slices.Reverse(field)
		return new(big.Int).SetBytes(field)
	}
	key, ok := vcek.PublicKey.(*ecdsa.PublicKey)
	digest := sha512.Sum384(raw[:atSignature])
	if !ok || !ecdsa.Verify(key, digest[:], number(atSignature), number(atSignature+72)) {
		return errors.New("the key of this certificate does not verify the report's signature")
	}
	return nil
}
