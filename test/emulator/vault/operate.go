package vault

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"slices"
)

// operationRequest is the body of the operations that use a key.
type operationRequest struct {
	Algorithm string `json:"alg"`
	Value     string `json:"value"`
	Digest    string `json:"digest"`
	IV        string `json:"iv"`
	Tag       string `json:"tag"`
	AAD       string `json:"aad"`
}

// parts are the decoded members of a request, or of an answer.
type parts struct{ value, iv, tag, aad []byte }

func (v *Vault) encrypt(c *call) (answer, error)   { return v.operate(c, "encrypt", seal) }
func (v *Vault) wrapKey(c *call) (answer, error)   { return v.operate(c, "wrapKey", seal) }
func (v *Vault) decrypt(c *call) (answer, error)   { return v.operate(c, "decrypt", open) }
func (v *Vault) unwrapKey(c *call) (answer, error) { return v.operate(c, "unwrapKey", open) }
func (v *Vault) sign(c *call) (answer, error)      { return v.operate(c, "sign", signParts) }

func signParts(m material, algorithm string, in parts) (parts, error) {
	signature, err := signDigest(m, algorithm, in.value)
	return parts{value: signature}, err
}

// operate runs an operation from bytes to bytes.
func (v *Vault) operate(c *call, name string, do func(m material, algorithm string, in parts) (parts, error)) (answer, error) {
	r, in, err := parseOperation(c.body)
	if err != nil {
		return answer{}, err
	}
	k, ver, err := v.permitted(c, name)
	if err != nil {
		return answer{}, err
	}
	result, err := do(ver.material, r.Algorithm, in)
	if err != nil {
		return answer{}, err
	}
	o := object{{"kid", v.kidOf(&k, ver)}, {"value", encode64(result.value)}}
	for _, member := range []struct {
		name  string
		value []byte
	}{{"iv", result.iv}, {"tag", result.tag}, {"aad", result.aad}} {
		if member.value != nil {
			o = o.with(member.name, encode64(member.value))
		}
	}
	return ok(v.named(o, r.Algorithm))
}

// named adds the algorithm, which only Managed HSM repeats.
func (v *Vault) named(o object, algorithm string) object {
	if v.managedHSM() {
		return o.with("alg", algorithm)
	}
	return o
}

func (v *Vault) verify(c *call) (answer, error) {
	r, in, err := parseOperation(c.body)
	if err != nil {
		return answer{}, err
	}
	digest, err := decode64(r.Digest)
	if err != nil {
		return answer{}, badParameter(`The property "digest" is invalid.`) // UNCONFIRMED
	}
	k, ver, err := v.permitted(c, "verify")
	if err != nil {
		return answer{}, err
	}
	valid, err := verifyDigest(ver.material, r.Algorithm, digest, in.value)
	if err != nil {
		return answer{}, err
	}
	if v.managedHSM() {
		return ok(object{{"kid", v.kidOf(&k, ver)}, {"value", valid}, {"alg", r.Algorithm}})
	}
	return ok(object{{"value", valid}})
}

// parseOperation parses the body. The text of the fault is UNCONFIRMED.
func parseOperation(body []byte) (r operationRequest, in parts, err error) {
	if err := parseBody(body, &r); err != nil {
		return r, in, err
	}
	for _, member := range []struct {
		name, text string
		into       *[]byte
	}{{"value", r.Value, &in.value}, {"iv", r.IV, &in.iv}, {"tag", r.Tag, &in.tag}, {"aad", r.AAD, &in.aad}} {
		if *member.into, err = decode64(member.text); err != nil {
			return r, in, badParameter(`The property "%s" is invalid.`, member.name)
		}
	}
	return r, in, nil
}

// permitted returns a usable key whose key_ops allow the operation.
func (v *Vault) permitted(c *call, operation string) (key, *version, error) {
	k, ver, err := v.usable(c, operation)
	if err != nil {
		return key{}, nil, err
	}
	if !slices.Contains(ver.operations, operation) {
		return key{}, nil, forbidden("KeyOperationForbidden", "Operation %s is not permitted on this key.", operation)
	}
	return k, ver, nil
}

// The faults below are UNCONFIRMED in text.

func faultAlgorithm() error { return badParameter("The algorithm is not supported for this key.") }
func faultOperation() error { return badParameter("The parameter is incorrect.\r\n") }

// pkcs1 stands for the padding of RSA1_5, which has no hash.
const pkcs1 crypto.Hash = 0

// cipherOf returns the RSA key, and the hash of an encryption algorithm of RFC 7518 sections 4.2 and 4.3.
func cipherOf(m material, algorithm string) (*rsa.PrivateKey, crypto.Hash, error) {
	private, isRSA := m.private.(*rsa.PrivateKey)
	hash, known := map[string]crypto.Hash{"RSA1_5": pkcs1, "RSA-OAEP": crypto.SHA1, "RSA-OAEP-256": crypto.SHA256}[algorithm]
	if !isRSA || !known {
		return nil, 0, faultAlgorithm()
	}
	return private, hash, nil
}

func seal(m material, algorithm string, in parts) (parts, error) {
	if m.kind == "oct" {
		return sealSecret(m.secret, algorithm, in)
	}
	private, hash, err := cipherOf(m, algorithm)
	if err != nil {
		return parts{}, err
	}
	var sealed []byte
	if hash == pkcs1 {
		sealed, err = rsa.EncryptPKCS1v15(rand.Reader, &private.PublicKey, in.value) //nolint:staticcheck // the service has it
	} else {
		sealed, err = rsa.EncryptOAEP(hash.New(), rand.Reader, &private.PublicKey, in.value, nil)
	}
	if err != nil {
		return parts{}, faultOperation()
	}
	return parts{value: sealed}, nil
}

func open(m material, algorithm string, in parts) (parts, error) {
	if m.kind == "oct" {
		return openSecret(m.secret, algorithm, in)
	}
	private, hash, err := cipherOf(m, algorithm)
	if err != nil {
		return parts{}, err
	}
	var opened []byte
	if hash == pkcs1 {
		opened, err = rsa.DecryptPKCS1v15(nil, private, in.value) //nolint:staticcheck // the service has it
	} else {
		opened, err = rsa.DecryptOAEP(hash.New(), nil, private, in.value, nil)
	}
	if err != nil {
		return parts{}, faultOperation()
	}
	return parts{value: opened}, nil
}

// signatureHash returns the hash of a signature algorithm of RFC 7518 section
// 3.1 or RFC 8812 section 3.2, for keys of that type and curve.
func signatureHash(m material, algorithm string) (hash crypto.Hash, pss, known bool) {
	hashes := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}
	if private, isEC := m.private.(*ecdsa.PrivateKey); isEC {
		switch private.Curve {
		case elliptic.P384():
			return crypto.SHA384, false, algorithm == "ES384"
		case elliptic.P521():
			return crypto.SHA512, false, algorithm == "ES512"
		case elliptic.P256():
			return crypto.SHA256, false, algorithm == "ES256"
		}
		return crypto.SHA256, false, algorithm == "ES256K"
	}
	if len(algorithm) != 5 || m.kind != "RSA" {
		return 0, false, false
	}
	hash, known = hashes[algorithm[2:]]
	return hash, algorithm[:2] == "PS", known && (algorithm[:2] == "RS" || algorithm[:2] == "PS")
}

func signDigest(m material, algorithm string, digest []byte) ([]byte, error) {
	if mac, ok := macOf(m.secret, algorithm, digest); ok && m.kind == "oct" {
		return mac, nil
	}
	hash, pss, known := signatureHash(m, algorithm)
	if !known || len(digest) != hash.Size() {
		return nil, faultAlgorithm()
	}
	switch private := m.private.(type) {
	case *rsa.PrivateKey:
		if pss {
			return rsa.SignPSS(rand.Reader, private, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(rand.Reader, private, hash, digest)
	case *ecdsa.PrivateKey:
		return signEC(private, digest)
	}
	return nil, faultAlgorithm()
}

// signEC writes r and s in the curve's width (RFC 7518 section 3.4).
func signEC(private *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, private, digest)
	if err != nil {
		return nil, err
	}
	width := (private.Curve.Params().BitSize + 7) / 8
	signature := make([]byte, 2*width)
	r.FillBytes(signature[:width])
	s.FillBytes(signature[width:])
	return signature, nil
}

func verifyDigest(m material, algorithm string, digest, signature []byte) (bool, error) {
	if mac, ok := macOf(m.secret, algorithm, digest); ok && m.kind == "oct" {
		return hmac.Equal(mac, signature), nil
	}
	hash, pss, known := signatureHash(m, algorithm)
	if !known || len(digest) != hash.Size() {
		return false, faultAlgorithm()
	}
	switch private := m.private.(type) {
	case *rsa.PrivateKey:
		if pss {
			return rsa.VerifyPSS(&private.PublicKey, hash, digest, signature, nil) == nil, nil
		}
		return rsa.VerifyPKCS1v15(&private.PublicKey, hash, digest, signature) == nil, nil
	case *ecdsa.PrivateKey:
		width := (private.Curve.Params().BitSize + 7) / 8
		if len(signature) != 2*width {
			return false, nil
		}
		r, s := new(big.Int).SetBytes(signature[:width]), new(big.Int).SetBytes(signature[width:])
		return ecdsa.Verify(&private.PublicKey, digest, r, s), nil
	}
	return false, faultAlgorithm()
}

// randomLimit is the maximum number of bytes in a request (text of the recorded
// fault).
const randomLimit = 128

// random answers POST /rng, which only Managed HSM has.
func (v *Vault) random(c *call) (answer, error) {
	if !v.managedHSM() {
		return answer{}, faultNoRoute()
	}
	var r struct {
		Count int `json:"count"`
	}
	if err := parseBody(c.body, &r); err != nil {
		return answer{}, err
	}
	if r.Count < 1 || r.Count > randomLimit {
		return answer{}, badParameter("GetRandomBytesRequest: count cannot be greater than %d or less than 1", randomLimit)
	}
	value := make([]byte, r.Count)
	_, _ = rand.Read(value) // never fails
	return ok(object{{"value", encode64(value)}})
}
