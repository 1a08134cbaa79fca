package swtpm

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

func dial(t *testing.T, m *Machine) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(m.Address(), "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestHCLIndexIsThePlatforms checks that the guest can neither write nor remove
// the platform's index.
func TestHCLIndexIsThePlatforms(t *testing.T) {
	m := Require(t, Config{Chip: newChip(t)})
	guest := transport.FromReadWriter(dial(t, m))
	public, err := tpm2.NVReadPublic{NVIndex: hclIndex}.Execute(guest)
	if err != nil {
		t.Fatal(err)
	}
	index := tpm2.NamedHandle{Handle: hclIndex, Name: public.NVName}
	_, write := tpm2.NVWrite{AuthHandle: tpm2.TPMRHOwner, NVIndex: index}.Execute(guest)
	_, remove := tpm2.NVUndefineSpace{AuthHandle: tpm2.TPMRHOwner, NVIndex: index}.Execute(guest)
	for name, err := range map[string]error{"written": write, "removed": remove} {
		if !errors.Is(err, tpm2.TPMRCNVAuthorization) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for _, beyond := range []tpm2.NVRead{{Size: 1025}, {Size: 8, Offset: defaultHCLSize - 7}} {
		beyond.AuthHandle, beyond.NVIndex = tpm2.TPMRHOwner, index
		if _, err := beyond.Execute(guest); !errors.Is(err, tpm2.TPMRCNVRange) {
			t.Errorf("%d bytes from %d: error %v", beyond.Size, beyond.Offset, err)
		}
	}
}

// TestMalformedCommands checks that malformed commands are refused or end the
// connection, and that the machine continues.
func TestMalformedCommands(t *testing.T) {
	m := Require(t, Config{Chip: newChip(t)})
	command := func(code tpm2.TPMCC, body string) string {
		return string(message(tagSessions, tpm2.TPMRC(code), []byte(body)))
	}
	handles := "\x40\x00\x00\x01\x01\x40\x00\x01"
	tests := []struct {
		name, command string
		answered      bool
	}{
		{"no header", "\x80\x01\x00", false},
		{"too short a size", "\x80\x01\x00\x00\x00\x09\x00\x00\x01\x69", false},
		{"too long a size", "\x80\x01\x00\x00\x10\x01\x00\x00\x01\x69", false},
		{"no handle", command(tpm2.TPMCCNVReadPublic, ""), true},
		{"one handle", command(tpm2.TPMCCNVRead, handles[:4]), true},
		{"no authorization", command(tpm2.TPMCCNVRead, handles), true},
		{"a huge authorization", command(tpm2.TPMCCNVRead, handles+"\xFF\xFF\xFF\xFF\x00\x00\x00\x00"), true},
		{"an unknown code", command(0x7FFF, handles), true},
	}
	for _, test := range tests {
		conn := dial(t, m)
		if _, err := io.WriteString(conn, test.command); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || (len(answer) > 0) != test.answered {
			t.Errorf("%s: answer %x, error %v", test.name, answer, err)
		}
		if len(answer) > 0 && binary.BigEndian.Uint32(answer[6:]) == 0 {
			t.Errorf("%s: it succeeded", test.name)
		}
	}
}

func TestClose(t *testing.T) {
	m := Require(t, Config{})
	other, err := Start(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(other.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory remains: %v", err)
	}
	if n, err := m.Loaded(); n != 0 || err != nil {
		t.Errorf("the other machine: %d loaded, error %v", n, err)
	}
}

func TestStartRefuses(t *testing.T) {
	Require(t, Config{})
	if m, err := Start(t.Context(), Config{CertificateSize: 4096}); err == nil || !strings.Contains(err.Error(), "AK certificate") {
		t.Errorf("an index that swtpm cannot have: %v, error %v", m, err)
	}
}
