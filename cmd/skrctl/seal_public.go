package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"skr/internal/cli"
	"skr/internal/jose/jwk"
	"skr/internal/secmem"
	"skr/internal/textfile"
)

func readPublic(path string, in io.Reader) (jwk.Key, error) {
	text, err := cli.ReadInput(path, maxKeyFile, in)
	if err != nil {
		return jwk.Key{}, cli.BadUsage(fmt.Errorf("--key: %w", err))
	}
	public, err := parsePublic(text)
	if err != nil {
		return jwk.Key{}, cli.BadUsage(fmt.Errorf("--key: %s: %w", path, err))
	}
	return public, nil
}

// parsePublic parses a public key. It refuses a private one, which should not be in such a file.
func parsePublic(data []byte) (jwk.Key, error) {
	text := bytes.TrimSpace(textfile.UTF8(data))
	if !bytes.HasPrefix(text, []byte("{")) {
		return publicOfPEM(text)
	}
	var shown struct { // of key show, of GetKey (Azure REST API specification, Key Vault 7.4) and of POST /key/public
		Key json.RawMessage `json:"key"`
	}
	if err := jwk.Unmarshal(text, &shown); err != nil {
		return jwk.Key{}, err
	}
	if len(shown.Key) > 0 {
		text = shown.Key
	}
	key, err := jwk.Parse(text)
	if err != nil {
		return jwk.Key{}, err
	}
	if key.D != "" || key.K != "" {
		secmem.Wipe(data)
		return jwk.Key{}, errPrivate
	}
	return key, nil
}

var errPrivate = errors.New("it is a private or symmetric key; give the public half of an RSA or EC key, as `skrctl key public` prints it")

func publicOfPEM(text []byte) (jwk.Key, error) {
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return jwk.Key{}, errors.New("it is neither a JWK nor PEM")
	case bytes.Contains([]byte(block.Type), []byte("PRIVATE KEY")):
		secmem.Wipe(text, block.Bytes)
		return jwk.Key{}, errPrivate
	case block.Type != "PUBLIC KEY":
		return jwk.Key{}, fmt.Errorf("it is PEM of type %.40q, and not PUBLIC KEY", block.Type)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return jwk.Key{}, errors.New("it is not a public key of type RSA or EC")
	}
	return jwk.FromPublic(public)
}
