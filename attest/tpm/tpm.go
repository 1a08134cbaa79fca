// Package tpm gets evidence from the virtual TPM 2.0 of an Azure confidential VM or Trusted
// Launch VM, and uses an ephemeral key in it. Its exported signatures contain types of
// internal packages: other modules can use package vtpm, which verifies the evidence.
//
//	t, err := tpm.Open("/dev/tpmrm0")
//	boot, err := vtpm.Select(0, 1, 2, 3, 4, 5, 6, 7)
//	quote, err := t.Quote(ctx, boot, nonce)
//	key, err := t.EphemeralKey(ctx, boot)
//	payload, err := keywrap.Unwrap(key.Decrypter(ctx), keywrap.RSA256, ciphertext)
//
// Each method is one operation. It waits for its turn, opens the TPM, runs its commands, flushes
// what it loaded even after errors, and closes the TPM. So operations do not compete for the few
// slots of a TPM, nothing remains loaded after a failure (the kernel flushes what a closed
// /dev/tpmrm0 had), and a restarted emulator is found again.
//
// The TPM's answers are not trusted. They are bounded, their headers are checked before the
// library parses them, and a panic of the library becomes an error. This package does not verify
// signatures.
//
// The attestation key, the indices and the ephemeral key have no password: any process that may
// open the TPM may use them. The evidence is about the node, not about the pod.
//
// Structures and commands follow the TCG's "TPM 2.0 Library", parts 2 and 3. The handles are
// Azure's (microsoft/openvmm, vm/devices/tpm/tpm_lib).
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
	turn    chan struct{} // contains one token while an operation runs
	report  chan struct{} // contains one token while a fresh report is requested

	patience time.Duration // how long to retry with a busy TPM
}

// Open returns the TPM at the path of a device ("/dev/tpmrm0"), or at "unix:" and the path of a
// TPM command socket. It checks that the device or socket exists. The first operation shows
// whether it is a TPM.
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

// String returns the address.
func (t *TPM) String() string { return t.address }

// do runs one operation. Its error begins with doing.
func (t *TPM) do(ctx context.Context, doing string, operation func(*exchange) error) error {
	err := t.exclusively(ctx, operation)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

func (t *TPM) exclusively(ctx context.Context, operation func(*exchange) error) error {
	if err := acquire(ctx, t.turn); err != nil {
		return err
	}
	defer func() { <-t.turn }()
	return t.connected(ctx, operation)
}

// connected runs an operation over a connection of its own. It connects again if the peer accepts
// no other connection now.
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

// connect makes one attempt. busy is the reason why the operation did not begin.
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

// guard converts a panic of the library that parses the TPM's answers to an error.
func guard(x *exchange, operation func(*exchange) error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the TPM's answer cannot be read: %v", fault)
		}
	}()
	return operation(x)
}

// acquire waits until the token is free.
func acquire(ctx context.Context, token chan struct{}) error {
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
