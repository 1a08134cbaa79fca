package tpm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// lentKey is the handle that guests use for their key, whatever the TPM's handle is.
const lentKey = transient<<24 | 0xFFFFFF

// guest is a connection to a Relay.
type guest struct {
	relay   *Relay
	user    uint32
	key     *primary
	session *session
	ahead   map[string][]byte // answers to the commands for the rest of a report

	lease    *ticket // nil until the guest requests the user data
	leaseEnd time.Time
}

// limit returns the deadline for the guest's next command. The guest may have received the lease
// in the meantime.
func (g *guest) limit() time.Time {
	idle := time.Now().Add(relayIdle)
	if g.leaseEnd.IsZero() && g.holds() {
		g.leaseEnd = time.Now().Add(leaseLife)
	}
	if !g.leaseEnd.IsZero() && g.leaseEnd.Before(idle) {
		return g.leaseEnd
	}
	return idle
}

// ask returns the answer to a command, with errRefused if the command is not allowed. Any other
// error ends the connection.
func (g *guest) ask(ctx context.Context, command []byte) ([]byte, error) {
	s := shapeOf(command)
	if s == nil || !g.owns(s, command) {
		return g.relay.refuse(g.user, command)
	}
	if s.index == UserDataIndex && !g.leased(ctx) {
		return message(tpm2.TPMRCRetry, nil), nil
	}
	turn := g.relay.commands.join(g.user)
	defer turn.leave()
	<-turn.ready
	c := &g.relay.contexts
	if err := c.open(ctx); err != nil {
		return answerOf(err)
	}
	answer, err := g.perform(c, s, command)
	answer = bytes.Clone(answer) // the next command overwrites it
	if c.x.broken != nil {
		err = together(err, c.x.link.Close())
		c.forget()
	}
	return answer, err
}

// owns reports whether the keys and sessions in a command belong to the guest, which may have one
// of each.
func (g *guest) owns(s *shape, command []byte) bool {
	switch s.code() {
	case tpm2.TPMCCCreatePrimary:
		return g.key == nil
	case tpm2.TPMCCStartAuthSession:
		return g.session == nil
	}
	return (s.object == 0 || g.key != nil && handleAt(command, s.object) == lentKey) &&
		(s.session == 0 || g.session != nil && handleAt(command, s.session) == g.session.handle)
}

// leased waits for the lease of the user data.
func (g *guest) leased(ctx context.Context) bool {
	if g.lease == nil {
		g.lease = g.relay.lease.join(g.user)
	}
	select {
	case <-g.lease.ready:
		return true
	case <-time.After(leaseWait):
	case <-ctx.Done():
	}
	return false
}

// holds reports whether the guest has the lease.
func (g *guest) holds() bool {
	if g.lease == nil {
		return false
	}
	select {
	case <-g.lease.ready:
		return true
	default:
		return false
	}
}

// perform executes a command. The guest must have the turn.
func (g *guest) perform(c *contexts, s *shape, command []byte) ([]byte, error) {
	switch s.code() {
	case tpm2.TPMCCCreatePrimary:
		return g.make(c, command)
	case tpm2.TPMCCStartAuthSession:
		started, answer, err := c.start(g.user, command)
		g.session = started
		return answer, err
	case tpm2.TPMCCFlushContext:
		return g.flush(c, s)
	case tpm2.TPMCCNVRead:
		if s.index == HCLReport {
			return g.readReport(c, command)
		}
	}
	if s.object != 0 {
		if err := c.load(g.key); err != nil {
			return answerOf(err)
		}
		binary.BigEndian.PutUint32(command[s.object:], uint32(c.at))
	}
	if s.session != 0 {
		err := c.resume(g.session)
		if errors.Is(err, errEnded) {
			return s.ended(), nil
		}
		if err != nil {
			return answerOf(err)
		}
	}
	return c.send(command)
}

// ended is a TPM's answer to a command with a session that no longer exists (part 2, 6.6.3).
func (s *shape) ended() []byte {
	if s.session == firstHandle {
		return message(tpm2.TPMRCReferenceH0, nil)
	}
	return message(tpm2.TPMRCReferenceS0, nil)
}

// answerOf returns the answer to a guest if a command of the Relay itself failed: the TPM's
// answer, if there is one.
func answerOf(err error) ([]byte, error) {
	code, answered := errors.AsType[tpm2.TPMRC](err)
	switch {
	case isBusy(err):
		return message(tpm2.TPMRCRetry, nil), nil
	case answered:
		return message(code, nil), nil
	}
	return nil, err
}

func (g *guest) make(c *contexts, command []byte) ([]byte, error) {
	made, answer, err := c.make(command)
	if err != nil {
		return answerOf(err)
	}
	if made == nil {
		return answer, nil
	}
	g.key = made
	answer = bytes.Clone(made.answer)
	binary.BigEndian.PutUint32(answer[headerSize:], uint32(lentKey))
	return answer, nil
}

// flush does not unload a key, because other guests may use it.
func (g *guest) flush(c *contexts, s *shape) ([]byte, error) {
	if s.object != 0 {
		g.key = nil
	} else {
		c.end(g.session)
		g.session = nil
	}
	return message(tpm2.TPMRCSuccess, nil), nil
}

// readReport reads the whole report when a guest begins to read it, because the paravisor may
// change the report when the next guest begins.
func (g *guest) readReport(c *contexts, command []byte) ([]byte, error) {
	if answer, known := g.ahead[string(command)]; known {
		delete(g.ahead, string(command))
		return answer, nil
	}
	parameters := command[len(command)-4:] // size and offset (part 3, 31.13)
	size, offset := int(binary.BigEndian.Uint16(parameters)), int(binary.BigEndian.Uint16(parameters[2:]))
	answer, err := c.send(command)
	if err != nil || offset != 0 || resultOf(answer) != tpm2.TPMRCSuccess {
		return answer, err
	}
	answer = bytes.Clone(answer)
	g.ahead, err = c.readAhead(size)
	return answer, err
}

// readAhead reads the report from an offset, as [area.read] does.
func (c *contexts) readAhead(offset int) (map[string][]byte, error) {
	a, err := openArea(c.x, HCLReport)
	if err != nil {
		return nil, err
	}
	ahead := make(map[string][]byte)
	for size := int(a.public.DataSize); offset > 0 && offset < size; offset += maxChunk {
		command := recorded(readCommand(a.index, uint16(min(maxChunk, size-offset)), uint16(offset))) //nolint:gosec // at most 16384
		answer, err := c.send(command)
		if err != nil {
			return nil, err
		}
		ahead[string(command)] = bytes.Clone(answer)
	}
	return ahead, nil
}

// recorded returns the bytes that the command sends.
func recorded[R any](c command[R]) []byte {
	r := new(recorder)
	_, _ = c.Execute(r)
	return r.command
}
