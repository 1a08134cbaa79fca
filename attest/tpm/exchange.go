package tpm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

const (
	// maxAnswer bounds an answer in bytes, as Linux does (TPM_BUFSIZE,
	// drivers/char/tpm/tpm.h).
	maxAnswer = 4096
	// headerSize is the size of tag, size and code (part 1, 18.2).
	headerSize = 10
	// commandTimeout bounds one command. The slowest one makes an RSA key.
	commandTimeout = 30 * time.Second
	// grace is the time that a running command gets when the caller gives up. Without
	// its answer, what it loads could not be flushed.
	grace = 2 * time.Second
)

// link transports commands and answers. Both fail at the deadline.
type link interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
}

// exchange is the connection of one operation.
type exchange struct {
	ctx    context.Context
	link   link
	answer [maxAnswer]byte
	broken error // after it, an answer could belong to an earlier command
	served bool  // at least one command was answered

	patience time.Duration // how long to retry with a busy TPM
}

var _ transport.TPM = (*exchange)(nil)

// Send sends one command and returns its answer, which is valid until the next command.
func (x *exchange) Send(command []byte) ([]byte, error) {
	if x.broken != nil {
		return nil, fmt.Errorf("the connection is of no use any more: %w", x.broken)
	}
	stop, err := x.limit()
	if err != nil {
		return nil, err
	}
	defer stop()
	if _, err := x.link.Write(command); err != nil {
		return nil, x.abandon("writing the command", err)
	}
	answer, err := readMessage(x.link, x.answer[:])
	if err != nil {
		return nil, x.abandon("reading the answer", err)
	}
	x.served = true
	return answer, nil
}

// limit sets the command's deadline, which moves when the context ends. stop ends that.
func (x *exchange) limit() (stop func() bool, err error) {
	if err := x.ctx.Err(); err != nil {
		return nil, err
	}
	if err := x.link.SetDeadline(time.Now().Add(commandTimeout)); err != nil {
		return nil, fmt.Errorf("setting the deadline: %w", err)
	}
	return context.AfterFunc(x.ctx, func() {
		_ = x.link.SetDeadline(time.Now().Add(grace)) // on failure, the first deadline remains
	}), nil
}

func (x *exchange) abandon(doing string, err error) error {
	x.broken = fmt.Errorf("%s: %w", doing, err)
	return together(x.ctx.Err(), x.broken)
}

// turnedAway reports whether the peer closed the connection before its first answer. An agent
// does so if a user has too many connections.
func (x *exchange) turnedAway() bool {
	return !x.served && x.ctx.Err() == nil &&
		(errors.Is(x.broken, io.EOF) || errors.Is(x.broken, syscall.EPIPE) || errors.Is(x.broken, syscall.ECONNRESET))
}

// flush unloads a context, even if the caller has given up, and joins its own error to err.
func (x *exchange) flush(handle tpm2.TPMHandle, err *error) {
	ctx := x.ctx
	defer func() { x.ctx = ctx }()
	x.ctx = context.WithoutCancel(ctx)
	if _, failure := run(x, flushCommand(handle)); failure != nil {
		*err = together(*err, failure)
	}
}

// forget erases the last answer, which may contain a plain text. Copies in the library remain
// until their memory is reused.
func (x *exchange) forget() { clear(x.answer[:]) }

// readMessage reads one answer or command into buffer. Devices return it at once, sockets in
// parts.
func readMessage(r io.Reader, buffer []byte) ([]byte, error) {
	n, err := io.ReadAtLeast(r, buffer, headerSize)
	if err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(buffer[2:])
	switch {
	case size < headerSize || size > uint32(len(buffer)): //nolint:gosec // the buffer has 4096 bytes
		return nil, fmt.Errorf("it says that it has %d bytes, which cannot be", size)
	case n > int(size):
		return nil, fmt.Errorf("it has more than the %d bytes that it says", size)
	case n < int(size):
		if _, err := io.ReadFull(r, buffer[n:size]); err != nil {
			return nil, err
		}
	}
	return buffer[:size], nil
}

// command is a command of package tpm2.
type command[R any] interface {
	Command() tpm2.TPMCC
	Execute(t transport.TPM, s ...tpm2.Session) (*R, error)
}

// run executes a command, and retries with a busy TPM. Its error names the command, and says
// what to do if that is known.
func run[R any](x *exchange, c command[R]) (*R, error) {
	answer, err := patiently(x, func() (*R, error) { return c.Execute(x) })
	if err != nil {
		return nil, explain(c.Command(), err)
	}
	return answer, nil
}
