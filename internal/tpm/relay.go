package tpm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// relayIdle is how long a connection may rest between two commands. Operations of
// this package never do.
const relayIdle = 30 * time.Second

// Relay passes the commands of a connection to the TPM until either ends, and
// answers those that this package never gives with TPM_RC_COMMAND_CODE: no register
// can be extended through it, and nothing be cleared. It closes the connection. What
// it loaded, the kernel flushes when it leaves /dev/tpmrm0.
func (t *TPM) Relay(ctx context.Context, c net.Conn) error {
	defer c.Close() //nolint:errcheck // what there was to say is said
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	l, err := t.dial(ctx)
	if err != nil {
		return fmt.Errorf("tpm: relaying: opening %q: %w", t.address, err)
	}
	x := &exchange{ctx: ctx, link: l}
	defer x.forget()
	err = errors.Join(relay(x, c), l.Close())
	if err == nil || ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return fmt.Errorf("tpm: relaying: %w", err)
}

func relay(x *exchange, c net.Conn) error {
	var command [maxAnswer]byte
	defer clear(command[:])
	for {
		if err := c.SetDeadline(time.Now().Add(relayIdle)); err != nil || x.ctx.Err() != nil {
			return err
		}
		asked, err := readMessage(c, command[:])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a command: %w", err)
		}
		answer := forbidden()
		if permitted(asked) {
			if answer, err = x.Send(asked); err != nil {
				return err
			}
		}
		if _, err := c.Write(answer); err != nil {
			return fmt.Errorf("writing an answer: %w", err)
		}
	}
}

// forbidden is an answer without sessions that holds a code alone (part 1, 18.2).
func forbidden() []byte {
	answer := binary.BigEndian.AppendUint16(nil, uint16(tpm2.TPMSTNoSessions))
	answer = binary.BigEndian.AppendUint32(answer, headerSize)
	return binary.BigEndian.AppendUint32(answer, uint32(tpm2.TPMRCCommandCode))
}
