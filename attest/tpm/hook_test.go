package tpm

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"skr/attest/vtpm"
	"skr/test/swtpm"
)

// hooked is a link that passes each command code to tell before it sends the command.
type hooked struct {
	link
	tell func(tpm2.TPMCC)
}

func (h hooked) Write(command []byte) (int, error) {
	h.tell(tpm2.TPMCC(binary.BigEndian.Uint32(command[6:])))
	return h.link.Write(command)
}

// hook makes all further commands call tell.
func hook(t *TPM, tell func(tpm2.TPMCC)) {
	dial := t.dial
	t.dial = func(ctx context.Context) (link, error) {
		l, err := dial(ctx)
		return hooked{l, tell}, err
	}
}

// If the caller gives up, the loaded objects are flushed. start checks that.
func TestGivingUpFlushes(t *testing.T) {
	opened, machine := start(t, swtpm.Config{})
	key, err := opened.EphemeralKey(t.Context(), boot(t))
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key.RSA(), []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var commands []tpm2.TPMCC
	giveUp := func(tpm2.TPMCC) {}
	hook(opened, func(code tpm2.TPMCC) { giveUp(code) })
	decrypt := func(ctx context.Context) error {
		_, err := key.Decrypter(ctx).DecryptOAEP(crypto.SHA256, ciphertext)
		return err
	}
	giveUp = func(code tpm2.TPMCC) { commands = append(commands, code) }
	if err := decrypt(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(commands) != 6 {
		t.Errorf("commands %x, want make, start, policy, decrypt and two flushes", commands)
	}
	for n := range 3 { // from the fourth command on, cancellation has no effect
		ctx, cancel := context.WithCancel(t.Context())
		left := n
		giveUp = func(tpm2.TPMCC) {
			if left--; left < 0 {
				cancel()
			}
		}
		if err := decrypt(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in command %d: error %v", n, err)
		}
		if loaded, err := machine.Loaded(); err != nil || loaded != 0 {
			t.Errorf("cancelled in command %d: %d objects remain (%v)", n, loaded, err)
		}
	}
}

// If a register changes between reading and quoting, it is read again.
func TestQuoteOfMovingRegisters(t *testing.T) {
	for _, times := range []int{1, attempts} {
		opened, machine := start(t, swtpm.Config{})
		left := times
		hook(opened, func(code tpm2.TPMCC) {
			if code != tpm2.TPMCCQuote || left == 0 {
				return
			}
			left--
			if err := machine.Extend(7, []byte("an event")); err != nil {
				t.Error(err)
			}
		})
		_, err := opened.Quote(t.Context(), boot(t), nil)
		if errors.Is(err, errMoved) != (times == attempts) || (err != nil) != (times == attempts) {
			t.Errorf("moved %d times: error %v", times, err)
		}
	}
}

// The quote is compared with the request.
func TestCheckQuote(t *testing.T) {
	opened, _ := start(t, swtpm.Config{})
	quote, err := opened.Quote(t.Context(), boot(t), []byte("nonce"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name      string
		info      []byte
		selection vtpm.Selection
		nonce     string
		values    vtpm.PCRs
		want      string
	}{
		{"nothing changed", quote.Info, boot(t), "nonce", quote.PCRs, ""},
		{"another selection", quote.Info, selection(t, 0, 1), "nonce", vtpm.PCRs{0: quote.PCRs[0], 1: quote.PCRs[1]}, "other PCRs"},
		{"another nonce", quote.Info, boot(t), "Nonce", quote.PCRs, "another nonce"},
		{"other values", quote.Info, boot(t), "nonce", vtpm.PCRs{0: quote.PCRs[1]}, "changed"},
		{"cut", quote.Info[:40], boot(t), "nonce", quote.PCRs, "TPM2_Quote: the TPM's answer cannot be read"},
	}
	for _, test := range tests {
		err := checkQuote(test.info, test.selection, []byte(test.nonce), test.values)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
	key, err := opened.EphemeralKey(t.Context(), boot(t))
	if err != nil {
		t.Fatal(err)
	}
	certified, err := key.Certify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkQuote(certified.Info, boot(t), nil, quote.PCRs); err == nil {
		t.Error("a certification was accepted as a quote")
	}
}

func TestGuard(t *testing.T) {
	err := saying(nil).do(t.Context(), "reading", func(*exchange) error { panic("index out of range") })
	if err == nil || err.Error() != "reading: the TPM's answer cannot be read: index out of range" {
		t.Errorf("error %v", err)
	}
}
