package tpm

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// free returns the number of bytes in a command that a guest may choose.
func (s *shape) freeBytes() (count int) {
	for _, free := range s.free {
		if free {
			count++
		}
	}
	return count
}

// The table lists the free bytes of each command. All other bytes are fixed.
func TestShapes(t *testing.T) {
	const registers = vtpmRegisters / 8
	want := map[tpm2.TPMCC][]int{
		tpm2.TPMCCReadPublic:       {0},
		tpm2.TPMCCPCRRead:          {registers},
		tpm2.TPMCCCreatePrimary:    {32}, // the policy
		tpm2.TPMCCPolicyPCR:        {3 + 32 + registers},
		tpm2.TPMCCFlushContext:     {3, 3},
		tpm2.TPMCCNVDefineSpace:    {0},
		tpm2.TPMCCNVUndefineSpace:  {0},
		tpm2.TPMCCNVWrite:          {userDataSize},
		tpm2.TPMCCNVReadPublic:     {0, 0, 0},
		tpm2.TPMCCNVRead:           {4, 4, 4},
		tpm2.TPMCCStartAuthSession: {sessionNonce},
	}
	for length := range maxNonce + 1 {
		want[tpm2.TPMCCQuote] = append(want[tpm2.TPMCCQuote], length+registers)
		want[tpm2.TPMCCCertify] = append(want[tpm2.TPMCCCertify], length+3)
	}
	for range len(hashes) + 1 { // the key, the session, its nonce and HMAC, the cipher text
		want[tpm2.TPMCCRSADecrypt] = append(want[tpm2.TPMCCRSADecrypt], 3+3+sessionNonce+32+keySize)
	}
	got := shapes()
	if len(got) != len(want) {
		t.Errorf("%d commands are lent, want %d", len(got), len(want))
	}
	for code, counts := range want {
		if len(got[code]) != len(counts) {
			t.Fatalf("%s has %d shapes, want %d", nameOf(code), len(got[code]), len(counts))
		}
		for i, count := range counts {
			if free := got[code][i].freeBytes(); free != count {
				t.Errorf("%s, shape %d: %d bytes are free, want %d", nameOf(code), i, free, count)
			}
		}
	}
}

const vtpmRegisters = 24

// Fixed bytes must not differ, and the length must match exactly.
func TestShapesAreExact(t *testing.T) {
	for code, all := range shapes() {
		for _, s := range all {
			if shapeOf(s.command) == nil {
				t.Fatalf("%s: its own command is refused", nameOf(code))
			}
			for i := range s.command {
				altered := bytes.Clone(s.command)
				altered[i] ^= 0xFF
				if fits := s.fits(altered); fits != s.free[i] {
					t.Errorf("%s: with byte %d altered it is accepted: %t", nameOf(code), i, fits)
				}
			}
			if s.fits(s.command[:len(s.command)-1]) || s.fits(append(bytes.Clone(s.command), 0)) {
				t.Errorf("%s: a command of another length is accepted", nameOf(code))
			}
		}
	}
}

// A command that is passed on has a shape's length, a correct size and the fixed bytes.
func FuzzShape(f *testing.F) {
	f.Add([]byte{0x80, 0x01, 0, 0, 0, 14, 0, 0, 1, 0x73, 0x81, 0, 0, 3})
	f.Add([]byte{0x80, 0x02, 0, 0, 0, 12, 0, 0, 1, 0x2a, 0x40, 0})
	f.Add([]byte{})
	for _, all := range shapes() {
		for _, s := range all[:min(len(all), 3)] {
			f.Add(s.command)
			f.Add(s.command[:len(s.command)-1])
		}
	}
	f.Fuzz(func(t *testing.T, command []byte) {
		s := shapeOf(command)
		if s == nil {
			return
		}
		if len(command) < headerSize || int(binary.BigEndian.Uint32(command[2:])) != len(command) {
			t.Fatal("a command with a wrong size is passed on")
		}
		if _, named := names[codeOf(command)]; !named {
			t.Errorf("command 0x%x is passed on", uint32(codeOf(command)))
		}
		for i, b := range command {
			if !s.free[i] && b != s.command[i] {
				t.Fatalf("byte %d differs from the fixed byte", i)
			}
		}
		if s.object != 0 && handleAt(command, s.object)>>24 != transient || s.session != 0 && handleAt(command, s.session)>>24 != policySession {
			t.Error("a handle of another kind is passed on")
		}
	})
}
