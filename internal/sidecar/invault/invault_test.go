package invault

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"skr/hsm"
	"skr/internal/jose/jwk"
	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/keyrelease"
	"skr/test/emulator/vault"
	"skr/test/rsakey"
)

const (
	host        = "demo.managedhsm.localhost"
	accessToken = "e30.e30.c2ln"
)

// statements signs what these tests never request.
var statements = sync.OnceValue(func() *rsa.PrivateKey {
	private, err := rsakey.Generate(2048)
	if err != nil {
		panic(err)
	}
	return private
})

// emulated is a vault as a transport, with what a test does to its answers.
type emulated struct {
	vault  *vault.Vault
	forbid string                      // an action that is forbidden
	change func(path, body string) any // a text or an error in place of an answer; nil changes nothing
	asked  []string                    // paths
}

func newEmulated(t testing.TB, flavour vault.Flavour) *emulated {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &statements().PublicKey, statements())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	e := &emulated{}
	e.vault, err = vault.New(vault.Config{
		Host: host, Flavour: flavour, Resource: "https://managedhsm.localhost", AuthorizationURL: "https://login.localhost/tenant",
		VerifyAccessToken: func(token, _ string) (vault.Caller, error) {
			if token != accessToken {
				return vault.Caller{}, errors.New("another token")
			}
			return vault.Caller{}, nil
		},
		Permissions: func(_ vault.Caller, action, _ string) error {
			if e.forbid != "" && strings.HasSuffix(action, e.forbid) {
				return errors.New("not permitted")
			}
			return nil
		},
		ReachAuthority: func(context.Context, string) error { return nil },
		VerifyToken:    func(context.Context, string, string) (json.RawMessage, error) { return nil, errors.New("no") },
		SigningKey:     statements(), Chain: []*x509.Certificate{certificate},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Do implements policy.Transporter.
func (e *emulated) Do(r *http.Request) (*http.Response, error) {
	e.asked = append(e.asked, r.URL.Path)
	recorder := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	e.vault.ServeHTTP(recorder, r)
	answer := recorder.Result()
	answer.Request = r
	if e.change == nil {
		return answer, nil
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	switch changed := e.change(r.URL.Path, string(text)).(type) {
	case error:
		return nil, changed
	case string:
		text = []byte(changed)
	}
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return answer, nil
}

// create makes a key that is not exportable.
func (e *emulated) create(t testing.TB, name string, spec map[string]any) {
	t.Helper()
	body, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+host+"/keys/"+name+"/create?api-version=7.4", bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+accessToken)
	w := httptest.NewRecorder()
	e.vault.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

// identity gives the access token.
type identity string

func (i identity) AccessToken(context.Context, keyrelease.Request) (secmem.Text, error) {
	return secmem.NewText(string(i)), nil
}

func keysOf(e *emulated, ttl time.Duration, now func() time.Time) *Keys {
	return New(Config{Identity: identity(accessToken), Transport: e, TTL: ttl, Now: now})
}

func requestFor(t testing.TB, kid string) keyrelease.Request {
	t.Helper()
	vaults, err := hsm.ParseVaults([]string{host + "=https://managedhsm.localhost"})
	if err != nil {
		t.Fatal(err)
	}
	id, err := vaults.Parse(host, kid)
	if err != nil {
		t.Fatal(err)
	}
	return keyrelease.Request{Key: id}
}

var kinds = map[string]map[string]any{
	"rsa":  {"kty": "RSA-HSM", "key_size": 2048},
	"p256": {"kty": "EC-HSM", "crv": "P-256"},
	"p521": {"kty": "EC-HSM", "crv": "P-521"},
	"k256": {"kty": "EC-HSM", "crv": "P-256K"},
	"aes":  {"kty": "oct-HSM", "key_size": 256},
}

// TestOperations lets a vault of each kind perform each operation that a key has.
func TestOperations(t *testing.T) {
	text, digest := []byte("sixteen bytes..."), sha256.Sum256([]byte("text"))
	for _, flavour := range []vault.Flavour{vault.KeyVault, vault.ManagedHSM} {
		e := newEmulated(t, flavour)
		keys := keysOf(e, time.Hour, nil)
		for _, c := range []struct {
			name, algorithm string
			there, back     keyuse.Operation
			iv              []byte
		}{
			{"rsa", "RSA-OAEP-256", keyuse.Encrypt, keyuse.Decrypt, nil},
			{"rsa", "RSA-OAEP", keyuse.WrapKey, keyuse.UnwrapKey, nil},
			{"rsa", "PS256", keyuse.Sign, keyuse.Verify, nil},
			{"rsa", "RS256", keyuse.Sign, keyuse.Verify, nil},
			{"p256", "ES256", keyuse.Sign, keyuse.Verify, nil},
			{"k256", "ES256K", keyuse.Sign, keyuse.Verify, nil},
			{"aes", "A256GCM", keyuse.Encrypt, keyuse.Decrypt, nil},
			{"aes", "A256CBCPAD", keyuse.Encrypt, keyuse.Decrypt, make([]byte, 16)},
			{"aes", "A256CBC", keyuse.Encrypt, keyuse.Decrypt, make([]byte, 16)},
			{"aes", "A256KW", keyuse.WrapKey, keyuse.UnwrapKey, nil},
			{"aes", "HS256", keyuse.Sign, keyuse.Verify, nil},
		} {
			if c.name == "aes" && flavour == vault.KeyVault {
				continue
			}
			if _, err := keys.Key(t.Context(), requestFor(t, c.name)); errors.Is(err, refusal.KeyNotFound) {
				e.create(t, c.name, kinds[c.name])
			}
			key, err := keys.Key(t.Context(), requestFor(t, c.name))
			if err != nil {
				t.Fatal(err)
			}
			in := keyuse.Input{Algorithm: c.algorithm, Value: text, IV: c.iv}
			if c.there == keyuse.Sign {
				in.Value = digest[:]
			}
			made, err := key.Do(t.Context(), c.there, in)
			if err != nil {
				t.Errorf("%s: %v", c.algorithm, err)
				continue
			}
			back := keyuse.Input{Algorithm: c.algorithm, Value: made.Value, IV: made.IV, Tag: made.Tag}
			if c.back == keyuse.Verify {
				back = keyuse.Input{Algorithm: c.algorithm, Value: made.Value, Digest: digest[:]}
			}
			got, err := key.Do(t.Context(), c.back, back)
			if err != nil || got.Valid != (c.back == keyuse.Verify) || c.back != keyuse.Verify && !bytes.Equal(got.Value, text) {
				t.Errorf("%s: %+v, %v", c.algorithm, got, err)
			}
		}
	}
}

// TestPublic checks that the public part is the vault's, with the version.
func TestPublic(t *testing.T) {
	e := newEmulated(t, vault.ManagedHSM)
	keys := keysOf(e, 0, nil)
	for name, spec := range kinds {
		e.create(t, name, spec)
		key, err := keys.Key(t.Context(), requestFor(t, name))
		if err != nil {
			t.Fatal(err)
		}
		public, err := key.Public()
		if name == "aes" {
			if err == nil {
				t.Error("a symmetric key has a public part")
			}
			continue
		}
		if err != nil || public.Kid != key.ID() || !strings.HasPrefix(key.ID(), "https://"+host+"/keys/"+name+"/") || len(public.KeyOps) == 0 {
			t.Errorf("%s: %v, %v", name, public, err)
		}
		if _, err := public.PublicKey(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKept checks how long a key is kept: the newest version is asked for again after that.
func TestKept(t *testing.T) {
	e := newEmulated(t, vault.KeyVault)
	e.create(t, "p256", kinds["p256"])
	now := time.Now()
	keys := keysOf(e, time.Minute, func() time.Time { return now })
	look := func() string {
		key, err := keys.Key(t.Context(), requestFor(t, "p256"))
		if err != nil {
			t.Fatal(err)
		}
		return key.ID()
	}
	first := look()
	e.create(t, "p256", kinds["p256"])
	if look() != first || len(e.asked) != 1 {
		t.Errorf("asked for %v", e.asked)
	}
	now = now.Add(time.Minute)
	if look() == first || len(e.asked) != 2 {
		t.Errorf("asked for %v", e.asked)
	}
}

// TestRefusals checks who refuses, and what to do.
func TestRefusals(t *testing.T) {
	digest := make([]byte, 32)
	sign := keyuse.Input{Algorithm: "ES256", Value: digest}
	open := keyuse.Input{Algorithm: "RSA-OAEP", Value: make([]byte, 256)}
	for name, c := range map[string]struct {
		key    string
		op     keyuse.Operation
		in     keyuse.Input
		forbid string
		token  string
		kind   error
		want   string
	}{
		"no permission to sign": {"p256", keyuse.Sign, sign, "keys/sign/action", "", refusal.OperationRejected,
			"give it the permission keys/sign, or the role Managed HSM Crypto User"},
		"no permission to read": {"p256", keyuse.Sign, sign, "keys/read", "", refusal.OperationRejected, "give it the permission keys/get"},
		"another token":         {"p256", keyuse.Sign, sign, "", "e30.e30.eA", refusal.OperationRejected, "does not accept the access token"},
		"no key":                {"absent", keyuse.Sign, sign, "", "", refusal.KeyNotFound, "has no key"},
		"disabled":              {"off", keyuse.Sign, sign, "", "", refusal.OperationRejected, "enable it"},
		"expired":               {"old", keyuse.Sign, sign, "", "", refusal.OperationRejected, "skrctl key rotate"},
		"key_ops":               {"verifies", keyuse.Sign, sign, "", "", keyuse.ErrOperation, ""},
		"does not open":         {"rsa", keyuse.Decrypt, open, "", "", refusal.BadRequest, "does not open the value"},
		"algorithm":             {"p256", keyuse.Sign, keyuse.Input{Algorithm: "ES384", Value: digest}, "", "", keyuse.ErrAlgorithm, ""},
		"RSA1_5":                {"rsa", keyuse.Decrypt, keyuse.Input{Algorithm: "RSA1_5", Value: open.Value}, "", "", keyuse.ErrAlgorithm, ""},
		"digest":                {"p256", keyuse.Sign, keyuse.Input{Algorithm: "ES256", Value: digest[1:]}, "", "", keyuse.ErrInput, ""},
		"IV for GCM":            {"aes", keyuse.Encrypt, keyuse.Input{Algorithm: "A256GCM", IV: make([]byte, 12)}, "", "", keyuse.ErrInput, ""},
		"AAD for RSA":           {"rsa", keyuse.Encrypt, keyuse.Input{Algorithm: "RSA-OAEP", AAD: digest}, "", "", keyuse.ErrInput, ""},
		"size of the AES key":   {"aes", keyuse.Encrypt, keyuse.Input{Algorithm: "A128GCM", Value: digest}, "", "", refusal.BadRequest, "check the algorithm"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEmulated(t, vault.ManagedHSM)
			past := time.Now().Add(-time.Hour).Unix()
			for name, spec := range kinds {
				e.create(t, name, spec)
			}
			e.create(t, "off", map[string]any{"kty": "EC-HSM", "attributes": map[string]any{"enabled": false}})
			e.create(t, "old", map[string]any{"kty": "EC-HSM", "attributes": map[string]any{"exp": past}})
			e.create(t, "verifies", map[string]any{"kty": "EC-HSM", "key_ops": []string{"verify"}})
			e.forbid = c.forbid
			keys := keysOf(e, 0, nil)
			if c.token != "" {
				keys.config.Identity = identity(c.token)
			}
			key, err := keys.Key(t.Context(), requestFor(t, c.key))
			if err == nil {
				_, err = key.Do(t.Context(), c.op, c.in)
			}
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), accessToken) {
				t.Errorf("got %v, want %v and %q", err, c.kind, c.want)
			}
		})
	}
}

// TestHostileAnswers checks that an answer that cannot be the result is not given out.
func TestHostileAnswers(t *testing.T) {
	e := newEmulated(t, vault.ManagedHSM)
	keys := keysOf(e, 0, nil)
	for name, spec := range kinds {
		e.create(t, name, spec)
	}
	member := func(name, value string) func(string) string {
		return func(body string) string {
			var o map[string]any
			if json.Unmarshal([]byte(body), &o) != nil {
				return body
			}
			o[name] = value
			if value == "" {
				delete(o, name)
			}
			text, _ := json.Marshal(o) // texts
			return string(text)
		}
	}
	digest := make([]byte, 32)
	sign, seal := keyuse.Input{Algorithm: "ES256", Value: digest}, keyuse.Input{Algorithm: "A256GCM", Value: digest}
	for name, c := range map[string]struct {
		key    string
		op     keyuse.Operation
		in     keyuse.Input
		change func(string) string
	}{
		"another vault":    {"p256", keyuse.Sign, sign, member("kid", "https://other.managedhsm.localhost/keys/p256/0123456789abcdef0123456789abcdef")},
		"another key":      {"p256", keyuse.Sign, sign, func(b string) string { return strings.Replace(b, "/keys/p256/", "/keys/p521/", 1) }},
		"another version":  {"p256", keyuse.Sign, sign, member("kid", "https://"+host+"/keys/p256/0123456789abcdef0123456789abcdef")},
		"no version":       {"p256", keyuse.Sign, sign, member("kid", "https://"+host+"/keys/p256")},
		"no kid":           {"p256", keyuse.Sign, sign, member("kid", "")},
		"other signature":  {"p256", keyuse.Sign, sign, member("value", strings.Repeat("A", 86))},
		"short signature":  {"p256", keyuse.Sign, sign, member("value", "AAAA")},
		"no signature":     {"p256", keyuse.Sign, sign, member("value", "")},
		"no JSON":          {"p256", keyuse.Sign, sign, func(string) string { return "<html>" }},
		"nothing":          {"p256", keyuse.Sign, sign, func(string) string { return "" }},
		"other ciphertext": {"rsa", keyuse.Encrypt, keyuse.Input{Algorithm: "RSA-OAEP", Value: digest}, member("value", "AAAA")},
		"long text":        {"rsa", keyuse.Decrypt, keyuse.Input{}, member("value", strings.Repeat("A", 400))},
		"short sealed":     {"aes", keyuse.Encrypt, seal, member("value", "AAAA")},
		"no tag":           {"aes", keyuse.Encrypt, seal, member("tag", "")},
		"short IV":         {"aes", keyuse.Encrypt, seal, member("iv", "AAAA")},
		"long wrapped":     {"aes", keyuse.WrapKey, keyuse.Input{Algorithm: "A256KW", Value: digest}, member("value", strings.Repeat("A", 64))},
		"other IV": {"aes", keyuse.Encrypt, keyuse.Input{Algorithm: "A256CBC", Value: digest, IV: digest[:16]},
			member("iv", "AQAAAAAAAAAAAAAAAAAAAA")},
		"long MAC":   {"aes", keyuse.Sign, keyuse.Input{Algorithm: "HS256", Value: digest}, member("value", strings.Repeat("A", 64))},
		"no verdict": {"p256", keyuse.Verify, keyuse.Input{Algorithm: "ES256", Value: make([]byte, 64), Digest: digest}, member("value", "")},
		"lie of true": {"p256", keyuse.Verify, keyuse.Input{Algorithm: "ES256", Value: make([]byte, 64), Digest: digest},
			func(b string) string { return strings.Replace(b, "false", "true", 1) }},
	} {
		t.Run(name, func(t *testing.T) {
			e.change = nil
			key, err := keys.Key(t.Context(), requestFor(t, c.key))
			if err != nil {
				t.Fatal(err)
			}
			if c.in.Algorithm == "" {
				sealed, err := key.Do(t.Context(), keyuse.Encrypt, keyuse.Input{Algorithm: "RSA-OAEP", Value: digest})
				if err != nil {
					t.Fatal(err)
				}
				c.in = keyuse.Input{Algorithm: "RSA-OAEP", Value: sealed.Value}
			}
			if _, err := key.Do(t.Context(), c.op, c.in); err != nil {
				t.Fatalf("the vault's own answer: %v", err)
			}
			e.change = func(_, body string) any { return c.change(body) }
			if got, err := key.Do(t.Context(), c.op, c.in); !errors.Is(err, refusal.Untrusted) || got.Value != nil || got.Valid {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// TestHostileKeys checks that a description that is not of the key is refused.
func TestHostileKeys(t *testing.T) {
	e := newEmulated(t, vault.ManagedHSM)
	e.create(t, "p256", kinds["p256"])
	keys := keysOf(e, 0, nil)
	for name, change := range map[string]func(string) string{
		"another key":   func(b string) string { return strings.Replace(b, "/keys/p256/", "/keys/other/", 1) },
		"another vault": func(b string) string { return strings.Replace(b, host, "other.managedhsm.localhost", 1) },
		"other type":    func(b string) string { return strings.Replace(b, `"EC-HSM"`, `"AKP-HSM"`, 1) },
		"other curve":   func(b string) string { return strings.Replace(b, `"P-256"`, `"P-384"`, 1) },
		"no key":        func(string) string { return `{"attributes":{}}` },
		"no JSON":       func(string) string { return "<html>" },
	} {
		e.change = func(_, body string) any { return change(body) }
		if _, err := keys.Key(t.Context(), requestFor(t, "p256")); !errors.Is(err, refusal.Untrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	e.change = func(string, string) any { return refusal.Newf(refusal.Throttled, "the vault throttles") }
	if _, err := keys.Key(t.Context(), requestFor(t, "p256")); !errors.Is(err, refusal.Throttled) {
		t.Errorf("throttled: %v", err)
	}
}

// FuzzAnswer checks that no text in place of an answer is taken for a signature, and that none
// makes a panic.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"", "{}", "null", `{"kid":"https://demo.managedhsm.localhost/keys/p256/0123456789abcdef0123456789abcdef","value":"AAAA"}`,
		`{"key":{"kid":"https://demo.managedhsm.localhost/keys/p256/0123456789abcdef0123456789abcdef","kty":"EC-HSM","crv":"P-256","x":"AA","y":"AA"}}`,
		`{"key":{"kid":null,"kty":"oct"}}`, `{"value":true}`, `{"kid":{},"value":[]}`,
	} {
		f.Add(text)
	}
	e := newEmulated(f, vault.ManagedHSM)
	e.create(f, "p256", kinds["p256"])
	keys := keysOf(e, 0, nil)
	key, err := keys.Key(f.Context(), requestFor(f, "p256"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e.change = func(string, string) any { return text }
		defer func() { e.change = nil }()
		if got, err := key.Do(t.Context(), keyuse.Sign, keyuse.Input{Algorithm: "ES256", Value: make([]byte, 32)}); err == nil {
			t.Errorf("%q is taken for the signature %x", text, got.Value)
		}
		if got, err := keys.Key(t.Context(), requestFor(t, "p256")); err == nil {
			var described struct{ Key jwk.Key }
			if json.Unmarshal([]byte(text), &described) != nil || !strings.EqualFold(described.Key.Kid, got.ID()) {
				t.Errorf("%q is taken for %s", text, got.ID())
			}
		}
	})
}
