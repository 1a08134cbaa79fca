// Package envelope encrypts a secret to a key, and opens it with the released key.
//
// An envelope is a JWE in the compact form (RFC 7516 section 3.1), which any JOSE library can
// make:
//
//	text, err := envelope.Seal(public, secret)   // at a desk: needs no right
//	sealed, err := envelope.Parse(text)          // in the pod
//	secret, err := sealed.Open(key)              // key is a released key
//	defer secret.Wipe()
//
// The type of the key selects the algorithms of RFC 7518:
//
//	RSA  RSA-OAEP-256, RSA-OAEP
//	EC   ECDH-ES, also with A128KW, A192KW or A256KW; P-256, P-384 and P-521
//	oct  dir, A128KW, A192KW, A256KW
//
// The content is encrypted with AES-GCM or AES-CBC-HMAC. Seal uses RSA-OAEP-256 or ECDH-ES,
// with A256GCM.
//
// The header is strict. A member that this package does not use is an error, so that nothing
// is compressed ("zip"), no extension is ignored ("crit") and no key comes with the envelope
// ("jwk", "jku"). An envelope authenticates its text, not its sender: anyone may seal to a
// public key.
package envelope

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"skr/internal/jose/jwk"
	"skr/internal/strictjson"
)

const (
	// MaxSecret bounds the secret in bytes. A secret of Kubernetes has the same bound.
	MaxSecret = 1 << 20
	maxHeader = 4 << 10
	// MaxText bounds the text of an envelope in bytes.
	MaxText = MaxSecret/3*4 + 4*maxHeader
)

// The algorithms that envelopes may have.
var (
	keyAlgorithms = []jose.KeyAlgorithm{
		jose.RSA_OAEP_256, jose.RSA_OAEP,
		jose.ECDH_ES, jose.ECDH_ES_A128KW, jose.ECDH_ES_A192KW, jose.ECDH_ES_A256KW,
		jose.DIRECT, jose.A128KW, jose.A192KW, jose.A256KW,
	}
	contentAlgorithms = []jose.ContentEncryption{
		jose.A256GCM, jose.A192GCM, jose.A128GCM, jose.A256CBC_HS512, jose.A192CBC_HS384, jose.A128CBC_HS256,
	}
)

// header has the members that an envelope may have (RFC 7516 section 4.1, RFC 7518 section
// 4.6.1).
type header struct {
	Alg jose.KeyAlgorithm      `json:"alg"`
	Enc jose.ContentEncryption `json:"enc"`
	Kid string                 `json:"kid"`
	Typ string                 `json:"typ"`
	Cty string                 `json:"cty"`
	Epk ephemeral              `json:"epk"`
	Apu string                 `json:"apu"`
	Apv string                 `json:"apv"`
}

// ephemeral is a public key that the sender made for one envelope.
type ephemeral struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y"`
}

// Envelope is a sealed secret that has not been authenticated.
type Envelope struct {
	header header
	sealed *jose.JSONWebEncryption
}

// KeyID returns the identifier of the key that the envelope names as its own, or "". It is
// not authenticated before Open.
func (e *Envelope) KeyID() string { return e.header.Kid }

// Key returns the name and the version of the key in KeyID. They are "" if it has none.
func (e *Envelope) Key() (name, version string) {
	_, named, _ := strings.Cut(e.header.Kid, keysPath)
	name, version, _ = strings.Cut(named, "/")
	return name, version
}

// Parse parses the text of an envelope. White space around it is ignored.
func Parse(text []byte) (*Envelope, error) {
	e, err := parse(bytes.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("reading an envelope: %w", err)
	}
	return e, nil
}

func parse(text []byte) (*Envelope, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("it is longer than %d bytes", MaxText)
	}
	if bytes.HasPrefix(text, []byte("{")) {
		return nil, errors.New("it is JSON; send the compact form of JWE, five parts with dots between them")
	}
	parts := strings.SplitN(string(text), ".", 7)
	if len(parts) != 5 {
		return nil, errors.New("it is no JWE in the compact form, which has five parts with dots between them")
	}
	for i, part := range parts {
		if _, err := jwk.DecodeStrict(base64.RawURLEncoding, part); err != nil {
			return nil, fmt.Errorf("part %d is not base64url", i+1)
		}
	}
	h, err := parseHeader(parts[0])
	if err != nil {
		return nil, err
	}
	if h.direct() != (parts[1] == "") { // RFC 7516 section 5.2, step 10
		return nil, fmt.Errorf("the encrypted key does not fit the algorithm %s", h.Alg)
	}
	sealed, err := jose.ParseEncryptedCompact(string(text), keyAlgorithms, contentAlgorithms)
	if err != nil {
		return nil, errors.New("it is not a JWE in the compact form")
	}
	return &Envelope{h, sealed}, nil
}

func parseHeader(part string) (h header, err error) {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return h, fmt.Errorf("the header is not base64url: %w", err)
	}
	if err := (strictjson.Decoder{Bytes: maxHeader, Depth: 4, Values: 64, KnownOnly: true}).Decode(text, &h); err != nil {
		return h, fmt.Errorf("the header: %w; it may have alg, enc, kid, typ, cty, epk, apu and apv", err)
	}
	switch {
	case !slices.Contains(keyAlgorithms, h.Alg):
		return h, fmt.Errorf("the algorithm (alg) %.20q is none of %s", h.Alg, keyAlgorithms)
	case !slices.Contains(contentAlgorithms, h.Enc):
		return h, fmt.Errorf("the algorithm of the content (enc) %.20q is none of %s", h.Enc, contentAlgorithms)
	}
	return h, nil
}

// direct reports whether the content is encrypted without a key of its own.
func (h header) direct() bool { return h.Alg == jose.DIRECT || h.Alg == jose.ECDH_ES }
