package tpm

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"skr/attest/vtpm"
	"skr/test/swtpm"
)

// Many guests use their own and shared keys at once in a TPM with three slots and no
// resource manager. No guest sees an error.
func TestRelaySwaps(t *testing.T) {
	l := lend(t, swtpm.Config{})
	l.observe(t, func(code tpm2.TPMCC, result tpm2.TPMRC) {
		if result != tpm2.TPMRCSuccess {
			t.Errorf("%s: %s", nameOf(code), result)
		}
	})
	var guests sync.WaitGroup
	for i := range 24 {
		guests.Go(func() {
			if err := useKey(t.Context(), l.as(t, uint32(i%5)), vtpm.Selection(1<<(i%6))); err != nil {
				t.Errorf("guest %d: %v", i, err)
			}
		})
	}
	guests.Wait()
}

// observe passes each answer to a guest's command to tell.
func (l *lender) observe(t *testing.T, tell func(tpm2.TPMCC, tpm2.TPMRC)) {
	t.Helper()
	dial := l.contexts.tpm.dial
	l.contexts.tpm.dial = func(ctx context.Context) (link, error) {
		inner, err := dial(ctx)
		return &observed{link: inner, tell: tell}, err
	}
}

type observed struct {
	link

	code tpm2.TPMCC
	tell func(tpm2.TPMCC, tpm2.TPMRC)
}

func (o *observed) Write(command []byte) (int, error) {
	o.code = codeOf(command)
	return o.link.Write(command)
}

func (o *observed) Read(answer []byte) (int, error) {
	n, err := o.link.Read(answer)
	if n >= headerSize {
		o.tell(o.code, resultOf(answer))
	}
	return n, err
}

// useKey makes a key, certifies it and decrypts with it.
func useKey(ctx context.Context, t *TPM, s vtpm.Selection) error {
	key, err := t.EphemeralKey(ctx, s)
	if err != nil {
		return err
	}
	if _, err := key.Certify(ctx, nil); err != nil {
		return err
	}
	ciphertext, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key.RSA(), []byte("secret"), nil)
	if err != nil {
		return err
	}
	got, err := key.Decrypter(ctx).DecryptOAEP(crypto.SHA256, ciphertext)
	if err == nil && string(got) != "secret" {
		err = fmt.Errorf("the plaintext is %q", got)
	}
	return err
}

// The key is made once for all guests and again after a reset. No guest gets outdated
// values after the reset.
func TestRelayMakesKeysOnce(t *testing.T) {
	l := lend(t, swtpm.Config{})
	var made atomic.Int32
	l.observe(t, func(code tpm2.TPMCC, _ tpm2.TPMRC) {
		if code == tpm2.TPMCCCreatePrimary {
			made.Add(1)
		}
	})
	stays := l.enter(t, 9) // keeps the connection to the TPM and its objects
	key, err := l.as(t, 1).EphemeralKey(t.Context(), selection(t, 16))
	if err != nil {
		t.Fatal(err)
	}
	again, err := l.as(t, 2).EphemeralKey(t.Context(), selection(t, 16))
	if err != nil || !again.RSA().Equal(key.RSA()) || made.Load() != 1 {
		t.Errorf("another key, or made %d times; error %v", made.Load(), err)
	}
	if err := l.machine.Reset(); err != nil {
		t.Fatal(err)
	}
	after, err := l.as(t, 2).EphemeralKey(t.Context(), selection(t, 16))
	if err != nil || after.RSA().Equal(key.RSA()) || made.Load() != 2 {
		t.Errorf("after a reset the key is the same, or made %d times; error %v", made.Load(), err)
	}
	if _, err := after.Certify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := stays.Close(); err != nil {
		t.Error(err)
	}
}

// Users with the maximum number of sessions do not keep another user from having one.
func TestRelaySessionsMakeRoom(t *testing.T) {
	l := lend(t, swtpm.Config{})
	for range 5 * maxSessions {
		conn := l.enter(t, 2)
		if _, err := startSession(transport.FromReadWriter(conn)); err != nil && !errors.Is(err, tpm2.TPMRCRetry) {
			t.Fatal(err)
		}
	}
	if err := useKey(t.Context(), l.as(t, 1), smallSelection); err != nil {
		t.Error(err)
	}
}

// A user with many connections that each make a key delays another user's command by one
// command. A forbidden command needs no turn.
func TestRelayStarvesNobody(t *testing.T) {
	l := lend(t, swtpm.Config{})
	var made, before atomic.Int32
	l.observe(t, func(code tpm2.TPMCC, _ tpm2.TPMRC) {
		switch code {
		case tpm2.TPMCCCreatePrimary:
			made.Add(1)
		case tpm2.TPMCCQuote:
			before.Store(made.Load())
		}
	})
	turn := l.commands.join(99) // nothing is served until all commands wait
	const hostile = 16
	var asked sync.WaitGroup
	for i := range hostile {
		conn := l.enter(t, 2)
		asked.Go(func() {
			policy := binary.BigEndian.AppendUint32(make([]byte, 28), uint32(i))
			_, _ = createCommand(templateOf(policy)).Execute(transport.FromReadWriter(conn))
		})
	}
	l.waits(t, 2, hostile)
	conn := l.enter(t, 1)
	asked.Go(func() {
		if _, err := quoteCommand(passworded(attestationKey), boot(t), nil).Execute(transport.FromReadWriter(conn)); err != nil {
			t.Error(err)
		}
	})
	l.waits(t, 1, 1)
	l.refused(t, "clear", recorded(tpm2.Clear{AuthHandle: owner})) // although another command holds the turn
	turn.leave()
	asked.Wait()
	if before.Load() != 1 || made.Load() != hostile {
		t.Errorf("%d of %d keys were made before the quote, want 1", before.Load(), made.Load())
	}
}

// waits returns when the given number of a user's commands wait.
func (l *lender) waits(t *testing.T, user uint32, commands int) {
	t.Helper()
	for {
		l.commands.mu.Lock()
		waiting := len(l.commands.queues[user])
		l.commands.mu.Unlock()
		if waiting == commands {
			return
		}
		runtime.Gosched()
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// Guests that request fresh reports take turns. Each writes its data once.
func TestRelayLeasesUserData(t *testing.T) {
	chip, err := newChip()
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: begin}
	l := lend(t, swtpm.Config{Chip: chip, Now: c.Now})
	var written atomic.Int32
	l.observe(t, func(code tpm2.TPMCC, _ tpm2.TPMRC) {
		if code == tpm2.TPMCCNVWrite {
			written.Add(1)
		}
	})
	const count = 16
	var guests sync.WaitGroup
	for i := range count {
		guests.Go(func() {
			if _, err := l.as(t, uint32(i%3)).FreshReport(t.Context(), c.ask(fmt.Sprint("question ", i))); err != nil {
				t.Errorf("guest %d: %v", i, err)
			}
		})
	}
	guests.Wait()
	if written.Load() != count {
		t.Errorf("%d guests wrote %d times", count, written.Load())
	}
}

// A guest that holds the user data and goes idle loses them with its connection. Other
// commands continue meanwhile.
func TestRelayLeaseEnds(t *testing.T) {
	chip, err := newChip()
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: begin}
	l := lend(t, swtpm.Config{Chip: chip, Now: c.Now})
	holder := l.enter(t, 2)
	if _, err := readAreaCommand(UserDataIndex).Execute(transport.FromReadWriter(holder)); err == nil {
		t.Fatal("the user data already exist")
	}
	if _, err := l.as(t, 1).ReadIndex(t.Context(), HCLReport); err != nil {
		t.Errorf("reading the report: %v", err)
	}
	if err := useKey(t.Context(), l.as(t, 1), smallSelection); err != nil {
		t.Errorf("using a key: %v", err)
	}
	if _, err := l.as(t, 1).FreshReport(t.Context(), c.ask("question")); err != nil {
		t.Errorf("after the holder went idle: %v", err)
	}
	if _, err := holder.Read(make([]byte, 1)); err == nil {
		t.Error("the holder keeps its connection")
	}
}

// A guest that was told to retry and does something else does not keep the lease that
// it gets meanwhile.
func TestRelayLeaseIsNotHoarded(t *testing.T) {
	var leases turns
	held := leases.join(1)
	g := &guest{lease: leases.join(2)}
	if g.limit(); !g.leaseEnd.IsZero() {
		t.Error("another guest's lease limits this guest")
	}
	held.leave()
	g.limit()
	if left := time.Until(g.leaseEnd); left <= 0 || left > leaseLife {
		t.Errorf("the lease ends in %s", left)
	}
	g.leaseEnd = time.Now().Add(-time.Second)
	if time.Until(g.limit()) > 0 {
		t.Error("the guest may continue after the lease")
	}
}

// A report that is read in chunks stays one report even if another guest has it made
// again between the chunks.
func TestRelayReadsWhole(t *testing.T) {
	chip, err := newChip()
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: begin}
	l := lend(t, swtpm.Config{Chip: chip, Now: c.Now})
	other := l.as(t, 2)
	client := l.as(t, 1)
	reads := 0
	hook(client, func(code tpm2.TPMCC) {
		if code != tpm2.TPMCCNVRead {
			return
		}
		if reads++; reads > 1 { // between the chunks
			if _, err := other.FreshReport(t.Context(), c.ask(fmt.Sprint("question ", reads))); err != nil {
				t.Error(err)
			}
		}
	})
	content, err := client.ReadIndex(t.Context(), HCLReport)
	if err != nil || reads != 3 {
		t.Fatalf("%d reads, error %v", reads, err)
	}
	report, err := vtpm.ParseHCL(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.CheckBound(); err != nil {
		t.Errorf("the chunks come from different reports: %v", err)
	}
}
