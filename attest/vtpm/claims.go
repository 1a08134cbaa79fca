package vtpm

import (
	"bytes"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"

	"skr/internal/jose/jwk"
	"skr/internal/strictjson"
)

// kidAK is the id of the attestation key among the claims' keys. Its position and its key_ops
// vary: reports of 2022 say "encrypt".
const kidAK = "HCLAkPub"

// userDataSize is the size of NV index 0x01400002 in bytes.
const userDataSize = 64

// Claims are the runtime claims of an HCL report (microsoft/openvmm,
// openhcl_attestation_protocol, igvm_attest/get.rs, runtime_claims), with unknown members.
type Claims struct {
	raw    []byte
	object strictjson.Object
	keys   []jwk.Key
}

func parseClaims(raw []byte) (*Claims, error) {
	members, err := strictjson.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("it %w", err)
	}
	c := &Claims{raw: bytes.Clone(raw), object: members}
	if _, some := members.Lookup("keys"); !some {
		return c, nil
	}
	set, err := jwk.ParseSet(raw)
	if err != nil {
		return nil, err
	}
	c.keys = set.Keys
	return c, nil
}

// Raw returns the bytes whose hash is in the report's REPORT_DATA.
func (c *Claims) Raw() []byte { return bytes.Clone(c.raw) }

// Members returns the claims by name. Values are string, bool, json.Number, nil, []any or
// map[string]any, and must not be changed.
func (c *Claims) Members() map[string]any { return c.object.Members() }

// AK returns the public attestation key, HCLAkPub.
func (c *Claims) AK() (*rsa.PublicKey, error) {
	key, err := c.key(kidAK)
	if err != nil {
		return nil, fmt.Errorf("reading %s of the HCL claims: %w", kidAK, err)
	}
	return key, nil
}

func (c *Claims) key(kid string) (*rsa.PublicKey, error) {
	var found []jwk.Key
	for _, key := range c.keys {
		if key.Kid == kid {
			found = append(found, key)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("there are %d such keys, want 1", len(found))
	}
	public, err := found[0].PublicKey()
	if err != nil {
		return nil, err
	}
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("it is no RSA key")
	}
	return key, nil
}

// UserData returns the content of NV index 0x01400002 when the report was made: 64 bytes that
// the guest chooses. It returns false if the claims do not contain them, as in 2022.
func (c *Claims) UserData() ([]byte, bool) {
	text, _ := c.object.Text("user-data") // digits of either case
	data, err := hex.DecodeString(text)
	return data, err == nil && len(data) == userDataSize
}

// SecureBoot reports whether secure boot is enabled in the paravisor's configuration. known
// is false if the claims do not say.
func (c *Claims) SecureBoot() (on, known bool) {
	value, _ := c.object.Lookup("vm-configuration.secure-boot")
	on, known = value.(bool)
	return on, known
}
