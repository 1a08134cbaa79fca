package inspect

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strconv"
	"strings"
	"time"

	"skr/internal/jose/jwk"
	"skr/internal/strictjson"
)

// maxKey bounds DER that is parsed as a private key, because parsing calculates with its
// numbers. An RSA key of 16384 bits has 9.5 KB.
const maxKey = 16 << 10

// key is a key in a file. Of a private key only the public part is kept.
type key struct {
	form    string
	public  crypto.PublicKey // nil if it cannot be read, or there is none
	private bool
	jwk     strictjson.Object // the zero value if the form is another
}

// recogniseKey accepts a JWK, and PEM or DER of PKIX, PKCS #8, PKCS #1 and SEC 1.
func recogniseKey(in input) (content, error) {
	if in.has("kty") {
		return recogniseJWK(in)
	}
	der, label := in.raw, ""
	if bytes.HasPrefix(in.text, pemBegin) {
		block, _ := pem.Decode(in.text)
		if block == nil || !strings.HasSuffix(block.Type, " KEY") {
			return nil, errOther
		}
		der, label = block.Bytes, block.Type
	}
	if _, ok := sequence(der); !ok || len(der) > maxKey {
		return nil, errOther
	}
	if public, err := x509.ParsePKIXPublicKey(der); err == nil {
		return key{form: "PKIX", public: public}, nil
	}
	return parsePrivate(der, label)
}

func parsePrivate(der []byte, label string) (content, error) {
	for _, form := range []struct {
		name  string
		parse func([]byte) (any, error)
	}{
		{"PKCS #8", x509.ParsePKCS8PrivateKey},
		{"PKCS #1", func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) }},
		{"SEC 1", func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) }},
	} {
		if parsed, err := form.parse(der); err == nil {
			return key{form: form.name, public: publicOf(parsed), private: true}, nil
		}
	}
	if label != "" {
		return key{form: label, private: strings.Contains(label, "PRIVATE")}, nil
	}
	return nil, errOther
}

func publicOf(private any) crypto.PublicKey {
	if signer, ok := private.(crypto.Signer); ok {
		return signer.Public()
	}
	return nil
}

func recogniseJWK(in input) (content, error) {
	parsed, err := jwk.Parse(in.text)
	if err != nil {
		return nil, err
	}
	k := key{form: "JWK", jwk: in.object}
	for name := range in.object.Members() {
		k.private = k.private || isSecret(name, in.object.Members())
	}
	if public, err := parsed.PublicKey(); err == nil { // a symmetric key has none
		k.public = public
	}
	return k, nil
}

func (k key) sections(now time.Time) []Section {
	s := Section{Title: "Key"}
	s.add("form", k.form, "")
	s.addFlag("private", k.private, [2]string{"the public part only", withheld})
	if k.public != nil {
		s.add("key", describeKey(k.public), "")
		s.add("SHA-256", fingerprint(k.public), "of the public key in PKIX form")
	}
	if k.form != "JWK" {
		return []Section{s}
	}
	return []Section{s, claimSection("Members", k.jwk, now)}
}

// fingerprint returns "" for a key that has no PKIX form, such as one on P-256K.
func fingerprint(public crypto.PublicKey) string {
	switch public.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
		if der, err := x509.MarshalPKIXPublicKey(public); err == nil {
			return digest(der)
		}
	}
	return ""
}

// keySet is a JWKS, alone or with the other members of runtime data.
type keySet struct{ strictjson.Object }

func recogniseKeySet(in input) (content, error) {
	list, _ := in.object.Lookup("keys")
	if keys, ok := list.([]any); !in.isObject || !ok || len(keys) == 0 {
		return nil, errOther
	}
	return keySet{in.object}, nil
}

func (k keySet) sections(now time.Time) []Section {
	s := Section{Title: "Keys"}
	for i, member := range k.keys() {
		s.add(strconv.Itoa(i), member.Kid, describeJWK(member))
	}
	return []Section{s, claimSection("Members", k.Object, now)}
}

// keys returns nothing if the set is malformed. Its members are shown anyway.
func (k keySet) keys() []jwk.Key {
	set, err := jwk.ParseSet([]byte(textOf(k.Members())))
	if err != nil {
		return nil
	}
	return set.Keys
}

// describeJWK returns the kind and the uses of a key.
func describeJWK(k jwk.Key) string {
	said := []string{k.Kty}
	if public, err := k.PublicKey(); err == nil {
		said[0] = describeKey(public)
	}
	for _, use := range append([]string{k.Use, k.Alg}, k.KeyOps...) {
		if use != "" {
			said = append(said, use)
		}
	}
	return strings.Join(said, ", ")
}

// withheld replaces what is never shown.
const withheld = "private part withheld"

// privateMembers of a JWK (RFC 7518 section 6), beside kty.
var privateMembers = map[string]bool{
	"d": true, "p": true, "q": true, "dp": true, "dq": true, "qi": true, "oth": true, "k": true,
}

// isSecret reports whether a member of an object is the private part of a key. Names are
// compared without regard to case, as encoding/json does.
func isSecret(name string, among map[string]any) bool {
	if !privateMembers[strings.ToLower(name)] {
		return false
	}
	for other := range among {
		if strings.EqualFold(other, "kty") {
			return true
		}
	}
	return false
}
