package conformance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"

	"skr/internal/jose/jwk"
)

// signature is a way to sign.
type signature struct {
	kind, algorithm string
	digest          []byte
	hash            crypto.Hash
	size            int // of the signature in bytes
}

var signatures = []signature{
	{"rsa-2048", "RS256", digest256, crypto.SHA256, 256}, {"rsa-3072", "RS384", digest384, crypto.SHA384, 384},
	{"rsa-4096", "RS512", digest512, crypto.SHA512, 512}, {"rsa-2048", "PS256", digest256, crypto.SHA256, 256},
	{"rsa-2048", "PS384", digest384, crypto.SHA384, 256}, {"rsa-2048", "PS512", digest512, crypto.SHA512, 256},
	{"p-256", "ES256", digest256, crypto.SHA256, 64}, {"p-256k", "ES256K", digest256, crypto.SHA256, 64},
	{"p-384", "ES384", digest384, crypto.SHA384, 96}, {"p-521", "ES512", digest512, crypto.SHA512, 132},
}

// signAndVerify signs a digest, verifies the signature here, and lets the service verify it and a wrong
// one.
func (row signature) signAndVerify(p *probe) error {
	k, err := p.key(row.kind)
	if err != nil {
		return err
	}
	w := p.s.operated(row.algorithm)
	w.members = fmt.Sprintf("kid:string value:b64(%d)", row.size)
	got, err := p.ask(operation("sign", row.algorithm, row.digest).at(k), w)
	if err != nil {
		return err
	}
	value, _ := base64.RawURLEncoding.DecodeString(got.text("value")) // its form has been compared
	p.expect("the signature is that of the digest by the public key of the bundle")
	if !row.verifies(k, value) {
		return p.differ("the signature does not verify")
	}
	for _, valid := range []string{"true", "false"} {
		checked := request{method: http.MethodPost, path: versionPath + "/verify", api: since(row.algorithm),
			body: map[string]any{"alg": row.algorithm, "digest": encode64(row.digest), "value": encode64(value)}}
		if _, err := p.ask(checked.at(k), want{status: []int{http.StatusOK}, members: "value:bool", equal: map[string]string{"value": valid}}); err != nil {
			return err
		}
		value[len(value)-1] ^= 1
	}
	return nil
}

// verifies verifies a signature with the public key. The standard library has no P-256K, and a symmetric
// key has no public part, so these are left to the service.
func (row signature) verifies(k *madeKey, value []byte) bool {
	if row.kind == "p-256k" || row.kind == "oct-256" {
		return true
	}
	text, _ := json.Marshal(lookup(k.bundle, "key")[0])
	parsed, err := jwk.Parse(text)
	if err != nil {
		return false
	}
	public, err := parsed.PublicKey()
	if err != nil {
		return false
	}
	switch public := public.(type) {
	case *rsa.PublicKey:
		if row.algorithm[0] == 'P' {
			return rsa.VerifyPSS(public, row.hash, row.digest, value, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(public, row.hash, row.digest, value) == nil
	case *ecdsa.PublicKey:
		half := len(value) / 2
		curves := []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}
		return slices.Contains(curves, public.Curve) &&
			ecdsa.Verify(public, row.digest, new(big.Int).SetBytes(value[:half]), new(big.Int).SetBytes(value[half:]))
	}
	return false
}
