package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"skr/hsm"
	"skr/internal/jose/jwk"
	"skr/internal/operator/provision"
	"skr/releasepolicy"
)

// keyInfo is the JSON form of a key in output and in NAME-info.json. docs/keys.md describes it.
type keyInfo struct {
	Kid        string            `json:"kid"`
	Kty        string            `json:"kty"`
	Size       int               `json:"size,omitempty"`
	Crv        string            `json:"crv,omitempty"`
	KeyOps     []string          `json:"key_ops"`
	Enabled    bool              `json:"enabled"`
	Exportable bool              `json:"exportable"`
	Created    string            `json:"created,omitempty"`
	Updated    string            `json:"updated,omitempty"`
	NotBefore  string            `json:"not_before,omitempty"`
	Expires    string            `json:"expires,omitempty"`
	Lapse      string            `json:"lapse,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Key        *jwk.Key          `json:"key,omitempty"` // the public half; only of key show

	Immutable    bool            `json:"immutable"`
	Authorities  []string        `json:"authorities,omitempty"`
	Policy       json.RawMessage `json:"policy,omitempty"`
	PolicySHA256 string          `json:"policy_sha256,omitempty"`
	PolicyError  string          `json:"policy_error,omitempty"`

	// The reference's tools read the next three from NAME-info.json.
	PublicKeyPath    string `json:"public_key_path,omitempty"`
	KMSEndpoint      string `json:"kms_endpoint,omitempty"`
	AttesterEndpoint string `json:"attester_endpoint,omitempty"`
}

func describeKey(k *provision.Key) keyInfo {
	info := keyInfo{
		Kid: k.ID.String(), Kty: k.Public.Kty, Size: k.Size(), Crv: k.Public.Crv, KeyOps: k.Operations,
		Enabled: k.Enabled, Exportable: k.Exportable, Immutable: k.Immutable, Tags: k.Tags,
		Created: timeText(k.Created), Updated: timeText(k.Updated), NotBefore: timeText(k.NotBefore), Expires: timeText(k.Expires),
	}
	if len(k.Policy) > 0 {
		info.addPolicy(k.Policy)
	}
	return info
}

// addPublic adds the public half. A symmetric key has none.
func (i *keyInfo) addPublic(k *provision.Key) {
	public := publicHalf(k)
	if _, err := public.PublicKey(); err == nil {
		i.Key = &public
	}
}

// publicHalf returns the public key with the names that JOSE libraries know, and its identifier.
func publicHalf(k *provision.Key) jwk.Key {
	public := k.Public.Registered()
	public.Kid, public.KeyOps = k.ID.String(), k.Operations
	return public
}

// addLapse says that the key is not valid at a time, and that the vault releases it nevertheless.
func (i *keyInfo) addLapse(k *provision.Key, at time.Time) {
	i.Lapse = hsm.Validity{NotBefore: k.NotBefore, Expires: k.Expires}.Lapse(at)
}

// addPolicy hashes the bytes that the vault stores, like audit records do.
func (i *keyInfo) addPolicy(text []byte) {
	sum := sha256.Sum256(text)
	i.PolicySHA256 = hex.EncodeToString(sum[:])
	policy, err := releasepolicy.Parse(text)
	if err != nil {
		i.PolicyError = err.Error()
		return
	}
	i.Policy, i.Authorities = json.RawMessage(text), policy.Authorities()
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
