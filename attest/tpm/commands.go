package tpm

import (
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"skr/attest/vtpm"
)

// This file makes all commands of this package. Operations send them, and a [Relay] compares
// the commands of its guests with them.

// owner is the owner hierarchy, with an empty password.
var owner = tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}

func readAKCommand() tpm2.ReadPublic { return tpm2.ReadPublic{ObjectHandle: attestationKey} }

func readAreaCommand(index Index) tpm2.NVReadPublic {
	return tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(index)}
}

func readCommand(index tpm2.NamedHandle, size, offset uint16) tpm2.NVRead {
	return tpm2.NVRead{AuthHandle: owner, NVIndex: index, Size: size, Offset: offset}
}

func writeCommand(index tpm2.NamedHandle, data []byte) tpm2.NVWrite {
	return tpm2.NVWrite{AuthHandle: owner, NVIndex: index, Data: tpm2.TPM2BMaxNVBuffer{Buffer: data}}
}

// defineCommand uses the attributes of Azure's own clients. Without OwnerRead, the paravisor
// cannot read the index.
func defineCommand() tpm2.NVDefineSpace {
	return tpm2.NVDefineSpace{AuthHandle: owner, PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
		NVIndex:    tpm2.TPMHandle(UserDataIndex),
		NameAlg:    tpm2.TPMAlgSHA256,
		Attributes: tpm2.TPMANV{OwnerRead: true, OwnerWrite: true, AuthRead: true, AuthWrite: true, NT: tpm2.TPMNTOrdinary},
		DataSize:   userDataSize,
	})}
}

func undefineCommand(index tpm2.NamedHandle) tpm2.NVUndefineSpace {
	return tpm2.NVUndefineSpace{AuthHandle: owner, NVIndex: index}
}

func pcrReadCommand(s vtpm.Selection) tpm2.PCRRead { return tpm2.PCRRead{PCRSelectionIn: bank(s)} }

func quoteCommand(ak tpm2.AuthHandle, s vtpm.Selection, nonce []byte) tpm2.Quote {
	return tpm2.Quote{
		SignHandle:     ak,
		QualifyingData: tpm2.TPM2BData{Buffer: nonce},
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
		PCRSelect:      bank(s),
	}
}

func createCommand(template tpm2.TPMTPublic) tpm2.CreatePrimary {
	return tpm2.CreatePrimary{
		PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHNull, Auth: tpm2.PasswordAuth(nil)},
		InPublic:      tpm2.New2B(template),
	}
}

func certifyCommand(key, ak tpm2.AuthHandle, nonce []byte) tpm2.Certify {
	return tpm2.Certify{
		ObjectHandle:   key,
		SignHandle:     ak,
		QualifyingData: tpm2.TPM2BData{Buffer: nonce},
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
	}
}

func policyCommand(session tpm2.TPMHandle, s vtpm.Selection, digest []byte) tpm2.PolicyPCR {
	return tpm2.PolicyPCR{PolicySession: session, PcrDigest: tpm2.TPM2BDigest{Buffer: digest}, Pcrs: bank(s)}
}

func decryptCommand(key tpm2.AuthHandle, scheme tpm2.TPMTRSADecrypt, ciphertext []byte) tpm2.RSADecrypt {
	return tpm2.RSADecrypt{KeyHandle: key, CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: ciphertext}, InScheme: scheme}
}

func flushCommand(handle tpm2.TPMHandle) tpm2.FlushContext {
	return tpm2.FlushContext{FlushHandle: handle}
}

// sessionNonce is the length of the caller's nonce, which protects nothing. Sessions are
// neither bound nor salted: the only secret in them is the plain text, which any process that
// may open the TPM can request.
const sessionNonce = 16

// startSession opens a policy session. The caller flushes its handle.
func startSession(t transport.TPM) (tpm2.Session, error) {
	session, _, err := tpm2.PolicySession(t, tpm2.TPMAlgSHA256, sessionNonce)
	return session, err
}
