package tpm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-tpm/tpm2"
)

const (
	// maxPrimaries bounds the keys whose contexts are kept. The pods of a node request
	// the same key, as long as no register changes.
	maxPrimaries = 16
	// maxSessions bounds the sessions of all guests: a TPM has 64, saved ones included
	// (part 2, MAX_ACTIVE_SESSIONS of the PC Client profile), and others use it too.
	maxSessions = 16
	// sessionIdle is how long a session may be idle before it can be ended to make room.
	// This package uses a session for three commands in a row.
	sessionIdle = 500 * time.Millisecond
)

// contexts are the keys and sessions of a Relay's guests. At most one key and one session are
// loaded. A TPM has three slots of each. The others are saved (part 1, 30). Only the guest that
// has the turn uses it.
type contexts struct {
	tpm       *TPM
	x         *exchange  // nil while no guest needs the TPM
	primaries []*primary // the most recently used last
	resident  *primary   // the loaded one, or nil
	at        tpm2.TPMHandle
	sessions  []*session // the most recently used last
	loaded    *session   // the loaded one, or nil
}

// primary is a key that a TPM derives again from the same command. All guests that sent this
// command share it.
type primary struct {
	command, answer []byte
	name            []byte
	saved           tpm2.TPMSContext
}

// session is a session of one guest.
type session struct {
	user   uint32
	handle tpm2.TPMHandle
	used   time.Time
	saved  tpm2.TPMSContext // if it is not the loaded one
	ended  bool
}

// errEnded means that the session was ended to make room for others.
var errEnded = errors.New("the session made room for others")

func (c *contexts) open(ctx context.Context) error {
	if c.x != nil {
		return nil
	}
	l, err := c.tpm.dial(ctx)
	if err != nil {
		return fmt.Errorf("opening %q: %w", c.tpm.address, err)
	}
	c.x = &exchange{ctx: ctx, link: l, patience: lastRetry}
	return nil
}

// close unloads everything from the TPM. Keys stay saved.
func (c *contexts) close() error {
	if c.x == nil {
		return nil
	}
	c.unload()
	for _, s := range slices.Clone(c.sessions) {
		c.end(s)
	}
	err := c.x.link.Close()
	c.forget()
	return err
}

// forget drops a connection. What was loaded through it is lost.
func (c *contexts) forget() {
	c.x.forget()
	c.x, c.resident, c.loaded = nil, nil, nil
	for _, s := range c.sessions {
		s.ended = true
	}
	c.sessions = nil
}

// send forwards a command. If other processes use the TPM's slots, the answer is that the TPM
// is busy.
func (c *contexts) send(command []byte) ([]byte, error) {
	answer, err := c.x.Send(command)
	if err != nil {
		return nil, err
	}
	switch resultOf(answer) {
	case tpm2.TPMRCObjectMemory, tpm2.TPMRCSessionMemory, tpm2.TPMRCMemory, tpm2.TPMRCSessionHandles, tpm2.TPMRCObjectHandles:
		return message(tpm2.TPMRCRetry, nil), nil
	}
	return answer, nil
}

func resultOf(answer []byte) tpm2.TPMRC { return tpm2.TPMRC(binary.BigEndian.Uint32(answer[6:])) }

// make returns the key that the command creates, or the TPM's answer if it fails.
func (c *contexts) make(command []byte) (*primary, []byte, error) {
	if p := c.known(command); p != nil {
		return p, nil, nil
	}
	c.unload()
	answer, err := c.send(command)
	if err != nil || resultOf(answer) != tpm2.TPMRCSuccess {
		return nil, answer, err
	}
	if len(answer) < headerSize+4 {
		return nil, nil, malformed(tpm2.TPMCCCreatePrimary, "it has no handle")
	}
	p := &primary{command: bytes.Clone(command), answer: bytes.Clone(answer)}
	c.resident, c.at = p, handleAt(answer, headerSize)
	if err := c.save(p); err != nil {
		c.unload()
		return nil, nil, err
	}
	c.primaries = append(c.primaries, p)
	if len(c.primaries) > maxPrimaries {
		c.primaries = slices.Delete(c.primaries, 0, 1)
	}
	return p, nil, nil
}

// known returns a key that the same command made, if the TPM can still load it. A TPM loses all
// keys when it is reset.
func (c *contexts) known(command []byte) *primary {
	i := slices.IndexFunc(c.primaries, func(p *primary) bool { return bytes.Equal(p.command, command) })
	if i < 0 {
		return nil
	}
	p := c.primaries[i]
	c.primaries = slices.Delete(c.primaries, i, i+1)
	if c.load(p) != nil {
		return nil
	}
	name, err := c.nameAt(c.at)
	if err != nil || !bytes.Equal(name, p.name) {
		c.unload()
		return nil
	}
	c.primaries = append(c.primaries, p)
	return p
}

func (c *contexts) nameAt(handle tpm2.TPMHandle) ([]byte, error) {
	answer, err := run(c.x, tpm2.ReadPublic{ObjectHandle: handle})
	if err != nil {
		return nil, err
	}
	return answer.Name.Buffer, nil
}

func (c *contexts) save(p *primary) (err error) {
	if p.name, err = c.nameAt(c.at); err != nil {
		return err
	}
	answer, err := run(c.x, tpm2.ContextSave{SaveHandle: c.at})
	if err != nil {
		return err
	}
	p.saved = answer.Context
	return nil
}

// load loads a key.
func (c *contexts) load(p *primary) error {
	if c.resident == p {
		return nil
	}
	c.unload()
	answer, err := run(c.x, tpm2.ContextLoad{Context: p.saved})
	if err != nil {
		return err
	}
	c.resident, c.at = p, answer.LoadedHandle
	return nil
}

// unload frees the key's slot. It fails only if the key is not loaded, as after a reset.
func (c *contexts) unload() {
	if c.resident == nil {
		return
	}
	var gone error
	c.x.flush(c.at, &gone)
	c.resident = nil
}

// start opens a session for a user, or returns the TPM's answer if that fails.
func (c *contexts) start(user uint32, command []byte) (*session, []byte, error) {
	if !c.room(user) {
		return nil, message(tpm2.TPMRCRetry, nil), nil
	}
	c.park()
	answer, err := c.send(command)
	if err != nil || resultOf(answer) != tpm2.TPMRCSuccess {
		return nil, answer, err
	}
	if len(answer) < headerSize+4 {
		return nil, nil, malformed(tpm2.TPMCCStartAuthSession, "it has no handle")
	}
	s := &session{user: user, handle: handleAt(answer, headerSize), used: time.Now()}
	c.sessions = append(c.sessions, s)
	c.loaded = s
	return s, answer, nil
}

// room makes room for another session if necessary. It ends the least recently used session of
// the user that has the most, if that session is idle or the new one is its user's only one.
func (c *contexts) room(user uint32) bool {
	if len(c.sessions) < maxSessions {
		return true
	}
	count := make(map[uint32]int)
	for _, s := range c.sessions {
		count[s.user]++
	}
	most := slices.MaxFunc(c.sessions, func(a, b *session) int { return count[a.user] - count[b.user] })
	if count[user] > 0 && time.Since(most.used) < sessionIdle {
		return false
	}
	c.end(most)
	return true
}

// park saves the loaded session to free its slot. It ends a session that cannot be saved.
func (c *contexts) park() {
	s := c.loaded
	if s == nil {
		return
	}
	answer, err := run(c.x, tpm2.ContextSave{SaveHandle: s.handle})
	if err != nil {
		c.end(s)
		return
	}
	s.saved, c.loaded = answer.Context, nil
}

// resume loads a session, which keeps its handle (part 1, 30.5).
func (c *contexts) resume(s *session) error {
	if s.ended {
		return errEnded
	}
	c.sessions = append(slices.DeleteFunc(c.sessions, func(other *session) bool { return other == s }), s)
	s.used = time.Now()
	if c.loaded == s {
		return nil
	}
	c.park()
	if _, err := run(c.x, tpm2.ContextLoad{Context: s.saved}); err != nil {
		c.end(s)
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	c.loaded = s
	return nil
}

// end ends a session, saved or not.
func (c *contexts) end(s *session) {
	if s == nil || s.ended {
		return
	}
	var gone error
	c.x.flush(s.handle, &gone)
	s.ended = true
	c.sessions = slices.DeleteFunc(c.sessions, func(other *session) bool { return other == s })
	if c.loaded == s {
		c.loaded = nil
	}
}
