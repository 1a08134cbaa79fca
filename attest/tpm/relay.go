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
	// relayIdle is how long a guest may take until its next command is whole, and its
	// answer read. The longest pause of this package is shorter.
	relayIdle = 5 * time.Second
	// leaseLife is how long a guest may keep the user data: three attempts of a fresh
	// report, where one is enough.
	leaseLife = 10 * time.Second
	// leaseWait is how long a guest waits for the user data before it is told to ask again.
	// It keeps its place in the queue.
	leaseWait = time.Second
)

// Relay lends one TPM to guests that do not trust each other, such as the pods of a
// node. It passes on the commands that this package issues, byte for byte apart from
// their values (see [shape]), and nothing else: a guest that sends anything else is
// answered TPM_RC_COMMAND_CODE and leaves.
//
//   - Commands take turns, users in rotation, so that no user starves another.
//   - Keys and sessions are swapped, as by a resource manager: a guest reaches its own
//     alone, and none hears that the TPM's memory is full.
//   - The index of the user data is leased to one guest at a time, from its first command
//     about it until its connection ends, so that none overwrites what another waits to
//     see in a report.
//   - A report that is read from its beginning is read whole, so that none changes
//     between two chunks.
//
// When the last guest has left, the TPM is closed and holds nothing of theirs.
type Relay struct {
	// Refused is called for each command that is refused; nil disables the call.
	Refused func(user uint32, command uint32)

	guests   atomic.Int64
	commands turns
	lease    turns
	contexts contexts // of whoever has the turn in commands
}

// NewRelay returns a Relay of the TPM. It opens nothing.
func (t *TPM) NewRelay() *Relay { return &Relay{contexts: contexts{tpm: t}} }

// Serve answers a guest's commands until it leaves, is refused, rests for too long or ctx
// ends. It closes the connection.
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

// worthTelling drops the errors of an end that is as it should be.
func worthTelling(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("relaying a TPM command: %w", err)
	}
	return nil
}

// converse ends without an error when the guest does, or when it is refused.
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

// part takes what a guest leaves behind, and what all leave behind after the last one.
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

// refuse counts a command that is not lent.
func (r *Relay) refuse(user uint32, command []byte) ([]byte, error) {
	if r.Refused != nil {
		r.Refused(user, uint32(codeOf(command)))
	}
	return message(tpm2.TPMRCCommandCode, nil), errRefused
}

var errRefused = errors.New("the command is not lent")
