package vault

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"slices"
	"strings"

	"skr/releasepolicy"

	"skr/internal/jose/jwk"
	"skr/internal/jose/keywrap"
)

// releaseRequest is the body of a release.
type releaseRequest struct {
	Target string `json:"target"` // the attestation token
	Enc    string `json:"enc"`
	Nonce  string `json:"nonce"`
}

// release checks key, token and policy in this order, wraps the key and signs
// the release statement.
func (v *Vault) release(c *call) (answer, error) {
	r, algorithm, err := parseRelease(c.body)
	if err != nil {
		return answer{}, err
	}
	k, ver, err := v.releasable(c)
	if err != nil {
		return answer{}, err
	}
	claims, err := v.appraise(c, ver.policy, r.Target)
	if err != nil {
		return answer{}, err
	}
	wrappingKey, err := chooseWrappingKey(claims)
	if err != nil {
		return answer{}, err
	}
	s := statement{
		vault: v, call: c, request: r, key: k, version: ver,
		algorithm: algorithm, wrappingKey: wrappingKey, defects: v.config.Defects(),
	}
	token, err := s.sign()
	if err != nil {
		return answer{}, err
	}
	return ok(object{{"value", token}})
}

// parseRelease parses the body. The texts of the faults are UNCONFIRMED.
func parseRelease(body []byte) (releaseRequest, keywrap.Algorithm, error) {
	var r releaseRequest
	if err := parseBody(body, &r); err != nil {
		return r, "", err
	}
	if r.Target == "" {
		return r, "", badParameter(`The property "target" is required.`)
	}
	if r.Enc == "" {
		r.Enc = string(keywrap.CKM)
	}
	algorithm, err := keywrap.ParseAlgorithm(r.Enc)
	if err != nil {
		return r, "", badParameter(`The property "enc" has an invalid value.`)
	}
	return r, algorithm, nil
}

// releasable finds the key. Its results may be read without the lock. The inner
// codes and texts of its faults are UNCONFIRMED for release.
func (v *Vault) releasable(c *call) (key, *version, error) {
	k, ver, err := v.usable(c, "release")
	if err != nil {
		return key{}, nil, err
	}
	if ver.policy == nil {
		return key{}, nil, forbidden("KeyNotExportable", "Operation release is not allowed on a key that is not exportable.")
	}
	return k, ver, nil
}

// usable finds a version that is enabled and, for the operations that make
// something new, within its validity. Outside of it Azure still decrypts,
// unwraps, verifies and releases ("About keys", date-time controlled
// operations). The texts are known for other operations from public issue
// reports. One of these says that Azure also encrypts, verifies and wraps with a
// disabled key (Azure/azure-sdk-for-python#45342), which is UNCONFIRMED.
func (v *Vault) usable(c *call, operation string) (key, *version, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, ver, err := v.find(c.name, c.version)
	bounded := operation == "encrypt" || operation == "wrapKey" || operation == "sign"
	switch {
	case err != nil:
		return key{}, nil, err
	case !ver.enabled:
		return key{}, nil, forbidden("KeyDisabled", "Operation %s is not allowed on a disabled key.", operation)
	case bounded && ver.expires != nil && v.now() >= *ver.expires:
		return key{}, nil, forbidden("KeyExpired", "Operation %s is not allowed on an expired key.", operation)
	case bounded && ver.notBefore != nil && v.now() < *ver.notBefore:
		return key{}, nil, forbidden("KeyNotYetValid", "Operation %s is not allowed on a key that is not yet valid.", operation)
	}
	return *k, ver, nil
}

// appraise verifies the token with the authority that issued it, if the policy
// names that authority, and evaluates the policy. The text for a policy that is
// not met is known only from third parties; its inner code is UNCONFIRMED.
func (v *Vault) appraise(c *call, policy *storedPolicy, token string) (json.RawMessage, error) {
	unverified := forbidden("AccessDenied", "Target environment attestation statement cannot be verified.")
	authority, trusted := policy.rules.Authority(issuerUnverified(token))
	if !trusted {
		return nil, unverified
	}
	claims, err := v.config.VerifyToken(c.ctx, authority, token)
	if err != nil {
		return nil, unverified
	}
	parsed, err := releasepolicy.ParseClaims(claims)
	if err != nil {
		return nil, unverified
	}
	if !policy.rules.Evaluate(issuerOf(claims), parsed).Met {
		return nil, forbidden("AccessDenied", "Target environment attestation does not meet key release policy requirements")
	}
	return claims, nil
}

// issuerUnverified returns the issuer of an unverified token. Use it only to
// choose among the authorities that the policy trusts.
func issuerUnverified(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	claims, err := decode64(parts[1])
	if err != nil {
		return ""
	}
	return issuerOf(claims)
}

func issuerOf(claims json.RawMessage) string {
	var c struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(claims, &c) != nil {
		return ""
	}
	return c.Issuer
}

// wrappingKey is the key in the token that the released key is wrapped to.
type wrappingKey struct {
	kid    string
	public *rsa.PublicKey
}

// chooseWrappingKey returns the first key for encryption among the token's
// top-level x-ms-runtime.keys ("Azure Key Vault secure key release policy
// grammar", environment assertion). It must be RSA. UNCONFIRMED: the minimum
// size, and the answer if there is no such key.
func chooseWrappingKey(claims json.RawMessage) (wrappingKey, error) {
	none := badParameter("The target environment assertion holds no RSA key for encryption.")
	var c struct {
		Runtime struct {
			Keys []jwk.Key `json:"keys"`
		} `json:"x-ms-runtime"`
	}
	if json.Unmarshal(claims, &c) != nil {
		return wrappingKey{}, none
	}
	i := slices.IndexFunc(c.Runtime.Keys, func(k jwk.Key) bool {
		return k.Use == "enc" || slices.Contains(k.KeyOps, "encrypt")
	})
	if i < 0 {
		return wrappingKey{}, none
	}
	public, err := c.Runtime.Keys[i].PublicKey()
	if err != nil {
		return wrappingKey{}, none
	}
	rsaKey, isRSA := public.(*rsa.PublicKey)
	if !isRSA {
		return wrappingKey{}, none
	}
	return wrappingKey{c.Runtime.Keys[i].Kid, rsaKey}, nil
}

// wrap returns key_hsm for the material.
func (s *statement) wrap(m material) (string, error) {
	plaintext, err := m.exported(s.vault.config.Flavour)
	if err != nil {
		return "", err
	}
	public, err := s.defects.wrapTo(s.wrappingKey.public)
	if err != nil {
		return "", err
	}
	ciphertext, err := keywrap.Wrap(rand.Reader, public, s.algorithm, plaintext)
	if err != nil {
		return "", err
	}
	return encode64(s.vault.encode(object{
		{"schema_version", "1.0"},
		{"header", object{{"kid", s.wrappingKey.kid}, {"alg", "dir"}, {"enc", s.enc()}}},
		{"ciphertext", encode64(s.defects.spoil(ciphertext))},
	})), nil
}
