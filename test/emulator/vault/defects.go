package vault

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"slices"
	"time"

	"skr/test/rsakey"
)

// Defects describes what is wrong with a release statement, for tests of what a
// client must refuse. The rest of the statement stays right and the signature
// is made afterwards, so that each field is one failure. The zero value is a
// valid statement.
type Defects struct {
	// OtherKID replaces the id of the released key.
	OtherKID string
	// OtherEnc replaces the name of the wrapping algorithm, not the algorithm
	// itself.
	OtherEnc string
	// OtherNonce replaces the request's nonce in the statement.
	OtherNonce string
	// Algorithm is the header's alg. "none" has no signature; "HS256" is keyed
	// with the PEM of the certificate's public key; "PS256" has a valid
	// signature of that algorithm; any other value only replaces the name.
	Algorithm string
	// SelfSigned signs with a new key and a self-signed certificate for the
	// vault's host.
	SelfSigned bool
	// SigningKey and Chain, each alone or both, replace the configured ones: an
	// expired certificate, one for another host, a chain with a gap, a
	// signature by a key other than the certificate's.
	SigningKey crypto.Signer
	Chain      []*x509.Certificate
	// FlipSignature flips one bit of the signature.
	FlipSignature bool
	// FlipCiphertext flips one bit of the wrapped key.
	FlipCiphertext bool
	// ShortenCiphertext is the number of bytes to cut from the end of the
	// wrapped key.
	ShortenCiphertext int
	// MismatchedPrivateKey wraps a private key that does not match the
	// statement's public key.
	MismatchedPrivateKey bool
	// OtherWrappingKey wraps the key to a new RSA key instead of the token's.
	OtherWrappingKey bool
	// Edit changes header and payload freely. Members are sorted afterwards.
	Edit func(header, payload map[string]any)
}

func (d *Defects) alg() string {
	if d.Algorithm != "" {
		return d.Algorithm
	}
	return "RS256"
}

// wrapTo returns the key that the released key is wrapped to.
func (d *Defects) wrapTo(wanted *rsa.PublicKey) (*rsa.PublicKey, error) {
	if !d.OtherWrappingKey {
		return wanted, nil
	}
	other, err := rsakey.Generate(wanted.N.BitLen())
	if err != nil {
		return nil, err
	}
	return &other.PublicKey, nil
}

// spoil changes the ciphertext of the wrapped key.
func (d *Defects) spoil(ciphertext []byte) []byte {
	out := slices.Clone(ciphertext)
	if d.FlipCiphertext {
		out[len(out)-1] ^= 1
	}
	return out[:len(out)-min(max(d.ShortenCiphertext, 0), len(out))]
}

func (d *Defects) edit(header, payload []byte) (headerJSON, payloadJSON []byte, err error) {
	if d.Edit == nil {
		return header, payload, nil
	}
	var h, p map[string]any
	if err := json.Unmarshal(header, &h); err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return nil, nil, err
	}
	d.Edit(h, p)
	if headerJSON, err = json.Marshal(h); err != nil {
		return nil, nil, err
	}
	payloadJSON, err = json.Marshal(p)
	return headerJSON, payloadJSON, err
}

func (d *Defects) signature(s signer, signed []byte) (signature []byte, err error) {
	switch d.Algorithm {
	case "none":
		return nil, nil
	case "HS256":
		signature, err = keyedWithPublicKey(s, signed)
	case "PS256":
		digest := sha256.Sum256(signed)
		signature, err = s.key.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	default:
		signature, err = s.sign(signed)
	}
	if err == nil && d.FlipSignature {
		signature[len(signature)-1] ^= 1
	}
	return signature, err
}

// keyedWithPublicKey makes the classic algorithm confusion: an HMAC whose key
// is public.
func keyedWithPublicKey(s signer, signed []byte) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write(signed)
	return mac.Sum(nil), nil
}

// selfSigned returns a signer for the host with a self-signed certificate.
func selfSigned(host string, now time.Time) (signer, error) {
	private, err := rsakey.Generate(2048)
	if err != nil {
		return signer{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return signer{}, err
	}
	certificate, err := x509.ParseCertificate(der)
	return signer{private, []*x509.Certificate{certificate}}, err
}
