package tpm

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"skr/test/swtpm"
)

// relayed is the machine's TPM behind a relay.
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
	go func() {
		defer close(done)
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			if err := inner.Relay(ctx, c); err != nil {
				t.Error(err)
			}
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

// What changes a machine, or reaches other secrets of its TPM, is not passed on.
func TestRelayRefuses(t *testing.T) {
	_, path := relayed(t, swtpm.Config{})
	c, err := new(net.Dialer).DialContext(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	device := transport.FromReadWriter(c)
	password, name := tpm2.PasswordAuth(nil), tpm2.TPM2BName{Buffer: []byte{0, 0x0b}}
	for what, command := range map[string]func() error{
		"extend a register": func() error {
			_, err := tpm2.PCRExtend{PCRHandle: tpm2.AuthHandle{Handle: 7, Auth: password}}.Execute(device)
			return err
		},
		"clear": func() error {
			_, err := tpm2.Clear{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHLockout, Auth: password}}.Execute(device)
			return err
		},
		"evict the AK": func() error {
			_, err := tpm2.EvictControl{
				Auth:             tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: password},
				ObjectHandle:     tpm2.NamedHandle{Handle: attestationKey},
				PersistentHandle: attestationKey,
			}.Execute(device)
			return err
		},
		"a key of the owner": func() error {
			_, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: password}, InPublic: tpm2.New2B(tpm2.RSASRKTemplate)}.Execute(device)
			return err
		},
		"write another index": func() error {
			_, err := tpm2.NVWrite{AuthHandle: owner, NVIndex: tpm2.NamedHandle{Handle: tpm2.TPMHandle(AKCertificate)}}.Execute(device)
			return err
		},
		"define another index": func() error {
			public := tpm2.TPMSNVPublic{NVIndex: 0x01500000, NameAlg: tpm2.TPMAlgSHA256, DataSize: 64}
			_, err := tpm2.NVDefineSpace{AuthHandle: owner, PublicInfo: tpm2.New2B(public)}.Execute(device)
			return err
		},
		"quote with another key": func() error {
			_, err := tpm2.Quote{SignHandle: tpm2.AuthHandle{Handle: 0x81000004, Name: name, Auth: password}}.Execute(device)
			return err
		},
		"decrypt with another key": func() error {
			_, err := tpm2.RSADecrypt{KeyHandle: tpm2.AuthHandle{Handle: 0x81010001, Name: name, Auth: password}}.Execute(device)
			return err
		},
	} {
		if err := command(); !errors.Is(err, tpm2.TPMRCCommandCode) {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

// A command that ends early is not passed on.
func FuzzPermitted(f *testing.F) {
	f.Add([]byte{0x80, 0x01, 0, 0, 0, 14, 0, 0, 1, 0x73, 0x81, 0, 0, 3})
	f.Add([]byte{0x80, 0x02, 0, 0, 0, 12, 0, 0, 1, 0x2a, 0x40, 0})
	f.Fuzz(func(t *testing.T, command []byte) {
		if permitted(command) && len(command) < headerSize {
			t.Error("a command without a header is passed on")
		}
	})
}
