package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"

	"skr/api"
)

func init() { steps["keys"] = getKeys }

// getKeys has keys of each kind released and uses them.
func getKeys(ctx context.Context) error {
	client, err := api.NewClient(api.Config{BaseURL: os.Getenv("SIDECAR")})
	if err != nil {
		return err
	}
	if err := client.WaitReady(ctx); err != nil {
		return err
	}
	for _, name := range []string{"rsa", "rsa", "p256", "p384", "p521", "p256k", "aes", "absent"} {
		key, err := client.ReleaseKey(ctx, api.ReleaseRequest{
			MAAEndpoint: os.Getenv("AUTHORITY"), AKVEndpoint: os.Getenv("VAULT"), KID: name,
		})
		if errors.Is(err, api.KeyNotFound) {
			fmt.Println(name, "is not in the vault")
			continue
		}
		if err != nil {
			return err
		}
		used, err := use(key)
		key.Wipe()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Println(name, used, key.Cache, key.Age >= 0)
	}
	return nil
}

// use asks for the key in each way that Go has.
func use(key api.Key) (string, error) {
	secret, err := key.Bytes()
	if err == nil {
		defer clear(secret)
		return fmt.Sprintf("has %d bytes", len(secret)), nil
	}
	if !errors.Is(err, api.ErrKeyType) {
		return "", err
	}
	signer, err := key.Signer()
	if errors.Is(err, api.ErrCurve) {
		return "is on a curve that Go lacks", nil
	}
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte("text"))
	if _, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		return "", err
	}
	decrypter, err := key.Decrypter()
	if errors.Is(err, api.ErrKeyType) {
		return "signs", nil
	}
	if err != nil {
		return "", err
	}
	return decrypts(decrypter)
}

func decrypts(decrypter crypto.Decrypter) (string, error) {
	public, ok := decrypter.Public().(*rsa.PublicKey)
	if !ok {
		return "", errors.New("the key is not RSA")
	}
	sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, []byte("text"), nil)
	if err != nil {
		return "", err
	}
	plain, err := decrypter.Decrypt(nil, sealed, &rsa.OAEPOptions{Hash: crypto.SHA256})
	if err != nil || string(plain) != "text" {
		return "", errors.Join(err, errors.New("the key does not decrypt"))
	}
	return "signs and decrypts", nil
}
