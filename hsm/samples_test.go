package hsm

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	_ "golang.org/x/crypto/x509roots/fallback" // the product's roots

	"skr/internal/jose/jwk"
	"skr/internal/jose/keywrap"
	"skr/test/samples"
)

// recordedRelease returns the statement in recorded traffic.
func recordedRelease(t *testing.T, name string) string {
	t.Helper()
	var recording struct {
		Entries []struct {
			RequestURI   string `json:"RequestUri"`
			ResponseBody json.RawMessage
		}
	}
	if err := json.Unmarshal(samples.Read(t, name), &recording); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, entry := range recording.Entries {
		var body struct{ Value string }
		if strings.Contains(entry.RequestURI, "/release?") && json.Unmarshal(entry.ResponseBody, &body) == nil && body.Value != "" {
			return body.Value
		}
	}
	t.Fatalf("%s holds no release statement", name)
	return ""
}

// TestRecordedStatements verifies statements that Key Vault and Managed HSM signed in
// 2023, at that time and with the public roots. The recorded requests had neither enc nor
// nonce.
func TestRecordedStatements(t *testing.T) {
	recorded := time.Date(2023, 3, 28, 22, 7, 28, 0, time.UTC)
	for _, c := range []struct{ file, host, name, version string }{
		{"keyvault/releasekey-kv.json", "gracewilcox2.vault.azure.net", "testreleasekey2353464635", "25be256ab4534bb38fffaa1cb206cc40"},
		{"keyvault/releasekey-mhsm.json", "gracewilcox2hsm.managedhsm.azure.net", "testreleasekey2633194999", "016cf421bbb242bfaaabdd924c67e0fb"},
	} {
		text := recordedRelease(t, c.file)
		vaults, err := ParseVaults(DefaultVaults())
		if err != nil {
			t.Fatal(err)
		}
		id, err := vaults.Parse(c.host, c.name)
		if err != nil {
			t.Fatal(err)
		}
		asked := inquiry{id: id, enc: keywrap.CKM, nonce: "ours"}
		client := NewClient(Config{Now: func() time.Time { return recorded }})
		wrapped, err := client.verify(asked, text, nil)
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if want := "https://" + c.host + "/keys/" + c.name + "/" + c.version; wrapped.ID() != want || wrapped.kind != "EC" {
			t.Errorf("%s: got %q, %s; want %q", c.file, wrapped.ID(), wrapped.kind, want)
		}
		if want := recordedPolicyHash(t, text); wrapped.policyHash != want {
			t.Errorf("%s: policy hash %q, want %q", c.file, wrapped.policyHash, want)
		}
		if _, err := wrapped.Unwrap(testKEK().Decrypter(t.Context())); err == nil {
			t.Errorf("%s: opened with the wrong KEK", c.file)
		}
		for name, other := range map[string]*Client{
			"today":         NewClient(Config{}),
			"years before":  NewClient(Config{Now: func() time.Time { return recorded.AddDate(-5, 0, 0) }}),
			"another root":  NewClient(Config{Now: client.now, Roots: newCA(t, nil).pool()}),
			"without roots": NewClient(Config{Now: client.now, Roots: x509.NewCertPool()}),
		} {
			if _, err := other.verify(asked, text, nil); err == nil {
				t.Errorf("%s: verifies %s", c.file, name)
			}
		}
		asked.enc = keywrap.RSA256
		if _, err := client.verify(asked, text, nil); err == nil {
			t.Errorf("%s: verifies for an enc that was not requested", c.file)
		}
	}
}

// recordedPolicyHash reads the policy of a statement without the product's parsers.
func recordedPolicyHash(t *testing.T, statement string) string {
	t.Helper()
	var payload tree
	if err := json.Unmarshal([]byte(unb64(strings.Split(statement, ".")[1])), &payload); err != nil {
		t.Fatal(err)
	}
	policy := unb64(at(payload, "response", "key", "release_policy")["data"].(string))
	if !json.Valid([]byte(policy)) {
		t.Fatalf("the recorded policy is no JSON: %s", policy)
	}
	sum := sha256.Sum256([]byte(policy))
	return hex.EncodeToString(sum[:])
}

type releaseVector struct {
	Enc             string
	PlaintextKind   string `json:"plaintext_kind"`
	PlaintextBase64 string `json:"plaintext_b64url"`
	PlaintextSHA256 string `json:"plaintext_sha256"`
	CiphertextLen   int    `json:"ciphertext_len"`
	KeyHSM          string `json:"key_hsm"`
}

func releaseVectors(t testing.TB) []releaseVector {
	t.Helper()
	var file struct{ Vectors []releaseVector }
	if err := json.Unmarshal(samples.Read(t, "release-vectors/key_hsm.json"), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) == 0 {
		t.Fatal("release-vectors/key_hsm.json holds no vectors")
	}
	return file.Vectors
}

func sampleKEK(t testing.TB) *KEK {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(samples.Read(t, "aci-milan-v3/wrapping-key.pkcs8.base64"))))
	if err != nil {
		t.Fatal(err)
	}
	private, err := parsePKCS8(der)
	if err != nil {
		t.Fatal(err)
	}
	kek, err := kekFrom(private.(*rsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return kek
}

// TestReleaseVectors checks that each blob opens to its original key and becomes a
// JWK.
func TestReleaseVectors(t *testing.T) {
	kek := sampleKEK(t)
	for _, v := range releaseVectors(t) {
		t.Run(v.Enc+" "+v.PlaintextKind, func(t *testing.T) {
			k, err := parseKeyHSM(v.KeyHSM)
			if err != nil {
				t.Fatal(err)
			}
			algorithm, err := keywrap.ParseAlgorithm(k.Header.Enc)
			if err != nil || k.Header.Enc != v.Enc || len(k.ciphertext) != v.CiphertextLen {
				t.Fatalf("enc %q and %d bytes, %v", k.Header.Enc, len(k.ciphertext), err)
			}
			plaintext, err := keywrap.Unwrap(kek.Decrypter(t.Context()), algorithm, k.ciphertext)
			if err != nil {
				t.Fatal(err)
			}
			want, err := base64.RawURLEncoding.DecodeString(v.PlaintextBase64)
			sum := sha256.Sum256(plaintext)
			if err != nil || !bytes.Equal(plaintext, want) || hex.EncodeToString(sum[:]) != v.PlaintextSHA256 {
				t.Fatalf("wrong plaintext: %v", err)
			}
			w := &WrappedKey{id: "https://v.vault.azure.net/keys/n/" + keyVersion, kind: "oct", keyOps: []string{"sign", "verify"}, algorithm: algorithm,
				ciphertext: k.ciphertext}
			var secret any = want
			if !strings.HasPrefix(v.PlaintextKind, "oct") {
				w.describe(t, want)
				if secret, err = parsePKCS8(want); err != nil {
					t.Fatal(err)
				}
			}
			key, err := w.Unwrap(kek.Decrypter(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			checkJWK(t, key, secret)
			checkPEM(t, key, secret)
		})
	}
}

// The genuine report is bound to the published wrapping key: the runtime data contains
// its public half.
func TestSampleKEKIsInTheRuntimeData(t *testing.T) {
	set, err := jwk.ParseSet(samples.Read(t, "aci-milan-v3/runtime-data.jwks.json"))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := jwk.ParseSet(sampleKEK(t).RuntimeData())
	if err != nil {
		t.Fatal(err)
	}
	bound, err := set.Keys[0].PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	published, err := ours.Keys[0].PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	if !published.(*rsa.PublicKey).Equal(bound) {
		t.Error("the wrapping key is not the key of the runtime data")
	}
}
