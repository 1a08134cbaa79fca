package tpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"skr/attest/vtpm"
)

// shape is one command of this package, byte for byte, except for the bytes of its values: a
// nonce, a digest, a selection of registers, a handle, a ciphertext. It is made by recording the
// command with small and with large values. The bytes that differ are free.
type shape struct {
	command []byte
	free    []bool
	// object and session are the offsets of these handles; 0 if there are none.
	object, session int
	index           Index // 0 if the command is not about an index
}

// recordings is the number of recordings of each command. Nonces of sessions are random, so that
// a byte may be equal in two recordings by chance.
const recordings = 8

// Offsets of a command's handles, and of its first authorization after one handle and the size
// (part 1, 18.4).
const (
	firstHandle  = headerSize
	secondHandle = headerSize + 4
	oneHandle    = secondHandle + 4 // the first authorization of a command with one handle
)

// fits reports whether the command has this shape.
func (s *shape) fits(command []byte) bool {
	if len(command) != len(s.command) {
		return false
	}
	for i, b := range command {
		if b != s.command[i] && !s.free[i] {
			return false
		}
	}
	return true
}

func (s *shape) code() tpm2.TPMCC { return codeOf(s.command) }

func codeOf(command []byte) tpm2.TPMCC { return tpm2.TPMCC(binary.BigEndian.Uint32(command[6:])) }

func handleAt(command []byte, at int) tpm2.TPMHandle {
	return tpm2.TPMHandle(binary.BigEndian.Uint32(command[at:]))
}

// shapeOf returns the shape of a command, or nil if this package never issues it.
func shapeOf(command []byte) *shape {
	if len(command) < headerSize {
		return nil
	}
	for _, s := range shapes()[codeOf(command)] {
		if s.fits(command) {
			return s
		}
	}
	return nil
}

// values are the variable parts of commands.
type values struct {
	fill    byte
	session tpm2.Session
}

func (v values) bytes(n int) []byte { return bytes.Repeat([]byte{v.fill}, n) }

func (v values) selection() vtpm.Selection {
	if v.fill == 0 {
		return 0
	}
	return 1<<vtpm.PCRCount - 1
}

// handle returns a handle of that type (part 2, TPM_HT), which determines the first byte.
func (v values) handle(kind tpm2.TPMHandle) tpm2.TPMHandle {
	if v.fill == 0 {
		return kind << 24
	}
	return kind<<24 | 0xFFFFFF
}

func (v values) uint16() uint16 { return uint16(v.fill) * 0x101 }

const (
	policySession tpm2.TPMHandle = 0x03
	transient     tpm2.TPMHandle = 0x80
)

// issued is a command of this package, with given values.
type issued struct {
	shape

	issue func(t transport.TPM, v values) error
}

// shapes by command code.
var shapes = sync.OnceValue(func() map[tpm2.TPMCC][]*shape {
	made := make(map[tpm2.TPMCC][]*shape)
	for _, c := range everyCommand() {
		s, err := c.record()
		if err != nil {
			panic(err) // a programming error, which every test finds
		}
		made[s.code()] = append(made[s.code()], s)
	}
	return made
})

// everyCommand lists what this package issues.
func everyCommand() []issued {
	all := []issued{
		issuing(shape{}, func(values) tpm2.ReadPublic { return readAKCommand() }),
		issuing(shape{}, func(v values) tpm2.PCRRead { return pcrReadCommand(v.selection()) }),
		issuing(shape{}, func(v values) tpm2.CreatePrimary { return createCommand(templateOf(v.bytes(32))) }),
		issuing(shape{session: firstHandle}, func(v values) tpm2.PolicyPCR {
			return policyCommand(v.handle(policySession), v.selection(), v.bytes(32))
		}),
		issuing(shape{object: firstHandle}, func(v values) tpm2.FlushContext { return flushCommand(v.handle(transient)) }),
		issuing(shape{session: firstHandle}, func(v values) tpm2.FlushContext { return flushCommand(v.handle(policySession)) }),
		issuing(shape{index: UserDataIndex}, func(values) tpm2.NVDefineSpace { return defineCommand() }),
		issuing(shape{index: UserDataIndex}, func(values) tpm2.NVUndefineSpace { return undefineCommand(named(UserDataIndex)) }),
		issuing(shape{index: UserDataIndex}, func(v values) tpm2.NVWrite { return writeCommand(named(UserDataIndex), v.bytes(userDataSize)) }),
		{shape{}, func(t transport.TPM, _ values) error { _, err := startSession(t); return err }},
	}
	for _, index := range []Index{HCLReport, UserDataIndex, AKCertificate} {
		all = append(all,
			issuing(shape{index: index}, func(values) tpm2.NVReadPublic { return readAreaCommand(index) }),
			issuing(shape{index: index}, func(v values) tpm2.NVRead { return readCommand(named(index), v.uint16(), v.uint16()) }))
	}
	for length := range maxNonce + 1 {
		all = append(all,
			issuing(shape{}, func(v values) tpm2.Quote {
				return quoteCommand(passworded(attestationKey), v.selection(), v.bytes(length))
			}),
			issuing(shape{object: firstHandle}, func(v values) tpm2.Certify {
				return certifyCommand(passworded(v.handle(transient)), passworded(attestationKey), v.bytes(length))
			}))
	}
	schemes := []tpm2.TPMTRSADecrypt{schemeRSAES()}
	for _, hash := range hashes {
		schemes = append(schemes, schemeOAEP(hash))
	}
	for _, scheme := range schemes {
		all = append(all, issuing(shape{object: firstHandle, session: oneHandle}, func(v values) tpm2.RSADecrypt {
			return decryptCommand(tpm2.AuthHandle{Handle: v.handle(transient), Name: someName, Auth: v.session}, scheme, v.bytes(keySize))
		}))
	}
	return all
}

// someName is an arbitrary name. Names are authorized but not sent.
var someName = tpm2.TPM2BName{Buffer: []byte{0, 0x0b}}

func named(index Index) tpm2.NamedHandle {
	return tpm2.NamedHandle{Handle: tpm2.TPMHandle(index), Name: someName}
}

func passworded(handle tpm2.TPMHandle) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: handle, Name: someName, Auth: tpm2.PasswordAuth(nil)}
}

func issuing[R any, C command[R]](s shape, with func(values) C) issued {
	return issued{s, func(t transport.TPM, v values) error { _, err := with(v).Execute(t); return err }}
}

// record makes the shape.
func (c issued) record() (*shape, error) {
	s := c.shape
	for i := range recordings {
		fill := byte(0)
		if i%2 == 1 {
			fill = 0xFF
		}
		session, err := startSession(&recorder{handle: values{fill: fill}.handle(policySession), answers: true})
		if err != nil {
			return nil, fmt.Errorf("recording a session: %w", err)
		}
		r := new(recorder)
		if err := c.issue(r, values{fill, session}); !errors.Is(err, errRecorded) {
			return nil, fmt.Errorf("recording a command: %w", err)
		}
		s.add(r.command)
	}
	return &s, nil
}

func (s *shape) add(command []byte) {
	if s.command == nil {
		s.command, s.free = command, make([]bool, len(command))
	}
	for i, b := range command {
		s.free[i] = s.free[i] || b != s.command[i]
	}
}

var errRecorded = errors.New("recorded")

// recorder is a TPM that records the command. It answers only the start of a session.
type recorder struct {
	command []byte
	answers bool
	handle  tpm2.TPMHandle
}

func (r *recorder) Send(command []byte) ([]byte, error) {
	r.command = bytes.Clone(command)
	if !r.answers {
		return nil, errRecorded
	}
	body := binary.BigEndian.AppendUint32(nil, uint32(r.handle))
	body = binary.BigEndian.AppendUint16(body, sessionNonce)
	return message(tpm2.TPMRCSuccess, append(body, make([]byte, sessionNonce)...)), nil
}

// message returns an answer without sessions (part 1, 18.2).
func message(code tpm2.TPMRC, body []byte) []byte {
	answer := binary.BigEndian.AppendUint16(nil, uint16(tpm2.TPMSTNoSessions))
	answer = binary.BigEndian.AppendUint32(answer, uint32(headerSize+len(body))) //nolint:gosec // bodies are small
	answer = binary.BigEndian.AppendUint32(answer, uint32(code))
	return append(answer, body...)
}
