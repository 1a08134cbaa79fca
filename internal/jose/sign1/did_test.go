package sign1

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"
)

const containerPlatIssuer = "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.2"

const anyFingerprint = "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s"

func TestParseDIDRefuses(t *testing.T) {
	for _, text := range []string{
		"", "did:x509:", "did:web:example.com", anyFingerprint, anyFingerprint + "::", anyFingerprint + ":eku:1.2",
		"did:x509:1:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.2",
		"did:x509:0:sha384:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.2",
		"did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9::eku:1.2",
		"did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s=::eku:1.2",
		"did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9t::eku:1.2", // padding bits are not zero
		"did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s\n::eku:1.2",
		anyFingerprint + "::eku:", anyFingerprint + "::eku:one", anyFingerprint + "::eku:1.02", anyFingerprint + "::eku",
		anyFingerprint + "::subject", anyFingerprint + "::subject:CN", anyFingerprint + "::subject:CN:",
		anyFingerprint + "::subject:CN:a:CN:b", anyFingerprint + "::subject:XX:a", anyFingerprint + "::subject:CN:a b",
		anyFingerprint + "::subject:CN:a%2", anyFingerprint + "::subject:CN:a:2.5.4.3:a", anyFingerprint + "::subject:CN:a~",
		anyFingerprint + "::san:dn:a", anyFingerprint + "::san:dns", anyFingerprint + "::san:dns:a/b",
		anyFingerprint + "::fulcio-issuer:a", anyFingerprint + strings.Repeat("::eku:1.2", maxPolicies+1),
	} {
		if d, err := ParseDID(text); err == nil {
			t.Errorf("ParseDID(%q) = %v, want an error", text, d)
		}
	}
}

// authority is a hand-made chain. Tests can alter each certificate.
type authority struct {
	leaf, ca, root *x509.Certificate
}

func (a authority) chain(t *testing.T) []*x509.Certificate {
	t.Helper()
	rootKey, caKey, leafKey := newKey(t), newKey(t), newKey(t)
	root := issue(t, a.root, a.root, rootKey, rootKey)
	ca := issue(t, a.ca, root, caKey, rootKey)
	return []*x509.Certificate{issue(t, a.leaf, ca, leafKey, caKey), ca, root}
}

func newAuthority() authority {
	year := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	link, _ := url.Parse("https://example.com/a?b=c")
	ca := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: year, NotAfter: year,
			BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		}
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: year, NotAfter: year, KeyUsage: x509.KeyUsageDigitalSignature,
		Subject:     pkix.Name{CommonName: "Test Leaf (DO NOT TRUST)", Organization: []string{"A", "B"}, Country: []string{"US"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		DNSNames:    []string{"leaf.example.com"}, EmailAddresses: []string{"bob@example.com"}, URIs: []*url.URL{link},
	}
	return authority{leaf, ca("CA"), ca("root")}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func issue(t *testing.T, template, issuer *x509.Certificate, key, issuerKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func nameOf(certificate *x509.Certificate, policies string) string {
	sum := sha256.Sum256(certificate.Raw)
	return "did:x509:0:sha256:" + base64.RawURLEncoding.EncodeToString(sum[:]) + policies
}

func TestPolicies(t *testing.T) {
	chain := newAuthority().chain(t)
	for policies, want := range map[string]string{
		"::eku:1.3.6.1.5.5.7.3.3":                                     "",
		"::eku:1.3.6.1.5.5.7.3.4":                                     "lacks the extended key usage",
		"::subject:CN:Test%20Leaf%20%28DO%20NOT%20TRUST%29":           "",
		"::subject:C:US:2.5.4.3:Test%20Leaf%20%28DO%20NOT%20TRUST%29": "",
		"::subject:C:US::eku:1.3.6.1.5.5.7.3.3":                       "",
		"::subject:C:US::eku:1.3.6.1.5.5.7.3.4":                       "lacks the extended key usage",
		"::subject:CN:Test":                                           "attribute 2.5.4.3",
		"::subject:O:A":                                               "attribute 2.5.4.10", // it is present twice
		"::subject:L:A":                                               "attribute 2.5.4.7",
		"::san:dns:leaf.example.com":                                  "",
		"::san:email:bob%40example.com":                               "",
		"::san:uri:https%3A%2F%2Fexample.com%2Fa%3Fb%3Dc":             "",
		"::san:email:leaf.example.com":                                "no alternative name",
	} {
		for _, ca := range chain[1:] {
			got, err := resolve(nameOf(ca, policies), chain)
			switch {
			case want == "" && (err != nil || got != chain[0]):
				t.Errorf("%s: %v, %v", policies, got, err)
			case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("%s: got %v, want an error about %q", policies, err, want)
			}
		}
	}
}

func TestChainRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*authority)
		want  string
	}{
		"issuer is not a CA":     {func(a *authority) { a.ca.IsCA = false }, "its issuer is not a CA"},
		"issuer may not certify": {func(a *authority) { a.ca.KeyUsage = x509.KeyUsageCRLSign }, "certificate 0"},
		"path too long":          {func(a *authority) { a.root.MaxPathLenZero = true }, "so long a path"},
		"leaf may not sign":      {func(a *authority) { a.leaf.KeyUsage = x509.KeyUsageKeyEncipherment }, "lacks digital signature"},
		"unknown critical extension": {func(a *authority) {
			a.leaf.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 32473, 1}, Critical: true, Value: []byte{5, 0}}}
		}, "critical extension"},
	} {
		t.Run(name, func(t *testing.T) {
			spoilt := newAuthority()
			c.spoil(&spoilt)
			chain := spoilt.chain(t)
			if _, err := resolve(nameOf(chain[2], "::subject:C:US"), chain); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error about %q", err, c.want)
			}
		})
	}
}

func FuzzParseDID(f *testing.F) {
	f.Add(containerPlatIssuer)
	f.Add(anyFingerprint + "::subject:CN:a%20b:2.5.4.10:c::san:uri:https%3A%2F%2Fa")
	f.Add(anyFingerprint + "::::")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDID(text)
		if err == nil && (len(d.policies) == 0 || !strings.HasPrefix(text, didPrefix)) {
			t.Errorf("%q parsed to %v", text, d)
		}
	})
}
