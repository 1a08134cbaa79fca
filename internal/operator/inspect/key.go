package inspect

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"

	"skr/internal/jose/jwk"
	"skr/internal/strictjson"
)

// maxKey bounds DER that is parsed as a private key, which is arithmetic with its
// numbers: an RSA key of 16384 bits has 9.5 KB.
const maxKey = 16 << 10

// key is a key of a file; of a private one only the public part is kept.
type key struct {
	form    string
	public  crypto.PublicKey // nil if it cannot be read, or there is none
	private bool
	jwk     strictjson.Object // the zero value if the form is another
}

// readKey takes a JWK, and PEM or DER of PKIX, PKCS #8, PKCS #1 and SEC 1.
func readKey(in input) (content, error) {
	if in.has("kty") {
		return readJWK(in)
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
	return readPrivate(der, label)
}

func readPrivate(der []byte, label string) (content, error) {
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

func readJWK(in input) (content, error) {
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

// fingerprint is "" for a key that PKIX cannot hold, such as one on P-256K.
func fingerprint(public crypto.PublicKey) string {
	switch public.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
		if der, err := x509.MarshalPKIXPublicKey(public); err == nil {
			return digest(der)
		}
	}
	return ""
}
