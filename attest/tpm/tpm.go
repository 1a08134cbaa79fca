// Package tpm is what skr asks of a TPM 2.0: the evidence and the key of an Azure
// confidential machine, and of a Trusted Launch machine, are behind one.
//
//	t, err := tpm.Open("/dev/tpmrm0")
//	boot, err := vtpm.Select(0, 1, 2, 3, 4, 5, 6, 7)
//	quote, err := t.Quote(ctx, boot, nonce)
//	key, err := t.EphemeralKey(ctx, boot)
//	payload, err := keywrap.Unwrap(key.Decrypter(ctx), keywrap.RSA256, ciphertext)
//
// Each method is one operation: it waits for its turn, opens the TPM, runs its
// commands, flushes what it loaded, on errors too, and closes the TPM again. So
// operations never meet in the few slots that a TPM has, nothing outlives a
// failure (the kernel flushes what a closed /dev/tpmrm0 had), and a restarted
// emulator is found again.
//
// What the TPM answers is not trusted with our memory: an answer is bounded, its
// header is checked before the library sees it, and a panic in there is an error
// here. It is not believed either: nothing in this package verifies a signature.
//
// The quoted key, the indices and the ephemeral key have no secret: whoever may
// open the TPM may use them. This evidence is that of the node, not of the pod.
//
// Structures and commands are those of the TCG's "TPM 2.0 Library", parts 2 and 3;
// handles are Azure's (microsoft/openvmm, vm/devices/tpm/tpm_lib).
package tpm

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// TPM is safe for concurrent use: operations take turns.
type TPM struct {
	address string
	dial    func(context.Context) (link, error)
	turn    chan struct{} // holds one token while an operation runs
	report  chan struct{} // and one while a fresh report is awaited

	patience time.Duration // how long a busy TPM is asked again
}

// Open takes the path of a device ("/dev/tpmrm0"), or "unix:" and that of a TPM
// command socket. It looks whether something of that kind is there; whether it
// is a TPM shows the first operation.
func Open(address string) (*TPM, error) {
	t := &TPM{address: address, turn: make(chan struct{}, 1), report: make(chan struct{}, 1), patience: busyPatience}
	path, socket := strings.CutPrefix(address, "unix:")
	t.dial = func(ctx context.Context) (link, error) { return openDevice(ctx, path) }
	kind, name := os.ModeCharDevice, "device"
	if socket {
		t.dial = func(ctx context.Context) (link, error) { return dialSocket(ctx, path) }
		kind, name = os.ModeSocket, "socket"
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, notOpen(address, err)
	}
	if info.Mode()&kind == 0 {
		return nil, fmt.Errorf("opening %q: it is not a %s", address, name)
	}
	return t, nil
}

// String is the address.
func (t *TPM) String() string { return t.address }

// do runs one operation; doing is what its error begins with.
func (t *TPM) do(ctx context.Context, doing string, operation func(*exchange) error) error {
	err := t.exclusively(ctx, operation)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

func (t *TPM) exclusively(ctx context.Context, operation func(*exchange) error) error {
	if err := take(ctx, t.turn); err != nil {
		return err
	}
	defer func() { <-t.turn }()
	return t.connected(ctx, operation)
}

// connected runs an operation over a connection of its own. It connects again where
// the other side has no place for one.
func (t *TPM) connected(ctx context.Context, operation func(*exchange) error) error {
	var failed error
	_, err := retry(ctx, t.patience, func() (_ struct{}, busy error) {
		busy, failed = t.connect(ctx, operation)
		return struct{}{}, busy
	})
	if err != nil {
		return err
	}
	return failed
}

// connect makes one attempt: busy is why the operation did not begin.
func (t *TPM) connect(ctx context.Context, operation func(*exchange) error) (busy, failed error) {
	l, err := t.dial(ctx)
	if err != nil {
		return notOpen(t.address, err), nil
	}
	x := &exchange{ctx: ctx, link: l, patience: t.patience}
	defer x.forget()
	failed = together(guard(x, operation), l.Close())
	if x.turnedAway() {
		return fmt.Errorf("%w: %w", errTurnedAway, failed), nil
	}
	return nil, failed
}

// guard makes an error of a panic in the library that reads the TPM's answers.
func guard(x *exchange, operation func(*exchange) error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the TPM's answer cannot be read: %v", fault)
		}
	}()
	return operation(x)
}

// take waits until the token is free.
func take(ctx context.Context, token chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case token <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for other operations: %w", ctx.Err())
	}
}
