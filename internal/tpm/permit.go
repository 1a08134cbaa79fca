package tpm

import (
	"encoding/binary"
	"slices"

	"github.com/google/go-tpm/tpm2"
	"golang.org/x/crypto/cryptobyte"
)

// permitted says whether a command is one that this package itself gives: evidence
// is read and keys that live in no storage are used; nothing is measured, cleared,
// or kept. It looks at the handles, which come first in a command (part 1, 18.2).
func permitted(command []byte) bool {
	if len(command) < headerSize {
		return false
	}
	rule, known := rules[tpm2.TPMCC(binary.BigEndian.Uint32(command[6:]))]
	return known && rule(command[headerSize:])
}

// rule looks at what follows the header.
type rule func(rest []byte) bool

var rules = map[tpm2.TPMCC]rule{
	tpm2.TPMCCCertify:          handles(transient, attesting),
	tpm2.TPMCCCreatePrimary:    handles(is(tpm2.TPMRHNull)),
	tpm2.TPMCCFlushContext:     handles(anything),
	tpm2.TPMCCNVDefineSpace:    definesUserData,
	tpm2.TPMCCNVRead:           handles(anything, indexed),
	tpm2.TPMCCNVReadPublic:     handles(indexed),
	tpm2.TPMCCNVUndefineSpace:  handles(anything, is(tpm2.TPMHandle(UserDataIndex))),
	tpm2.TPMCCNVWrite:          handles(anything, is(tpm2.TPMHandle(UserDataIndex))),
	tpm2.TPMCCPCRRead:          handles(),
	tpm2.TPMCCPolicyPCR:        handles(anything),
	tpm2.TPMCCQuote:            handles(attesting),
	tpm2.TPMCCRSADecrypt:       handles(transient),
	tpm2.TPMCCReadPublic:       handles(attesting),
	tpm2.TPMCCStartAuthSession: handles(is(tpm2.TPMRHNull), is(tpm2.TPMRHNull)), // neither salted nor bound
}

// handles wants these, one behind the other.
func handles(wanted ...func(tpm2.TPMHandle) bool) rule {
	return func(rest []byte) bool {
		for i, good := range wanted {
			if len(rest) < 4*(i+1) || !good(tpm2.TPMHandle(binary.BigEndian.Uint32(rest[4*i:]))) {
				return false
			}
		}
		return true
	}
}

func anything(tpm2.TPMHandle) bool { return true }

func is(want tpm2.TPMHandle) func(tpm2.TPMHandle) bool {
	return func(h tpm2.TPMHandle) bool { return h == want }
}

func attesting(h tpm2.TPMHandle) bool { return h == attestationKey }

// transient is an object that is loaded (part 2, TPM_HT_TRANSIENT).
func transient(h tpm2.TPMHandle) bool { return h>>24 == 0x80 }

func indexed(h tpm2.TPMHandle) bool {
	return slices.Contains([]Index{HCLReport, UserDataIndex, AKCertificate}, Index(h))
}

// definesUserData finds the index behind the owner's authorisation and the new
// index's password (part 3, 31.3).
func definesUserData(rest []byte) bool {
	input := cryptobyte.String(rest)
	var owner, size, index uint32
	var password, public cryptobyte.String
	return input.ReadUint32(&owner) && input.ReadUint32(&size) && input.Skip(int(size)) &&
		input.ReadUint16LengthPrefixed(&password) && input.ReadUint16LengthPrefixed(&public) &&
		public.ReadUint32(&index) && Index(index) == UserDataIndex
}
