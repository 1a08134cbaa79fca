package hsm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"skr/internal/jose/jwk"
	"skr/internal/secmem"
	"skr/internal/textfile"
)

// ReadKey reads a private key that a person keeps in a file: PKCS #8, PKCS #1 or
// SEC 1 in PEM, or a JWK, also a symmetric one, by itself or as the member "key" that
// the vaults' API takes. The result has neither an ID nor operations. data is overwritten.
func ReadKey(data []byte) (*Key, error) {
	decoded := textfile.UTF8(data)
	defer secmem.Wipe(data, decoded)
	text := bytes.TrimSpace(decoded)
	read := readJWK
	if !bytes.HasPrefix(text, []byte("{")) {
		read = readPEM
	}
	key, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("reading a private key: %w", err)
	}
	return key, nil
}

// ReadSecret takes over the bytes of a symmetric key, as AES has them: 16, 24 or
// 32. data is overwritten.
func ReadSecret(data []byte) (*Key, error) {
	defer secmem.Wipe(data)
	switch len(data) {
	case 16, 24, 32:
		return fileKey(jwk.Key{Kty: symmetric}, []member{{"k", data}})
	}
	return nil, fmt.Errorf("reading a symmetric key: has %d bytes, and not 16, 24 or 32", len(data))
}

func fileKey(public jwk.Key, secret []member) (*Key, error) {
	text, err := privateJWK(public, secret)
	if err != nil {
		return nil, err
	}
	return &Key{held: secmem.Hold(text)}, nil
}

func readJWK(text []byte) (*Key, error) {
	var request struct { // ImportKey (Azure REST API specification, Key Vault 7.4)
		Key json.RawMessage `json:"key"`
	}
	if err := jwk.Unmarshal(text, &request); err == nil && len(request.Key) > 0 {
		defer secmem.Wipe(request.Key)
		text = request.Key
	}
	parsed, err := jwk.Parse(text)
	if err != nil {
		return nil, err
	}
	if parsed.Type() == symmetric {
		secret, err := jwk.DecodeStrict(base64.RawURLEncoding, parsed.K)
		if err != nil {
			return nil, errors.New(`member "k" is not base64url`)
		}
		return ReadSecret(secret)
	}
	private, err := parsed.PrivateKey()
	if err != nil {
		return nil, err
	}
	return fromPrivate(private)
}

// readPEM takes the one private key of a file. Other blocks, such as the EC
// PARAMETERS and the certificates that tools write beside it, are left out.
func readPEM(text []byte) (*Key, error) {
	var found *pem.Block
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if !bytes.HasSuffix([]byte(block.Type), []byte("PRIVATE KEY")) {
			continue
		}
		if found != nil {
			return nil, errors.New("the file holds more than one private key")
		}
		found = block
	}
	if found == nil {
		return nil, errors.New("the file holds neither a private key in PEM nor a JWK")
	}
	defer secmem.Wipe(found.Bytes)
	private, err := parseBlock(found)
	if err != nil {
		return nil, fmt.Errorf("the block %q %w", found.Type, err)
	}
	return fromPrivate(private)
}

// parseBlock: types of RFC 7468 sections 10 and 11, RFC 5915 section 4, and
// OpenSSL's for PKCS #1.
func parseBlock(block *pem.Block) (crypto.PrivateKey, error) {
	if block.Headers["DEK-Info"] != "" || block.Type == "ENCRYPTED PRIVATE KEY" {
		return nil, errors.New("is encrypted; decrypt it first, as with openssl pkey")
	}
	switch block.Type {
	case "PRIVATE KEY":
		return parsePKCS8(block.Bytes)
	case "RSA PRIVATE KEY":
		return parseRSA(nil, block.Bytes)
	case "EC PRIVATE KEY":
		return parseSEC1(block.Bytes)
	}
	return nil, errors.New("is of a kind that is not supported")
}

// parseSEC1 reads an ECPrivateKey that names its curve itself (RFC 5915 section 3).
func parseSEC1(der []byte) (*ecdsa.PrivateKey, error) {
	var inner, parameters cryptobyte.String
	whole := cryptobyte.String(der)
	if !whole.ReadASN1(&inner, cbasn1.SEQUENCE) || !whole.Empty() ||
		!inner.SkipASN1(cbasn1.INTEGER) || !inner.SkipASN1(cbasn1.OCTET_STRING) ||
		!inner.ReadASN1(&parameters, tagECParams) {
		return nil, errors.New("is not an EC private key in DER that names its curve")
	}
	curve, err := parseCurve(parameters)
	if err != nil {
		return nil, err
	}
	return parseEC(curve, der)
}

func fromPrivate(private crypto.PrivateKey) (*Key, error) {
	defer erase(private)
	public, err := publicOf(private)
	if err != nil {
		return nil, err
	}
	secret, err := secretMembers(private)
	if err != nil {
		return nil, err
	}
	return fileKey(public, secret)
}

func publicOf(private crypto.PrivateKey) (jwk.Key, error) {
	switch private := private.(type) {
	case *rsa.PrivateKey:
		return jwk.FromPublic(&private.PublicKey)
	case *ecdsa.PrivateKey:
		return jwk.FromPublic(&private.PublicKey)
	}
	return jwk.Key{}, fmt.Errorf("a %T has no public key", private)
}

// Public is the key as a JWK without its private members. Of a symmetric key that
// is its type alone.
func (k *Key) Public() (public jwk.Key, err error) {
	err = k.held.Use(func(secret []byte) error { public, err = jwk.Parse(secret); return err })
	public.D, public.P, public.Q, public.DP, public.DQ, public.QI, public.K = "", "", "", "", "", "", ""
	return public, err
}
