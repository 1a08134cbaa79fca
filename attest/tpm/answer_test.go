package tpm

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skr/attest/vtpm"
)

// recording is a link that records the answers.
type recording struct {
	link
	answers *bytes.Buffer
}

func (r recording) Read(b []byte) (int, error) {
	n, err := r.link.Read(b)
	r.answers.Write(b[:n])
	return n, err
}

// playback is a link to a TPM that gives this answer to every command.
type playback struct{ io.Reader }

func (playback) Write(command []byte) (int, error) { return len(command), nil }
func (playback) SetDeadline(time.Time) error       { return nil }
func (playback) Close() error                      { return nil }

// saying returns a TPM that gives this answer on each connection.
func saying(answers []byte) *TPM {
	return &TPM{
		address: "playback",
		dial:    func(context.Context) (link, error) { return playback{bytes.NewReader(answers)}, nil },
		turn:    make(chan struct{}, 1),
		report:  make(chan struct{}, 1),
	}
}

// operations are all operations that read answers. The key belongs to this TPM.
var operations = []struct {
	name string
	do   func(context.Context, *EphemeralKey) error
}{
	{"ak", func(ctx context.Context, k *EphemeralKey) error { _, err := k.tpm.AK(ctx); return err }},
	{"certificate", func(ctx context.Context, k *EphemeralKey) error { _, err := k.tpm.ReadAKCertificate(ctx); return err }},
	{"exists", func(ctx context.Context, k *EphemeralKey) error {
		_, err := k.tpm.Exists(ctx, AKCertificate)
		return err
	}},
	{"quote", func(ctx context.Context, k *EphemeralKey) error {
		_, err := k.tpm.Quote(ctx, smallSelection, []byte("n"))
		return err
	}},
	{"ephemeral", func(ctx context.Context, k *EphemeralKey) error {
		_, err := k.tpm.EphemeralKey(ctx, smallSelection)
		return err
	}},
	{"certify", func(ctx context.Context, k *EphemeralKey) error { _, err := k.Certify(ctx, nil); return err }},
	{"decrypt", func(ctx context.Context, k *EphemeralKey) error {
		ciphertext, err := rsa.EncryptPKCS1v15(rand.Reader, k.rsa, []byte("x")) //nolint:staticcheck // MAA's envelope has it
		if err != nil {
			return err
		}
		_, err = k.DecryptRSAES(ctx, ciphertext)
		return err
	}},
	{"fresh", func(ctx context.Context, k *EphemeralKey) error {
		_, err := k.tpm.FreshReport(ctx, Fresh{
			Carries: func([]byte, UserData) (bool, error) { return true, nil },
			Sleep:   func(context.Context, time.Duration) error { return nil },
		})
		return err
	}},
}

// with returns the key in another TPM.
func (k *EphemeralKey) with(t *TPM) *EphemeralKey {
	moved := *k
	moved.tpm = t
	return &moved
}

const smallSelection vtpm.Selection = 1 << 7

// someKey is any 2048-bit key that is not the TPM's.
func someKey() *EphemeralKey {
	n := new(big.Int).SetBit(big.NewInt(1), 2047, 1)
	return &EphemeralKey{selection: smallSelection, PublicKey: &PublicKey{rsa: &rsa.PublicKey{N: n, E: 65537}}}
}

// Genuine answers that are truncated or have one byte changed cause errors, never panics.
func TestMalformedAnswers(t *testing.T) {
	opened, _ := confidential(t)
	key, err := opened.EphemeralKey(t.Context(), smallSelection)
	if err != nil {
		t.Fatal(err)
	}
	dial, answers := opened.dial, new(bytes.Buffer)
	opened.dial = func(ctx context.Context) (link, error) {
		l, err := dial(ctx)
		return recording{l, answers}, err
	}
	for _, operation := range operations {
		answers.Reset()
		genuine := operation.do(t.Context(), key)
		said := bytes.Clone(answers.Bytes())
		for i := range said {
			if err := operation.do(t.Context(), key.with(saying(said[:i]))); err == nil && genuine == nil {
				t.Errorf("%s: %d of %d bytes were accepted", operation.name, i, len(said))
			}
			for _, flip := range []byte{0x01, 0x80, 0xFF} {
				said[i] ^= flip
				_ = operation.do(t.Context(), key.with(saying(said))) // the client ignores some bytes
				said[i] ^= flip
			}
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x80\x01\x00\x00\x00\x0a\x00\x00\x00\x00"))
	f.Add([]byte("\x80\x01\x00\x00\x00\x0a\x00\x00\x01\x8b"))
	f.Add([]byte("\x80\x02\x00\x00\x00\x13\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, said []byte) {
		for _, operation := range operations {
			_ = operation.do(t.Context(), someKey().with(saying(said))) // it must not panic or hang
		}
	})
}

func TestReadAnswer(t *testing.T) {
	answer := func(size uint32, rest int) []byte {
		head := binary.BigEndian.AppendUint32([]byte{0x80, 1}, size)
		return append(head, make([]byte, 4+rest)...)
	}
	tests := []struct {
		name string
		said []byte
		want string
	}{
		{"a header", answer(10, 0), ""},
		{"the longest", answer(maxAnswer, maxAnswer-10), ""},
		{"too long", answer(maxAnswer+1, maxAnswer-9), "4097 bytes, which cannot be"},
		{"no header", answer(9, 0), "9 bytes, which cannot be"},
		{"the largest number", answer(1<<32-1, 0), "which cannot be"},
		{"more than its size", answer(10, 1), "more than the 10 bytes"},
		{"cut", answer(12, 1), "EOF"},
		{"nothing", nil, "EOF"},
	}
	for _, test := range tests {
		for _, parts := range []io.Reader{bytes.NewReader(test.said), &slow{test.said}} {
			if _, slowly := parts.(*slow); slowly && test.name == "more than its size" {
				continue // the next byte is not read
			}
			got, err := readMessage(parts, make([]byte, maxAnswer))
			switch {
			case test.want == "" && (err != nil || !bytes.Equal(got, test.said)):
				t.Errorf("%s: %d bytes, error %v", test.name, len(got), err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%s: error %v, want %q", test.name, err, test.want)
			}
		}
	}
}

// slow returns one byte per read.
type slow struct{ rest []byte }

func (s *slow) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:1], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// mute accepts connections and never answers.
func mute(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tpm") //nolint:usetesting // a test's own folder has too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return path
}

func TestDeadline(t *testing.T) {
	path := mute(t)
	opened, err := Open("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	opened.dial = func(context.Context) (link, error) { return dialSocket(t.Context(), path) } // the deadline applies to the command
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begun := time.Now()
	_, err = opened.AK(ctx)
	if err == nil || !strings.Contains(err.Error(), "TPM2_ReadPublic") || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		t.Errorf("error %v", err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %q", err)
	}
	if took := time.Since(begun); took > grace+5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestTurn(t *testing.T) {
	opened := saying(nil)
	opened.turn <- struct{}{} // another operation holds the turn
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := opened.AK(ctx); err == nil || !strings.Contains(err.Error(), "waiting for other operations") {
		t.Errorf("error %v", err)
	}
}

func TestOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ address, want string }{
		{file, "it is not a device"},
		{"unix:" + file, "it is not a socket"},
		{"unix:/dev/null", "it is not a socket"},
		{file + "x", "no such file or directory (the machine has no vTPM"},
		{"", "no such file"},
	}
	for _, test := range tests {
		if _, err := Open(test.address); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want %q", test.address, err, test.want)
		}
	}
	opened, err := Open("/dev/null") // a device that is not a TPM
	if err != nil || opened.String() != "/dev/null" {
		t.Fatal(opened, err)
	}
	if _, err := opened.AK(t.Context()); err == nil || !strings.Contains(err.Error(), "reading the answer") {
		t.Errorf("a silent device: error %v", err)
	}
}
