package maa

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // RFC 5280 section 4.2.1.2 key identifiers
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"time"

	"skr/attest/snp"
	"skr/test/rsakey"
)

const (
	keyBits  = 2048
	certLife = 365 * 24 * time.Hour
)

// Extensions of a signing certificate with the evidence of the service itself,
// which runs in a container group (Azure-Samples, microsoft-azure-attestation,
// maa.jwt.verifier.dotnet). UNCONFIRMED: that the first holds bare JSON, not
// wrapped in a DER string.
var (
	oidEvidence     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 105, 1000, 1}
	oidEvidenceType = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 105, 1000, 2}
)

// signingKey signs tokens. The private key has no accessor.
type signingKey struct {
	private *rsa.PrivateKey
	spki    []byte // the preimage of kid
	kid     string
	cert    []byte // DER
}

func newSigningKey(issuer string, evidence func(snp.ReportData) ([]byte, error), now time.Time) (*signingKey, error) {
	private, err := rsakey.Generate(keyBits)
	if err != nil {
		return nil, fmt.Errorf("maa: making a signing key: %w", err)
	}
	spki, err := preimage(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	k := &signingKey{private: private, spki: spki, kid: keyID(spki)}
	extensions, err := k.extensions(evidence)
	if err != nil {
		return nil, fmt.Errorf("maa: attesting the signing key: %w", err)
	}
	if k.cert, err = k.certify(issuer, extensions, now); err != nil {
		return nil, fmt.Errorf("maa: certifying the signing key: %w", err)
	}
	return k, nil
}

// preimage returns the PEM text of the public key with its newline, then a zero
// byte. kid and the service's own REPORT_DATA are hashes of it (checked against
// live keys).
func preimage(public *rsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("maa: encoding a public key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return append(text, 0), nil
}

func keyID(preimage []byte) string {
	sum := sha256.Sum256(preimage)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (k *signingKey) extensions(evidence func(snp.ReportData) ([]byte, error)) ([]pkix.Extension, error) {
	if evidence == nil {
		return nil, nil
	}
	document, err := evidence(reportDataOf(k.spki))
	if err != nil {
		return nil, err
	}
	kind, err := asn1.MarshalWithParams("acisevsnp", "utf8")
	if err != nil {
		return nil, err
	}
	return []pkix.Extension{{Id: oidEvidence, Value: document}, {Id: oidEvidenceType, Value: kind}}, nil
}

// certify returns a self-signed certificate in the form of the service's own:
// the issuer's URL as common name in a UTF8String, valid for one year, a CA.
func (k *signingKey) certify(issuer string, extensions []pkix.Extension, now time.Time) ([]byte, error) {
	name, err := asn1.Marshal(commonName(issuer))
	if err != nil {
		return nil, err
	}
	id := sha1.Sum(x509.MarshalPKCS1PublicKey(&k.private.PublicKey))
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1), // as on the service's own
		RawSubject:            name,
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(certLife),
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign,
		SubjectKeyId:          id[:],
		AuthorityKeyId:        id[:],
		SignatureAlgorithm:    x509.SHA256WithRSA,
		ExtraExtensions:       extensions,
	}
	return x509.CreateCertificate(rand.Reader, template, template, &k.private.PublicKey, k.private)
}

// commonName encodes the name as a UTF8String; crypto/x509 would choose a
// PrintableString.
func commonName(name string) pkix.RDNSequence {
	value := asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(name)}
	return pkix.RDNSequence{{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: value}}}
}

// certs returns the JWKS. As on the service, the key is only in x5c.
func (i *Instance) certs(*http.Request) (any, error) {
	return map[string]any{"keys": []any{map[string]any{
		"alg": "RS256",
		"kid": i.key.kid,
		"kty": "RSA",
		"use": "sig",
		"x5c": []string{base64.StdEncoding.EncodeToString(i.key.cert)},
	}}}, nil
}

// discovery returns the OpenID configuration: Azure REST API specification,
// attestation, metadata configuration.
func (i *Instance) discovery(*http.Request) (any, error) {
	return map[string]any{
		"issuer":                                i.config.Issuer,
		"jwks_uri":                              i.config.Issuer + "/certs",
		"revocation_endpoint":                   i.config.Issuer + "/revoke",
		"response_types_supported":              []string{"token", "none"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"claims_supported":                      []string{"is-debuggable", "product-id", "svn", "tee"},
	}, nil
}
