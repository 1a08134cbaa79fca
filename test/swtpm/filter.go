package swtpm

import (
	"encoding/binary"
	"io"
	"net"

	"github.com/google/go-tpm/tpm2"
)

// A command begins with tag, size and code; an answer begins with tag, size and
// response code (TPM 2.0 Library, part 1, 18.2 and 18.3). Integers are
// big-endian.
const (
	headerSize  = 10
	maxCommand  = 4096
	tagPlain    = 0x8001
	tagSessions = 0x8002
)

// serve returns when the listener is closed.
func (m *Machine) serve() {
	for {
		conn, err := m.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close() //nolint:errcheck // the client has all answers
			m.serveConnection(conn)
		}()
	}
}

// serveConnection returns when the client disconnects or sends something that is not a
// command.
func (m *Machine) serveConnection(conn net.Conn) {
	for {
		command, err := readMessage(conn)
		if err != nil {
			return
		}
		answer, err := m.answer(command)
		if err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

func readMessage(r io.Reader) ([]byte, error) {
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[2:])
	if size < headerSize || size > maxCommand {
		return nil, io.ErrUnexpectedEOF
	}
	message := append(header, make([]byte, size-headerSize)...)
	_, err := io.ReadFull(r, message[headerSize:])
	return message, err
}

// answer answers commands for the paravisor's index and passes the others to
// swtpm.
func (m *Machine) answer(command []byte) ([]byte, error) {
	code, parameters := tpm2.TPMCC(binary.BigEndian.Uint32(command[6:])), command[headerSize:]
	if m.config.Fault != nil {
		if fault := m.config.Fault(code, handleAt(parameters, 0), handleAt(parameters, 1)); fault != tpm2.TPMRCSuccess {
			return failure(fault), nil
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.config.confidential() {
		return m.tpm.Send(command)
	}
	switch {
	case code == tpm2.TPMCCNVReadPublic && handleAt(parameters, 0) == hclIndex:
		return m.readPublic()
	case code == tpm2.TPMCCNVRead && handleAt(parameters, 1) == hclIndex:
		return m.readIndex(parameters[8:])
	case (code == tpm2.TPMCCNVWrite || code == tpm2.TPMCCNVUndefineSpace) && handleAt(parameters, 1) == hclIndex:
		return failure(tpm2.TPMRCNVAuthorization), nil
	}
	return m.tpm.Send(command)
}

// handleAt returns the nth handle of a command, or zero if there is none.
func handleAt(parameters []byte, n int) tpm2.TPMHandle {
	if len(parameters) < 4*(n+1) {
		return 0
	}
	return tpm2.TPMHandle(binary.BigEndian.Uint32(parameters[4*n:]))
}

func (m *Machine) readPublic() ([]byte, error) {
	public := tpm2.TPMSNVPublic{
		NVIndex: hclIndex,
		NameAlg: tpm2.TPMAlgSHA256,
		Attributes: tpm2.TPMANV{
			OwnerRead: true, AuthRead: true, PPRead: true, PPWrite: true, NoDA: true,
			Written: true, PlatformCreate: true, NT: tpm2.TPMNTOrdinary,
		},
		DataSize: uint16(m.hclSize()),
	}
	name, err := tpm2.NVName(&public)
	if err != nil {
		return nil, err
	}
	return success(tagPlain, append(tpm2.Marshal(tpm2.New2B(public)), tpm2.Marshal(*name)...)), nil
}

// readIndex parses what follows the handles of TPM2_NV_Read: the authorizations with
// their size, the number of bytes and the offset. It supports password
// sessions.
func (m *Machine) readIndex(rest []byte) ([]byte, error) {
	if len(rest) < 4 {
		return failure(tpm2.TPMRCInsufficient), nil
	}
	authorizations := uint64(binary.BigEndian.Uint32(rest))
	if uint64(len(rest)) != 4+authorizations+4 {
		return failure(tpm2.TPMRCInsufficient), nil
	}
	size := int(binary.BigEndian.Uint16(rest[4+authorizations:]))
	offset := int(binary.BigEndian.Uint16(rest[4+authorizations+2:]))
	if offset == 0 {
		if err := m.renew(); err != nil {
			return nil, err
		}
	}
	if size > 1024 || offset+size > len(m.hcl.content) {
		return failure(tpm2.TPMRCNVRange), nil
	}
	data := binary.BigEndian.AppendUint16(nil, uint16(size))
	data = append(data, m.hcl.content[offset:offset+size]...)
	body := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)
	return success(tagSessions, append(body, 0, 0, 1, 0, 0)), nil // no nonce, the session goes on, no HMAC
}

func success(tag uint16, body []byte) []byte { return message(tag, tpm2.TPMRCSuccess, body) }

func failure(code tpm2.TPMRC) []byte { return message(tagPlain, code, nil) }

func message(tag uint16, code tpm2.TPMRC, body []byte) []byte {
	m := binary.BigEndian.AppendUint16(nil, tag)
	m = binary.BigEndian.AppendUint32(m, uint32(headerSize+len(body)))
	m = binary.BigEndian.AppendUint32(m, uint32(code))
	return append(m, body...)
}
