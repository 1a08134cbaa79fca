package tdxtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// organisation marks each certificate; Intel's name "Intel Corporation".
const organisation = "TEST ONLY"

const rootName = "Intel SGX Root CA"

// Lifetimes in years. Authorities are older than the platforms that they certify.
const (
	rootYears = 25
	caYears   = 15
	leafYears = 7
	age       = 3
)

// Vendor is an emulated Intel. It is safe for concurrent use, except for ReplaceSigner.
type Vendor struct {
	now                 time.Time
	root, platform, tcb *authority
	processor           *authority
}

// authority is a certificate with the key that signs below it.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewVendor makes the root, the authorities of PCK certificates and the signer of TCB info,
// valid for three years at the time now. The certificates of platforms are valid for an hour.
func NewVendor(now time.Time) (*Vendor, error) {
	v := &Vendor{now: now}
	var err error
	issueCA := func(name string, issuer *authority) *authority {
		if err != nil {
			return nil
		}
		var made *authority
		made, err = v.issue(name, issuer, caYears, func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.MaxPathLen, c.MaxPathLenZero = true, true, 0, issuer != nil
			c.KeyUsage, c.NotBefore = x509.KeyUsageCertSign|x509.KeyUsageCRLSign, v.now.AddDate(-age, 0, 0)
			if issuer == nil {
				c.MaxPathLen, c.NotAfter = 1, v.now.AddDate(rootYears, 0, 0)
			}
		})
		return made
	}
	v.root = issueCA(rootName, nil)
	v.platform = issueCA("Intel SGX PCK Platform CA", v.root)
	v.processor = issueCA("Intel SGX PCK Processor CA", v.root)
	if err == nil {
		v.tcb, err = v.issue("Intel SGX TCB Signing", v.root, leafYears, func(c *x509.Certificate) { c.NotBefore = v.now.AddDate(-age, 0, 0) })
	}
	return v, err
}

// issue issues a certificate for a new key. Without an issuer it is self-signed. change may
// change the template.
func (v *Vendor) issue(name string, issuer *authority, years int, change func(*x509.Certificate)) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("tdxtest: making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject: pkix.Name{
			CommonName: name, Organization: []string{organisation}, Locality: []string{"Santa Clara"}, Province: []string{"CA"}, Country: []string{"US"},
		},
		NotBefore: v.now.Add(-time.Hour), NotAfter: v.now.AddDate(years, 0, 0),
		SignatureAlgorithm: x509.ECDSAWithSHA256, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		BasicConstraintsValid: true, SubjectKeyId: keyID(key), CRLDistributionPoints: []string{distributionPoint(issuer)},
	}
	if change != nil {
		change(template)
	}
	if issuer == nil {
		issuer = &authority{cert: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, &key.PublicKey, issuer.key)
	if err != nil {
		return nil, fmt.Errorf("tdxtest: issuing %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert: cert, key: key}, err
}

// RootsPEM returns the root, for verifiers that must trust this vendor.
func (v *Vendor) RootsPEM() []byte { return encode(v.root.cert) }

// Issuers returns the PEM that the service sends with TCB info: signer and root.
func (v *Vendor) Issuers() []byte { return encode(v.tcb.cert, v.root.cert) }

// Signer returns the certificate that signs TCB info and QE identity.
func (v *Vendor) Signer() *x509.Certificate { return v.tcb.cert }

// ReplaceSigner makes another certificate that signs TCB info and QE identity. change may change
// it before it is signed.
func (v *Vendor) ReplaceSigner(change func(*x509.Certificate)) (err error) {
	v.tcb, err = v.issue("Intel SGX TCB Signing", v.root, leafYears, change)
	return err
}

// Authority returns the certificate that issues PCK certificates.
func (v *Vendor) Authority() *x509.Certificate { return v.platform.cert }

func encode(certificates ...*x509.Certificate) []byte {
	var text bytes.Buffer
	for _, c := range certificates {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a buffer does not fail
	}
	return text.Bytes()
}

func serial() *big.Int {
	raw := make([]byte, 20)
	_, _ = rand.Read(raw) // never fails
	raw[0] = raw[0]&0x7f | 1
	return new(big.Int).SetBytes(raw)
}

// sign returns r and s, 32 bytes each and big-endian.
func sign(key *ecdsa.PrivateKey, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	der, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		return nil, err
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &pair); err != nil {
		return nil, err
	}
	raw := make([]byte, 64)
	pair.R.FillBytes(raw[:32])
	pair.S.FillBytes(raw[32:])
	return raw, nil
}

// point returns x and y of a public key, 32 bytes each and big-endian.
func point(key *ecdsa.PrivateKey) ([]byte, error) {
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	return raw[1:], nil
}

func keyID(key *ecdsa.PrivateKey) []byte {
	raw, _ := point(key) // a generated key has a point
	digest := sha256.Sum256(raw)
	return digest[:20]
}

// distributionPoint returns the address of the list of the issuer, as in Intel's certificates.
func distributionPoint(issuer *authority) string {
	if issuer == nil || issuer.cert.Subject.CommonName == rootName {
		return "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
	}
	return "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=platform&encoding=der"
}
