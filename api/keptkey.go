package api

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"
)

// KeptKey is a private key that stays in the sidecar, which performs its operations. It is a
// [crypto.Signer] and, if it is an RSA key, a [crypto.Decrypter], for TLS servers, JWT and SSH
// libraries. It is safe for concurrent use.
type KeptKey struct {
	client  *Client
	alias   string
	version string
	public  crypto.PublicKey
}

var (
	_ crypto.Signer    = (*KeptKey)(nil)
	_ crypto.Decrypter = (*KeptKey)(nil)
)

// keptTimeout bounds an operation, because crypto.Signer and crypto.Decrypter have no context.
const keptTimeout = time.Minute

// KeptKey returns the key of an alias. All operations use the version that is the alias's
// first now, so that the public key stays the right one.
func (c *Client) KeptKey(ctx context.Context, alias string) (*KeptKey, error) {
	return c.KeptVersion(ctx, alias, "")
}

// KeptVersion returns a version of the key of an alias, such as the one that a message names.
func (c *Client) KeptVersion(ctx context.Context, alias, version string) (*KeptKey, error) {
	var answer PublicResponse
	if _, err := c.post(ctx, RoutePublic, PublicRequest{Alias: alias, Version: version}, &answer); err != nil {
		return nil, err
	}
	members, err := parseJWK(answer.Key)
	if err != nil {
		return nil, err
	}
	public, err := members.public()
	if err != nil {
		return nil, fmt.Errorf("reading the public key: %w", err)
	}
	return &KeptKey{client: c, alias: alias, version: Key{ID: members.text("kid")}.Version(), public: public}, nil
}

// public returns an *rsa.PublicKey or *ecdsa.PublicKey.
func (k jwk) public() (crypto.PublicKey, error) {
	switch kind := k.kind(); kind {
	case "RSA":
		n, err := k.number("n")
		if err != nil {
			return nil, err
		}
		e, err := k.number("e")
		if err != nil || e.BitLen() > 31 {
			return nil, errors.New("the RSA exponent cannot be used")
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
	case "EC":
		return k.point()
	default:
		return nil, fmt.Errorf("%w: kty is %.20q, want %q or %q", ErrKeyType, kind, "RSA", "EC")
	}
}

func (k jwk) point() (*ecdsa.PublicKey, error) {
	curve, err := k.curve()
	if err != nil {
		return nil, err
	}
	width := (curve.Params().BitSize + 7) / 8
	x, err := k.fixed("x", width)
	if err != nil {
		return nil, err
	}
	y, err := k.fixed("y", width)
	if err != nil {
		return nil, err
	}
	const uncompressed = 4 // SEC 1 version 2.0 section 2.3.3
	public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{uncompressed}, x, y))
	if err != nil {
		return nil, errors.New("the point of the EC key is not on its curve")
	}
	return public, nil
}

// Public returns the public key, an *rsa.PublicKey or *ecdsa.PublicKey.
func (k *KeptKey) Public() crypto.PublicKey { return k.public }

// Version returns the version of the key.
func (k *KeptKey) Version() string { return k.version }

// Sign signs a digest: with RSASSA-PSS if opts is an *[rsa.PSSOptions] whose salt is as long as
// the digest, with RSASSA-PKCS1-v1_5 otherwise, and with ECDSA in ASN.1. The sidecar makes
// what is random.
func (k *KeptKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	algorithm, err := k.signing(opts)
	if err != nil {
		return nil, err
	}
	signature, err := k.operate(RouteSign, algorithm, digest)
	if _, isEC := k.public.(*ecdsa.PublicKey); err != nil || !isEC {
		return signature, err
	}
	half := len(signature) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])})
}

// signing returns the algorithm of RFC 7518 section 3.1 for the options.
func (k *KeptKey) signing(opts crypto.SignerOpts) (string, error) {
	bits := map[crypto.Hash]string{crypto.SHA256: "256", crypto.SHA384: "384", crypto.SHA512: "512"}[opts.HashFunc()]
	if bits == "" {
		return "", fmt.Errorf("the sidecar does not sign digests of %v", opts.HashFunc())
	}
	if _, isEC := k.public.(*ecdsa.PublicKey); isEC {
		return "ES" + bits, nil
	}
	pss, isPSS := opts.(*rsa.PSSOptions)
	if !isPSS {
		return "RS" + bits, nil
	}
	if length := pss.SaltLength; length != rsa.PSSSaltLengthAuto && length != rsa.PSSSaltLengthEqualsHash && length != opts.HashFunc().Size() {
		return "", errors.New("the sidecar makes PSS signatures with a salt as long as the digest")
	}
	return "PS" + bits, nil
}

// Decrypt decrypts RSA-OAEP with SHA-1 or SHA-256 and no label: opts is an *[rsa.OAEPOptions].
func (k *KeptKey) Decrypt(_ io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	oaep, isOAEP := opts.(*rsa.OAEPOptions)
	if !isOAEP || len(oaep.Label) > 0 || oaep.MGFHash != 0 && oaep.MGFHash != oaep.Hash {
		return nil, errors.New("the sidecar decrypts RSA-OAEP without a label, with one hash")
	}
	algorithm := map[crypto.Hash]string{crypto.SHA1: "RSA-OAEP", crypto.SHA256: "RSA-OAEP-256"}[oaep.Hash]
	if algorithm == "" {
		return nil, fmt.Errorf("the sidecar does not decrypt RSA-OAEP with %v", oaep.Hash)
	}
	return k.operate(RouteDecrypt, algorithm, ciphertext)
}

// operate performs one operation on bytes.
func (k *KeptKey) operate(route, algorithm string, value []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), keptTimeout)
	defer cancel()
	in := OperationInput{Value: base64.RawURLEncoding.AppendEncode(nil, value)}
	defer in.Wipe()
	answer, err := k.client.Operate(ctx, route, OperationRequest{Alias: k.alias, Version: k.version, Alg: algorithm, OperationInput: in})
	if err != nil {
		return nil, err
	}
	return answer.Bytes()
}

// Operate sends an operation to one of the routes, such as [RouteDecrypt].
func (c *Client) Operate(ctx context.Context, route string, request OperationRequest) (OperationResponse, error) {
	var answer OperationResponse
	_, err := c.post(ctx, route, request, &answer)
	return answer, err
}

// Bytes returns the decoded value. It returns an error for the result of a verification.
func (r OperationResult) Bytes() ([]byte, error) {
	var text Secret
	if err := json.Unmarshal(r.Value, &text); err != nil {
		return nil, errors.New("the result is not bytes")
	}
	defer text.Wipe()
	value, err := base64.RawURLEncoding.AppendDecode(nil, text)
	if err != nil {
		return nil, errors.New("the result is not base64url")
	}
	return value, nil
}
