// Package jwk reads and writes JSON Web Keys (RFC 7517, RFC 7518) as Azure
// speaks them.
//
// Key Vault and Managed HSM use the key types RSA-HSM, EC-HSM and oct-HSM and
// the curve name P-256K beside the registered ones, and Microsoft Azure
// Attestation publishes keys that hold only x5c; general JOSE libraries refuse
// both. A [Key] is the wire form, text by text; [Key.PublicKey] and
// [Key.PrivateKey] turn it into keys that were checked.
//
//	set, err := jwk.ParseSet(body)
//	pub, err := set.Keys[0].PublicKey()
//
// Members are decoded strictly: base64url without padding or line breaks,
// points on their curve, RSA moduli of 2048 to 8192 bits. Numbers may have
// leading zero bytes, or lack them, because vaults differ ("AQAB" and
// "AAEAAQ"); what this package writes is canonical.
//
// The package verifies nothing: a certificate in x5c is only a place to find
// the public key, and its chain is the caller's business.
package jwk

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Bounds on what is parsed. A Microsoft Azure Attestation signing certificate
// embeds its own evidence and takes about 30 KB, and a shared instance lists
// four keys.
const (
	maxKey  = 256 << 10
	maxSet  = 1 << 20
	maxKeys = 64
)

// Key is one JSON Web Key as on the wire. Its print forms redact the private
// members; encoding/json writes all of them.
type Key struct {
	Kid    string   `json:"kid,omitempty"`
	Kty    string   `json:"kty,omitempty"`
	Use    string   `json:"use,omitempty"`
	Alg    string   `json:"alg,omitempty"`
	KeyOps []string `json:"key_ops,omitempty"`
	Crv    string   `json:"crv,omitempty"`
	N      string   `json:"n,omitempty"`
	E      string   `json:"e,omitempty"`
	D      string   `json:"d,omitempty"`
	P      string   `json:"p,omitempty"`
	Q      string   `json:"q,omitempty"`
	DP     string   `json:"dp,omitempty"`
	DQ     string   `json:"dq,omitempty"`
	QI     string   `json:"qi,omitempty"`
	X      string   `json:"x,omitempty"`
	Y      string   `json:"y,omitempty"`
	K      string   `json:"k,omitempty"`
	X5c    []string `json:"x5c,omitempty"`
}

// Set is a JWK Set (RFC 7517 section 5).
type Set struct {
	Keys []Key `json:"keys"`
}

// Parse reads one key. Unknown members are ignored, duplicate ones and those in other
// capitals refused.
// The key's members are not yet checked: [Key.PublicKey] does that.
func Parse(data []byte) (Key, error) {
	var key Key
	if err := decode(data, maxKey, &key); err != nil {
		return Key{}, fmt.Errorf("parsing a key: %w", err)
	}
	if key.Kty == "" {
		return Key{}, errors.New(`jwk: parsing a key: member "kty" is missing`)
	}
	return key, nil
}

// ParseSet reads a set of at most 64 keys. A key of an unknown type does not
// spoil the set (RFC 7517 section 5); it has no public key.
func ParseSet(data []byte) (Set, error) {
	var set Set
	if err := decode(data, maxSet, &set); err != nil {
		return Set{}, fmt.Errorf("parsing a key set: %w", err)
	}
	if set.Keys == nil {
		return Set{}, errors.New(`jwk: parsing a key set: member "keys" is missing`)
	}
	if len(set.Keys) > maxKeys {
		return Set{}, fmt.Errorf("parsing a key set: has %d keys, more than %d", len(set.Keys), maxKeys)
	}
	return set, nil
}

func decode(data []byte, limit int, into any) error {
	if len(data) > limit {
		return fmt.Errorf("is longer than %d bytes", limit)
	}
	return Unmarshal(data, into)
}

// describe names the place of a JSON error without the input, which may hold
// private members.
func describe(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("member %q has the wrong JSON type", wrong.Field)
	}
	return errors.New("is not JSON")
}
