// Package keyformat writes a released key in the forms that applications read: PEM, DER, JWK,
// OpenSSH, and the bytes of a symmetric key.
package keyformat

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"skr/hsm"
	"skr/internal/secmem"
)

// Format is the form in which a key is written.
type Format string

// The formats. PEM and DER hold PKCS #8 (RFC 5208), as OpenSSL, Java and Go read it for keys
// of every type.
const (
	JWK   Format = "jwk"   // JSON Web Key (RFC 7517) without a newline at its end
	PEM   Format = "pem"   // PKCS #8 in PEM (RFC 7468 section 10)
	DER   Format = "der"   // PKCS #8 in DER
	PKCS8 Format = "pkcs8" // the same as DER
	SSH   Format = "ssh"   // OpenSSH's own private key, in PEM (PROTOCOL.key of OpenSSH)
	Raw   Format = "raw"   // the bytes of a symmetric key
)

var formats = []Format{JWK, PEM, DER, PKCS8, SSH, Raw}

// mediaTypes: RFC 7517 section 8.5.1, RFC 8351 for PKCS #8. PEM and OpenSSH have no registered
// type for private keys; application/x-pem-file is in common use.
var mediaTypes = map[Format]string{
	JWK: "application/jwk+json", PEM: "application/x-pem-file", DER: "application/pkcs8", PKCS8: "application/pkcs8",
	SSH: "application/x-pem-file", Raw: "application/octet-stream",
}

// Parse returns the format of that name, which is in lower case.
func Parse(name string) (Format, error) {
	if slices.Contains(formats, Format(name)) {
		return Format(name), nil
	}
	return "", fmt.Errorf("%.20q is not a format of keys; the formats are %s", name, Names())
}

// Names lists the formats, for messages and help.
func Names() string {
	names := make([]string, len(formats))
	for i, format := range formats {
		names[i] = string(format)
	}
	return strings.Join(names, ", ")
}

// MediaType returns the media type of a key in this format.
func (f Format) MediaType() string { return mediaTypes[f] }

// Encode returns the key in this format. It returns an error if keys of that type have no such
// form: Raw is for symmetric keys, which have JWK and Raw only, and OpenSSH knows no P-256K. The
// caller wipes the result.
func (f Format) Encode(key *hsm.Key) ([]byte, error) {
	switch f {
	case JWK:
		return key.JWK()
	case PEM:
		return key.PEM()
	case DER, PKCS8:
		return derOf(key)
	case SSH:
		return sshOf(key)
	case Raw:
		return key.Raw()
	}
	_, err := Parse(string(f))
	return nil, err
}

func derOf(key *hsm.Key) ([]byte, error) {
	text, err := key.PEM()
	if err != nil {
		return nil, err
	}
	defer secmem.Wipe(text)
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the key's own PEM cannot be read")
	}
	return block.Bytes, nil
}

func sshOf(key *hsm.Key) (text []byte, err error) {
	der, err := derOf(key)
	if err != nil {
		return nil, err
	}
	defer secmem.Wipe(der)
	secmem.Do(func() { text, err = encodeSSH(der, key.ID()) })
	return text, err
}

// encodeSSH writes the key's id as its comment.
func encodeSSH(der []byte, id string) ([]byte, error) {
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("OpenSSH has no form for keys of this type or curve")
	}
	block, err := ssh.MarshalPrivateKey(private, id)
	if err != nil {
		return nil, fmt.Errorf("writing the key for OpenSSH: %w", err)
	}
	defer secmem.Wipe(block.Bytes)
	return pem.EncodeToMemory(block), nil
}
