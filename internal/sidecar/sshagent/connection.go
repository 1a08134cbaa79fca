package sshagent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"skr/internal/sidecar/server"
)

// connection answers the messages of one connection, one after the other.
type connection struct {
	Config
	net.Conn

	// known are the keys of the last list, by their public part in the form of SSH.
	known map[string]server.Signer
}

// serve answers until the peer closes the connection or stopping is closed.
func (c *connection) serve(ctx context.Context, stopping <-chan struct{}) error {
	defer c.Close() //nolint:errcheck // the peer has its answers
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-stopping:
			_ = c.SetReadDeadline(time.Now()) // the running request has its message
		case <-ended:
		}
	}()
	for {
		message, err := c.receive(stopping)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		answer, err := c.answer(ctx, message)
		if errors.Is(err, server.ErrHangUp) {
			return err
		}
		if err != nil {
			answer = []byte{failure}
		}
		if err := c.send(answer); err != nil {
			return err
		}
	}
}

var errStopping = errors.New("the agent stops")

// receive reads a message: four bytes of length, and that many bytes.
func (c *connection) receive(stopping <-chan struct{}) ([]byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
		return nil, err
	}
	select {
	case <-stopping: // before the deadline was set
		return nil, errStopping
	default:
	}
	var header [4]byte
	if _, err := io.ReadFull(c, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if size == 0 || size > maxMessage {
		return nil, fmt.Errorf("a message has %d bytes; 1 to %d are possible", size, maxMessage)
	}
	if err := c.SetReadDeadline(time.Now().Add(ioTimeout)); err != nil {
		return nil, err
	}
	message := make([]byte, size)
	_, err := io.ReadFull(c, message)
	return message, err
}

func (c *connection) send(answer []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	framed := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(answer)), uint32(len(answer))) //nolint:gosec // at most a list of all aliases
	_, err := c.Write(append(framed, answer...))
	return err
}
