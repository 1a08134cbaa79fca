package vault

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"skr/internal/jose/jwk"
	"skr/internal/jose/keywrap"
)

// released is a release statement that passed every check of a client.
type released struct {
	request   map[string]any
	key       jwk.Key
	plaintext []byte
}

func (s *session) release(path string, body map[string]any) released {
	s.t.Helper()
	answer := s.must(http.StatusOK, "POST", path, body)
	r, err := s.open(at(s.t, answer, "value").(string))
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// open verifies a statement strictly, as a careful client does: chain and host,
// algorithm, signature, then key_hsm.
func (s *session) open(token string) (released, error) {
	parts := strings.Split(token, ".")
	var header struct {
		Alg string
		X5c []string
	}
	var payload struct {
		Request  map[string]any
		Response struct {
			Key struct{ Key json.RawMessage }
		}
	}
	if err := errors.Join(unmarshal64(parts[0], &header), unmarshal64(parts[1], &payload)); err != nil {
		return released{}, err
	}
	if header.Alg != "RS256" {
		return released{}, errors.New("alg")
	}
	if err := s.verifySignature(header.X5c, token); err != nil {
		return released{}, err
	}
	return s.unwrap(payload.Request, payload.Response.Key.Key)
}

func unmarshal64(text string, into any) error {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

func (s *session) verifySignature(x5c []string, token string) error {
	chain := make([]*x509.Certificate, len(x5c))
	for i, text := range x5c {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return err
		}
		if chain[i], err = x509.ParseCertificate(der); err != nil {
			return err
		}
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(s.vault.config.Chain[len(s.vault.config.Chain)-1])
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{
		DNSName: s.vault.config.hostname(), Roots: roots, Intermediates: between, CurrentTime: epoch,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		return err
	}
	signed, text, _ := cutLast(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(signed))
	return rsa.VerifyPKCS1v15(chain[0].PublicKey.(*rsa.PublicKey), crypto.SHA256, digest[:], signature)
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

func (s *session) unwrap(request map[string]any, key json.RawMessage) (released, error) {
	var members struct {
		Wrapped string `json:"key_hsm"`
	}
	var wrapped struct {
		Version string `json:"schema_version"`
		Header  struct{ Kid, Alg, Enc string }
		Text    string `json:"ciphertext"`
	}
	if err := json.Unmarshal(key, &members); err != nil {
		return released{}, err
	}
	if err := unmarshal64(members.Wrapped, &wrapped); err != nil {
		return released{}, err
	}
	if wrapped.Version != "1.0" || !slices.Contains([]string{"guest", "TpmEphemeralEncryptionKey"}, wrapped.Header.Kid) ||
		wrapped.Header.Alg != "dir" || wrapped.Header.Enc != request["enc"] {
		return released{}, errors.New("key_hsm header")
	}
	ciphertext, err := base64.RawURLEncoding.DecodeString(wrapped.Text)
	if err != nil {
		return released{}, err
	}
	plaintext, err := keywrap.Unwrap(decrypter{guestKey()}, keywrap.Algorithm(wrapped.Header.Enc), ciphertext)
	if err != nil {
		return released{}, err
	}
	public, err := jwk.Parse(key)
	return released{request, public, plaintext}, err
}

// TestDefects checks that each defect is detected, and that it has no other
// effect.
func TestDefects(t *testing.T) {
	other := testChain(t, "other.vault.localhost")
	cases := map[string]struct {
		defects Defects
		ok      bool // accepted by a client that checks only signature and wrapping
		notice  func(released) bool
	}{
		"none":        {Defects{}, true, func(r released) bool { return strings.HasPrefix(r.key.Kid, "https://"+testHost+"/keys/k/") }},
		"kid":         {Defects{OtherKID: "https://other/keys/k/1"}, true, func(r released) bool { return r.key.Kid == "https://other/keys/k/1" }},
		"nonce":       {Defects{OtherNonce: "twice"}, true, func(r released) bool { return r.request["nonce"] == "twice" }},
		"enc":         {Defects{OtherEnc: string(keywrap.RSA384)}, false, nil},
		"none alg":    {Defects{Algorithm: "none"}, false, nil},
		"HS256":       {Defects{Algorithm: "HS256"}, false, nil},
		"PS256":       {Defects{Algorithm: "PS256"}, false, nil},
		"RS512":       {Defects{Algorithm: "RS512"}, false, nil},
		"self-signed": {Defects{SelfSigned: true}, false, nil},
		"other chain": {Defects{Chain: other}, false, nil},
		"other key":   {Defects{SigningKey: guestKey()}, false, nil},
		"signature":   {Defects{FlipSignature: true}, false, nil},
		"ciphertext":  {Defects{FlipCiphertext: true}, false, nil},
		"shortened":   {Defects{ShortenCiphertext: 8}, false, nil},
		"emptied":     {Defects{ShortenCiphertext: 1 << 20}, false, nil},
		"mismatched":  {Defects{MismatchedPrivateKey: true}, true, func(r released) bool { return !belongs(t, r) }},
		"edited": {Defects{Edit: func(_, payload map[string]any) { payload["request"].(map[string]any)["kid"] = "x" }}, true,
			func(r released) bool { return r.request["kid"] == "x" }},
	}
	var now Defects
	s := newSession(t, KeyVault, func(c *Config) { c.Defects = func() Defects { return now } })
	s.must(http.StatusOK, "POST", "/keys/k/create", exportableEC(goodPolicy))
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		now = cases[name].defects
		body := releaseBody(t)
		body["nonce"] = "once"
		answer := s.must(http.StatusOK, "POST", "/keys/k/release", body)
		r, err := s.open(at(t, answer, "value").(string))
		if (err == nil) != cases[name].ok {
			t.Errorf("%s: %v", name, err)
		} else if err == nil && !cases[name].notice(r) {
			t.Errorf("%s: not visible in %v", name, r.request)
		}
		if name != "mismatched" && err == nil && !belongs(t, r) {
			t.Errorf("%s: private key does not belong to the statement", name)
		}
	}
}

// belongs compares the scalar of a P-256K key with its public key.
func belongs(t *testing.T, r released) bool {
	t.Helper()
	public, err := r.key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	curve := public.(*ecdsa.PublicKey).Curve
	private, err := jwk.ParseScalar(curve, r.plaintext[len(r.plaintext)-32:])
	if err != nil {
		t.Fatal(err)
	}
	return private.PublicKey.Equal(public)
}
