package tdx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Identity of Intel's quoting enclave for TDX. Intel signs it with each QE identity (Intel PCS
// API, version 4, /tdx/certification/v4/qe/identity, mrsigner and isvprodid).
const (
	intelQESigner  = "dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5"
	intelQEProduct = 2
)

// QEReport is the SGX report body of the quoting enclave, 384 bytes, which the PCK signs.
// Names of fields follow DCAP A.3.10.
type QEReport struct {
	raw       [qeReportSize]byte
	signature [64]byte
	auth      []byte
}

// CPUSVN returns the security version of the processor.
func (r QEReport) CPUSVN() [16]byte { return [16]byte(r.raw[qeCPUSVN:]) }

// MISCSELECT returns the extended features of the enclave.
func (r QEReport) MISCSELECT() uint32 { return u32(r.raw[:], qeMISCSELECT) }

// Attributes returns the SGX ATTRIBUTES: flags and XFRM, 8 bytes each.
func (r QEReport) Attributes() [16]byte { return [16]byte(r.raw[qeATTRIBUTES:]) }

// MRENCLAVE returns the measurement of the enclave.
func (r QEReport) MRENCLAVE() [32]byte { return [32]byte(r.raw[qeMRENCLAVE:]) }

// MRSIGNER returns the SHA-256 of the key that signed the enclave.
func (r QEReport) MRSIGNER() [32]byte { return [32]byte(r.raw[qeMRSIGNER:]) }

// ISVPRODID returns the product number of the enclave.
func (r QEReport) ISVPRODID() uint16 { return u16(r.raw[:], qeISVPRODID) }

// ISVSVN returns the security version of the enclave.
func (r QEReport) ISVSVN() uint16 { return u16(r.raw[:], qeISVSVN) }

// ReportData returns the data that the enclave bound.
func (r QEReport) ReportData() ReportData { return ReportData(r.raw[qeREPORTDATA:]) }

// AuthenticationData returns the bytes that the enclave binds beside the attestation key.
func (r QEReport) AuthenticationData() []byte { return bytes.Clone(r.auth) }

// debug is bit 1 of the SGX attribute flags.
func (r QEReport) debug() bool { return r.raw[qeATTRIBUTES]&2 != 0 }

// checkIdentity checks what does not change with the enclave's versions. [Collateral] has the
// rest.
func (r QEReport) checkIdentity() error {
	signer := r.MRSIGNER()
	switch {
	case hex.EncodeToString(signer[:]) != intelQESigner:
		return fmt.Errorf("the enclave was signed by %x, want %s (Intel)", signer, intelQESigner)
	case r.ISVPRODID() != intelQEProduct:
		return fmt.Errorf("the enclave is product %d, want %d (the quoting enclave for TDX)", r.ISVPRODID(), intelQEProduct)
	case r.debug():
		return errors.New("the enclave is under debug")
	}
	return nil
}

// checkKey checks that the enclave's report names the attestation key: REPORTDATA is the
// SHA-256 of key and authentication data, followed by 32 zero bytes.
func (r QEReport) checkKey(key [64]byte) error {
	digest := sha256.New()
	digest.Write(key[:])
	digest.Write(r.auth)
	want := ReportData(append(digest.Sum(nil), make([]byte, 32)...))
	if got := r.ReportData(); got != want {
		return fmt.Errorf("it has REPORTDATA %s, the attestation key needs %s", got, want)
	}
	return nil
}
