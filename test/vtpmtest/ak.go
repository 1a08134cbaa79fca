package vtpmtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"skr/attest/vtpm"
	"skr/test/rsakey"
)

const (
	keyBits = 2048
	nvSize  = 4096 // size in bytes of the NV index with the certificate
)

// AK is an attestation key with a certificate and its root.
type AK struct {
	key        *rsa.PrivateKey
	leaf, root []byte // DER
}

// NewAK creates a key and its own root.
func NewAK() (*AK, error) {
	key, err := rsakey.Generate(keyBits)
	if err != nil {
		return nil, fmt.Errorf("vtpmtest: making an attestation key: %w", err)
	}
	authority, err := rsakey.Generate(keyBits)
	if err != nil {
		return nil, fmt.Errorf("vtpmtest: making a root: %w", err)
	}
	a := &AK{key: key}
	return a, a.certify(authority)
}

func (a *AK) certify(authority *rsa.PrivateKey) (err error) {
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: name("Virtual TPM Root"), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: name("0123456789ab.ConfidentialVM.Azure.windows.net"), NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 311, 10, 3, 12}, {2, 23, 133, 8, 3}},
	}
	if a.root, err = x509.CreateCertificate(rand.Reader, root, root, authority.Public(), authority); err == nil {
		a.leaf, err = x509.CreateCertificate(rand.Reader, leaf, root, a.key.Public(), authority)
	}
	if err != nil {
		return fmt.Errorf("vtpmtest: certifying an attestation key: %w", err)
	}
	return nil
}

func name(common string) pkix.Name {
	return pkix.Name{CommonName: common, Organization: []string{"TEST ONLY"}}
}

// Public returns the public key.
func (a *AK) Public() *rsa.PublicKey { return &a.key.PublicKey }

// Index returns the content of the NV index with the certificate: DER, followed
// by zeros.
func (a *AK) Index() []byte {
	return append(a.leaf[:len(a.leaf):len(a.leaf)], make([]byte, nvSize-len(a.leaf))...)
}

// RootsPEM returns the root.
func (a *AK) RootsPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root})
}

// QuoteOptions configure a quote. Zero values give a quote over PCR 0 to 7
// without a nonce.
type QuoteOptions struct {
	PCRs   vtpm.PCRs // values; missing ones are zeros
	Nonce  []byte
	Bitmap [3]byte // of the selection; zero means {0xff, 0, 0}
	// Mutate may change the TPMS_ATTEST before it is signed.
	Mutate func(attest []byte) []byte
}

// Quote returns a TPM2B_ATTEST followed by a TPMT_SIGNATURE.
func (a *AK) Quote(o QuoteOptions) ([]byte, error) {
	attest := o.Attest()
	if o.Mutate != nil {
		attest = o.Mutate(attest)
	}
	sum := sha256.Sum256(attest)
	signature, err := rsa.SignPKCS1v15(nil, a.key, crypto.SHA256, sum[:])
	if err != nil {
		return nil, fmt.Errorf("vtpmtest: signing a quote: %w", err)
	}
	both := sized(nil, attest)
	both = append(both, 0, 0x14, 0, 0x0b)
	return sized(both, signature), nil
}

// Attest returns the TPMS_ATTEST ("TPM 2.0 Library", Part 2).
func (o QuoteOptions) Attest() []byte {
	if o.Bitmap == ([3]byte{}) {
		o.Bitmap[0] = 0xff
	}
	pcrs := sha256.New()
	for pcr := range 24 {
		if value := o.PCRs[pcr]; o.Bitmap[pcr/8]>>(pcr%8)&1 != 0 {
			pcrs.Write(value[:])
		}
	}
	out := header(0x18, o.Nonce)
	out = append(out, 0, 0, 0, 1, 0, 0x0b, 3)
	out = append(out, o.Bitmap[:]...)
	return sized(out, pcrs.Sum(nil))
}

func sized(out, data []byte) []byte {
	return append(binary.BigEndian.AppendUint16(out, uint16(len(data))), data...)
}
