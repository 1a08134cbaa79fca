package vault

import (
	"crypto/sha256"
	"crypto/sha512"
	"net/http"
	"testing"
	"time"

	"skr/internal/jose/jwk"
)

// rsaSession returns a vault with the guest's key imported, which saves
// generating one.
func rsaSession(t *testing.T, operations ...string) *session {
	t.Helper()
	k, err := jwk.FromPrivate(guestKey())
	if err != nil {
		t.Fatal(err)
	}
	k.KeyOps = operations
	s := newSession(t, KeyVault, nil)
	s.must(http.StatusOK, "PUT", "/keys/k", map[string]any{"key": k})
	return s
}

func TestEncryptAndDecrypt(t *testing.T) {
	s := rsaSession(t)
	secret := encode64([]byte("attack at dawn"))
	for _, algorithm := range []string{"RSA1_5", "RSA-OAEP", "RSA-OAEP-256"} {
		for there, back := range map[string]string{"encrypt": "decrypt", "wrapKey": "unwrapkey"} {
			sealed := s.must(http.StatusOK, "POST", "/keys/k/"+there, map[string]any{"alg": algorithm, "value": secret})
			opened := s.must(http.StatusOK, "POST", "/keys/k//"+back, map[string]any{"alg": algorithm, "value": at(t, sealed, "value")})
			if at(t, opened, "value") != secret || at(t, opened, "kid") != at(t, sealed, "kid") {
				t.Errorf("%s, %s: %v", algorithm, there, opened)
			}
			s.must(http.StatusBadRequest, "POST", "/keys/k/"+back, map[string]any{"alg": algorithm, "value": secret})
		}
	}
	s.must(http.StatusBadRequest, "POST", "/keys/k/encrypt", map[string]any{"alg": "A256GCM", "value": secret})
	s.must(http.StatusBadRequest, "POST", "/keys/k/encrypt", map[string]any{"alg": "RSA-OAEP", "value": "!"})
}

func TestOperationNotPermitted(t *testing.T) {
	s := rsaSession(t, "encrypt")
	s.wantFault("POST", "/keys/k/decrypt", map[string]any{"alg": "RSA-OAEP", "value": "AA"}, http.StatusForbidden,
		"KeyOperationForbidden", "Operation decrypt is not permitted on this key.")
}

// TestValidity: outside nbf and exp, a key makes nothing new, and still opens
// and verifies what there is. TestReleaseRefusals has the release.
func TestValidity(t *testing.T) {
	s := rsaSession(t)
	digest := sha256.Sum256(nil)
	seal := map[string]any{"alg": "RSA-OAEP", "value": encode64([]byte("secret"))}
	sign := map[string]any{"alg": "RS256", "value": encode64(digest[:])}
	sealed := map[string]any{"alg": "RSA-OAEP", "value": at(t, s.must(http.StatusOK, "POST", "/keys/k/encrypt", seal), "value")}
	signed := map[string]any{"alg": "RS256", "digest": sign["value"], "value": at(t, s.must(http.StatusOK, "POST", "/keys/k/sign", sign), "value")}
	s.must(http.StatusOK, "PATCH", "/keys/k", map[string]any{"attributes": map[string]any{"nbf": epoch.Unix() + 60, "exp": epoch.Unix() + 120}})
	for after, inner := range map[time.Duration]string{0: "KeyNotYetValid", 60 * time.Second: "", 120 * time.Second: "KeyExpired"} {
		s.clock.set(epoch.Add(after))
		status := http.StatusForbidden
		if inner == "" {
			status = http.StatusOK
		}
		s.wantFault("POST", "/keys/k/encrypt", seal, status, inner, "Operation encrypt is not allowed")
		s.wantFault("POST", "/keys/k/wrapkey", seal, status, inner, "Operation wrapKey is not allowed")
		s.wantFault("POST", "/keys/k/sign", sign, status, inner, "Operation sign is not allowed")
		s.must(http.StatusOK, "POST", "/keys/k/decrypt", sealed)
		s.must(http.StatusOK, "POST", "/keys/k/unwrapkey", sealed)
		s.must(http.StatusOK, "POST", "/keys/k/verify", signed)
	}
}

func TestSignAndVerify(t *testing.T) {
	digest256, digest384, digest512 := sha256.Sum256(nil), sha512.Sum384(nil), sha512.Sum512(nil)
	digests := map[string][]byte{"256": digest256[:], "256K": digest256[:], "384": digest384[:], "512": digest512[:]}
	cases := map[string][]string{ // curve, or "" for RSA, and its algorithms
		"": {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, "P-256": {"ES256"}, "P-384": {"ES384"}, "P-521": {"ES512"}, "P-256K": {"ES256K"},
	}
	for curve, algorithms := range cases {
		s := rsaSession(t)
		if curve != "" {
			s.must(http.StatusOK, "POST", "/keys/k/create", map[string]any{"kty": "EC", "crv": curve})
		}
		for _, algorithm := range algorithms {
			digest := encode64(digests[algorithm[2:]])
			signed := s.must(http.StatusOK, "POST", "/keys/k/sign", map[string]any{"alg": algorithm, "value": digest})
			verify := map[string]any{"alg": algorithm, "digest": digest, "value": at(t, signed, "value")}
			if at(t, s.must(http.StatusOK, "POST", "/keys/k/verify", verify), "value") != true {
				t.Errorf("%s is not valid", algorithm)
			}
			other := sha256.Sum256([]byte("other"))
			verify["digest"] = encode64(append(other[:], make([]byte, 32)...)[:len(digests[algorithm[2:]])])
			if at(t, s.must(http.StatusOK, "POST", "/keys/k/verify", verify), "value") != false {
				t.Errorf("%s of another digest is valid", algorithm)
			}
		}
		s.must(http.StatusBadRequest, "POST", "/keys/k/sign", map[string]any{"alg": "ES999", "value": encode64(digest256[:])})
		s.must(http.StatusBadRequest, "POST", "/keys/k/sign", map[string]any{"alg": algorithms[0], "value": "AA"})
	}
}
