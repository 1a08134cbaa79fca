package wycheproof

import (
	"bytes"
	"encoding/json"
	"testing"

	"skr/internal/jose/jwk"
	"skr/internal/jose/jws"
)

// TestJSONWebSignature verifies JSON Web Signatures as tokens and release
// statements are verified. Keyed hashes are not supported, so every vector with
// a symmetric key is refused.
func TestJSONWebSignature(t *testing.T) {
	type group struct {
		Comment string          `json:"comment"`
		Public  json.RawMessage `json:"public"`
		Private json.RawMessage `json:"private"`
		Tests   []struct {
			ID      int             `json:"tcId"`
			Comment string          `json:"comment"`
			JWS     json.RawMessage `json:"jws"`
			Result  string          `json:"result"`
		} `json:"tests"`
	}
	ran, accepted := 0, 0
	for _, g := range read[group](t, "json_web_signature_test.json").TestGroups {
		published := g.Public
		if published == nil {
			published = g.Private
		}
		for _, v := range g.Tests {
			ran++
			err := verify(published, v.JWS)
			want := v.Result == "valid" && g.Public != nil && !excepted[v.ID]
			if (err == nil) != want {
				t.Errorf("%d (%s, %s): got %v, want accepted %v", v.ID, g.Comment, v.Comment, err, want)
			}
			if err == nil {
				accepted++
			}
		}
	}
	t.Logf("%d vectors ran, %d accepted", ran, accepted)
	if ran < 300 || accepted < 20 {
		t.Errorf("only %d vectors ran, %d were accepted", ran, accepted)
	}
}

// excepted vectors are valid to Wycheproof and refused here, each for a reason.
var excepted = map[int]bool{
	346: true, 350: true, // the key has PS256, the header PS384
	347: true, 351: true, // the key has ES521, which does not exist
}

func verify(published, text json.RawMessage) error {
	var compact string
	if err := json.Unmarshal(text, &compact); err != nil {
		return err // the JSON serialisation, which neither service uses
	}
	object, err := jws.Parse(compact, 1<<20)
	if err != nil {
		return err
	}
	var header struct{ Alg string }
	if err := json.NewDecoder(bytes.NewReader(object.Header)).Decode(&header); err != nil {
		return err
	}
	parsed, err := jwk.Parse(published)
	if err != nil {
		return err
	}
	key, err := jws.VerificationKey(parsed, header.Alg)
	if err != nil {
		return err
	}
	return object.Verify(key)
}
