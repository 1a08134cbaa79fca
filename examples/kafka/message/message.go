// Package message encrypts and decrypts the messages in Kafka: RSA-OAEP with
// SHA-256, MGF1 with SHA-256 and no label (RFC 8017 section 7.1), in standard
// base64 (RFC 4648 section 4). It is the format of the demonstration in the
// documentation of AKS confidential containers.
//
// The version of the key travels beside the message, in a header of the Kafka
// record ([VersionHeader]), so that the message keeps its format and old
// messages can be read after the key is rotated.
//
// There is no other layer: a message has at most [MaxPlain] bytes, and anyone
// with the public key can write one. For longer messages, encrypt a symmetric
// key in this way.
package message

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// VersionHeader is the header of a Kafka record for the version of the key
// that the message is encrypted for. It is missing if the producer does not know
// the version.
const VersionHeader = "skr-key-version"

var version = regexp.MustCompile("^[0-9a-zA-Z]{1,64}$")

// ParseVersion parses the version of a key in Azure Key Vault: the last part of
// its identifier.
func ParseVersion(text string) (string, error) {
	if !version.MatchString(text) {
		return "", errors.New("is not the version of a key; use the last part of kid in NAME-info.json")
	}
	return text, nil
}

// Reasons why a message cannot be decrypted.
var (
	ErrNotBase64 = errors.New("it is not standard base64")
	ErrLength    = errors.New("its length does not match this key")
	ErrOtherKey  = errors.New("it was encrypted for another key, or was modified")
)

// Parse decodes base64. size is that of the key in bytes. Its errors are the first two above.
func Parse(text string, size int) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, ErrNotBase64
	}
	if len(sealed) != size {
		return nil, ErrLength
	}
	return sealed, nil
}

// Text returns decrypted bytes as text; bytes that are not UTF-8 become U+FFFD.
func Text(plain []byte) string { return strings.ToValidUTF8(string(plain), "\uFFFD") }

// MaxPlain returns how many bytes the key encrypts: 318 with RSA-3072.
func MaxPlain(key *rsa.PublicKey) int { return key.Size() - 2*sha256.Size - 2 }

// Encrypt returns base64.
func Encrypt(key *rsa.PublicKey, plain string) (string, error) {
	if limit := MaxPlain(key); len(plain) > limit {
		return "", fmt.Errorf("the message has %d bytes; RSA-%d with OAEP-SHA256 encrypts at most %d", len(plain), key.N.BitLen(), limit)
	}
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key, []byte(plain), nil)
	if err != nil {
		return "", fmt.Errorf("encrypting the message: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// Decrypt takes base64 and returns text; bytes that are not UTF-8 become
// U+FFFD. Its errors are the three above.
func Decrypt(key *rsa.PrivateKey, text string) (string, error) {
	sealed, err := Parse(text, key.Size())
	if err != nil {
		return "", err
	}
	plain, err := rsa.DecryptOAEP(sha256.New(), nil, key, sealed, nil)
	if err != nil {
		return "", ErrOtherKey
	}
	return Text(plain), nil
}
