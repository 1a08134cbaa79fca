// Package jwk parses and writes JSON Web Keys (RFC 7517, RFC 7518) in the forms that Azure
// uses.
//
// Key Vault and Managed HSM use the key types RSA-HSM, EC-HSM and oct-HSM and the curve
// name P-256K in addition to the registered ones, and Microsoft Azure Attestation publishes
// keys that contain only x5c. General JOSE libraries refuse both. A [Key] is the wire form.
// [Key.PublicKey] and [Key.PrivateKey] check the members and return Go's keys.
//
//	set, err := jwk.ParseSet(body)
//	pub, err := set.Keys[0].PublicKey()
//
// Members are decoded strictly: base64url without padding or line breaks, points on their
// curve, RSA moduli of 2048 to 8192 bits. Numbers may have leading zero bytes or lack them,
// because vaults differ ("AQAB" and "AAEAAQ"). The package writes canonical numbers.
//
// The package does not verify certificates. It only takes the public key from x5c.
package jwk

import (
	"errors"
	"fmt"

	"skr/internal/strictjson"
)

// Bounds of what is parsed. A signing certificate of Microsoft Azure Attestation embeds its
// own evidence and has about 30 KB. A shared instance lists four keys.
const (
	maxKey  = 256 << 10
	maxSet  = 1 << 20
	maxKeys = 64
	// maxDepth bounds nested objects and arrays; keys, headers and release statements stay
	// below ten.
	maxDepth = 32
	// maxValues bounds what a text takes in memory; a set of 64 keys has a thousand.
	maxValues = 8 << 10
)

// Key is the wire form of a JSON Web Key. It redacts the private members when printed.
// encoding/json writes all members.
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

// Parse parses one key. It ignores unknown members, and refuses duplicate members and
// members in other capitals. [Key.PublicKey] checks the values.
func Parse(data []byte) (Key, error) {
	var key Key
	if err := decode(data, maxKey, &key); err != nil {
		return Key{}, fmt.Errorf("parsing a key: %w", err)
	}
	if key.Kty == "" {
		return Key{}, errors.New(`parsing a key: member "kty" is missing`)
	}
	return key, nil
}

// ParseSet parses a set of at most 64 keys. It accepts keys of unknown types (RFC 7517
// section 5), which have no public key.
func ParseSet(data []byte) (Set, error) {
	var set Set
	if err := decode(data, maxSet, &set); err != nil {
		return Set{}, fmt.Errorf("parsing a key set: %w", err)
	}
	if set.Keys == nil {
		return Set{}, errors.New(`parsing a key set: member "keys" is missing`)
	}
	if len(set.Keys) > maxKeys {
		return Set{}, fmt.Errorf("parsing a key set: has %d keys, more than %d", len(set.Keys), maxKeys)
	}
	return set, nil
}

// Unmarshal decodes a JOSE text, a key, a header or a release statement, as
// [strictjson.Decoder] does: RFC 7515 section 4 and RFC 7517 section 4 demand that no name
// stands twice, and RFC 8725 section 2.4 warns of readers that differ. Its errors hold
// nothing of data but the name of a field.
func Unmarshal(data []byte, into any) error { return decode(data, maxSet, into) }

func decode(data []byte, limit int, into any) error {
	return strictjson.Decoder{Bytes: limit, Depth: maxDepth, Values: maxValues}.Decode(data, into)
}
