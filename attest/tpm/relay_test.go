package tpm

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"skr/test/swtpm"
)

// relayed returns the machine's TPM behind a relay.
func relayed(t *testing.T, config swtpm.Config) (*TPM, string) {
	t.Helper()
	inner, _ := start(t, config)
	path := filepath.Join(t.TempDir(), "s")
	socket, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); _ = socket.Close(); <-done })
	relay := inner.NewRelay()
	go func() {
		defer close(done)
		var guests sync.WaitGroup
		defer guests.Wait()
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			guests.Go(func() {
				if err := relay.Serve(ctx, 1, c); err != nil {
					t.Error(err)
				}
			})
		}
	}()
	outer, err := Open("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	return outer, path
}

// All operations of this package work through a relay.
func TestRelay(t *testing.T) {
	chip, err := newChip()
	if err != nil {
		t.Fatal(err)
	}
	outer, _ := relayed(t, swtpm.Config{Chip: chip})
	if _, err := outer.Quote(t.Context(), boot(t), []byte("nonce")); err != nil {
		t.Error(err)
	}
	if _, err := outer.ReadAKCertificate(t.Context()); err != nil {
		t.Error(err)
	}
	carried := func([]byte, UserData) (bool, error) { return true, nil }
	if _, err := outer.FreshReport(t.Context(), Fresh{UserData: UserData{1}, Carries: carried}); err != nil {
		t.Error(err)
	}
	key, err := outer.EphemeralKey(t.Context(), boot(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Certify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	ciphertext, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key.RSA(), []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := key.Decrypter(t.Context()).DecryptOAEP(crypto.SHA256, ciphertext); err != nil || string(got) != "secret" {
		t.Errorf("%q, error %v", got, err)
	}
}
