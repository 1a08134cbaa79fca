package stranger

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"
)

// object is a JSON object as a third party writes it.
type object = map[string]any

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func random(n int) []byte {
	raw := make([]byte, n)
	_, _ = rand.Read(raw)
	return raw
}

func b64url(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// unb64url decodes base64url with and without padding, as the public services do.
func unb64url(text string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
}

// issue signs a template; a nil parent means self-signed.
func issue(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	if parent == nil {
		parent = template
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, public, signer))))
}

// identity is a private key with its certificate, intermediate and root.
type identity struct {
	key   *rsa.PrivateKey
	chain []*x509.Certificate // leaf first, root last
}

func (i *identity) x5c() []string {
	var list []string
	for _, certificate := range i.chain {
		list = append(list, base64.StdEncoding.EncodeToString(certificate.Raw))
	}
	return list
}

// tls returns the identity as a TLS server presents it: without the root.
func (i *identity) tls() tls.Certificate {
	c := tls.Certificate{PrivateKey: i.key}
	for _, certificate := range i.chain[:len(i.chain)-1] {
		c.Certificate = append(c.Certificate, certificate.Raw)
	}
	return c
}

// certificateAuthority is a root and one intermediate.
type certificateAuthority struct {
	root, intermediate *x509.Certificate
	key                *rsa.PrivateKey // of the intermediate
}

func newCertificateAuthority(name string) *certificateAuthority {
	rootKey, key := must(rsa.GenerateKey(rand.Reader, 2048)), must(rsa.GenerateKey(rand.Reader, 2048))
	template := func(common string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: common},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true,
		}
	}
	root := issue(template(name+" Root"), nil, rootKey.Public(), rootKey)
	return &certificateAuthority{root: root, key: key, intermediate: issue(template(name+" Issuing CA 01"), root, key.Public(), rootKey)}
}

func (ca *certificateAuthority) identity(names ...string) *identity {
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	leaf := issue(&x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 6, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, ca.intermediate, key.Public(), ca.key)
	return &identity{key: key, chain: []*x509.Certificate{leaf, ca.intermediate, ca.root}}
}

// testCA is the only CA that the sidecar trusts; malloryCA is another one.
var (
	testCA    = sync.OnceValue(func() *certificateAuthority { return newCertificateAuthority("Test only") })
	malloryCA = sync.OnceValue(func() *certificateAuthority { return newCertificateAuthority("Mallory") })

	vaultIdentity = sync.OnceValue(func() *identity {
		return testCA().identity("vault.azure.net", "*.vault.azure.net", "*.vaultcore.azure.net")
	})
	hsmIdentity = sync.OnceValue(func() *identity {
		return testCA().identity("myhsm.managedhsm.azure.net", "*.myhsm.managedhsm.azure.net")
	})
	authorityIdentity = sync.OnceValue(func() *identity { return testCA().identity("*.eus.attest.azure.net") })
	archiveIdentity   = sync.OnceValue(func() *identity { return testCA().identity(kdsName, cacheName) })
	elsewhereIdentity = sync.OnceValue(func() *identity {
		return testCA().identity("elsewhere.example", "other.vault.azure.net", "other.eus.attest.azure.net")
	})
	malloryIdentity = sync.OnceValue(func() *identity { return malloryCA().identity("vault.azure.net", "*.vault.azure.net") })
)

// sign makes a compact JWS with RS256 (RFC 7515).
func sign(header, payload object, key *rsa.PrivateKey) string {
	header["alg"] = "RS256"
	input := b64url(must(json.Marshal(header))) + "." + b64url(must(json.Marshal(payload)))
	digest := sha256.Sum256([]byte(input))
	return input + "." + b64url(must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])))
}

// verifyJWS checks a compact JWS with RS256 and returns its payload.
func verifyJWS(token string, key *rsa.PublicKey) (object, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("the token has %d parts", len(parts))
	}
	signature, err := unb64url(parts[2])
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature); err != nil {
		return nil, err
	}
	raw, err := unb64url(parts[1])
	if err != nil {
		return nil, err
	}
	var payload object
	if err := json.Unmarshal(raw, &payload); err != nil || payload == nil {
		return nil, errors.Join(errors.New("the payload is not an object"), err)
	}
	return payload, nil
}

func pemOf(certificate *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
}
