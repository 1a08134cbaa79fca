package vcek

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"math/big"
	"testing"

	"skr/attest/snp"
)

// FuzzParsePEM checks that a parsed chain can be encoded and parsed again.
func FuzzParsePEM(f *testing.F) {
	for _, list := range [][]pkix.Extension{milanExtensions(), turinExtensions()} {
		leaf, issuers := unsignedByAMD(f, list)
		pem := []byte(leaf + issuers)
		mustParse(f, pem)
		f.Add(pem)
		f.Add(crlf(pem))
		f.Add(pem[:len(pem)/2])
	}
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		chain, err := ParsePEM(data)
		if err != nil {
			return
		}
		checkRoundTrip(t, chain)
	})
}

// FuzzParseTHIM checks that a parsed document is a chain of exactly its stated TCB.
func FuzzParseTHIM(f *testing.F) {
	for tcbm, list := range map[string][]pkix.Extension{"d308000000000003": milanExtensions(), "5A00000005020301": turinExtensions()} {
		leaf, issuers := unsignedByAMD(f, list)
		document, err := json.Marshal(map[string]string{thimLeaf: leaf, thimIssuers: issuers, thimTCB: tcbm})
		if err != nil {
			f.Fatal(err)
		}
		if _, err := ParseTHIM(document); err != nil {
			f.Fatal(err)
		}
		f.Add(document)
	}
	f.Add([]byte(`{"vcekCert":"","certificateChain":"","tcbm":"DB18000000000004","cacheControl":"86400","x":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		chain, err := ParseTHIM(data)
		if err != nil {
			return
		}
		checkRoundTrip(t, chain)
	})
}

// unsignedByAMD makes a leaf with the extensions and one self-signed issuer, used
// twice. Parsing checks no more. It needs no RSA key, which takes a fuzzing worker many
// seconds to generate.
func unsignedByAMD(f testing.TB, list []pkix.Extension) (leaf, issuers string) {
	f.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	issuer := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "SEV-Milan"}, IsCA: true, BasicConstraintsValid: true}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "SEV-VCEK"}, ExtraExtensions: list}
	for _, certificate := range []*x509.Certificate{template, issuer} {
		der, err := x509.CreateCertificate(rand.Reader, certificate, issuer, &key.PublicKey, key)
		if err != nil {
			f.Fatal(err)
		}
		leaf, issuers = issuers, pemOf(der)
	}
	return leaf, issuers + issuers
}

func checkRoundTrip(t *testing.T, chain *Chain) {
	again, err := ParsePEM(chain.PEM())
	if err != nil {
		t.Fatal(err)
	}
	if again.TCB() != chain.TCB() || again.Product() != chain.Product() || !bytes.Equal(again.PEM(), chain.PEM()) {
		t.Error("the chain changed when it was encoded and parsed")
	}
	if chain.Product() == snp.ProductUnknown {
		t.Error("a chain without a product")
	}
}

// FuzzParseEndorsement parses the DER of a certificate's list of extensions.
func FuzzParseEndorsement(f *testing.F) {
	for _, list := range [][]pkix.Extension{milanExtensions(), turinExtensions()} {
		der, err := asn1.Marshal(list)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der, false)
		f.Add(der, true)
	}
	f.Fuzz(func(t *testing.T, der []byte, vlek bool) {
		var list []pkix.Extension
		if _, err := asn1.Unmarshal(der, &list); err != nil {
			return
		}
		kind := snp.VCEK
		if vlek {
			kind = snp.VLEK
		}
		e, err := parseEndorsement(kind, list)
		if err != nil {
			return
		}
		if want := len(snp.ChipID{}.HWID(e.product)); kind == snp.VCEK && len(e.hwid) != want {
			t.Errorf("a hardware id of %d bytes on %s", len(e.hwid), e.product)
		}
		if e.levels.TCB(e.product).Components() != e.levels {
			t.Errorf("%s cannot have the TCB %+v", e.product, e.levels)
		}
	})
}
