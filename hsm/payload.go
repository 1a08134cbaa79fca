package hsm

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"skr/internal/jose/jwk"
	"skr/internal/jose/keywrap"
)

// payload has the claims of a statement, in the form of recorded traffic at api-version
// 7.4. A vault and a managed HSM order the members differently.
type payload struct {
	Request struct {
		Kid   string  `json:"kid"`
		Enc   string  `json:"enc"`
		Nonce *string `json:"nonce"`
	} `json:"request"`
	Response struct {
		Key struct {
			Key struct {
				jwk.Key

				KeyHSM string `json:"key_hsm"`
			} `json:"key"`
			Attributes    json.RawMessage `json:"attributes"`
			ReleasePolicy json.RawMessage `json:"release_policy"`
		} `json:"key"`
	} `json:"response"`

	requested, released keyLocation
	key                 jwk.Key
	public              crypto.PublicKey // nil for oct
	wrapped             keyHSM
}

func parsePayload(data []byte) (*payload, error) {
	p := &payload{}
	if err := decodeMembers("payload", data, p); err != nil {
		return nil, err
	}
	if err := p.parseKey(); err != nil {
		return nil, err
	}
	var err error
	if p.requested, err = parseLocation(p.Request.Kid); err != nil {
		return nil, fmt.Errorf("request.kid: %w", err)
	}
	if p.released, err = parseLocation(p.key.Kid); err != nil {
		return nil, fmt.Errorf("response key's kid: %w", err)
	}
	return p, nil
}

func (p *payload) parseKey() (err error) {
	p.key = p.Response.Key.Key.Key
	if p.wrapped, err = parseKeyHSM(p.Response.Key.Key.KeyHSM); err != nil {
		return fmt.Errorf("key_hsm: %w", err)
	}
	if err := p.parsePublic(); err != nil {
		return err
	}
	// Unlike a private key, a symmetric key has no public part that proves the unwrapping.
	if other := p.wrapped.unfamiliar(); other != "" && p.public == nil {
		return fmt.Errorf("key_hsm: a symmetric key with %s is not known", other)
	}
	return nil
}

// parsePublic parses the public part. A symmetric key must not have one.
func (p *payload) parsePublic() (err error) {
	p.key.X5c = nil
	if p.key.Type() != symmetric {
		p.public, err = p.key.PublicKey()
		return err
	}
	if p.key.N != "" || p.key.Crv != "" || p.key.X != "" {
		return errors.New("the key is of type oct and has a public part")
	}
	return nil
}

// validate compares the claims with the request.
func (p *payload) validate(asked inquiry) error {
	switch {
	case !asked.id.covers(p.requested):
		return fmt.Errorf("request.kid is %q, asked was %q", p.requested, asked.id)
	case p.Request.Enc != string(asked.enc):
		return fmt.Errorf("request.enc is %.40q, asked was %q", p.Request.Enc, asked.enc)
	case p.Request.Nonce != nil && *p.Request.Nonce != asked.nonce:
		// UNCONFIRMED: whether a vault echoes the nonce; recordings sent none.
		// Without it, an old statement for the same KEK is found by its digest, and
		// one for another KEK does not open.
		return errors.New("request.nonce is not ours")
	case p.released.version == "":
		return errors.New("the released key has no version")
	case !asked.id.covers(p.released):
		return fmt.Errorf("the released key is %q, asked was %q", p.released, asked.id)
	case p.wrapped.Header.Enc != string(asked.enc):
		return fmt.Errorf("key_hsm is wrapped with %.40q, asked was %q", p.wrapped.Header.Enc, asked.enc)
	}
	return nil
}

func (p *payload) wrappedKey() *WrappedKey {
	return &WrappedKey{
		id:         p.released.String(),
		policyHash: p.policyHash(),
		validity:   p.validity(),
		kind:       p.key.Type(),
		keyOps:     p.key.KeyOps,
		public:     p.public,
		algorithm:  keywrap.Algorithm(p.wrapped.Header.Enc),
		ciphertext: p.wrapped.ciphertext,
		unfamiliar: p.wrapped.unfamiliar(),
	}
}

// policyHash returns the hash for the audit record. A policy that cannot be parsed is no
// reason to refuse the key: the vault has evaluated it.
func (p *payload) policyHash() string {
	var policy struct {
		Data string `json:"data"`
	}
	if err := jwk.Unmarshal(p.Response.Key.ReleasePolicy, &policy); err != nil {
		return ""
	}
	text, err := decodePart("policy", policy.Data)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// keyHSM is the member key_hsm: a wrapped key that describes itself in the
// manner of RFC 7516, with alg "dir" and the vault's own values of enc. Only enc
// says how the key is wrapped.
type keyHSM struct {
	SchemaVersion any `json:"schema_version"`
	Header        struct {
		Alg any    `json:"alg"`
		Enc string `json:"enc"`
	} `json:"header"`
	Ciphertext string `json:"ciphertext"`

	ciphertext []byte
}

func parseKeyHSM(text string) (keyHSM, error) {
	var k keyHSM
	data, err := decodePart("member", text)
	if err != nil {
		return k, err
	}
	if err := decodeMembers("member", data, &k); err != nil {
		return k, err
	}
	k.ciphertext, err = decodePart("ciphertext", k.Ciphertext)
	return k, err
}

// unfamiliar returns how the member describes itself if that differs from recorded members,
// or "".
func (k keyHSM) unfamiliar() string {
	if k.SchemaVersion == "1.0" && k.Header.Alg == "dir" {
		return ""
	}
	return fmt.Sprintf("schema version %.40q and algorithm %.40q", fmt.Sprint(k.SchemaVersion), fmt.Sprint(k.Header.Alg))
}
