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
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"skr/attest/vtpm"
	"skr/test/swtpm"
)

// Many guests with keys of their own and of others, at once, in a TPM with three slots
// and no resource manager: none hears of it.
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

// observe has the answers to guests told.
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

// useKey makes a key, has it certified and opens something with it.
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
		err = fmt.Errorf("it opened %q", got)
	}
	return err
}

// The key is made once for all guests, and again after a reset, of which no guest is
// told something old.
func TestRelayMakesKeysOnce(t *testing.T) {
	l := lend(t, swtpm.Config{})
	var made atomic.Int32
	l.observe(t, func(code tpm2.TPMCC, _ tpm2.TPMRC) {
		if code == tpm2.TPMCCCreatePrimary {
			made.Add(1)
		}
	})
	stays := l.enter(t, 9) // so that the connection to the TPM stays, and what is in it
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

// Users that hold as many sessions as they can do not keep another from having one.
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

// A user with many connections that make one key after another, or send what is
// forbidden, delays each command of another user by one of its own.
func TestRelayStarvesNobody(t *testing.T) {
	l := lend(t, swtpm.Config{})
	var mine atomic.Bool
	var others atomic.Int32
	l.observe(t, func(code tpm2.TPMCC, _ tpm2.TPMRC) {
		if mine.Load() && code == tpm2.TPMCCCreatePrimary {
			others.Add(1)
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	var hostile sync.WaitGroup
	for i := range 16 {
		hostile.Go(func() { flood(ctx, l, uint32(i)) })
		hostile.Go(func() { forbid(ctx, l) })
	}
	commands := int32(0)
	client := l.as(t, 1)
	hook(client, func(tpm2.TPMCC) { commands++ })
	mine.Store(true)
	for range 3 {
		if _, err := client.Quote(ctx, boot(t), nil); err != nil {
			t.Error(err)
		}
	}
	mine.Store(false)
	stop()
	hostile.Wait()
	// A connection takes a turn when it ends, too, and one command may be under way.
	if most := 2 * (commands + 3) * 2; others.Load() > most {
		t.Errorf("%d keys of another user were made during %d commands", others.Load(), commands)
	}
}

// flood makes one key after another as user 2, each another one.
func flood(ctx context.Context, l *lender, who uint32) {
	for i := uint32(0); ctx.Err() == nil && i < math.MaxUint32; i++ {
		policy := binary.BigEndian.AppendUint32(make([]byte, 24), who)
		hold(ctx, l, recorded(createCommand(templateOf(binary.BigEndian.AppendUint32(policy, i)))))
	}
}

func forbid(ctx context.Context, l *lender) {
	for ctx.Err() == nil {
		hold(ctx, l, recorded(tpm2.Clear{AuthHandle: owner}))
	}
}

// hold has one command answered.
func hold(ctx context.Context, l *lender, command []byte) {
	ours, theirs := net.Pipe()
	defer ours.Close() //nolint:errcheck // nothing is buffered
	served := make(chan struct{})
	go func() { defer close(served); _ = l.Serve(ctx, 2, theirs) }()
	if _, err := ours.Write(command); err == nil {
		_, _ = io.ReadFull(ours, make([]byte, headerSize))
	}
	_ = ours.Close()
	<-served
}

// Guests that want fresh reports take turns, so that each writes its data once.
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

// A guest that has the user data and rests loses it with its connection; what is not
// about them goes on meanwhile.
func TestRelayLeaseEnds(t *testing.T) {
	chip, err := newChip()
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: begin}
	l := lend(t, swtpm.Config{Chip: chip, Now: c.Now})
	holder := l.enter(t, 2)
	if _, err := readAreaCommand(UserDataIndex).Execute(transport.FromReadWriter(holder)); err == nil {
		t.Fatal("the user data are there already")
	}
	if _, err := l.as(t, 1).ReadIndex(t.Context(), HCLReport); err != nil {
		t.Errorf("reading the report: %v", err)
	}
	if err := useKey(t.Context(), l.as(t, 1), smallSelection); err != nil {
		t.Errorf("using a key: %v", err)
	}
	if _, err := l.as(t, 1).FreshReport(t.Context(), c.ask("question")); err != nil {
		t.Errorf("after the holder rested: %v", err)
	}
	if _, err := holder.Read(make([]byte, 1)); err == nil {
		t.Error("the holder keeps its connection")
	}
}

// A report that is read in chunks is one report, although another guest has it made
// anew in between.
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
		t.Errorf("the chunks are of two reports: %v", err)
	}
}
