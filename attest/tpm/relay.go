package tpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/google/go-tpm/tpm2"
)

const (
	// relayIdle is how long a guest may take to send its next command, and to read the
	// answer. The longest pause of this package is shorter.
	relayIdle = 5 * time.Second
	// leaseLife is how long a guest may keep the lease of the user data: three attempts at
	// a fresh report. One is usually enough.
	leaseLife = 10 * time.Second
	// leaseWait is how long a guest waits for the lease before the answer is that the TPM
	// is busy. The guest keeps its place in the queue.
	leaseWait = time.Second
)

// Relay shares one TPM between guests that do not trust each other, such as the pods of a node.
// It forwards only the commands that this package issues, byte for byte except for their values
// (see [shape]). If a guest sends any other command, the Relay answers TPM_RC_COMMAND_CODE and
// closes the connection.
//
//   - Commands take turns, with users in rotation, so that no user can starve another.
//   - Keys and sessions are swapped, as by a resource manager. A guest can only use its own, and
//     never sees that the TPM's memory is full.
//   - The index of the user data is leased to one guest at a time, from its first command about
//     the index until its connection ends, so that guests do not overwrite each other's data.
//   - A report is read as a whole when a guest reads its beginning, so that it does not change
//     between two chunks.
//
// When the last guest has left, the Relay unloads everything and closes the TPM.
type Relay struct {
	// Refused is called for each command that is refused; nil disables the call.
	Refused func(user uint32, command uint32)

	guests   atomic.Int64
	commands turns
	lease    turns
	contexts contexts // used by the guest that has the turn in commands
}

// NewRelay returns a Relay of the TPM. It does not open the TPM.
func (t *TPM) NewRelay() *Relay { return &Relay{contexts: contexts{tpm: t}} }

// Serve answers a guest's commands until the guest disconnects, is refused or is idle for too
// long, or ctx ends. It closes the connection.
func (r *Relay) Serve(ctx context.Context, user uint32, c net.Conn) (err error) {
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	r.guests.Add(1)
	g := &guest{relay: r, user: user}
	defer func() {
		_ = c.Close() // before the guest waits for a turn, so that its place is free
		err = worthTelling(ctx, errors.Join(err, r.part(g)))
	}()
	return g.converse(ctx, c)
}

// worthTelling drops the errors of a regular end.
func worthTelling(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("relaying a TPM command: %w", err)
	}
	return nil
}

// converse returns nil when the guest disconnects or is refused.
func (g *guest) converse(ctx context.Context, c net.Conn) error {
	var command [maxAnswer]byte
	defer clear(command[:])
	for {
		if err := c.SetDeadline(g.limit()); err != nil || ctx.Err() != nil {
			return err
		}
		asked, err := readMessage(c, command[:])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a command: %w", err)
		}
		answer, err := g.ask(ctx, asked)
		refused := errors.Is(err, errRefused)
		if err != nil && !refused {
			return err
		}
		_ = c.SetDeadline(time.Now().Add(relayIdle))
		_, err = c.Write(answer)
		clear(answer) // it may be a plain text
		if err != nil || refused {
			return err
		}
	}
}

// part cleans up after a guest, and after all guests when the last one has left.
func (r *Relay) part(g *guest) error {
	if g.lease != nil {
		g.lease.leave()
	}
	last := r.guests.Add(-1) == 0
	if g.session == nil && !last {
		return nil
	}
	turn := r.commands.join(g.user)
	defer turn.leave()
	<-turn.ready
	r.contexts.end(g.session)
	if r.guests.Load() > 0 {
		return nil
	}
	return r.contexts.close()
}

// refuse reports a command that is not allowed.
func (r *Relay) refuse(user uint32, command []byte) ([]byte, error) {
	if r.Refused != nil {
		r.Refused(user, uint32(codeOf(command)))
	}
	return message(tpm2.TPMRCCommandCode, nil), errRefused
}

var errRefused = errors.New("the command is not lent")
