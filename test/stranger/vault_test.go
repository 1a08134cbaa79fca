package stranger

import (
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
)

const (
	vaultName   = "myvault.vault.azure.net"
	hsmName     = "myhsm.managedhsm.azure.net"
	accessToken = "eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJodHRwczovL3ZhdWx0LmF6dXJlLm5ldCJ9.c2VjcmV0LXRva2Vu"
)

// vault is a Key Vault or Managed HSM with one key and one route: release
// (Azure REST API specification, Key Vault keys).
type vault struct {
	before    intercept
	host      string
	managed   bool // Managed HSM: other header members, no -HSM suffix
	signer    *identity
	key       vaultKey
	echoNonce bool

	statement func(object) // changes the statement before signing
	header    func(object) // changes its JWS header
	token     string       // the only valid access token
}

func newVault() *vault {
	return &vault{host: vaultName, signer: vaultIdentity(), key: rsaKey(), token: accessToken}
}

func newHSM() *vault {
	return &vault{host: hsmName, managed: true, signer: hsmIdentity(), key: rsaKey(), token: accessToken}
}

func (v *vault) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /keys/k1/release", v.release)
	mux.HandleFunc("POST /keys/k1/{version}/release", v.release)
	return mux
}

func (v *vault) release(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+v.token {
		azureError(w, http.StatusUnauthorized, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
		return
	}
	version := r.PathValue("version")
	if version != "" && version != v.key.version {
		azureError(w, http.StatusNotFound, "KeyNotFound", "A key with (name/id) k1/"+version+" was not found in this key vault.")
		return
	}
	statement, err := v.state(r)
	if err != nil {
		azureError(w, http.StatusForbidden, "Forbidden", "Target environment attestation statement cannot be verified. "+err.Error())
		return
	}
	answer(w, http.StatusOK, object{"value": sign(v.jwsHeader(), statement, v.signer.key)})
}

// state verifies the attestation token of a request and makes the statement.
func (v *vault) state(r *http.Request) (object, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	request, err := decode(raw)
	if err != nil {
		return nil, err
	}
	if r.Header.Get("Content-Type") != "application/json" || r.URL.Query().Get("api-version") == "" {
		return nil, errors.New("the request is not JSON, or has no api-version")
	}
	key, _ := authorityKey()
	target, _ := request["target"].(string)
	claims, err := verifyJWS(target, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	enc, _ := request["enc"].(string)
	if enc == "" {
		enc = "CKM_RSA_AES_KEY_WRAP"
	}
	wrapped, err := v.wrap(claims, enc)
	if err != nil {
		return nil, err
	}
	echo := object{"api-version": r.URL.Query().Get("api-version"), "enc": enc, "kid": v.keyID(r.PathValue("version"))}
	if nonce, ok := request["nonce"]; ok && v.echoNonce {
		echo["nonce"] = nonce
	}
	statement := object{"request": echo, "response": object{"key": v.bundle(wrapped)}}
	return bent(v.statement, statement), nil
}

func (v *vault) keyID(version string) string {
	return strings.TrimSuffix("https://"+v.host+"/keys/k1/"+version, "/")
}

// bundle returns the released key as a KeyBundle.
func (v *vault) bundle(keyHSM string) object {
	jwk := object{"kid": v.keyID(v.key.version), "kty": v.key.kty, "key_ops": v.key.operations, "key_hsm": keyHSM}
	if !v.managed {
		jwk["kty"] = v.key.kty + "-HSM"
	}
	for member, value := range v.key.public {
		jwk[member] = b64url(value)
	}
	if v.key.curve != "" {
		jwk["crv"] = v.key.curve
	}
	policy := object{"immutable": false, "data": b64url([]byte(`{"version":"1.0.0","anyOf":[{"authority":"` + authorityURL +
		`","allOf":[{"claim":"x-ms-attestation-type","equals":"sevsnpvm"}]}]}`))}
	if v.managed {
		policy["contentType"] = "application/json; charset=utf-8"
	}
	return object{
		"key": jwk, "release_policy": policy,
		"attributes": object{"enabled": true, "created": 1680041245, "updated": 1680041245, "exportable": true,
			"recoveryLevel": "CustomizedRecoverable+Purgeable", "recoverableDays": 7},
	}
}

// asked and released return the halves of a statement. releasedJWK returns its key.
func asked(statement object) object       { return statement["request"].(object) }
func released(statement object) object    { return statement["response"].(object)["key"].(object) }
func releasedJWK(statement object) object { return released(statement)["key"].(object) }

func (v *vault) jwsHeader() object {
	leaf := v.signer.chain[0].Raw
	long, short := sha256.Sum256(leaf), sha1.Sum(leaf)
	header := object{"kid": "9b43a1a2-9421-0921-160e-6143bfe1030c", "x5t#S256": b64url(long[:]), "x5c": v.signer.x5c()}
	if !v.managed {
		header["typ"], header["x5t"], header["kid"] = "JWT", b64url(short[:]), strings.ToUpper(hex.EncodeToString(short[:]))
	}
	return bent(v.header, header)
}

// wrap encrypts the key to the first encryption key of the token's top-level runtime claim:
// RSA-OAEP over a new AES key, and AES-KWP over the key itself.
func (v *vault) wrap(claims object, enc string) (string, error) {
	hashes := map[string]func() hash.Hash{
		"CKM_RSA_AES_KEY_WRAP": sha1.New, "RSA_AES_KEY_WRAP_256": sha256.New, "RSA_AES_KEY_WRAP_384": sha512.New384,
	}
	newHash, known := hashes[enc]
	if !known {
		return "", fmt.Errorf("unknown enc %q", enc)
	}
	public, kid, err := wrappingKey(claims)
	if err != nil {
		return "", err
	}
	inner := random(32)
	outer, err := rsa.EncryptOAEP(newHash(), rand.Reader, public, inner, nil)
	if err != nil {
		return "", err
	}
	blob := object{
		"schema_version": "1.0", "header": object{"kid": kid, "alg": "dir", "enc": enc},
		"ciphertext": b64url(append(outer, keyWrap(inner, v.key.plaintext)...)),
	}
	return b64url(must(json.Marshal(blob))), nil
}

// wrappingKey returns the first key with use "enc" or with "encrypt" in key_ops (Key Vault
// release policy grammar, "Environment Assertion").
func wrappingKey(claims object) (*rsa.PublicKey, any, error) {
	runtime, _ := claims["x-ms-runtime"].(object)
	keys, _ := runtime["keys"].([]any)
	for _, entry := range keys {
		jwk, _ := entry.(object)
		operations, _ := jwk["key_ops"].([]any)
		if jwk["kty"] != "RSA" || jwk["use"] != "enc" && !slices.Contains(operations, any("encrypt")) {
			continue
		}
		modulus, err := unb64url(fmt.Sprint(jwk["n"]))
		if err != nil {
			return nil, nil, err
		}
		exponent, err := unb64url(fmt.Sprint(jwk["e"]))
		if err != nil {
			return nil, nil, err
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(new(big.Int).SetBytes(exponent).Int64())}, jwk["kid"], nil
	}
	return nil, nil, errors.New("the token has no key to encrypt to")
}

// keyWrap is AES Key Wrap with Padding (RFC 5649, section 4.1).
func keyWrap(key, plaintext []byte) []byte {
	block := must(aes.NewCipher(key))
	out := make([]byte, 8, 16+len(plaintext))
	copy(out, "\xA6\x59\x59\xA6")
	binary.BigEndian.PutUint32(out[4:], uint32(len(plaintext)))
	out = append(out, plaintext...)
	for len(out)%8 != 0 {
		out = append(out, 0)
	}
	if len(out) == 16 {
		block.Encrypt(out, out)
		return out
	}
	buffer := make([]byte, 16)
	copy(buffer, out[:8])
	for round, step := 0, uint64(1); round < 6; round++ {
		for at := 8; at < len(out); at, step = at+8, step+1 {
			copy(buffer[8:], out[at:at+8])
			block.Encrypt(buffer, buffer)
			copy(out[at:], buffer[8:])
			binary.BigEndian.PutUint64(buffer, binary.BigEndian.Uint64(buffer)^step)
		}
	}
	copy(out, buffer[:8])
	return out
}
