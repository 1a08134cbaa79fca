package hsm

import (
	"crypto/rsa"
	"errors"
	"fmt"

	"skr/internal/jose/jwk"
	"skr/internal/jose/keywrap"
	"skr/internal/secmem"
)

// Decrypter returns a decrypter for what was encrypted to the public half of an RSA key with
// RSA-OAEP. It has the key on the Go heap, also after [Key.Wipe], and erases it when the
// decrypter is garbage.
func (k *Key) Decrypter() (opener keywrap.Decrypter, err error) {
	secmem.Do(func() {
		err = k.held.Use(func(secret []byte) error { opener, err = openerOf(secret); return err })
	})
	return opener, err
}

func openerOf(text []byte) (keywrap.Decrypter, error) {
	key, err := jwk.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading the key back: %w", err)
	}
	if key.Type() != "RSA" {
		return nil, errors.New("only an RSA key can decrypt")
	}
	private, err := key.PrivateKey()
	if err != nil {
		return nil, fmt.Errorf("reading the key back: %w", err)
	}
	opened, ok := private.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("only an RSA key can decrypt")
	}
	return keywrap.NewDecrypter(opened), nil
}
