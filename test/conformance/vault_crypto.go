package conformance

import (
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"strings"
)

func encode64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// What is encrypted, wrapped and signed. It is no secret.
var (
	secretValue = []byte("0123456789abcdef0123456789abcdef")
	fixedIV     = []byte("skr-conformance!")
	digest256   = sum(sha256.Sum256([]byte("skr-conformance")))
	digest384   = sum48(sha512.Sum384([]byte("skr-conformance")))
	digest512   = sum64(sha512.Sum512([]byte("skr-conformance")))
)

func sum(d [32]byte) []byte   { return d[:] }
func sum48(d [48]byte) []byte { return d[:] }
func sum64(d [64]byte) []byte { return d[:] }

// since returns an api-version that has the algorithm.
func since(algorithm string) string {
	switch {
	case strings.HasPrefix(algorithm, "HS"):
		return "2025-07-01"
	case strings.HasPrefix(algorithm, "CKM_"):
		return "7.6"
	}
	return stable
}

func operation(name, algorithm string, value []byte) request {
	return request{method: http.MethodPost, path: versionPath + "/" + name, api: since(algorithm),
		body: map[string]any{"alg": algorithm, "value": encode64(value)}}
}

// operated returns what the answer to an operation must be. Managed HSM repeats the algorithm.
func (s *session) operated(algorithm string) want {
	w := want{status: []int{http.StatusOK}, members: "kid:string value:b64"}
	if s.managed {
		w.equal = map[string]string{"alg": algorithm}
	}
	return w
}

// cryptoChecks use keys.
func cryptoChecks(s *session) []check {
	var checks []check
	const sealed = specKeys + ", JsonWebKeyEncryptionAlgorithm; " + recordedGo
	const signed = specKeys + ", JsonWebKeySignatureAlgorithm; " + recordedGo
	for _, algorithm := range []string{"RSA1_5", "RSA-OAEP", "RSA-OAEP-256"} {
		checks = append(checks,
			check{name: "encrypt and decrypt " + algorithm, source: sealed, run: roundTrip("rsa-2048", "encrypt", "decrypt", algorithm, nil)},
			check{name: "wrap and unwrap " + algorithm, source: sealed, run: roundTrip("rsa-2048", "wrapkey", "unwrapkey", algorithm, nil)})
	}
	for _, row := range signatures {
		checks = append(checks, check{name: "sign and verify " + row.algorithm, source: signed, run: row.signAndVerify})
	}
	if s.managed {
		for _, algorithm := range []string{"A256GCM", "A256CBC", "A256CBCPAD"} {
			checks = append(checks, check{name: "encrypt and decrypt " + algorithm, source: sealed,
				run: roundTrip("oct-256", "encrypt", "decrypt", algorithm, ivFor(algorithm))})
		}
		for _, algorithm := range []string{"A256KW", "CKM_AES_KEY_WRAP", "CKM_AES_KEY_WRAP_PAD"} {
			checks = append(checks, check{name: "wrap and unwrap " + algorithm, source: sealed,
				run: roundTrip("oct-256", "wrapkey", "unwrapkey", algorithm, nil)})
		}
		checks = append(checks, check{name: "sign and verify HS256", source: signed, run: signature{"oct-256", "HS256", digest256, crypto.SHA256, 32}.signAndVerify})
	}
	bad := refused(http.StatusBadRequest, "BadParameter")
	refusals := []check{
		{name: "sign with an algorithm of another key type", source: specKeys, run: onKey("rsa-2048", operation("sign", "ES256", digest256), bad)},
		{name: "sign a digest of another length", source: specKeys + ", Sign", run: onKey("rsa-2048", operation("sign", "RS256", digest512), bad)},
		{name: "encrypt with an unknown algorithm", source: specKeys, run: onKey("rsa-2048", operation("encrypt", "RSA-NONE", secretValue), bad)},
		{name: "decrypt what was not encrypted", source: specKeys, run: onKey("rsa-2048", operation("decrypt", "RSA-OAEP-256", make([]byte, 256)), bad)},
		{name: "sign with a key that may not", source: docKeys + ", key operations",
			run: onKey("plain", operation("sign", "RS256", digest256), refused(http.StatusForbidden, "Forbidden"))},
	}
	checks = append(append(checks, refusals...), randomChecks(s)...)
	return writing(checks)
}

func ivFor(algorithm string) []byte {
	if algorithm == "A256GCM" { // the service makes it
		return nil
	}
	return fixedIV
}

// roundTrip seals a value and opens it again.
func roundTrip(kind, seal, open, algorithm string, iv []byte) func(*probe) error {
	return func(p *probe) error {
		k, err := p.key(kind)
		if err != nil {
			return err
		}
		body := map[string]any{"alg": algorithm, "value": encode64(secretValue)}
		if iv != nil {
			body["iv"] = encode64(iv)
		}
		r := request{method: http.MethodPost, path: versionPath + "/" + seal, api: since(algorithm), body: body}
		w := p.s.operated(algorithm)
		if algorithm == "A256GCM" {
			w.members += " iv:b64(12) tag:b64(16)"
		}
		got, err := p.ask(r.at(k), w)
		if err != nil {
			return err
		}
		back := map[string]any{"alg": algorithm, "value": got.text("value")}
		for _, name := range []string{"iv", "tag"} {
			if text := got.text(name); text != "" {
				back[name] = text
			}
		}
		r.path, r.body = versionPath+"/"+open, back
		if got, err = p.ask(r.at(k), p.s.operated(algorithm)); err != nil {
			return err
		}
		p.expect("value is what was sealed")
		if got.text("value") != encode64(secretValue) {
			return p.differ("value is another")
		}
		return nil
	}
}

// randomChecks ask for random bytes, which only Managed HSM has.
func randomChecks(s *session) []check {
	ask := func(count int) request {
		return request{method: http.MethodPost, path: "/rng", api: stable, body: map[string]int{"count": count}}
	}
	const source = specKeys + ", GetRandomBytes; " + recordedJS
	if !s.managed {
		return []check{{name: "random bytes", source: specKeys + ", GetRandomBytes is of Managed HSM", run: one(ask(8), unserved())}}
	}
	bad := refused(http.StatusBadRequest, "BadParameter")
	return []check{
		{name: "random bytes", source: source, run: one(ask(100), want{status: []int{http.StatusOK}, members: "value:b64(100)"})},
		{name: "no random bytes", source: source, run: one(ask(0), bad)},
		{name: "too many random bytes", source: source, run: one(ask(129), bad)},
	}
}
