package fragment

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"skr/internal/operator/execpolicy"
	"skr/internal/strictjson"
)

// ParseKey reads the signer's key: PEM of an EC key, PKCS #8 or SEC 1.
func ParseKey(text []byte) (*ecdsa.PrivateKey, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errors.New("there is no private key in it, as PEM without a passphrase")
		}
		switch block.Type {
		case "EC PRIVATE KEY":
			return x509.ParseECPrivateKey(block.Bytes)
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, err
			}
			if ec, is := key.(*ecdsa.PrivateKey); is {
				return ec, nil
			}
			return nil, errors.New("it is not an EC key")
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the key has a passphrase; decrypt it with openssl pkey")
		}
		text = rest // EC PARAMETERS, certificates
	}
}

// ParseChain reads certificates as PEM. Their order is kept: the signer's first, the root last.
func ParseChain(text []byte) (chain []*x509.Certificate, err error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(chain)+1, err)
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return nil, errors.New("there is no certificate in it, as PEM")
	}
	return chain, nil
}

// maxValues bounds the values of a file with containers.
const maxValues = 1 << 20

// ParseContainers reads containers as policies have them: one as a JSON object, or an array.
func ParseContainers(text []byte) (all []execpolicy.Container, err error) {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		text = append(append([]byte{'['}, text...), ']')
	}
	// A member that is lost would change what the fragment admits.
	decoder := strictjson.Decoder{Bytes: execpolicy.MaxBytes, Values: maxValues, KnownOnly: true}
	if err := decoder.Decode(text, &all); err != nil {
		return nil, fmt.Errorf("it is not a container or an array of containers as JSON, with pattern and strategy in environment rules: it %w", err)
	}
	for i, c := range all {
		if len(c.Layers) == 0 {
			return nil, fmt.Errorf("container %d (%.100q) has no layers", i+1, c.Name)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("it has no containers")
	}
	return all, nil
}
