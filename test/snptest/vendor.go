package snptest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"time"

	"skr/attest/snp"
	"skr/test/rsakey"
)

// organisation marks each certificate; AMD's name "Advanced Micro Devices".
const organisation = "TEST ONLY"

// keyBits is the length of the authorities' RSA keys; AMD's have 4096.
const keyBits = 2048

// Serial numbers of the authorities, as AMD's Milan chain has them.
const (
	arkSerial  = 0x10000
	askSerial  = 0x10001
	asvkSerial = 0x10101
)

// Lifetimes in years (AMD 57230, certificate validity).
const (
	authorityYears = 25
	leafYears      = 7
)

// Vendor is an emulated AMD: the authorities of one product line. It is safe
// for concurrent use.
type Vendor struct {
	product      snp.Product
	organisation string
	now          time.Time
	ark          *authority
	ask          *authority
	asvk         func() (*authority, error) // created on first use: few tests need it
	vlekSecret   []byte
}

// authority is a certificate with the key that signs below it.
type authority struct {
	cert *x509.Certificate
	key  *rsa.PrivateKey
}

// NewVendor creates the keys and certificates of p's authorities, valid from an
// hour before now.
func NewVendor(p snp.Product, now time.Time) (*Vendor, error) {
	return newVendor(p, now, organisation)
}

func newVendor(p snp.Product, now time.Time, organisation string) (*Vendor, error) {
	if _, ok := silicon[p]; !ok {
		return nil, fmt.Errorf("snptest: no silicon of product %s", p)
	}
	v := &Vendor{product: p, organisation: organisation, now: now, vlekSecret: randomBytes(secretSize)}
	keys, err := makeKeys(2)
	if err != nil {
		return nil, err
	}
	if v.ark, err = v.issueAuthority("ARK-"+p.String(), arkSerial, keys[0], nil); err != nil {
		return nil, err
	}
	if v.ask, err = v.issueAuthority("SEV-"+p.String(), askSerial, keys[1], v.ark); err != nil {
		return nil, err
	}
	v.asvk = sync.OnceValues(v.makeASVK)
	return v, nil
}

func (v *Vendor) makeASVK() (*authority, error) {
	keys, err := makeKeys(1)
	if err != nil {
		return nil, err
	}
	return v.issueAuthority("SEV-VLEK-"+v.product.String(), asvkSerial, keys[0], v.ark)
}

// makeKeys generates n keys concurrently.
func makeKeys(n int) ([]*rsa.PrivateKey, error) {
	keys, errs := make([]*rsa.PrivateKey, n), make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { keys[i], errs[i] = rsakey.Generate(keyBits) })
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("snptest: making an RSA key: %w", err)
		}
	}
	return keys, nil
}

// Product returns the product line.
func (v *Vendor) Product() snp.Product { return v.product }

// RootsPEM returns the ARK, for verifiers that must trust this vendor.
func (v *Vendor) RootsPEM() []byte { return encodePEM(v.ark.cert.Raw) }

// ChainPEM returns the ASK and then the ARK, like certificateChain of Azure's
// certificate service and cert_chain of AMD's.
func (v *Vendor) ChainPEM() []byte { return append(encodePEM(v.ask.cert.Raw), v.RootsPEM()...) }

// VLEKChainPEM returns the ASVK and then the ARK.
func (v *Vendor) VLEKChainPEM() ([]byte, error) {
	asvk, err := v.asvk()
	if err != nil {
		return nil, err
	}
	return append(encodePEM(asvk.cert.Raw), v.RootsPEM()...), nil
}

// issueAuthority issues a CA certificate. Without an issuer it is self-signed.
func (v *Vendor) issueAuthority(name string, serial int64, key *rsa.PrivateKey, issuer *authority) (*authority, error) {
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               v.name(name),
		NotBefore:             v.now.Add(-time.Hour),
		NotAfter:              v.now.AddDate(authorityYears, 0, 0),
		SignatureAlgorithm:    x509.SHA384WithRSAPSS, // the salt is as long as the hash, 48 bytes
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
		MaxPathLenZero:        issuer != nil,
		CRLDistributionPoints: []string{v.revocationList(serial)},
	}
	if issuer == nil {
		template.KeyUsage |= x509.KeyUsageCRLSign
		issuer = &authority{cert: template, key: key}
	}
	cert, err := issue(template, issuer, &key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("snptest: issuing %s: %w", name, err)
	}
	return &authority{cert: cert, key: key}, nil
}

// revocationList returns the URL of the revocation list, as in AMD's
// certificates.
func (v *Vendor) revocationList(serial int64) string {
	kind := "vcek"
	if serial == asvkSerial {
		kind = "vlek"
	}
	return fmt.Sprintf("https://kdsintf.amd.com/%s/v1/%s/crl", kind, v.product)
}

// name returns a distinguished name in AMD's form (AMD 57230, certificate
// fields).
func (v *Vendor) name(commonName string) pkix.Name {
	return pkix.Name{
		Country:            []string{"US"},
		Province:           []string{"CA"},
		Locality:           []string{"Santa Clara"},
		Organization:       []string{v.organisation},
		OrganizationalUnit: []string{"Engineering"},
		CommonName:         commonName,
	}
}

func issue(template *x509.Certificate, issuer *authority, public any) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, public, issuer.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func encodePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
