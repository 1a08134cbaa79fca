package vault

import (
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"skr/internal/jose/keywrap"
)

// statement builds one release statement: a JWS whose payload repeats the
// request and the key, with the wrapped material in key_hsm.
type statement struct {
	vault       *Vault
	call        *call
	request     releaseRequest
	key         key
	version     *version
	algorithm   keywrap.Algorithm
	wrappingKey wrappingKey
	defects     Defects
}

func (s *statement) sign() (string, error) {
	payload, err := s.payload()
	if err != nil {
		return "", err
	}
	signer, err := s.signer()
	if err != nil {
		return "", err
	}
	header := s.vault.encode(s.header(signer.chain))
	header, body, err := s.defects.edit(header, s.vault.encode(payload))
	if err != nil {
		return "", err
	}
	signed := encode64(header) + "." + encode64(body)
	signature, err := s.defects.signature(signer, []byte(signed))
	if err != nil {
		return "", err
	}
	return signed + "." + encode64(signature), nil
}

// signer is the signing key and its certificate chain.
type signer struct {
	key   crypto.Signer
	chain []*x509.Certificate
}

func (s *statement) signer() (signer, error) {
	if s.defects.SelfSigned {
		return selfSigned(s.vault.config.hostname(), s.vault.config.Now())
	}
	used := signer{s.vault.config.SigningKey, s.vault.config.Chain}
	if s.defects.SigningKey != nil {
		used.key = s.defects.SigningKey
	}
	if len(s.defects.Chain) > 0 {
		used.chain = s.defects.Chain
	}
	return used, nil
}

// sign signs with RS256 (RFC 7518 section 3.3).
func (s signer) sign(signed []byte) ([]byte, error) {
	digest := sha256.Sum256(signed)
	return s.key.Sign(rand.Reader, digest[:], crypto.SHA256)
}

// header returns the JOSE header. x5t is SHA-1 by definition (RFC 7515 section
// 4.1.7). Key Vault's kid is the upper-case hex SHA-1 of its certificate;
// Managed HSM has an opaque kid and neither typ nor x5t.
func (s *statement) header(chain []*x509.Certificate) object {
	leaf := chain[0].Raw
	sum1, sum256 := sha1.Sum(leaf), sha256.Sum256(leaf)
	if s.vault.managedHSM() {
		return object{
			{"alg", s.defects.alg()}, {"kid", s.vault.kid},
			{"x5c", certificates(chain)}, {"x5t#S256", encode64(sum256[:])},
		}
	}
	return object{
		{"alg", s.defects.alg()}, {"kid", strings.ToUpper(hex.EncodeToString(sum1[:]))},
		{"x5t", encode64(sum1[:])}, {"typ", "JWT"},
		{"x5t#S256", encode64(sum256[:])}, {"x5c", certificates(chain)},
	}
}

// certificates returns x5c: standard base64 of DER (RFC 7515 section 4.1.6).
func certificates(chain []*x509.Certificate) []string {
	all := make([]string, len(chain))
	for i, c := range chain {
		all[i] = base64.StdEncoding.EncodeToString(c.Raw)
	}
	return all
}

func (s *statement) payload() (object, error) {
	jwkMembers, err := s.jwk()
	if err != nil {
		return nil, err
	}
	released := object{{"key", jwkMembers}, {"attributes", s.vault.attributes(s.version)}, {"release_policy", s.policy()}}
	return object{
		{"request", s.requestMembers()},
		{"response", object{{"key", s.version.withTags(released)}}},
	}, nil
}

// requestMembers repeats the request. kid is the id as requested.
func (s *statement) requestMembers() object {
	kid := s.vault.url("keys/" + s.key.name)
	if s.call.version != "" {
		kid += "/" + s.call.version
	}
	o := object{{"api-version", s.call.apiVersion}, {"enc", s.enc()}, {"kid", kid}}
	if nonce, echoed := s.nonce(); echoed {
		o = o.with("nonce", nonce)
	}
	return o
}

func (s *statement) nonce() (nonce string, echoed bool) {
	switch {
	case s.defects.OtherNonce != "":
		return s.defects.OtherNonce, true
	case s.vault.config.WithholdNonce, s.request.Nonce == "":
		return "", false
	}
	return s.request.Nonce, true
}

func (s *statement) enc() string {
	if s.defects.OtherEnc != "" {
		return s.defects.OtherEnc
	}
	return string(s.algorithm)
}

// jwk returns the released key: the public members and key_hsm. Here Managed
// HSM writes the type without the suffix.
func (s *statement) jwk() (object, error) {
	m := s.version.material
	kid, kty := s.vault.kidOf(&s.key, s.version), m.kty()
	if s.vault.managedHSM() {
		kty = m.kind
	}
	if s.defects.OtherKID != "" {
		kid = s.defects.OtherKID
	}
	o := object{{"kid", kid}, {"kty", kty}, {"key_ops", s.vault.order(s.version.operations)}}
	o = append(o, m.public()...)
	if s.defects.MismatchedPrivateKey {
		other, err := m.another()
		if err != nil {
			return nil, err
		}
		m = other
	}
	wrapped, err := s.wrap(m)
	return o.with("key_hsm", wrapped), err
}

// policy returns the policy for the statement. Key Vault omits the contentType.
func (s *statement) policy() object {
	o := s.vault.policyObject(s.version.policy)
	if s.vault.managedHSM() {
		return o
	}
	return o[1:]
}
