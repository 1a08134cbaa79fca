package tpm

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/google/go-tpm/tpm2"
)

var (
	// ErrAbsent means that there is no such index or key.
	ErrAbsent = errors.New("the TPM has nothing there")
	// ErrUnwritten means that the index is defined and has not been written:
	// TPM_RC_NV_UNINITIALIZED, 0x14a.
	ErrUnwritten = errors.New("the TPM has an index there that cannot be read, because nothing was written to it yet")
	// ErrChanged means that a PCR has changed since the ephemeral key was made, or that the
	// TPM was reset. The key can no longer be used. Make another.
	ErrChanged = errors.New("the ephemeral key is gone, because a selected PCR changed or the TPM was reset")
	// ErrCiphertext means that the ciphertext is not for the TPM's key.
	ErrCiphertext = errors.New("this is not wrapped to the ephemeral key")
)

// names contains the names of commands in part 3.
var names = map[tpm2.TPMCC]string{
	tpm2.TPMCCCertify:          "TPM2_Certify",
	tpm2.TPMCCCreatePrimary:    "TPM2_CreatePrimary",
	tpm2.TPMCCFlushContext:     "TPM2_FlushContext",
	tpm2.TPMCCNVDefineSpace:    "TPM2_NV_DefineSpace",
	tpm2.TPMCCNVRead:           "TPM2_NV_Read",
	tpm2.TPMCCNVReadPublic:     "TPM2_NV_ReadPublic",
	tpm2.TPMCCNVUndefineSpace:  "TPM2_NV_UndefineSpace",
	tpm2.TPMCCNVWrite:          "TPM2_NV_Write",
	tpm2.TPMCCPCRRead:          "TPM2_PCR_Read",
	tpm2.TPMCCPolicyPCR:        "TPM2_PolicyPCR",
	tpm2.TPMCCQuote:            "TPM2_Quote",
	tpm2.TPMCCRSADecrypt:       "TPM2_RSA_Decrypt",
	tpm2.TPMCCReadPublic:       "TPM2_ReadPublic",
	tpm2.TPMCCStartAuthSession: "TPM2_StartAuthSession",
}

// advice contains what to do about the codes that an administrator can resolve (part 2, 6.6.3).
var advice = []struct {
	code tpm2.TPMRC
	do   string
}{
	{tpm2.TPMRCNVAuthorization, "the index, or its owner's rights to it, are not as Azure's firmware sets them up"},
	{tpm2.TPMRCCommandCode, "the TPM does not know the command, or the agent does not lend it: use an agent of the same version"},
	{tpm2.TPMRCMemory, "other programs fill the TPM's memory: use the resource manager, /dev/tpmrm0"},
	{tpm2.TPMRCNVLocked, "the index is locked until the TPM restarts: restart the machine"},
	{tpm2.TPMRCNVUninitialized, "nothing was written there yet: let Azure finish setting the machine up, and restart it if that does not help"},
	{tpm2.TPMRCHierarchy, "the owner's hierarchy is switched off: its owner must switch it on and restart the machine"},
	{tpm2.TPMRCDisabled, "the command is disabled in this TPM: have the machine redeployed"},
	{tpm2.TPMRCUpgrade, "the TPM's firmware is being upgraded: try again when the machine has restarted"},
	{tpm2.TPMRCReboot, "the TPM wants the machine restarted"},
	{tpm2.TPMRCAuthMissing, "the TPM requires a password, which Azure does not set: remove it"},
	{tpm2.TPMRCPolicyFail, "the index or key has a policy that Azure does not set: it was replaced"},
	{tpm2.TPMRCObjectHandles, "other programs hold all of the TPM's keys: use the resource manager, /dev/tpmrm0"},
	{tpm2.TPMRCYielded, "the TPM is busy: try again"},
	{tpm2.TPMRCNVUnavailable, "the TPM's permanent memory cannot be written now: try again later"},
	{tpm2.TPMRCObjectMemory, "other programs fill the TPM's memory: use the resource manager, /dev/tpmrm0"},
	{tpm2.TPMRCSessionMemory, "other programs fill the TPM's memory: use the resource manager, /dev/tpmrm0"},
	{tpm2.TPMRCSessionHandles, "other programs hold all sessions: use the resource manager, /dev/tpmrm0"},
	{tpm2.TPMRCNVSpace, "the TPM's permanent memory is full: remove indices that nothing uses"},
	{tpm2.TPMRCNVRate, "the TPM limits how often it is written: try again later"},
	{tpm2.TPMRCRetry, "the TPM is busy: try again"},
	{tpm2.TPMRCTesting, "the TPM tests itself: try again"},
	{tpm2.TPMRCInitialize, "the TPM was not started: the firmware, or the emulator, must do it"},
	{tpm2.TPMRCFailure, "the TPM is in failure mode: restart the machine"},
	{tpm2.TPMRCLockout, "the TPM is locked after wrong passwords: wait, or reset the lock as its owner"},
	{tpm2.TPMRCBadAuth, "the TPM's owner has a password, which machines of Azure do not have"},
	{tpm2.TPMRCAuthFail, "the TPM's owner has a password, which machines of Azure do not have"},
}

// advised is an error with advice. Callers find it by its method Advice.
type advised struct {
	error
	do string
}

// Advice returns what to do about the error.
func (a *advised) Advice() string { return a.do }
func (a *advised) Unwrap() error  { return a.error }

// explain adds the name of the command to err.
func explain(code tpm2.TPMCC, err error) error {
	for _, a := range advice {
		if errors.Is(err, a.code) {
			return &advised{fmt.Errorf("%s: %w (%s)", nameOf(code), err, a.do), a.do}
		}
	}
	return fmt.Errorf("%s: %w", nameOf(code), err)
}

func malformed(code tpm2.TPMCC, fault any) error {
	return fmt.Errorf("%s: the TPM's answer cannot be read: %v", nameOf(code), fault)
}

func nameOf(code tpm2.TPMCC) string {
	if name, known := names[code]; known {
		return name
	}
	return fmt.Sprintf("TPM command 0x%x", uint32(code))
}

// notOpen returns the error of opening a TPM, with advice.
func notOpen(address string, err error) error {
	err = fmt.Errorf("opening %q: %w", address, err)
	var do string
	switch {
	case errors.Is(err, fs.ErrPermission):
		do = "run with the group that owns it, or let the device into the container"
	case errors.Is(err, fs.ErrNotExist):
		do = "the machine has no vTPM, or the container does not see it"
	case errors.Is(err, syscall.ECONNREFUSED):
		do = "nothing listens on that socket: start `skr agent`, or whatever gives the TPM"
	case errors.Is(err, syscall.EBUSY):
		do = "another program has the TPM open: use the resource manager, /dev/tpmrm0"
	default:
		return err
	}
	return &advised{fmt.Errorf("%w (%s)", err, do), do}
}

// together joins the errors on one line.
func together(first, second error) error {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return fmt.Errorf("%w; %w", first, second)
}
